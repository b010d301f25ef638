"""Listening on addresses, and checking the Host and Origin headers of requests to loopback ones."""

import ipaddress
import socket
import sys
from dataclasses import dataclass

from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from databricks_responses_mcp.errors import BridgeError, ErrorCode

PATH = "/mcp"
BACKLOG = 128
"""How many connections wait to be accepted. asyncio accepts as many at once, before it sees that there are too many."""

_OTHER_FILES = 700
_MIN_CONNECTIONS = 10


@dataclass(frozen=True, slots=True)
class Listener:
    """Sockets that listen.

    Attributes:
        name: the requested host name or address.
        port: the port of all sockets.
        sockets: one for each address of the name.
    """

    name: str
    port: int
    sockets: tuple[socket.socket, ...]

    @property
    def url(self) -> str:
        """The URL of the MCP endpoint."""
        return f"http://{_in_url(self.name)}:{self.port}{PATH}"

    @property
    def security(self) -> TransportSecuritySettings:
        """The allowed Host and Origin headers: names of this machine, with any port.

        A page of another site whose name resolves to loopback (DNS rebinding) sends that name. Ports are not compared,
        because port forwarding changes them.
        """
        addresses = [str(sock.getsockname()[0]) for sock in self.sockets]
        names = sorted({_in_url(name) for name in ("localhost", "127.0.0.1", "::1", self.name, *addresses)})
        origins = [f"{scheme}://{name}" for scheme in ("http", "https") for name in names]
        return TransportSecuritySettings(
            enable_dns_rebinding_protection=True,
            allowed_hosts=[*names, *(f"{name}:*" for name in names)],
            allowed_origins=[*origins, *(f"{origin}:*" for origin in origins)],
        )


def listen(name: str, port: int, *, loopback_only: bool = True) -> Listener:
    """Listen on every address of the name; port 0 selects a free one.

    Args:
        loopback_only: refuse a name that has another address, because nobody is asked to sign in.

    Raises:
        BridgeError: ``invalid_argument`` if an address is not loopback, or the port cannot be used.
    """
    sockets: list[socket.socket] = []
    try:
        for family, address in _addresses(name, port, loopback_only=loopback_only):
            sockets.append(_listening(family, address, sockets[0].getsockname()[1] if sockets else port))
    except OSError as error:
        for opened in sockets:
            opened.close()
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"The server cannot listen on port {port} of {name}: {error.strerror or error}.",
            "Choose another one with --http HOST:PORT.",
        ) from error
    return Listener(name, int(sockets[0].getsockname()[1]), tuple(sockets))


def connection_limit(wanted: int) -> int:
    """Return how many connections this process can have open, having asked the system for as many as are wanted.

    A process that has used up its files accepts no connection, and cannot open its store either.
    """
    if sys.platform == "win32":
        return wanted
    # Imported here: there is no such module on Windows.
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(min(wanted, soft - _OTHER_FILES), _MIN_CONNECTIONS)
    return wanted


class AddressCheck:
    """ASGI middleware that answers only requests whose Host and Origin headers name this machine.

    Args:
        app: the application that answers them.
        settings: the allowed names.
    """

    def __init__(self, app: ASGIApp, settings: TransportSecuritySettings) -> None:
        self._app = app
        self._check = TransportSecurityMiddleware(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        refusal = await self._check.validate_request(Request(scope)) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)


def _addresses(name: str, port: int, *, loopback_only: bool) -> list[tuple[int, str]]:
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys((int(family), str(address[0])) for family, _, _, _, address in found))
    for _, address in addresses:
        # A name such as x.localhost may resolve to any address.
        if loopback_only and not ipaddress.ip_address(address.partition("%")[0]).is_loopback:
            raise BridgeError(
                ErrorCode.INVALID_ARGUMENT,
                f"{name} is {address} here, which is not loopback: anyone who can connect uses your workspace.",
                "Use --http 127.0.0.1:PORT.",
            )
    return addresses


def _listening(family: int, address: str, port: int) -> socket.socket:
    # asyncio switches off the delay of small writes (Nagle) only where the protocol is named: 40 ms an answer.
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform == "win32":
            # Otherwise another user's process could listen on the same port and receive the token.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((address, port))
        opened.listen(BACKLOG)
    except BaseException:
        opened.close()
        raise
    return opened


def _in_url(name: str) -> str:
    return f"[{name}]" if ":" in name else name
