"""HTTP/1.1 without a proxy, on asyncio: httptools parses in C what httpx's own transport parses in Python.

It stands behind httpx's API and raises httpx's errors. Those of httpx that say that a connection could not be had
(`ConnectError`, `ConnectTimeout`, `PoolTimeout`) are raised before anything is written, and never after.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator

import httpx
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from databricks_responses_mcp.sockets import is_readable

_MAX_OVERHEAD_BYTES = 100 * 1024
"""The most that may come without a byte of the body: a head, trailers, extensions of chunks, informational answers."""
_MAX_BUFFERED_BYTES = 256 * 1024
_WRITTEN_AT_ONCE_BYTES = 256 * 1024
_READ_AT_ONCE_BYTES = 64 * 1024
_HAPPY_EYEBALLS_SECONDS = 0.25

_Origin = tuple[str, str, int]
_Header = tuple[bytes, bytes]


class DirectTransport(httpx.AsyncBaseTransport):
    """Connections that are made, kept and used again. For one event loop of asyncio, and for GET and POST.

    Args:
        tls: the context for https.
        limits: how many connections there may be, and how long one is kept without a request.
    """

    def __init__(self, tls: ssl.SSLContext | None, limits: httpx.Limits) -> None:
        self._tls = tls
        self._most_idle = limits.max_keepalive_connections or 0
        self._idle_seconds = limits.keepalive_expiry or 0.0
        self._slots = asyncio.Semaphore(limits.max_connections or 1)
        self._open: set[_Connection] = set()
        self._idle: dict[_Origin, list[_Connection]] = {}
        self._idle_count = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; return when the head of its answer has arrived.

        The answer's extension ``has_ended`` is a function: whether all of the answer has arrived.

        Raises:
            httpx.ConnectError: or `httpx.ConnectTimeout`, or `httpx.PoolTimeout`, if nothing was written.
            httpx.LocalProtocolError: for a request that cannot be written; nothing was.
            httpx.TransportError: if the exchange failed later.
        """
        timeouts: dict[str, float | None] = request.extensions.get("timeout", {})
        head = _head_of(request)
        body = await request.aread()
        await self._slot(timeouts.get("pool"))
        connection: _Connection | None = None
        try:
            connection = self._take(_origin_of(request.url)) or await self._connect(request.url, timeouts)
            await connection.send(head, body, write_seconds=timeouts.get("write"), read_seconds=timeouts.get("read"))
        except BaseException:
            self.release(connection)
            raise
        return httpx.Response(
            connection.status,
            headers=connection.headers,
            stream=_Body(self, connection, timeouts.get("read")),
            extensions={
                "http_version": b"HTTP/1.1",
                "reason_phrase": connection.reason,
                "has_ended": connection.has_ended,
            },
        )

    async def aclose(self) -> None:
        """Close all connections, also those in use."""
        for connection in tuple(self._open):
            self._close(connection)
        self._idle.clear()
        self._idle_count = 0
        # The event loop closes the sockets in its next round.
        await asyncio.sleep(0)

    def release(self, connection: "_Connection | None") -> None:
        """Release the slot of a request, and pool its connection if it can be used again; else close it."""
        self._slots.release()
        if connection is None:
            return
        if not self._most_idle or not connection.finish(self._idle_seconds):
            self._close(connection)
            return
        self._drop_unusable()
        self._idle.setdefault(connection.origin, []).append(connection)
        self._idle_count += 1
        if self._idle_count > self._most_idle:
            self._drop_first(min(self._idle, key=lambda origin: self._idle[origin][0].expires_at))

    async def _slot(self, seconds: float | None) -> None:
        if not self._slots.locked():
            await self._slots.acquire()  # this does not wait, so it needs no deadline
            return
        try:
            async with asyncio.timeout(seconds):
                await self._slots.acquire()
        except TimeoutError as exc:
            raise httpx.PoolTimeout("No connection became free in time.") from exc

    def _take(self, origin: _Origin) -> "_Connection | None":
        """Return the connection that was used last, if one is open and not too old."""
        while connections := self._idle.get(origin):
            connection = connections.pop()
            self._idle_count -= 1
            if not connections:
                del self._idle[origin]
            if connection.is_usable():
                return connection
            self._close(connection)
        return None

    async def _connect(self, url: httpx.URL, timeouts: dict[str, float | None]) -> "_Connection":
        loop = asyncio.get_running_loop()
        scheme, host, port = origin = _origin_of(url)
        if not 0 < port < 65536:
            raise httpx.ConnectError(f"there is no port {port}")
        try:
            async with asyncio.timeout(timeouts.get("connect")):
                _, connection = await loop.create_connection(
                    lambda: _Connection(origin, loop),
                    host,
                    port,
                    ssl=self._tls if scheme == "https" else None,
                    # An address has no other to race with. A race that is cancelled as it ends loses its socket to
                    # the garbage collector (asyncio of Python 3.11).
                    happy_eyeballs_delay=None if _is_address(host) else _HAPPY_EYEBALLS_SECONDS,
                )
        except TimeoutError as exc:
            raise httpx.ConnectTimeout("no connection within the time allowed") from exc
        except (OSError, ValueError) as exc:
            # ValueError: a name that is none (UnicodeError), a certificate's name that cannot be compared.
            raise httpx.ConnectError(str(exc)) from exc
        self._open.add(connection)
        return connection

    def _close(self, connection: "_Connection") -> None:
        self._open.discard(connection)
        connection.abort()

    def _drop_unusable(self) -> None:
        """Close connections that were idle for too long, or that their server has closed."""
        for origin in tuple(self._idle):
            while (connections := self._idle.get(origin)) and not connections[0].is_usable():
                self._drop_first(origin)

    def _drop_first(self, origin: _Origin) -> None:
        """Close the oldest idle connection to an origin."""
        connections = self._idle[origin]
        self._close(connections.pop(0))
        self._idle_count -= 1
        if not connections:
            del self._idle[origin]


class _Body(httpx.AsyncByteStream):
    """The body of an answer, as it arrives."""

    def __init__(self, transport: DirectTransport, connection: "_Connection", read_seconds: float | None) -> None:
        self._transport = transport
        self._connection: _Connection | None = connection
        self._read_seconds = read_seconds

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while self._connection is not None and (piece := await self._connection.read(self._read_seconds)):
                yield piece
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._transport.release(connection)


class _Connection(asyncio.BufferedProtocol):
    """One connection, and the exchange that is under way on it.

    Attributes:
        origin: where it leads.
        expires_at: by the clock of the event loop, when it is no longer used.
        status: of the answer, as `reason` and `headers`.
    """

    def __init__(self, origin: _Origin, loop: asyncio.AbstractEventLoop) -> None:
        self.origin = origin
        self.expires_at = 0.0
        self.status = 0
        self.reason = b""
        self.headers: list[_Header] = []
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._parser: HttpResponseParser | None = None
        # What is received, until it is parsed: without it the event loop makes an object of 256 kB for each read.
        self._received = memoryview(bytearray(_READ_AT_ONCE_BYTES))
        self._pieces: list[bytes] = []
        self._buffered = 0
        self._overhead = 0
        self._waiter: asyncio.Future[None] | None = None
        # Not an exception: it would hold this object through its traceback, until the garbage collector finds them.
        self._failure: tuple[type[httpx.TransportError], str] | None = None
        self._is_lost = False
        self._is_clean = True
        self._is_reading_paused = False
        self._is_writing_paused = False
        self._is_written = True
        self._has_head = False
        self._is_delimited = False
        self._is_complete = False
        self._keeps_alive = False

    # The exchange.

    async def send(self, head: bytes, body: bytes, *, write_seconds: float | None, read_seconds: float | None) -> None:
        """Write a request and wait for the head of its answer.

        A new connection may bring an answer, such as a refusal, before anything is written; nothing is then.

        Raises:
            httpx.ConnectError: if the connection was closed, or failed, before anything could be written.
            httpx.TransportError: if the connection fails or a time is over.
        """
        if self._parser is None:
            self._begin()
        if not self._has_head:
            if self._failure is not None or self._is_lost or self._transport is None or self._transport.is_closing():
                raise httpx.ConnectError("the server closed the connection before the request was sent")
            await self._write(head, body, write_seconds)
        while not self._has_head:
            self._raise_failure()
            await self._wait(read_seconds, httpx.ReadTimeout)

    async def read(self, seconds: float | None) -> bytes:
        """Return the part of the body that has arrived, waiting for at least one byte. Empty at the end.

        Raises:
            httpx.TransportError: if the connection fails, once what had arrived was read, or the time is over.
        """
        pieces = self._pieces
        while not pieces:
            self._raise_failure()
            if self._is_complete:
                return b""
            await self._wait(seconds, httpx.ReadTimeout)
        arrived = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._buffered = 0
        if self._is_reading_paused:
            self._is_reading_paused = False
            if self._transport is not None and not self._is_lost:
                self._transport.resume_reading()
        return arrived

    def has_ended(self) -> bool:
        """Return whether the whole answer has arrived, so that reading the rest does not wait."""
        return self._is_complete

    def finish(self, idle_seconds: float) -> bool:
        """End the exchange; says whether the connection can be used for another."""
        self._parser = None
        self._pieces.clear()
        self.expires_at = self._loop.time() + idle_seconds
        return (
            self._is_complete
            and self._is_written
            and self._keeps_alive
            and self._is_clean
            and not self._is_lost
            and not self._is_reading_paused
        )

    def is_usable(self) -> bool:
        """Return whether a request may be written: the server has not closed the connection, and has sent nothing."""
        return self._is_clean and not self._is_lost and self._loop.time() < self.expires_at and not self._is_readable()

    def abort(self) -> None:
        """Close the connection at once."""
        self._parser = None
        if self._transport is not None:
            self._transport.abort()

    def _begin(self) -> None:
        self._parser = parser = HttpResponseParser(self)
        # As httpx's own transport does: lines may end with LF alone, spaces may follow the size of a chunk, and a
        # length may stand beside chunks.
        parser.set_dangerous_leniencies(
            lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True, lenient_chunked_length=True
        )
        self._pieces.clear()
        self._buffered = self._overhead = 0
        self._failure = None
        self._has_head = self._is_complete = self._keeps_alive = self._is_written = False

    async def _write(self, head: bytes, body: bytes, seconds: float | None) -> None:
        assert self._transport is not None
        if len(body) <= _WRITTEN_AT_ONCE_BYTES:
            self._transport.write(head + body)
            await self._written(seconds)
        else:
            self._transport.write(head)
            view = memoryview(body)
            for start in range(0, len(body), _WRITTEN_AT_ONCE_BYTES):
                if not await self._written(seconds):
                    return
                self._transport.write(view[start : start + _WRITTEN_AT_ONCE_BYTES])
            await self._written(seconds)
        self._is_written = not self._is_writing_paused

    async def _written(self, seconds: float | None) -> bool:
        """Wait until the written data is sent; return False if the answer or an error has arrived before."""
        while self._is_writing_paused and not self._is_over():
            await self._wait(seconds, httpx.WriteTimeout)
        return not self._is_over()

    def _is_over(self) -> bool:
        return self._has_head or self._failure is not None

    async def _wait(self, seconds: float | None, error: type[httpx.TimeoutException]) -> None:
        """Wait for the next event of the connection."""
        waiter = self._waiter = self._loop.create_future()
        timer = None if seconds is None else self._loop.call_later(seconds, self._expire, waiter, error)
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    @staticmethod
    def _expire(waiter: asyncio.Future[None], error: type[httpx.TimeoutException]) -> None:
        if not waiter.done():
            waiter.set_exception(error("nothing happened within the time allowed"))

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: type[httpx.TransportError], message: str) -> None:
        if self._failure is None and not self._is_complete:
            self._failure = error, message
        self._is_clean = False
        self._wake()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            error, message = self._failure
            raise error(message)

    def _is_readable(self) -> bool:
        """Return whether bytes or the end have arrived that the event loop has not processed yet."""
        assert self._transport is not None
        number = self._transport.get_extra_info("socket").fileno()
        if number < 0:
            return True
        return is_readable(number)

    # What the event loop says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        # Writing is paused until everything has left. Not 0: the event loop pauses TLS from `high` bytes on, which
        # would be always.
        transport.set_write_buffer_limits(high=1, low=0)
        # What arrives before the request is written is the answer to it: over TLS it may come with the handshake.
        self._begin()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._received

    def buffer_updated(self, nbytes: int) -> None:
        parser = self._parser
        if parser is None or self._is_complete:
            # Nobody asked for it: whose answer it would be is not known. An idle connection would go on reading it.
            self._is_clean = False
            if self._transport is not None:
                self._transport.abort()
            return
        self._overhead += nbytes
        try:
            parser.feed_data(self._received[:nbytes])
        except (HttpParserError, HttpParserUpgrade) as exc:
            self._fail(httpx.RemoteProtocolError, str(exc))
        if self._overhead > _MAX_OVERHEAD_BYTES:
            self._fail(httpx.RemoteProtocolError, "The head of the answer is too long.")
        if self._buffered > _MAX_BUFFERED_BYTES and not self._is_reading_paused and self._transport is not None:
            self._is_reading_paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._is_clean = False
        if self._parser is None or self._is_complete:
            return
        if not self._has_head:
            self._fail(httpx.RemoteProtocolError, "Server disconnected without sending a response.")
        elif self._is_delimited:
            self._fail(httpx.RemoteProtocolError, "The server closed the connection before the end of its answer.")
        else:
            self._is_complete = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True
        if self._parser is not None and not self._is_complete:
            self._fail(httpx.ReadError, str(exc or "the connection was closed"))
        self._wake()

    def pause_writing(self) -> None:
        self._is_writing_paused = True

    def resume_writing(self) -> None:
        self._is_writing_paused = False
        self._wake()

    # What the parser says.

    def on_message_begin(self) -> None:
        if not self._has_head:
            self.reason = b""
            self.headers = []

    def on_status(self, reason: bytes) -> None:
        if not self._has_head:
            self.reason += reason

    def on_header(self, name: bytes | None, value: bytes) -> None:
        # Trailers come here too, once the head is there: nobody asked for them.
        if not self._has_head:
            self.headers.append((name or b"", value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        if self._has_head or self._parser is None:
            return
        self.status = self._parser.get_status_code()
        if self.status < 200 and self.status != 101:
            return
        named = [(name.lower(), value) for name, value in self.headers]
        codings = [value.lower() for name, value in named if name == b"transfer-encoding"]
        has_length = any(name == b"content-length" for name, _ in named)
        if self.status == 101:
            self._fail(httpx.RemoteProtocolError, "The server changed to another protocol.")
        elif codings not in ([], [b"chunked"]):
            self._fail(httpx.RemoteProtocolError, "The answer's Transfer-Encoding is not chunked alone.")
        else:
            self._has_head = True
            self._is_delimited = has_length or bool(codings)
            # Both lengths: one is not what was meant, so that what follows may be no answer of its own.
            self._keeps_alive = self._parser.should_keep_alive() and not (has_length and codings)

    def on_body(self, piece: bytes) -> None:
        if not self._has_head or self._is_complete:
            return
        self._overhead = 0
        self._buffered += len(piece)
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        if self._has_head:
            # What comes after it in the same read is not asked for either.
            self._is_clean = self._is_clean and not self._is_complete
            self._is_complete = True


def _origin_of(url: httpx.URL) -> _Origin:
    port = url.port if url.port is not None else 443 if url.scheme == "https" else 80
    return url.scheme, url.raw_host.decode("ascii"), port


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _head_of(request: httpx.Request) -> bytes:
    """Return the encoded head of a request.

    Raises:
        httpx.LocalProtocolError: if a header would be read as more than one.
    """
    lines = [b"%b %b HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += [b"%b: %b" % header for header in request.headers.raw]
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    ends = len(lines) + 1
    if head.count(b"\n") != ends or head.count(b"\r") != ends or b"\0" in head:
        raise httpx.LocalProtocolError("A header contains a line break or a NUL.")
    return head
