"""Closing HTTP connections that send no request, so that they cannot use up the limit of connections."""

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 10.0
"""The deadline for the complete headers of a connection's next request, in seconds."""


class TimedProtocol(H11Protocol):
    """uvicorn's protocol with a deadline for the headers of each request.

    uvicorn itself closes a connection only if it is silent after an answer. One that never sends a request, or sends it
    byte by byte, stays open indefinitely and counts towards the limit of connections.
    """

    request_seconds: ClassVar[float] = REQUEST_SECONDS

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn's signature
        """Start the deadline of the first request."""
        super().connection_made(transport)
        self._wait_for_request()

    def data_received(self, data: bytes) -> None:
        """Read data; a request with complete headers stops the deadline."""
        super().data_received(data)
        if self._is_answering:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """Start the deadline of the next request, unless it has already arrived."""
        super().on_response_complete()
        if not self._is_answering:
            self._wait_for_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the deadline."""
        self._stop_waiting()
        super().connection_lost(exc)

    @property
    def _is_answering(self) -> bool:
        return bool(self.cycle) and not self.cycle.response_complete  # none before the first request

    def _wait_for_request(self) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(self.request_seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
