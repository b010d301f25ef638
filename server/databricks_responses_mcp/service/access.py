"""Authentication by a bearer token."""

import hashlib
import hmac
import secrets

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from databricks_responses_mcp.service.refusals import refusal

_TOKEN_BYTES = 32


def new_token() -> str:
    """Return a random token."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


class TokenCheck:
    """ASGI middleware that answers only requests with ``Authorization: Bearer TOKEN``.

    It reads nothing else of a request without the token, so such a request uses neither memory nor a session.

    Args:
        app: the application that answers them.
        token: the token.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._digest = _digest(token.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        elif self._is_allowed(given := _credentials(scope)):
            await self._app(scope, receive, send)
        else:
            await _refusal(is_given=bool(given))(scope, receive, send)

    def _is_allowed(self, given: list[bytes]) -> bool:
        if len(given) != 1:
            return False
        scheme, _, token = given[0].partition(b" ")
        # Digests have the same length, so the comparison does not reveal the length of the token.
        matches = hmac.compare_digest(_digest(token.strip()), self._digest)
        return matches and scheme.lower() == b"bearer"


def _credentials(scope: Scope) -> list[bytes]:
    return [value for name, value in scope["headers"] if name.lower() == b"authorization"]


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _refusal(*, is_given: bool) -> Response:
    problem = "The bearer token is wrong." if is_given else "This server asks for a bearer token."
    text = (
        f"{problem} Send `Authorization: Bearer TOKEN` with the token that `serve --http` printed when it started, "
        "or that RESPONSES_MCP_HTTP_TOKEN sets."
    )
    challenge = 'Bearer realm="databricks-responses-mcp"' + (', error="invalid_token"' if is_given else "")
    return refusal(401, text, {"WWW-Authenticate": challenge})
