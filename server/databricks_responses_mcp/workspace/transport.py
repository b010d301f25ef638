"""Connections to the workspace: sending requests, and how far a failed one got.

The rest of the package decides by `Delivery` whether a request may be sent again, never by a library's errors, so that
another transport has to distinguish only these.
"""

import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from enum import Enum
from functools import partial
from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies

import anyio
import httpx

from databricks_responses_mcp import __version__
from databricks_responses_mcp.errors import Action, Advice, BridgeError, ErrorCode
from databricks_responses_mcp.workspace.host import is_loopback
from databricks_responses_mcp.workspace.redaction import clean
from databricks_responses_mcp.workspace.tls import Trust, trust_for

# Reasoning may be silent for as long as model serving lets a request run (297 s), so reading has no shorter limit.
_TIMEOUT = httpx.Timeout(connect=10, read=310, write=60, pool=None)
_HEADERS = {
    "accept": "*/*",
    # Compression would delay events until a block is full.
    "accept-encoding": "identity",
    "user-agent": f"databricks-responses-mcp/{__version__}",
}
_MAX_ADDRESSES = 64
_MAX_CONNECTIONS = 512
_MAX_IDLE_CONNECTIONS = 64
_ONE_REQUEST = httpx.Limits(max_connections=1, max_keepalive_connections=0)
_PLAIN = ("", "identity")
_PROXIED = frozenset({"https", "all"})
"""The proxies of the environment that count; plain http is for this machine only."""

# A request that meets the server's own close of an idle connection fails, and may not be sent again: the client must
# close the connection first. uvicorn, Node and llama.cpp close theirs after 5 s, proxies of workspaces after 60 s or
# more. Over plain http, which is for this machine, a new connection costs almost nothing.
_HTTP_IDLE_SECONDS = 4
_HTTPS_IDLE_SECONDS = 50
_TOLD_IDLE_SECONDS = re.compile(r"(?:^|[,;\s])timeout\s*=\s*\"?(\d{1,9})", re.IGNORECASE)
_MAX_CAUSES = 20


class Delivery(Enum):
    """How far a request got that received no answer."""

    NOT_SENT = "not sent"
    """No byte of it was sent: there was no connection."""
    MAYBE_READ = "maybe read"
    """The server may have read, and processed, a part of it."""


class SendError(Exception):
    """A request that received no answer.

    Attributes:
        error: the error for the caller.
        delivery: how far it got.
    """

    def __init__(self, error: BridgeError, delivery: Delivery) -> None:
        super().__init__(error.message)
        self.error = error
        self.delivery = delivery


class Instrumentation(Protocol):
    """Telemetry of HTTP requests: a span for each one, which the request's headers name."""

    def instrument_transport(self, transport: httpx.AsyncBaseTransport) -> httpx.AsyncBaseTransport:
        """Return a transport that sends through ``transport``, with a span for each request."""

    def instrument_client(self, client: httpx.AsyncClient) -> None:
        """Let a client make a span for each request."""


class Transport:
    """The connections of one process to its workspace. They are opened at the first request, and kept open.

    Args:
        instrumentation: telemetry of the requests; None for none.
    """

    def __init__(self, instrumentation: Instrumentation | None = None) -> None:
        self._instrumentation = instrumentation
        self._opening = anyio.Lock()
        # By scheme and by whether it is this machine, which decide about certificates and the environment's proxies;
        # and by the seconds that an idle connection is kept open.
        self._kept: dict[tuple[str, bool, int], Connections] = {}
        self._told_idle_seconds: dict[str, int] = {}
        # Scheme, host, and whether it is this machine, of addresses that were used.
        self._places: dict[str, tuple[str, str, bool]] = {}

    async def aclose(self) -> None:
        """Close all connections."""
        while self._kept:
            await self._kept.popitem()[1].aclose()

    @asynccontextmanager
    async def fresh(self, address: str) -> AsyncIterator["Connections"]:
        """Yield a new connection for one request to an address, which is closed at the end.

        Raises:
            BridgeError: ``not_configured`` for an unusable proxy.
        """
        connections = Connections(await _trust(address), _ONE_REQUEST, self._told_idle_seconds, self._instrumentation)
        try:
            yield connections
        finally:
            await connections.aclose()

    async def kept(self, address: str) -> "Connections":
        """Return the connections for an address, of which an idle one is used, if there is one.

        A connection that the server has closed meanwhile is not used: that is detected before anything is written.

        Raises:
            BridgeError: ``not_configured`` for an unusable proxy.
        """
        place = self._places.get(address)
        if place is None:
            if len(self._places) >= _MAX_ADDRESSES:
                self._places.clear()
            parts = urlsplit(address)
            host = parts.hostname or ""
            place = self._places[address] = parts.scheme, host, is_loopback(host)
        scheme, host, is_local = place
        most = _HTTP_IDLE_SECONDS if scheme == "http" else _HTTPS_IDLE_SECONDS
        seconds = min(most, self._told_idle_seconds.get(host, most))
        kind = (scheme, is_local, seconds)
        known = self._kept.get(kind)
        if known is not None:
            return known
        async with self._opening:
            if kind not in self._kept:
                trust = await _trust(address)
                self._kept[kind] = Connections(trust, _keeping(seconds), self._told_idle_seconds, self._instrumentation)
            return self._kept[kind]


class Connections:
    """Connections of one kind, by the transport with the least overhead.

    That is the direct transport; or a client of httpx, which supports proxies and needs no compiled package.

    Attributes:
        exchange: sends a request, and returns when the head of its answer has arrived.
        aclose: closes all connections.

    Args:
        trust: the certificates to check.
        limits: the maximum number of connections, and how long an idle one is kept open.
        told_idle_seconds: receives how long a server keeps idle connections open, by its name.
        instrumentation: telemetry of the requests; None for none.

    Raises:
        BridgeError: ``not_configured`` for an unusable proxy.
    """

    def __init__(
        self,
        trust: Trust,
        limits: httpx.Limits,
        told_idle_seconds: dict[str, int],
        instrumentation: Instrumentation | None = None,
    ) -> None:
        self._told_idle_seconds = told_idle_seconds
        self._urls: dict[str, httpx.URL] = {}
        self._last_headers: tuple[httpx.URL, Mapping[str, str], httpx.Headers] | None = None
        self.exchange: Callable[[httpx.Request], Awaitable[httpx.Response]]
        direct = _direct(trust, limits)
        if direct is not None:
            transport = direct if instrumentation is None else instrumentation.instrument_transport(direct)
            self.exchange, self.aclose = transport.handle_async_request, transport.aclose
        else:
            client = _open_client(trust, limits)
            if instrumentation is not None:
                instrumentation.instrument_client(client)
            self.exchange, self.aclose = partial(client.send, stream=True), client.aclose

    def request(
        self,
        method: str,
        address: str,
        headers: Mapping[str, str],
        content: bytes | None,
        params: Mapping[str, str] | None,
    ) -> httpx.Request:
        """Return a request for the transport."""
        url = self._urls.get(address)
        if url is None:
            if len(self._urls) >= _MAX_ADDRESSES:
                self._urls.clear()
            url = self._urls[address] = httpx.URL(address)
        # With a stream, httpx adds no headers of its own to those that are encoded once for many requests.
        request = httpx.Request(
            method,
            url,
            params=params,
            headers=self._encoded(url, headers),
            stream=httpx.ByteStream(content or b""),
            extensions={"timeout": _TIMEOUT.as_dict()},
        )
        request.read()
        if content is not None:
            request.headers["Content-Length"] = str(len(content))
        return request

    def _encoded(self, url: httpx.URL, headers: Mapping[str, str]) -> httpx.Headers:
        """The headers of a request as httpx has them; those of the last request need not be encoded again."""
        last = self._last_headers
        if last is None or last[0] is not url or last[1] != headers:
            host = url.netloc.decode("ascii")
            last = self._last_headers = url, dict(headers), httpx.Headers({"Host": host, **_HEADERS, **headers})
        return last[2]

    def note_idle_seconds(self, response: httpx.Response) -> None:
        """Remember how long a server keeps idle connections open (``Keep-Alive: timeout=5``), less a second for the
        network.
        """
        told = _TOLD_IDLE_SECONDS.search(response.headers.get("keep-alive", ""))
        if told is not None:
            self._told_idle_seconds[response.request.url.host] = max(int(told[1]) - 1, 0)


async def send(
    connections: Connections,
    method: str,
    address: str,
    *,
    headers: Mapping[str, str],
    content: bytes | None = None,
    params: Mapping[str, str] | None = None,
) -> httpx.Response:
    """Send one request; return when the head of its answer has arrived. Redirects are not followed.

    Raises:
        SendError: if there is no answer.
        BridgeError: ``not_configured`` for a proxy that refuses.
    """
    try:
        request = connections.request(method, address, headers, content, params)
        response = await connections.exchange(request)
        response.request = request
        connections.note_idle_seconds(response)
        return response
    except httpx.ProxyError as exc:
        raise _wrong_proxy(exc) from exc
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
        raise SendError(_unreachable(_origin(address), exc), Delivery.NOT_SENT) from exc
    except httpx.TimeoutException as exc:
        error = BridgeError(
            ErrorCode.TIMEOUT,
            "The workspace took the request and did not begin to answer in time.",
            "Ask again, or ask for less at once; the request may have been billed.",
            retryable=True,
        )
        raise SendError(error, Delivery.MAYBE_READ) from exc
    except httpx.HTTPError as exc:
        # A broken connection does not show whether the server read what was written to it.
        error = BridgeError(
            ErrorCode.UPSTREAM_UNAVAILABLE,
            f"The workspace closed the connection before it answered ({type(exc).__name__}). The request may have "
            "been processed and billed, so it was not sent again.",
            "Ask again.",
            retryable=True,
        )
        raise SendError(error, Delivery.MAYBE_READ) from exc


def unasked_encoding(response: httpx.Response) -> str | None:
    """Return the compression of an answer that was to have none; a few kilobytes of it can expand to gigabytes."""
    encoding = response.headers.get("content-encoding", "").strip().lower()
    return None if encoding in _PLAIN else clean(encoding, 80)


def _keeping(seconds: int) -> httpx.Limits:
    """Return limits for connections that are kept open for so many seconds after their last answer."""
    return httpx.Limits(
        max_connections=_MAX_CONNECTIONS,
        max_keepalive_connections=_MAX_IDLE_CONNECTIONS if seconds else 0,
        keepalive_expiry=seconds,
    )


def _open_client(trust: Trust, limits: httpx.Limits) -> httpx.AsyncClient:
    try:
        return httpx.AsyncClient(
            limits=limits,
            follow_redirects=False,
            verify=trust.context,
            # A proxy of the environment is not used for a server on this machine.
            trust_env=not trust.loopback,
        )
    except (ImportError, ValueError) as exc:
        # A proxy URL of a kind that httpx does not support, or only with additional packages.
        raise _wrong_proxy(exc) from exc
    except httpx.InvalidURL:
        # Raised below, without this error: its text repeats the URL from the middle of the password on.
        pass
    raise _wrong_proxy(None)


def _direct(trust: Trust, limits: httpx.Limits) -> httpx.AsyncBaseTransport | None:
    """Return the direct transport; None if the environment names a proxy or the package that it needs is missing."""
    if not trust.loopback and not _PROXIED.isdisjoint(getproxies()):
        return None
    try:
        from databricks_responses_mcp.workspace.direct_transport import DirectTransport
    except ImportError:
        return None
    return DirectTransport(trust.context if isinstance(trust.context, ssl.SSLContext) else None, limits)


async def _trust(address: str) -> Trust:
    return await trust_for(_origin(address))


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def _wrong_proxy(exc: Exception | None) -> BridgeError:
    why = "its URL cannot be read" if exc is None else clean(str(exc), 200) or type(exc).__name__
    return BridgeError(
        ErrorCode.NOT_CONFIGURED,
        f"The proxy of the environment cannot be used ({why}).",
        "Correct HTTPS_PROXY or ALL_PROXY (http:// or https://; special characters of its password as %XX), or name "
        "the workspace's host in NO_PROXY.",
    )


def _unreachable(origin: str, exc: httpx.HTTPError) -> BridgeError:
    reason = clean(str(exc), 300) or type(exc).__name__
    message = f"Cannot reach {origin}: {reason}."
    if _is_untrusted(exc):
        return BridgeError(
            ErrorCode.UPSTREAM_UNAVAILABLE,
            message,
            "A proxy that inspects TLS may be in the way: point SSL_CERT_FILE at its certificate authority.",
            retryable=True,
        )
    return BridgeError(
        ErrorCode.UPSTREAM_UNAVAILABLE,
        message,
        "Check DATABRICKS_HOST, the network and any proxy.",
        retryable=True,
        advice=(Advice(Action.RUN_DOCTOR),),
    )


def _is_untrusted(error: BaseException) -> bool:
    """Return whether a connection failed because the certificate of the other side is not trusted."""
    cause: BaseException | None = error
    for _ in range(_MAX_CAUSES):
        if cause is None or isinstance(cause, ssl.SSLCertVerificationError):
            break
        cause = cause.__cause__ or cause.__context__
    return isinstance(cause, ssl.SSLCertVerificationError)
