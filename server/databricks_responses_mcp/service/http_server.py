"""MCP over Streamable HTTP on this machine: the SDK's application behind the checks of this package."""

from dataclasses import dataclass
from typing import Any

import uvicorn
from mcp.server import MCPServer
from mcp.server.transport_security import RequestBodyLimitMiddleware
from starlette.types import ASGIApp

from databricks_responses_mcp.service.access import TokenCheck
from databricks_responses_mcp.service.listening import PATH, AddressCheck, Listener
from databricks_responses_mcp.service.messages import MessageCheck
from databricks_responses_mcp.service.request_timeout import TimedProtocol
from databricks_responses_mcp.transport.messages import MAX_MESSAGE_BYTES

_CONNECTIONS_PER_SESSION = 4
_FEWEST_CONNECTIONS = 100
_GRACE_SECONDS = 5


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Limits of the sessions of clients that use the handshake; later protocol versions have no sessions.

    Attributes:
        most: the number of open sessions; a request that would open another one gets status 503.
        idle_seconds: the time after which a session without a request or an open stream is closed.
    """

    most: int
    idle_seconds: float


def http_app(server: MCPServer[Any], listener: Listener, token: str, limits: SessionLimits) -> ASGIApp:
    """Return the ASGI application, which checks the address, token, size and message of each request."""
    app: ASGIApp = server.streamable_http_app(
        streamable_http_path=PATH,
        max_request_body_size=MAX_MESSAGE_BYTES,
        session_idle_timeout=limits.idle_seconds,
        max_sessions=limits.most,
        transport_security=listener.security,
    )
    app = RequestBodyLimitMiddleware(MessageCheck(app), MAX_MESSAGE_BYTES)
    return AddressCheck(TokenCheck(app, token), listener.security)


async def serve_http(server: MCPServer[Any], listener: Listener, token: str, limits: SessionLimits) -> None:
    """Serve until a signal arrives; running calls then have five seconds to end."""
    config = uvicorn.Config(
        http_app(server, listener, token, limits),
        http=TimedProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=max(_FEWEST_CONNECTIONS, limits.most * _CONNECTIONS_PER_SESSION),
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    await uvicorn.Server(config).serve(sockets=list(listener.sockets))
