"""Reading messages, one a line, from a pipe or a file without blocking the event loop."""

import asyncio
import os
import stat
import sys
from abc import ABC, abstractmethod
from typing import BinaryIO

import anyio
import anyio.to_thread

from databricks_responses_mcp.transport.messages import (
    MAX_MESSAGE_BYTES,
    Received,
    read_message,
    refuse_oversized,
)

_PIECE_BYTES = 1024 * 1024
_TAIL_BYTES = 2048
_READ_BYTES = 64 * 1024
"""What a pipe holds on Linux."""

_PARSED_AT_ONCE_BYTES = 64 * 1024
"""Messages up to this size are parsed on the event loop, which takes less than a change of threads."""


class LineReader(ABC):
    """Reads messages from a stream of lines."""

    @abstractmethod
    async def next(self) -> Received | None:
        """Read the next message; None at the end of the stream. To be called by one task at a time."""

    @abstractmethod
    def close(self) -> None:
        """Stop reading. The stream stays open."""


def line_reader(stream: BinaryIO) -> LineReader:
    """Return a reader of ``stream``: without threads if the event loop can watch it, as with pipes and sockets.

    Nothing may have been read from the stream's own buffer.
    """
    if sys.platform != "win32":
        try:
            mode = os.fstat(stream.fileno()).st_mode
            if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
                return _WatchedPipe(stream.fileno(), asyncio.get_running_loop())
        except (OSError, ValueError, NotImplementedError):
            pass  # a stream without a descriptor, or an event loop that cannot watch one
    return _ThreadReader(stream)


class _ThreadReader(LineReader):
    """Reads in worker threads, each of which waits for one line and cannot be interrupted."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    async def next(self) -> Received | None:
        return await anyio.to_thread.run_sync(self._read)

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def _read(self) -> Received | None:
        line = self._stream.readline(MAX_MESSAGE_BYTES + 1)
        if not line:
            return None
        if len(line) <= MAX_MESSAGE_BYTES + line.endswith(b"\n"):
            return read_message(line)
        tail = piece = line[-_TAIL_BYTES:]
        while piece and not piece.endswith(b"\n"):
            piece = self._stream.readline(_PIECE_BYTES)
            tail = (tail + piece)[-_TAIL_BYTES:]
        return refuse_oversized(line[:_PIECE_BYTES], tail)


class _WatchedPipe(LineReader):
    """Reads when the event loop sees that there is something to read: a change of threads costs more than that.

    The descriptor stays in blocking mode, because other processes may share it. Reading what is there does not block.
    """

    def __init__(self, descriptor: int, loop: asyncio.AbstractEventLoop) -> None:
        self._descriptor = descriptor
        self._loop = loop
        self._buffer = bytearray()
        self._searched = 0
        self._has_ended = False
        self._is_watched = False
        self._waiter: asyncio.Future[None] | None = None
        self._watch()

    async def next(self) -> Received | None:
        line = await self._line()
        if line is None:
            return None
        if len(line) > MAX_MESSAGE_BYTES + line.endswith(b"\n"):
            return refuse_oversized(bytes(memoryview(line)[:_PIECE_BYTES]), await self._rest(line[-_TAIL_BYTES:]))
        if len(line) > _PARSED_AT_ONCE_BYTES:
            return await anyio.to_thread.run_sync(read_message, line)
        return read_message(line)

    def close(self) -> None:
        if self._is_watched:
            self._is_watched = False
            self._loop.remove_reader(self._descriptor)

    async def _line(self) -> bytearray | None:
        """Return the next line, or the start of one that is too long; None at the end."""
        while True:
            end = self._buffer.find(b"\n", self._searched) + 1
            if end:
                return self._taken(end)
            if self._has_ended or len(self._buffer) > MAX_MESSAGE_BYTES:
                return self._taken(len(self._buffer)) or None
            self._searched = len(self._buffer)
            await self._arrival()

    async def _rest(self, tail: bytearray) -> bytes:
        """Skip the rest of a line that is too long; return its last bytes."""
        while not tail.endswith(b"\n"):
            if not self._buffer:
                if self._has_ended:
                    break
                await self._arrival()
                continue
            tail = (tail + self._taken(self._buffer.find(b"\n") + 1 or len(self._buffer)))[-_TAIL_BYTES:]
        return bytes(tail)

    def _taken(self, count: int) -> bytearray:
        """Take ``count`` bytes from the front of the buffer."""
        self._searched = 0
        if count == len(self._buffer):
            taken, self._buffer = self._buffer, bytearray()
        else:
            taken = self._buffer[:count]
            del self._buffer[:count]
        return taken

    async def _arrival(self) -> None:
        """Wait until more has arrived, or the end."""
        waiter = self._waiter = self._loop.create_future()
        if not self._is_watched:
            self._watch()
        try:
            await waiter
        finally:
            self._waiter = None

    def _watch(self) -> None:
        self._loop.add_reader(self._descriptor, self._read)
        self._is_watched = True

    def _read(self) -> None:
        waiter = self._waiter
        if waiter is None:
            # Nobody wants more yet: the other side is to wait.
            self.close()
            return
        try:
            piece = os.read(self._descriptor, _READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            piece = b""
        if piece:
            self._buffer += piece
        else:
            self._has_ended = True
            self.close()
        if not waiter.done():
            waiter.set_result(None)
