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
    """How much of the process sessions of the handshake era may take; later ones keep nothing between requests.

    Attributes:
        most: how many may be open; what would open another one gets 503.
        idle_seconds: a session without a request or an open stream is closed after that.
    """

    most: int
    idle_seconds: float


def http_app(server: MCPServer[Any], listener: Listener, token: str, limits: SessionLimits) -> ASGIApp:
    """The ASGI application: each request passes the checks of its address, its token, its size and its message."""
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
    """Serve until a signal comes; calls that are under way then have five seconds to end."""
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
