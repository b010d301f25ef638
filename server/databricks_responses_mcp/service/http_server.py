"""MCP over Streamable HTTP: the SDK's application behind the checks of this package.

For one user on this machine it is `http_app`, with the bearer token of its start. For a team it is `service_app`, whose
users sign in and which keeps no sessions, so that every request may go to another replica.
"""

import contextlib
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

import anyio
import uvicorn
from mcp.server import MCPServer
from mcp.server.auth.routes import create_protected_resource_routes
from mcp.server.auth.settings import AuthSettings
from mcp.server.transport_security import RequestBodyLimitMiddleware, TransportSecuritySettings
from sse_starlette.sse import AppStatus
from starlette.authentication import AuthenticationBackend
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from databricks_responses_mcp.service.access import TokenCheck
from databricks_responses_mcp.service.callers import SignedInUser
from databricks_responses_mcp.service.drain import ANSWER_SECONDS, RUN_SECONDS, Drain, DrainedRequests
from databricks_responses_mcp.service.health import Health, HealthRoutes
from databricks_responses_mcp.service.host_check import AllowedAddresses, HostCheck
from databricks_responses_mcp.service.listening import BACKLOG, PATH, AddressCheck, Listener
from databricks_responses_mcp.service.messages import MessageCheck
from databricks_responses_mcp.service.refusals import refusal
from databricks_responses_mcp.service.request_ids import RequestIds
from databricks_responses_mcp.service.request_timeout import IDLE_SECONDS, ServiceProtocol, TimedProtocol
from databricks_responses_mcp.service.sign_in import signed_in
from databricks_responses_mcp.transport.messages import MAX_MESSAGE_BYTES

_CONNECTIONS_PER_SESSION = 4
_MIN_CONNECTIONS = 100
_GRACE_SECONDS = 5
_BODY_SECONDS = 60.0
_MAX_BODY_BYTES = 1024**3
_MAX_USER_BODY_BYTES = _MAX_BODY_BYTES // 4
_METADATA_PATH = "/.well-known/oauth-protected-resource"
_CORS_REQUEST_HEADERS = (
    "Accept",
    "Authorization",
    "Content-Type",
    "Last-Event-ID",
    "Mcp-Method",
    "Mcp-Name",
    "Mcp-Protocol-Version",
    "Mcp-Session-Id",
)
_CORS_ANSWER_HEADERS = ("Mcp-Protocol-Version", "Mcp-Session-Id", "WWW-Authenticate", "Retry-After", "X-Request-Id")


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Limits of the sessions of clients that use the handshake; later protocol versions have no sessions.

    Attributes:
        most: the number of open sessions; a request that would open another one gets status 503.
        idle_seconds: the time after which a session without a request or an open stream is closed.
    """

    most: int
    idle_seconds: float


@dataclass(frozen=True, slots=True)
class ServiceHttp:
    """The configuration of a service: its addresses, sign-in and limits.

    Attributes:
        addresses: the names that requests may be addressed to, and the web pages that may send them.
        backend: finds the user of a request.
        auth: the requirements for OAuth tokens; None if there is no issuer.
        health: the health that probes read.
        drain: how the service ends.
        max_connections: the most connections that are open at a time.
    """

    addresses: AllowedAddresses
    backend: AuthenticationBackend
    auth: AuthSettings | None
    health: Health
    drain: Drain
    max_connections: int


def http_app(server: MCPServer[Any], listener: Listener, token: str, limits: SessionLimits) -> ASGIApp:
    """Return the ASGI application for one user, which checks the address, token, size and message of each request."""
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
    """Serve one user until a signal arrives; running calls then have five seconds to end."""
    config = uvicorn.Config(
        http_app(server, listener, token, limits),
        http=TimedProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=max(_MIN_CONNECTIONS, limits.most * _CONNECTIONS_PER_SESSION),
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    await uvicorn.Server(config).serve(sockets=list(listener.sockets))


def service_app(server: MCPServer[Any], http: ServiceHttp) -> ASGIApp:
    """Return the ASGI application for a team: nothing of a request is read before its user has signed in."""
    app: ASGIApp = server.streamable_http_app(
        streamable_http_path=PATH,
        stateless_http=True,
        max_request_body_size=MAX_MESSAGE_BYTES,
        # Checked by HostCheck, which also knows the names that a platform gives.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    app = BodyLimits(RequestBodyLimitMiddleware(MessageCheck(app), MAX_MESSAGE_BYTES))
    app = signed_in(_PostOnly(app), http.backend, http.auth)
    if http.auth is not None and http.auth.resource_server_url is not None:
        app = _PublicRoutes(app, _metadata_routes(http.auth))
    if http.addresses.pages:
        app = CORSMiddleware(
            app,
            allow_origins=sorted(http.addresses.pages),
            allow_methods=("POST", "GET", "DELETE"),
            allow_headers=_CORS_REQUEST_HEADERS,
            expose_headers=_CORS_ANSWER_HEADERS,
        )
    app = HealthRoutes(HostCheck(app, http.addresses), http.health)
    return RequestIds(DrainedRequests(app, http.drain))


async def serve_service(server: MCPServer[Any], sockets: list[socket.socket], http: ServiceHttp) -> None:
    """Serve a team until a signal arrives, and end as `drain` describes."""
    # Otherwise the event streams of older clients would be cut half a second after the signal.
    AppStatus.enable_automatic_graceful_drain = False
    config = uvicorn.Config(
        service_app(server, http),
        http=ServiceProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        # The X-Forwarded-* headers of a client are not trusted.
        proxy_headers=False,
        backlog=BACKLOG,
        limit_concurrency=http.max_connections,
        timeout_keep_alive=int(IDLE_SECONDS),
        timeout_graceful_shutdown=int(RUN_SECONDS + ANSWER_SECONDS) + 1,
    )
    await _DrainingServer(config, http.drain).serve(sockets=sockets)


class _DrainingServer(uvicorn.Server):
    """uvicorn's server, which ends as `Drain` says, and with exit code 0."""

    def __init__(self, config: uvicorn.Config, drain: Drain) -> None:
        super().__init__(config)
        self._drain = drain

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals while the server runs. uvicorn's own raises the signal again at the end."""
        earlier = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; a second SIGINT ends at once."""
        self._drain.begin()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End as `Drain` says."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._drain.run)
            await super().shutdown(sockets)
            tasks.cancel_scope.cancel()


class _PublicRoutes:
    """ASGI middleware that answers some paths without signing in.

    Args:
        app: the application that answers all others.
        routes: the public paths.
    """

    def __init__(self, app: ASGIApp, routes: list[Route]) -> None:
        self._app = app
        self._paths = {route.path for route in routes}
        self._router = Router(routes, redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        is_public = scope["type"] == "http" and scope["path"] in self._paths
        await (self._router if is_public else self._app)(scope, receive, send)


class _PostOnly:
    """ASGI middleware that refuses the streams and the sessions of the handshake: without sessions both are empty."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["method"] != "POST":
            await Response(status_code=405, headers={"Allow": "POST"})(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class _BodyError(Exception):
    """A request whose body is not read on, and the answer to it."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class BodyLimits:
    """ASGI middleware with a deadline for the body of each request, and limits of the size of all that are in use.

    Args:
        app: the application that reads them.
        seconds: how long a body may take to arrive.
        most_bytes: the largest size of all bodies together.
        most_bytes_of_user: the largest size of one user's bodies together, so that others can send theirs.
    """

    def __init__(
        self,
        app: ASGIApp,
        seconds: float = _BODY_SECONDS,
        most_bytes: int = _MAX_BODY_BYTES,
        most_bytes_of_user: int = _MAX_USER_BODY_BYTES,
    ) -> None:
        self._app = app
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._most_bytes_of_user = most_bytes_of_user
        self._bytes = 0
        self._bytes_of_users: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        deadline = anyio.current_time() + self._seconds
        user = scope.get("user")
        owner = user.caller.owner if isinstance(user, SignedInUser) else ""
        is_complete = False
        received = 0

        async def limited() -> Message:
            nonlocal is_complete, received
            if is_complete:
                return await receive()
            with anyio.CancelScope(deadline=deadline):
                message = await receive()
                is_complete = not message.get("more_body", False)
                size = len(message.get("body", b""))
                received += size
                self._bytes += size
                self._bytes_of_users[owner] += size
                if self._bytes_of_users[owner] > self._most_bytes_of_user:
                    raise _BodyError(503, "Too many large requests of yours are running. Send it again later.")
                if self._bytes > self._most_bytes:
                    raise _BodyError(503, "The service has too many large requests at the moment. Send it again.")
                return message
            raise _BodyError(408, f"The request did not arrive within {self._seconds:g} s. Send it again.")

        try:
            await self._app(scope, limited, send)
        except _BodyError as error:
            headers = {"Connection": "close", **({"Retry-After": "5"} if error.status == 503 else {})}
            await refusal(error.status, error.text, headers)(scope, receive, send)
        finally:
            self._bytes -= received
            self._bytes_of_users[owner] -= received
            if not self._bytes_of_users[owner]:
                del self._bytes_of_users[owner]


def _metadata_routes(auth: AuthSettings) -> list[Route]:
    """Return the routes of the metadata by which clients find the issuer (RFC 9728).

    It ends with the path of the resource; older clients request the path without it.
    """
    assert auth.resource_server_url is not None
    routes = create_protected_resource_routes(
        auth.resource_server_url, [auth.issuer_url], scopes_supported=auth.required_scopes or None
    )
    (route,) = routes
    paths = {route.path, route.path.rstrip("/") + "/", _METADATA_PATH}
    return [Route(path, route.endpoint, methods=["GET", "OPTIONS"]) for path in sorted(paths)]
