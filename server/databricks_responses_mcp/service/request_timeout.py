"""Closing HTTP connections that send no request, so that they cannot use up the limit of connections or the memory."""

import asyncio
from typing import ClassVar

from databricks_responses_mcp.service.health import ALIVE_PATH

try:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as _Protocol
except ImportError:  # without the compiled package, uvicorn parses in Python
    from uvicorn.protocols.http.h11_impl import H11Protocol as _Protocol  # type: ignore[assignment]

from databricks_responses_mcp.service.joined_writes import JoinedWrites

REQUEST_SECONDS = 10.0
"""The deadline for the complete headers of a connection's next request, in seconds."""

MAX_HEAD_BYTES = 64 * 1024
"""The most that the request line and the headers of a request may take."""

IDLE_SECONDS = 75.0
"""How long a service keeps a connection after an answer: longer than nginx reuses one (60 s), in seconds."""

UNREAD_SECONDS = 60.0
"""How long a client of a service may leave an answer unread, in seconds."""

_SPARE_CONNECTIONS = 50
_ALIVE = ALIVE_PATH.encode()
_LAST_REQUEST_SECONDS = 1.0


class TimedProtocol(_Protocol):
    """uvicorn's protocol with a deadline for the headers of each request, and a limit of their size.

    uvicorn itself closes a connection only if it is silent after an answer. One that never sends a request, or sends it
    byte by byte, stays open indefinitely and counts towards the limit of connections. With httptools, uvicorn collects
    headers without a limit and keeps white space around their values, which RFC 9112 excludes from them.
    """

    request_seconds: ClassVar[float] = REQUEST_SECONDS
    idle_seconds: ClassVar[float | None] = None
    """How long a connection may be silent after an answer; None if as long as for a request."""

    _deadline: asyncio.TimerHandle | None = None
    _is_reading_head = False
    _head_bytes = 0
    _header_bytes = 0
    _is_idle = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn's signature
        """Start the deadline of the first request."""
        super().connection_made(JoinedWrites(transport, self.loop))
        self._wait_for_request()

    def data_received(self, data: bytes) -> None:
        """Read data; a request with complete headers stops the deadline."""
        super().data_received(data)
        if self._is_answering:
            self._stop_waiting()
        elif self._is_idle:
            self._wait_for_request()
        if self._is_reading_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        """Begin to read the head of a request."""
        super().on_message_begin()
        self._is_reading_head, self._head_bytes, self._header_bytes = True, 0, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, without the white space around its value.

        Raises:
            ValueError: if the headers are too long; the parser makes an error of it. They may have arrived in one read.
        """
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > MAX_HEAD_BYTES:
            raise ValueError("the head of the request is too long")
        super().on_header(name, value.strip(b" \t"))

    def on_headers_complete(self) -> None:
        """End the head of a request."""
        self._is_reading_head = False
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Start the deadline of the next request, unless it has already arrived."""
        super().on_response_complete()
        if not self._is_answering:
            # The next one may have begun to arrive with the last one.
            self._wait_for_request(None if self._is_reading_head else self.idle_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the deadline."""
        self._stop_waiting()
        super().connection_lost(exc)

    @property
    def _is_answering(self) -> bool:
        return bool(self.cycle) and not self.cycle.response_complete  # none before the first request

    def _wait_for_request(self, idle_seconds: float | None = None) -> None:
        self._stop_waiting()
        self._is_idle = idle_seconds is not None
        self._deadline = self.loop.call_later(idle_seconds or self.request_seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        self._is_idle = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class ServiceProtocol(TimedProtocol):
    """The protocol of a service, whose connections proxies reuse, and of which there is a limited number."""

    idle_seconds: ClassVar[float | None] = IDLE_SECONDS
    unread_seconds: ClassVar[float] = UNREAD_SECONDS

    _is_ending = False
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn's signature
        """Start the deadline of the first request, or close the connection if there are too many."""
        super().connection_made(transport)
        # uvicorn answers requests above the limit with 503, but lets any number of connections stay open.
        if self.limit_concurrency is not None and len(self.connections) > self.limit_concurrency + _SPARE_CONNECTIONS:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read data; a request that arrives while the server ends is answered, and the connection then closed."""
        super().data_received(data)
        if self._is_ending and self._is_answering:
            self._close_after_answer()

    def on_headers_complete(self) -> None:
        """Let the application answer whether the process is alive above the limit, too: else it would be restarted."""
        limit = self.limit_concurrency
        if self.url == _ALIVE:
            self.limit_concurrency = None
        super().on_headers_complete()
        self.limit_concurrency = limit

    def shutdown(self) -> None:
        """Close the connection after its answer; an idle one a moment later, since a request may be on its way."""
        self._is_ending = True
        if self._is_answering:
            self._close_after_answer()
        else:
            self._stop_waiting()
            self._deadline = self.loop.call_later(_LAST_REQUEST_SECONDS, super().shutdown)

    def pause_writing(self) -> None:
        """Wait until the client reads on, but not indefinitely: unread data takes memory."""
        super().pause_writing()
        self._unread = self.loop.call_later(self.unread_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Continue writing."""
        self._read_on()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting for the client."""
        self._read_on()
        super().connection_lost(exc)

    def _read_on(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _close_after_answer(self) -> None:
        """Close the connection after the answer, and say so in it, as if the client had asked for that."""
        self.cycle.scope["headers"] = [*self.cycle.scope["headers"], (b"connection", b"close")]
        self.cycle.keep_alive = False
