"""The body of a Responses answer as parsed events, in every format that servers send."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from contextlib import aclosing, suppress
from typing import Any

import anyio
import httpx

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.responses.payloads import parse_json
from databricks_responses_mcp.responses.sse import EventTooLargeError, ServerSentEvent, SSEDecoder

MAX_EVENT_BYTES = 128 * 1024 * 1024
"""The maximum size of one event."""

_DRAIN_SECONDS = 0.05
_SPACE = b" \t\r\n"


class EventStream:
    """The events of one answer, read as they arrive.

    Server-sent events and a plain JSON body are distinguished by the content type and, if that is wrong, by the first
    byte.

    Args:
        response: with a body that is not compressed.
        max_bytes: the maximum number of bytes that are read.
    """

    def __init__(self, response: httpx.Response, max_bytes: int) -> None:
        self._response = response
        # Never decompressed: a few kilobytes of nested gzip become gigabytes.
        self._body = response.aiter_raw()
        self._max_bytes = max_bytes
        self.malformed = 0
        """The number of events that could not be parsed and were skipped."""
        self.marked_end = False
        """Whether the stream contained ``[DONE]``."""

    @property
    def headers(self) -> httpx.Headers:
        """The headers of the answer."""
        return self._response.headers

    async def events(self) -> AsyncGenerator[Any, None]:
        """Yield each event's JSON, in order, to the end of the body or ``[DONE]``.

        Raises:
            BridgeError: as `arrivals`.
        """
        async with aclosing(self.arrivals()) as arrivals:
            async for events in arrivals:
                for event in events:
                    yield event

    async def arrivals(self) -> AsyncGenerator[Iterable[Any], None]:
        """Yield the events of each piece of the body as it arrives; read them to their end before the next piece.

        Each event is parsed when it is read. An asynchronous generator of single events costs twice as much.

        Raises:
            BridgeError: ``upstream_unavailable`` if the connection breaks, ``timeout`` if it is silent for too long,
                ``upstream_error`` if the body is neither events nor JSON, ``too_large`` if an event exceeds the limit.
        """
        async with aclosing(self._chunks()) as chunks:
            head = b""
            async for chunk in chunks:
                head += chunk
                if head.lstrip(_SPACE):
                    break
            if self._is_event_stream(head):
                decoder = SSEDecoder(MAX_EVENT_BYTES)
                yield self._parsed(decoder.feed(head))
                if not self.marked_end:
                    async for chunk in chunks:
                        yield self._parsed(decoder.feed(chunk))
                        if self.marked_end:
                            break
                yield self._parsed(decoder.finish())
            else:
                yield (await self._whole(head, chunks),)

    async def drain(self) -> None:
        """Read the few bytes after the last event, if they have arrived, so that the connection can be used again."""
        has_ended = self._response.extensions.get("has_ended")
        if has_ended is not None and has_ended():
            await self._read_rest()
            return
        with anyio.move_on_after(_DRAIN_SECONDS):
            await self._read_rest()

    async def _read_rest(self) -> None:
        with suppress(httpx.HTTPError, httpx.StreamError):
            async for _ in self._body:
                pass

    def _is_event_stream(self, head: bytes) -> bool:
        first = head.lstrip(b"\xef\xbb\xbf" + _SPACE)[:1]
        if first in (b"{", b"[", b"<"):
            return False
        # No JSON starts like a field of an event stream (data, event, id, retry) or a comment.
        return (first and first in b"deir:") or "json" not in self._response.headers.get("content-type", "")

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        left = self._max_bytes
        try:
            async for chunk in self._body:
                yield chunk[:left]
                left -= len(chunk)
                if left < 0:
                    raise _too_large(f"it is larger than {self._max_bytes} bytes")
        except httpx.TimeoutException as exc:
            raise BridgeError(
                ErrorCode.TIMEOUT,
                "The workspace stopped sending in the middle of its answer.",
                "Ask again, or ask for less at once.",
                retryable=True,
            ) from exc
        except (httpx.HTTPError, httpx.StreamError) as exc:
            raise BridgeError(
                ErrorCode.UPSTREAM_UNAVAILABLE,
                f"The connection to the workspace broke in the middle of its answer ({type(exc).__name__}).",
                "Ask again; this result contains what had arrived.",
                retryable=True,
            ) from exc

    def _parsed(self, received: Iterator[ServerSentEvent]) -> Iterator[Any]:
        try:
            for sse in received:
                if (event := self._parse(sse)) is not None:
                    yield event
        except EventTooLargeError as exc:
            raise _too_large(str(exc)) from exc

    def _parse(self, sse: ServerSentEvent) -> Any:
        # Removed here, because the loops above keep a reference to the event while the caller processes an image of
        # megabytes.
        data, sse.data = sse.data, b""
        if self.marked_end:
            return None
        if data[:6] == b"[DONE]":
            self.marked_end = True
            return None
        try:
            event = parse_json(data)
        except ValueError:
            self.malformed += 1
            return None
        if sse.event == "error" and isinstance(event, dict) and "type" not in event:
            event["type"] = "error"
        return event

    async def _whole(self, head: bytes, chunks: AsyncIterator[bytes]) -> Any:
        body = bytearray(head)
        async for chunk in chunks:
            body += chunk
        try:
            return parse_json(body)
        except ValueError as exc:
            raise BridgeError(
                ErrorCode.UPSTREAM_ERROR,
                "The workspace answered with something that is neither events nor JSON.",
                "Check that DATABRICKS_HOST is the workspace's own address and that no proxy answers in its place.",
                status=self._response.status_code,
            ) from exc


def _too_large(why: str) -> BridgeError:
    return BridgeError(
        ErrorCode.TOO_LARGE,
        f"The workspace's answer was not read to its end: {why}.",
        "Ask for less at once, or raise RESPONSES_MCP_MAX_ANSWER_BYTES; this result contains what had arrived.",
    )
