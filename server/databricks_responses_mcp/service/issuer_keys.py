"""The public keys of an OAuth issuer: found by its metadata, fetched when needed, and cached."""

import json
import logging
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import anyio
import jwt

from databricks_responses_mcp.service.plain_http import PlainHttp, PlainHttpError
from databricks_responses_mcp.workspace.host import is_loopback

logger = logging.getLogger(__name__)

_FETCH_SECONDS = 5.0
_MAX_BYTES = 512_000
_MAX_KEYS = 100
_FRESH_SECONDS = 600.0
"""How long keys are used without asking for newer ones."""
_USABLE_SECONDS = 3600.0
"""How long keys are used if the issuer does not answer: as long as it may take to withdraw one."""
_UNKNOWN_SECONDS = 30.0
"""How often an unknown key id may have the keys fetched again: anybody can make one up."""
_RETRY_SECONDS = 5.0
_MIN_RSA_BITS = 2048
_ALGORITHMS = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("EdDSA",),
}


class IssuerUnavailableError(Exception):
    """The issuer's keys cannot be had now; the text says why, without secrets."""


class IssuerKey:
    """A public key that tokens may be signed with.

    Attributes:
        kid: its id; None if it has none.
        algorithms: the algorithms that it may be used with.
        key: the key, as PyJWT takes it.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        self.kid = data.get("kid")
        of_type = _ALGORITHMS.get(str(data.get("kty")), ())
        named = data.get("alg")
        self.algorithms = of_type if named is None else tuple(each for each in of_type if each == named)
        if data.get("use", "sig") != "sig" or not self.algorithms:
            raise jwt.PyJWKError("not a key for signatures that others can check")
        self.key: Any = jwt.PyJWK(data, self.algorithms[0]).key
        if data["kty"] == "RSA" and self.key.key_size < _MIN_RSA_BITS:
            raise jwt.PyJWKError("too short")


class IssuerKeys:
    """The keys of one issuer. They are fetched once at a time, never by a blocking call, each time with a deadline.

    Args:
        issuer: as its tokens name it.
        url: where its keys are; None to look into its metadata.
        http: sends the requests.
    """

    def __init__(self, issuer: str, url: str | None, http: PlainHttp) -> None:
        self._issuer = issuer
        self._url = url
        self._http = http
        self._keys: tuple[IssuerKey, ...] = ()
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._problem = ""
        self._lock = anyio.Lock()

    async def matching(self, kid: str | None, algorithm: str) -> Sequence[IssuerKey]:
        """Return the keys that a token with this header may be signed with: none if its key is not known.

        Raises:
            IssuerUnavailableError: if the keys cannot be had.
        """
        if self._age(self._fetched_at) > _FRESH_SECONDS:
            await self._fetch(_RETRY_SECONDS)
        if not (found := self._known(kid, algorithm)) and kid is not None:
            await self._fetch(_UNKNOWN_SECONDS)
            found = self._known(kid, algorithm)
        if self._age(self._fetched_at) > _USABLE_SECONDS:
            raise IssuerUnavailableError(self._problem or "the keys of the issuer are too old")
        return found

    def _known(self, kid: str | None, algorithm: str) -> list[IssuerKey]:
        return [key for key in self._keys if algorithm in key.algorithms and (kid is None or key.kid == kid)]

    @staticmethod
    def _age(since: float) -> float:
        return time.monotonic() - since

    async def _fetch(self, apart: float) -> None:
        """Fetch the keys, unless that was tried less than ``apart`` seconds ago."""
        before = self._tried_at
        async with self._lock:
            # A request that waited here for another fetch has its result.
            if self._tried_at != before or self._age(self._tried_at) < apart:
                return
            self._tried_at = time.monotonic()
            try:
                # Shielded, since the client may close its connection: the next request must not begin again.
                with anyio.CancelScope(shield=True):
                    self._keys = await self._read_keys()
                self._fetched_at, self._problem = time.monotonic(), ""
            except (PlainHttpError, IssuerUnavailableError) as error:
                self._problem = str(error)
                logger.warning("the keys of the OAuth issuer cannot be fetched: %s", error)

    async def _read_keys(self) -> tuple[IssuerKey, ...]:
        if self._url is None:
            self._url = await self._discover()
        document = await self._json(self._url)
        listed = document.get("keys")
        if not isinstance(listed, list):
            raise IssuerUnavailableError("the issuer's key set has no list of keys")
        keys: list[IssuerKey] = []
        for data in listed[:_MAX_KEYS]:
            try:
                keys.append(IssuerKey(data))
            except (jwt.PyJWTError, ValueError, TypeError, AttributeError, KeyError):
                continue  # for encryption, or of a kind that we do not use
        if not keys:
            raise IssuerUnavailableError("the issuer's key set has no public key for signatures")
        return tuple(keys)

    async def _discover(self) -> str:
        """Return where the keys are, by the issuer's metadata (RFC 8414, OpenID Connect Discovery)."""
        parts = urlsplit(self._issuer)
        origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
        problem = ""
        for url in dict.fromkeys(
            (
                f"{origin}/.well-known/oauth-authorization-server{path}",
                f"{origin}/.well-known/openid-configuration{path}",
                f"{origin}{path}/.well-known/openid-configuration",
            )
        ):
            try:
                metadata = await self._json(url)
            except IssuerUnavailableError as error:
                problem = str(error)
                continue
            if metadata.get("issuer") != self._issuer:
                problem = "the issuer's metadata names another issuer than RESPONSES_MCP_SERVICE_OAUTH_ISSUER"
                continue
            found = metadata.get("jwks_uri")
            if isinstance(found, str) and _is_safe(found):
                return found
            problem = "the issuer's metadata has no jwks_uri that begins with https://"
        raise IssuerUnavailableError(problem)

    async def _json(self, url: str) -> dict[str, Any]:
        status, body = await self._http.get(url, seconds=_FETCH_SECONDS, most_bytes=_MAX_BYTES + 1)
        if status != 200:
            raise IssuerUnavailableError(f"{url} answers with status {status}; redirects are not followed")
        if len(body) > _MAX_BYTES:
            raise IssuerUnavailableError(f"{url} answers with more than {_MAX_BYTES} bytes")
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise IssuerUnavailableError(f"{url} does not answer with a JSON object")
        return document


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
        name = parts.hostname or ""
    except ValueError:
        return False
    return bool(name) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(name)))
