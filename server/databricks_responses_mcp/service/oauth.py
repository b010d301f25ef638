"""Checking OAuth access tokens that are JWTs (RFC 9068), with PyJWT and the issuer's public keys."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from mcp.server.auth.provider import AccessToken

from databricks_responses_mcp.service.callers import MAX_ID_CHARACTERS
from databricks_responses_mcp.service.failed_sign_ins import TokenRefusedError
from databricks_responses_mcp.service.issuer_keys import IssuerKeys, IssuerUnavailableError
from databricks_responses_mcp.service.refusals import SignInError

_LEEWAY_SECONDS = 30
_MAX_KEYS_TRIED = 8
_MAX_SCOPES = 200
_TYPES = ("at+jwt", "application/at+jwt", "jwt", None)
_NAME_CLAIMS = ("email", "preferred_username")
"""Not ``name``, the display name: the policy refers to names, and users choose that one freely."""
_REASONS: Mapping[type[Exception], str] = {
    jwt.ExpiredSignatureError: "the token has expired",
    jwt.ImmatureSignatureError: "the token is not valid yet",
    jwt.InvalidAudienceError: "the token is for another audience",
    jwt.InvalidIssuerError: "the token is of another issuer",
    jwt.InvalidSignatureError: "the token's signature is wrong",
    jwt.InvalidKeyError: "the issuer has no such key for the token",
    jwt.InvalidAlgorithmError: "the token is signed with an algorithm that is not allowed",
}
"""PyJWT's own texts may quote the token."""


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What an access token must say.

    Attributes:
        issuer: its ``iss``.
        audiences: one of them must be among its ``aud``.
        resource: the URL of this service, which the tokens are for.
        algorithms: the accepted algorithms of its signature; only asymmetric ones.
        name_claim: the claim with the user's name; None for the usual ones, of which users may choose some.
    """

    issuer: str
    audiences: tuple[str, ...]
    resource: str
    algorithms: Collection[str]
    name_claim: str | None = None


class OAuthTokens:
    """Checks access tokens; it is a `TokenVerifier` of the SDK. Accepted tokens are not stored.

    Args:
        rules: the required claims of a token.
        keys: the issuer's keys; headers of a token about its key other than the id, such as ``jku`` or ``jwk``, are not
            read.
    """

    def __init__(self, rules: TokenRules, keys: IssuerKeys) -> None:
        self._rules = rules
        self._keys = keys

    async def verify_token(self, token: str) -> AccessToken:
        """Return the content of an access token.

        Args:
            token: of limited size.

        Raises:
            TokenRefusedError: if it is not valid for this service.
            SignInError: with status 503 if the issuer's keys cannot be had.
        """
        try:
            header = jwt.get_unverified_header(token)
            kid, algorithm = header.get("kid"), header.get("alg")
            if algorithm not in self._rules.algorithms or not isinstance(algorithm, str):
                raise jwt.InvalidAlgorithmError("not allowed")
            if _token_type(header) not in _TYPES:
                raise jwt.InvalidTokenError("not an access token")
            if kid is not None and not isinstance(kid, str):
                raise jwt.InvalidTokenError("the id of its key is no text")
            return self._access(await self._claims(token, kid, algorithm))
        except IssuerUnavailableError as error:
            raise SignInError(
                503, "The keys of the OAuth issuer cannot be fetched now. Try again.", {"Retry-After": "5"}
            ) from error
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise TokenRefusedError(_reason(error), is_routine=isinstance(error, jwt.ExpiredSignatureError)) from error

    async def _claims(self, token: str, kid: str | None, algorithm: str) -> Mapping[str, Any]:
        candidates = (await self._keys.matching(kid, algorithm))[:_MAX_KEYS_TRIED]
        if not candidates:
            raise jwt.InvalidKeyError("signed with an unknown key")
        for number, candidate in enumerate(candidates, 1):
            try:
                claims: dict[str, Any] = jwt.decode(
                    token,
                    candidate.key,
                    algorithms=[algorithm],
                    issuer=self._rules.issuer,
                    audience=self._rules.audiences,
                    leeway=_LEEWAY_SECONDS,
                    options={"require": ["iss", "sub", "aud", "exp", "iat"]},
                )
            except jwt.InvalidSignatureError:
                if number == len(candidates):
                    raise
                continue
            return claims
        raise AssertionError("unreachable")

    def _access(self, claims: Mapping[str, Any]) -> AccessToken:
        subject = claims["sub"]
        if not subject or len(subject) > MAX_ID_CHARACTERS:
            raise jwt.InvalidTokenError("its subject is empty or too long")
        client = claims.get("client_id") or claims.get("azp") or ""
        return AccessToken(
            # The token itself goes no further: nothing can pass it on by mistake.
            token="",
            client_id=str(client)[:MAX_ID_CHARACTERS],
            scopes=_scopes(claims),
            expires_at=int(claims["exp"]) + _LEEWAY_SECONDS,
            resource=self._rules.resource,
            subject=subject,
            claims={"iss": self._rules.issuer, "name": _name(claims, self._rules.name_claim)},
        )


def _reason(error: Exception) -> str:
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"the token has no {error.claim}"
    return next((text for kind, text in _REASONS.items() if isinstance(error, kind)), "not a valid access token")


def _token_type(header: Mapping[str, Any]) -> str | None:
    given = header.get("typ")
    return given.lower() if isinstance(given, str) else None


def _name(claims: Mapping[str, Any], name_claim: str | None) -> str:
    """Return what people know the user by; an address that the issuer calls unverified may be another user's."""
    is_unverified = claims.get("email_verified", True) not in (True, "true")
    keys = [
        key for key in (_NAME_CLAIMS if name_claim is None else (name_claim,)) if key != "email" or not is_unverified
    ]
    return next((value for key in keys if isinstance(value := claims.get(key), str)), "")


def _scopes(claims: Mapping[str, Any]) -> list[str]:
    """Return the scopes of a token: in ``scope`` by RFC 9068, in ``scp`` at other issuers."""
    given = claims.get("scope", claims.get("scp"))
    listed = given.split(" ") if isinstance(given, str) else given
    if not isinstance(listed, list):
        return []
    return [scope for scope in listed[:_MAX_SCOPES] if isinstance(scope, str) and scope]
