"""Reading messages from stdin: the same from a pipe, which the event loop watches, and from a file."""

import json
import os
import socket
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from mcp_types.jsonrpc import JSONRPCRequest

from databricks_responses_mcp.transport import line_reader as lines
from databricks_responses_mcp.transport.line_reader import line_reader
from databricks_responses_mcp.transport.messages import Received
from harness.deadlines import DEADLINE_SECONDS

_LIMIT = 200_000
_SOURCES = ["file"] if sys.platform == "win32" else ["file", "pipe", "socket"]


def _ping(number: int, text: str = "") -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": "ping", "params": {"text": text}}).encode()


def _told(received: Received) -> Any:
    if received.refusals:
        return [(refusal["id"], refusal["error"]["code"]) for refusal in received.refusals]
    return received.message.id if isinstance(received.message, JSONRPCRequest) else None


async def _read_all(stream: BinaryIO) -> list[Any]:
    reader, told = line_reader(stream), []
    try:
        with anyio.fail_after(DEADLINE_SECONDS):
            while (received := await reader.next()) is not None:
                told.append(_told(received))
    finally:
        reader.close()
    return told


async def _read_from(source: str, data: bytes, directory: Path) -> list[Any]:
    if source == "file":
        path = directory / "stdin"
        path.write_bytes(data)
        with path.open("rb") as stream:
            return await _read_all(stream)
    if source == "socket":
        ours, theirs = socket.socketpair()
        stream, other = ours.makefile("rb"), theirs.makefile("wb")
        ours.close()
        theirs.close()
    else:
        read, write = os.pipe()
        stream, other = os.fdopen(read, "rb"), os.fdopen(write, "wb")

    def send() -> None:
        with other:
            other.write(data)

    writer = threading.Thread(target=send)
    writer.start()
    with stream:
        told = await _read_all(stream)
    await anyio.to_thread.run_sync(writer.join)
    return told


@pytest.mark.parametrize("source", _SOURCES)
@pytest.mark.anyio
async def test_every_line_of_a_stream_is_one_message(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_MESSAGE_BYTES", _LIMIT)
    largest = _ping(3, "x" * (_LIMIT - len(_ping(3))))
    assert len(largest) == _LIMIT
    id_at_end = json.dumps({"jsonrpc": "2.0", "method": "ping", "params": {"text": "y" * 3 * _LIMIT}, "id": 6}).encode()
    data = b"\n".join(
        [_ping(1), b"\r", b"", _ping(2), largest, _ping(4, "x" * _LIMIT), _ping(5), id_at_end, b"no json", _ping(7)]
    )
    assert await _read_from(source, data, tmp_path) == [
        1,
        None,
        None,
        2,
        3,
        [(4, -32600)],
        5,
        [(6, -32600)],
        [(None, -32700)],
        7,
    ]


@pytest.mark.parametrize("source", _SOURCES)
@pytest.mark.anyio
async def test_a_stream_may_end_in_the_middle_of_a_line_that_is_too_long(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_MESSAGE_BYTES", _LIMIT)
    assert await _read_from(source, _ping(1, "x" * 2 * _LIMIT)[:-1], tmp_path) == [[(1, -32600)]]


@pytest.mark.skipif(sys.platform == "win32", reason="on Windows threads read")
@pytest.mark.anyio
async def test_a_pipe_is_read_no_faster_than_its_messages_are_taken() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    with os.fdopen(read, "rb") as stream, os.fdopen(write, "wb", buffering=0) as other:
        reader = line_reader(stream)
        with anyio.fail_after(DEADLINE_SECONDS):
            other.write(_ping(1) + b"\n")
            first = await reader.next()
            sent = 0
            # Until the pipe is full, and still after the event loop has had every chance to read it.
            for _ in range(100):
                sent += other.write(b"x" * 65_536) or 0
                await anyio.lowlevel.checkpoint()
        reader.close()
    assert first is not None
    assert _told(first) == 1
    assert sent < 1_000_000


@pytest.mark.skipif(sys.platform == "win32", reason="on Windows threads read")
@pytest.mark.anyio
async def test_waiting_for_a_pipe_uses_no_thread_and_can_be_cancelled() -> None:
    read, write = os.pipe()
    with os.fdopen(read, "rb") as stream, os.fdopen(write, "wb"):
        reader = line_reader(stream)
        threads = threading.active_count()
        with anyio.move_on_after(0.05) as scope:
            await reader.next()
        assert scope.cancelled_caught
        assert threading.active_count() <= threads
        reader.close()
