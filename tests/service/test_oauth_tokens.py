"""Checking access tokens of an issuer that answers on loopback: hostile tokens, and an issuer that fails."""

import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from inline_snapshot import snapshot
from mcp.server.auth.provider import AccessToken

from databricks_responses_mcp.service import issuer_keys
from databricks_responses_mcp.service.failed_sign_ins import TokenRefusedError
from databricks_responses_mcp.service.issuer_keys import IssuerKeys
from databricks_responses_mcp.service.oauth import OAuthTokens, TokenRules
from databricks_responses_mcp.service.plain_http import PlainHttp
from databricks_responses_mcp.service.refusals import SignInError
from databricks_responses_mcp.service.settings import ASYMMETRIC_ALGORITHMS
from databricks_responses_mcp.service.sign_in import Verifiers
from harness.deadlines import DEADLINE_SECONDS
from harness.issuer import RESOURCE, Issuer, run_issuer

pytestmark = pytest.mark.anyio


def tokens_of(issuer: Issuer, **changed: Any) -> Verifiers:
    """Return the checks of a service that trusts the issuer."""
    usual = {"issuer": issuer.url, "audiences": (RESOURCE, f"{RESOURCE}/"), "resource": RESOURCE}
    rules = TokenRules(**{**usual, "algorithms": ASYMMETRIC_ALGORITHMS, **changed})
    return Verifiers(None, OAuthTokens(rules, IssuerKeys(issuer.url, None, PlainHttp())))


async def refusal_of(tokens: Verifiers, token: str) -> str:
    """Return the reason why a token is refused."""
    with pytest.raises(TokenRefusedError) as refused:
        await tokens.verify_token(token)
    return str(refused.value)


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    """An issuer of this test."""
    async with run_issuer() as running:
        yield running


def unsigned(issuer: Issuer, algorithm: str) -> str:
    """Return a token without a signature."""
    parts = [{"alg": algorithm, "kid": "one", "typ": "at+jwt"}, issuer.claims()]
    return ".".join(_encoded(json.dumps(part).encode()) for part in parts) + "."


def confused(issuer: Issuer, algorithm: str) -> str:
    """Return a token that is signed with the public key as if it were a shared secret."""
    public = issuer.keys["one"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head, body, _ = unsigned(issuer, algorithm).split(".")
    signer = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    return f"{head}.{body}.{_encoded(signer.sign(f'{head}.{body}'.encode(), public))}"


def of_a_stranger(issuer: Issuer, **headers: Any) -> str:
    """Return a token with everything right but its key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return jwt.encode(issuer.claims(), key, "RS256", headers={"kid": "one", "typ": "at+jwt", **headers})


def own_jwk() -> dict[str, Any]:
    """Return a public key that a token could bring along."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    return jwt.algorithms.RSAAlgorithm.to_jwk(key, as_dict=True)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


NOW = int(time.time())
HOUR = 3600

HOSTILE: dict[str, Callable[[Issuer], str]] = {
    "empty": lambda _: "",
    "garbage": lambda _: "garbage",
    "three empty parts": lambda _: "..",
    "not ASCII": lambda issuer: issuer.token() + "é",
    "a header that is no object": lambda _: f"{_encoded(b'[]')}.{_encoded(b'{}')}.AAAA",
    "a deeply nested header": lambda _: f"{_encoded(b'[' * 6000)}.{_encoded(b'{}')}.AAAA",
    "a megabyte": lambda issuer: issuer.token(more="x" * 1_000_000),
    "alg none": lambda issuer: unsigned(issuer, "none"),
    "alg None": lambda issuer: unsigned(issuer, "None"),
    "no signature": lambda issuer: unsigned(issuer, "RS256"),
    "HS256 with the public key": lambda issuer: confused(issuer, "HS256"),
    "RS256 made with HMAC": lambda issuer: confused(issuer, "RS256"),
    "HS256 with the published shared key": lambda issuer: jwt.encode(
        issuer.claims(), b"\0\0\0".ljust(32, b"\0"), "HS256", headers={"kid": "one"}
    ),
    "another's key": of_a_stranger,
    "another's key at a jku": lambda issuer: of_a_stranger(issuer, jku=f"{issuer.url}/elsewhere"),
    "another's key at a x5u": lambda issuer: of_a_stranger(issuer, x5u=f"{issuer.url}/elsewhere"),
    "another's key brought along": lambda issuer: of_a_stranger(issuer, jwk=own_jwk()),
    "an unknown key": lambda issuer: of_a_stranger(issuer, kid="three"),
    "the id of another key": lambda issuer: issuer.token(headers={"kid": "two"}),
    "a critical extension": lambda issuer: issuer.token(headers={"crit": ["x"], "x": 1}),
    "another type": lambda issuer: issuer.token(headers={"typ": "dpop+jwt"}),
    "another audience": lambda issuer: issuer.token(aud="https://other.example.com/mcp"),
    "a longer audience": lambda issuer: issuer.token(aud=f"{RESOURCE}/more"),
    "no audience": lambda issuer: issuer.token(aud=None),
    "an audience that is no text": lambda issuer: issuer.token(aud=[{"a": 1}]),
    "another issuer": lambda issuer: issuer.token(iss="https://evil.example"),
    "the issuer with a slash": lambda issuer: issuer.token(iss=f"{issuer.url}/"),
    "a list of issuers": lambda issuer: issuer.token(iss=[issuer.url]),
    "no issuer": lambda issuer: issuer.token(iss=None),
    "expired": lambda issuer: issuer.token(exp=NOW - HOUR, iat=NOW - 2 * HOUR),
    "no expiry": lambda issuer: issuer.token(exp=None),
    "an expiry that is no number": lambda issuer: issuer.token(exp="never"),
    "not valid yet": lambda issuer: issuer.token(nbf=NOW + HOUR),
    "issued in the future": lambda issuer: issuer.token(iat=NOW + HOUR, exp=NOW + 2 * HOUR),
    "endless": lambda issuer: issuer.token(exp=float("inf")),
    "no time of issue": lambda issuer: issuer.token(iat=None),
    "no subject": lambda issuer: issuer.token(sub=None),
    "an empty subject": lambda issuer: issuer.token(sub=""),
    "a long subject": lambda issuer: issuer.token(sub="x" * 300),
}


async def test_a_token_of_the_issuer_for_this_service_names_its_user(issuer: Issuer) -> None:
    tokens = tokens_of(issuer)
    found = await tokens.verify_token(issuer.token(email="ada@example.com", scope="mcp other", aud=["x", RESOURCE]))
    assert found is not None
    assert found.expires_at is not None
    assert found.model_dump(exclude={"expires_at"}) == {
        "token": "",
        "client_id": "cli",
        "scopes": ["mcp", "other"],
        "resource": RESOURCE,
        "subject": "ada",
        "claims": {"iss": issuer.url, "name": "ada@example.com"},
    }
    with_list = await tokens.verify_token(issuer.token("two", "ES256", scope=None, scp=["mcp"], headers={"typ": "JWT"}))
    assert with_list is not None
    assert with_list.scopes == ["mcp"]
    pss = await tokens.verify_token(issuer.token(algorithm="PS256"))
    assert pss is not None
    assert issuer.requested == [
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/jwks",
    ]


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"email": "ada@example.com", "email_verified": True, "name": "Ada"}, "ada@example.com"),
        ({"email": "ada@example.com", "preferred_username": "eve"}, "ada@example.com"),
        ({"email": "ada@example.com", "email_verified": False, "preferred_username": "eve"}, "eve"),
        ({"email": "ada@example.com", "email_verified": "false"}, ""),
        ({"name": "ada@example.com"}, ""),
    ],
)
async def test_a_user_cannot_take_the_name_of_another_by_claims_that_users_choose(
    issuer: Issuer, claims: dict[str, Any], name: str
) -> None:
    found = await tokens_of(issuer).verify_token(issuer.token(**claims))
    assert found is not None
    assert (found.subject, found.claims) == ("ada", {"iss": issuer.url, "name": name})


@pytest.mark.parametrize(
    ("claim", "claims", "name"),
    [
        ("upn", {"upn": "ada@corp", "email": "eve@example.com"}, "ada@corp"),
        ("upn", {"email": "ada@example.com", "preferred_username": "ada@corp"}, ""),
        ("upn", {"upn": ["ada@corp"]}, ""),
        ("email", {"email": "ada@example.com", "email_verified": False, "preferred_username": "ada@corp"}, ""),
    ],
)
async def test_the_name_is_of_the_configured_claim_alone(
    issuer: Issuer, claim: str, claims: dict[str, Any], name: str
) -> None:
    found = await tokens_of(issuer, name_claim=claim).verify_token(issuer.token(**claims))
    assert found is not None
    assert found.claims == {"iss": issuer.url, "name": name}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_a_hostile_token_names_nobody(issuer: Issuer, kind: str) -> None:
    tokens = tokens_of(issuer)
    assert await tokens.verify_token(issuer.token()) is not None
    with anyio.fail_after(DEADLINE_SECONDS):
        token = HOSTILE[kind](issuer)
        reason = await refusal_of(tokens, token)
    assert not any(part in reason for part in token.split(".") if len(part) > 10)
    assert "/elsewhere" not in issuer.requested


async def test_the_reason_of_a_refusal_tells_an_administrator_what_to_compare(issuer: Issuer) -> None:
    tokens = tokens_of(issuer)
    kinds = (
        "expired",
        "not valid yet",
        "another audience",
        "another issuer",
        "no subject",
        "an unknown key",
        "alg none",
    )
    reasons = {kind: await refusal_of(tokens, HOSTILE[kind](issuer)) for kind in kinds}
    assert reasons == snapshot(
        {
            "expired": "the token has expired",
            "not valid yet": "the token is not valid yet",
            "another audience": "the token is for another audience",
            "another issuer": "the token is of another issuer",
            "no subject": "the token has no sub",
            "an unknown key": "the issuer has no such key for the token",
            "alg none": "the token is signed with an algorithm that is not allowed",
        }
    )


async def test_an_algorithm_that_the_settings_do_not_name_is_refused(issuer: Issuer) -> None:
    tokens = tokens_of(issuer, algorithms=("ES256",))
    assert await refusal_of(tokens, issuer.token()) == "the token is signed with an algorithm that is not allowed"
    assert await tokens.verify_token(issuer.token("two", "ES256")) is not None


async def test_a_short_key_of_the_issuer_is_not_used(issuer: Issuer) -> None:
    issuer.keys["one"] = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        token = issuer.token()
    assert await refusal_of(tokens_of(issuer), token) == "the issuer has no such key for the token"


async def test_many_tokens_at_once_have_the_keys_fetched_once(issuer: Issuer) -> None:
    tokens = tokens_of(issuer)
    found: list[AccessToken | None] = []

    async def verify(token: str) -> None:
        try:
            found.append(await tokens.verify_token(token))
        except TokenRefusedError:
            found.append(None)

    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(verify, issuer.token())
        for number in range(50):
            tasks.start_soon(verify, of_a_stranger(issuer, kid=f"made up {number}") if number < 3 else issuer.token())
    assert (len(found), sum(one is None for one in found)) == (100, 3)
    assert issuer.requested.count("/jwks") == 1


async def test_a_new_key_of_the_issuer_is_found_without_a_restart(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = tokens_of(issuer)
    assert await tokens.verify_token(issuer.token()) is not None
    issuer.keys["three"] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert await refusal_of(tokens, issuer.token("three")) == "the issuer has no such key for the token"
    monkeypatch.setattr(issuer_keys, "_UNKNOWN_SECONDS", 0.0)
    assert await tokens.verify_token(issuer.token("three")) is not None
    assert issuer.requested.count("/jwks") == 2


@pytest.mark.parametrize("fault", ["hang", "redirect", "huge", "garbage", "500"])
async def test_without_the_issuers_keys_nobody_is_let_in_and_nobody_is_sent_away(
    issuer: Issuer, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer_keys, "_FETCH_SECONDS", 0.5 if fault == "hang" else DEADLINE_SECONDS)
    issuer.fault = fault
    tokens = tokens_of(issuer)
    with anyio.fail_after(DEADLINE_SECONDS):
        for _ in range(3):
            with pytest.raises(SignInError) as refused:
                await tokens.verify_token(issuer.token())
            assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "5"})
    assert issuer.requested.count("/jwks") == 1
    assert "/elsewhere" not in issuer.requested
    issuer.fault = ""
    monkeypatch.setattr(issuer_keys, "_RETRY_SECONDS", 0.0)
    assert await tokens.verify_token(issuer.token()) is not None


async def test_known_keys_are_used_while_the_issuer_cannot_be_reached(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = tokens_of(issuer)
    assert await tokens.verify_token(issuer.token()) is not None
    issuer.fault = "500"
    monkeypatch.setattr(issuer_keys, "_FRESH_SECONDS", 0.0)
    monkeypatch.setattr(issuer_keys, "_RETRY_SECONDS", 0.0)
    assert await tokens.verify_token(issuer.token()) is not None
    assert issuer.requested.count("/jwks") == 2
    monkeypatch.setattr(issuer_keys, "_USABLE_SECONDS", 0.0)
    with pytest.raises(SignInError):
        await tokens.verify_token(issuer.token())


@pytest.mark.parametrize(
    "metadata", [{"issuer": "https://evil.example"}, {"jwks_uri": "http://keys.example/jwks"}, {"jwks_uri": 1}]
)
async def test_metadata_of_another_issuer_or_with_unsafe_keys_is_not_followed(
    issuer: Issuer, metadata: dict[str, Any]
) -> None:
    issuer.metadata = metadata
    with pytest.raises(SignInError):
        await tokens_of(issuer).verify_token(issuer.token())
    assert "/jwks" not in issuer.requested
