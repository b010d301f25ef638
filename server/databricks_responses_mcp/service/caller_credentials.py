"""How the workspace is reached for each user of a service.

Three ways: with the user's own token, which each request brings; with a token of the workspace for which the token of
the request is exchanged; or as the service, with the credentials that are configured (`workspace.credentials`).
Tokens are stored in memory only.
"""

import json
import math
import re
import time
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import urlencode

import anyio
from pydantic import SecretStr

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.workspace.credentials import WORKSPACE_ID_HEADER, FixedHost
from databricks_responses_mcp.workspace.host import WorkspaceHost
from databricks_responses_mcp.workspace.http import close_response, read_body
from databricks_responses_mcp.workspace.redaction import clean
from databricks_responses_mcp.workspace.secret_values import SecretValues
from databricks_responses_mcp.workspace.transport import SendError, Transport, send

_PATH = "/oidc/v1/token"
_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
_JWT = "urn:ietf:params:oauth:token-type:jwt"
_SCOPE = "all-apis"
_TOKEN = re.compile(r"[\x21-\x7e]{1,32768}")
_MAX_ANSWER_BYTES = 256 * 1024
_EARLY_SECONDS = 120.0
"""A token is renewed this long before it expires, or at half of its life if that is shorter."""
_MAX_LIFE_SECONDS = 24 * 3600.0
_SIGN_IN_AGAIN = "Sign in again in the MCP host."


class CallerCredentials(FixedHost):
    """The workspace's token that the newest request of a user brought.

    Args:
        host: where the workspace is.
        secrets: the secrets of the user; each token is added.
    """

    def __init__(self, host: WorkspaceHost, secrets: SecretValues) -> None:
        super().__init__(host)
        self._secrets = secrets
        self._token: SecretStr | None = None

    def use(self, token: SecretStr) -> None:
        """Use the token of a newer request from now on."""
        if self._token is None or self._token.get_secret_value() != token.get_secret_value():
            self._token = token
            self._secrets.add(token.get_secret_value())

    async def headers(self) -> Mapping[str, str]:
        """See `Credentials.headers`.

        Raises:
            BridgeError: ``unauthenticated`` if there is no token that can be sent.
        """
        return _headers("" if self._token is None else self._token.get_secret_value(), self._host)

    @property
    def describe(self) -> str:
        """The description of the credentials for a person."""
        return "the user's own token, from the request"

    @property
    def renewal(self) -> str:
        """See `Credentials.renewal`."""
        return _SIGN_IN_AGAIN


class TokenExchange:
    """The endpoint of a workspace where the token of a trusted issuer is exchanged for one of the workspace (RFC 8693).

    Args:
        host: where the workspace is.
        transport: the connections.
        seconds: the deadline of one exchange.
    """

    def __init__(self, host: WorkspaceHost, transport: Transport, seconds: float) -> None:
        self.host = host
        self._transport = transport
        self._seconds = seconds

    async def exchange(self, token: str, secrets: SecretValues) -> tuple[str, float]:
        """Return a token of the workspace, and the seconds that it is valid for.

        Args:
            token: the JWT that the user has signed in with; it is sent to the workspace's own address alone.
            secrets: texts that no error may show.

        Raises:
            BridgeError: ``unauthenticated`` if the workspace refuses; ``timeout``, ``upstream_unavailable`` or
                ``upstream_error`` if it does not answer as it should.
        """
        form = {"grant_type": _GRANT, "subject_token_type": _JWT, "subject_token": token, "scope": _SCOPE}
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        address = f"{self.host.origin}{_PATH}"
        with anyio.move_on_after(self._seconds):
            connections = await self._transport.kept(address)
            try:
                content = urlencode(form).encode()
                response = await send(connections, "POST", address, headers=headers, content=content)
            except SendError as failure:
                raise secrets.remove_from_error(failure.error) from failure
            try:
                body = await read_body(response, _MAX_ANSWER_BYTES)
            finally:
                await close_response(response)
            return _issued(response.status_code, body, secrets)
        raise BridgeError(
            ErrorCode.TIMEOUT,
            f"The workspace did not exchange the user's token within {self._seconds:g} s.",
            "Call again; RESPONSES_MCP_AUTH_TIMEOUT_SECONDS sets the limit.",
            retryable=True,
        )


class ExchangedCredentials(FixedHost):
    """A token of the workspace, for which the token of a user was exchanged; cached until shortly before it expires.

    Concurrent calls wait for one exchange, and share its result or its failure.

    Args:
        exchange: the endpoint.
        secrets: the secrets of the user; each token is added.
    """

    def __init__(self, exchange: TokenExchange, secrets: SecretValues) -> None:
        super().__init__(exchange.host)
        self._exchange = exchange
        self._secrets = secrets
        self._subject: SecretStr | None = None
        self._token = ""
        self._renew_at = -math.inf
        self._lock = anyio.Lock()
        self._attempts = 0
        self._failure: BridgeError | None = None

    def use(self, token: SecretStr) -> None:
        """Exchange the token of a newer request when a new one is needed."""
        if self._subject is None or self._subject.get_secret_value() != token.get_secret_value():
            self._subject = token
            self._secrets.add(token.get_secret_value())

    async def headers(self) -> Mapping[str, str]:
        """See `Credentials.headers`.

        Raises:
            BridgeError: as `TokenExchange.exchange` does.
        """
        if time.monotonic() >= self._renew_at:
            await self._renew()
        return _headers(self._token, self._host)

    async def refresh(self) -> bool:
        """See `Credentials.refresh`."""
        self._renew_at = -math.inf
        return True

    @property
    def describe(self) -> str:
        """The description of the credentials for a person."""
        return "a token of the workspace, exchanged for the one that the user has signed in with"

    @property
    def renewal(self) -> str:
        """See `Credentials.renewal`."""
        return _SIGN_IN_AGAIN

    async def _renew(self) -> None:
        attempts = self._attempts
        async with self._lock:
            if time.monotonic() < self._renew_at:
                return
            if self._attempts != attempts and self._failure is not None:
                # Of the exchange that this call has waited for.
                raise self._failure.with_traceback(None)
            subject = "" if self._subject is None else self._subject.get_secret_value()
            try:
                self._token, seconds = await self._exchange.exchange(_checked(subject), self._secrets)
            except BridgeError as error:
                self._attempts, self._failure = self._attempts + 1, error
                raise
            self._attempts, self._failure = self._attempts + 1, None
            self._secrets.add(self._token)
            self._renew_at = time.monotonic() + seconds - min(_EARLY_SECONDS, seconds / 2)


def _headers(token: str, host: WorkspaceHost) -> Mapping[str, str]:
    headers = {"Authorization": f"Bearer {_checked(token)}"}
    if host.workspace_id:
        headers[WORKSPACE_ID_HEADER] = host.workspace_id
    return headers


def _checked(token: str) -> str:
    """Return a token that fits into a header.

    Raises:
        BridgeError: ``unauthenticated``, without showing it.
    """
    if not _TOKEN.fullmatch(token):
        problem = "There is no token of the user" if not token else "The user's token has characters that no token has"
        raise BridgeError(ErrorCode.UNAUTHENTICATED, f"{problem}, so the workspace was not asked.", _SIGN_IN_AGAIN)
    return token


def _issued(status: int, body: bytes, secrets: SecretValues) -> tuple[str, float]:
    """Return the token in an answer, and for how long it is valid."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    fields: Mapping[str, Any] = answer if isinstance(answer, dict) else {}
    if status != 200:
        _raise_refusal(status, fields, secrets)
    token, seconds = fields.get("access_token"), fields.get("expires_in")
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds < math.inf
    if not isinstance(token, str) or not _TOKEN.fullmatch(token) or not is_number:
        raise BridgeError(
            ErrorCode.UPSTREAM_ERROR,
            "The workspace's answer to the exchange of the user's token has no usable access_token and expires_in.",
            f"Check that DATABRICKS_HOST is the workspace's own address, whose {_PATH} answers.",
        )
    assert isinstance(seconds, int | float)
    return token, min(float(seconds), _MAX_LIFE_SECONDS)


def _raise_refusal(status: int, fields: Mapping[str, Any], secrets: SecretValues) -> NoReturn:
    said = ": ".join(str(fields[name]) for name in ("error", "error_description") if fields.get(name))
    shown = f" ({secrets.remove(clean(said))})" if said else ""
    if status == 429 or status >= 500:
        raise BridgeError(
            ErrorCode.UPSTREAM_UNAVAILABLE,
            f"The workspace could not exchange the user's token: HTTP {status}{shown}.",
            "Call again in a moment.",
            retryable=True,
            status=status,
        )
    raise BridgeError(
        ErrorCode.UNAUTHENTICATED,
        f"The workspace did not exchange the token that the user has signed in with: HTTP {status}{shown}.",
        f"{_SIGN_IN_AGAIN} If that does not help, an account administrator must add a federation policy in Databricks "
        "for the issuer, audience and subject of the token, and the user to the workspace.",
        status=status,
    )
