"""MCP over stdin and stdout, instead of the SDK's own transport: every request is answered, in one line."""

import os
import select
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, BinaryIO

import anyio
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types.jsonrpc import JSONRPCNotification, JSONRPCResponse

from databricks_responses_mcp.transport.line_reader import line_reader
from databricks_responses_mcp.transport.messages import json_line

if sys.platform == "win32":
    from mcp.os.win32.utilities import rebind_std_handle_to_fd
else:
    import fcntl

_SHORT_CHARACTERS = 4096

Outgoing = SessionMessage | dict[str, Any]
"""A message to write: one of the server, or the refusal of a client's message."""


@asynccontextmanager
async def stdio_streams() -> AsyncIterator[
    tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[Outgoing]]
]:
    """Yield the streams of messages from stdin and to stdout, as the SDK's server expects them.

    In the context, other output to stdout goes to stderr, and child processes have an empty stdin. The end of stdin
    ends the stream of messages; a closed stdout ends both.
    """
    to_server, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, to_client = anyio.create_memory_object_stream[Outgoing](0)
    with _own_pipes() as (stdin, stdout):
        async with anyio.create_task_group() as tasks:

            async def read() -> None:
                async with to_server, refusals:
                    try:
                        while (received := await lines.next()) is not None:
                            for refusal in received.refusals:
                                await refusals.send(refusal)
                            if received.message is not None:
                                await to_server.send(SessionMessage(received.message))
                    finally:
                        lines.close()

            async def write() -> None:
                async with to_client:
                    async for message in to_client:
                        try:
                            line = _line(message) if _is_short(message) else None
                            if line is not None and _takes_at_once(stdout, line):
                                # A thread would cost more instructions than a short message itself.
                                _write_line(stdout, line)
                            else:
                                await anyio.to_thread.run_sync(_write_message, stdout, message)
                        except OSError:
                            tasks.cancel_scope.cancel()  # the host has closed the pipe

            refusals, lines = outgoing.clone(), line_reader(stdin)
            tasks.start_soon(_until_closed, read)
            tasks.start_soon(_until_closed, write)
            yield incoming, outgoing


async def _until_closed(work: Callable[[], Any]) -> None:
    with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
        await work()


def _write_message(stdout: BinaryIO, message: Outgoing) -> None:
    _write_line(stdout, _line(message))


def _write_line(stdout: BinaryIO, line: bytes) -> None:
    stdout.write(line)
    stdout.flush()


def _line(message: Outgoing) -> bytes:
    content = message.message if isinstance(message, SessionMessage) else message
    return json_line(content).encode() + b"\n"


def _is_short(message: Outgoing) -> bool:
    """Return whether a message can be encoded in no time. Of a long one no more is looked at than tells."""
    content = message.message if isinstance(message, SessionMessage) else message
    if isinstance(content, JSONRPCResponse):
        left: list[Any] = [content.result]
    elif isinstance(content, JSONRPCNotification):
        left = [content.params]
    else:
        return False
    room = _SHORT_CHARACTERS
    while left and room >= 0:
        value = left.pop()
        if isinstance(value, str):
            room -= len(value)
        elif isinstance(value, dict | list):
            room -= len(value)
            # Only after checking that there is room: a list may have millions of members.
            if room >= 0:
                left += value.values() if isinstance(value, dict) else value
        else:
            room -= 1
    return room >= 0


def _takes_at_once(stdout: BinaryIO, line: bytes) -> bool:
    """Return whether a line can be written without waiting for the host to read."""
    if sys.platform == "win32" or len(line) > select.PIPE_BUF:
        return False
    # POSIX guarantees that a pipe that is ready accepts PIPE_BUF bytes.
    poll = select.poll()
    poll.register(stdout, select.POLLOUT)
    return any(event & select.POLLOUT for _, event in poll.poll(0))


@contextmanager
def _own_pipes() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Move stdin and stdout to other descriptors; redirect the standard ones to the null device and to stderr."""
    stdin, restore_stdin = _own_pipe(sys.stdin.buffer, 0, "rb", lambda: os.open(os.devnull, os.O_RDONLY))
    try:
        stdout, restore_stdout = _own_pipe(sys.stdout.buffer, 1, "wb", lambda: os.dup(2))
        try:
            yield stdin, stdout
        finally:
            restore_stdout()
    finally:
        restore_stdin()


def _own_pipe(
    stream: BinaryIO, descriptor: int, mode: str, replacement: Callable[[], int]
) -> tuple[BinaryIO, Callable[[], None]]:
    """Copy a standard stream and redirect its descriptor; return the copy, and a function that undoes the redirection.

    If descriptors cannot be copied, the stream itself is returned.
    """
    try:
        if stream.fileno() != descriptor:
            return stream, _nothing
        copy = _copy_above_standard(descriptor)
        replacement_descriptor = replacement()
    except (OSError, ValueError):
        return stream, _nothing
    _redirect(replacement_descriptor, descriptor)
    os.close(replacement_descriptor)
    # The descriptor is not closed with the file: a thread may still be reading from it.
    file: Any = os.fdopen(copy, mode, closefd=False)
    return file, lambda: _redirect(copy, descriptor)


def _copy_above_standard(descriptor: int) -> int:
    if sys.platform == "win32":
        return os.dup(descriptor)
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)


def _redirect(source: int, descriptor: int) -> None:
    os.dup2(source, descriptor)
    if sys.platform == "win32":
        # Child processes inherit Windows' handles, not the descriptors.
        with suppress(OSError):
            rebind_std_handle_to_fd(descriptor)


def _nothing() -> None:
    """Do nothing."""
