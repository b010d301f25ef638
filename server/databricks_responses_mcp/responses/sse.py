"""Server-sent events, decoded from bytes as they arrive.

Source: the HTML standard's event stream format, read leniently: any line ending, with or without an ``event:`` field,
with or without a blank line before the end.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_USUAL_EVENT = re.compile(rb"(?:event:([^\n]*)\n)?data: ?([^\n]*)\n\n")
"""A whole event as servers of the Responses API write it."""

_LARGE_LINE = 64 * 1024
"""A line of this size or more is passed on without a copy: an image's base64 has tens of megabytes."""


@dataclass(slots=True)
class ServerSentEvent:
    """One event: its ``event:`` field ("" if absent) and its data, not yet parsed."""

    event: str
    data: bytes | bytearray


class EventTooLargeError(ValueError):
    """A single event exceeds the size limit of the decoder."""


class SSEDecoder:
    """Converts chunks of bytes, split at any place, to events.

    Args:
        max_event_bytes: the maximum size of one event; ``EventTooLargeError`` is raised beyond it.
    """

    def __init__(self, max_event_bytes: int = 256 * 1024 * 1024) -> None:
        self._max = max_event_bytes
        self._buffer = bytearray()
        self._event = ""
        self._data: list[bytes | bytearray] = []
        self._held = 0
        self._after_cr = False
        self._at_start = True

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """Yield the events that this chunk completes, in order. Read them to the end before the next chunk.

        Raises:
            EventTooLargeError: if an event exceeds the limit.
        """
        if b"\r" in chunk or self._after_cr:
            chunk = self._normalise(chunk)
        if len(self._buffer) + len(chunk) + self._held > self._max:
            raise EventTooLargeError(f"an event of the stream is larger than {self._max} bytes")
        at = 0
        while True:
            if not (self._buffer or self._data or self._event or self._at_start):
                # Between events, those of the usual form are found by one search each; another form ends the loop.
                while (found := _USUAL_EVENT.match(chunk, at)) is not None:
                    at = found.end()
                    name = found[1]
                    yield ServerSentEvent("" if name is None else name.strip().decode("utf-8", "replace"), found[2])
            end = chunk.find(b"\n", at)
            if end < 0:
                break
            if self._buffer:
                self._buffer += chunk[at:end]
                event = self._line(self._take_buffer())
            else:
                event = self._line(chunk[at:end])
            at = end + 1
            if event is not None:
                yield event
        self._buffer += chunk[at:]

    def finish(self) -> Iterator[ServerSentEvent]:
        """Yield the events that the end of the stream completes: some servers close without the last blank line."""
        if self._buffer:
            self._line(self._take_buffer())
        event = self._dispatch()
        if event is not None:
            yield event

    def _normalise(self, chunk: bytes) -> bytes:
        # A CR and its LF may arrive in two chunks: then the LF belongs to a line that has already ended.
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _take_buffer(self) -> bytes | bytearray:
        # No variable of the caller refers to it while events are yielded: it may be an image of megabytes.
        line, self._buffer = self._buffer, bytearray()
        return line if len(line) >= _LARGE_LINE else bytes(line)

    def _line(self, line: bytes | bytearray) -> ServerSentEvent | None:
        if self._at_start:
            self._at_start = False
            if line.startswith(b"\xef\xbb\xbf"):
                line = line[3:]
        if not line:
            return self._dispatch()
        if line[:5] == b"data:":
            start = 6 if line[5:6] == b" " else 5
            if isinstance(line, bytearray):
                del line[:start]
            else:
                line = line[start:]
            self._data.append(line)
            self._held += len(line)
        elif line[:6] == b"event:":
            self._event = line[6:].strip().decode("utf-8", "replace")
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        parts, event = self._data, self._event
        self._event, self._held = "", 0
        if not parts:
            return None
        self._data = []
        return ServerSentEvent(event, parts[0] if len(parts) == 1 else b"\n".join(parts))
