"""Load over HTTP: connections with one call in flight each, by raw sockets, which use the least CPU."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.http_server import META
from benchmarks.measuring import percentile
from benchmarks.processes import MODERN, ServerDiedError

_ANSWER_SECONDS = 120.0
_END = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Load:
    """The results of a load.

    Attributes:
        calls_per_second: over the whole run.
        p50: the median duration of a call, in milliseconds.
        p99: what 99 % of the calls stay below, in milliseconds.
    """

    calls_per_second: float
    p50: float
    p99: float


def run_load(ports: Sequence[int], tokens: Sequence[str], call: Mapping[str, Any], count: int, in_flight: int) -> Load:
    """Make ``count`` calls, so many at a time; connections alternate between the ports and the tokens.

    Raises:
        ServerDiedError: if a call fails.
    """
    return asyncio.run(_run(ports, tokens, call, count, in_flight))


async def open_idle(port: int, token: str, call: Mapping[str, Any], count: int) -> list[asyncio.StreamWriter]:
    """Open connections that each make one call and then stay open; returns what closes them."""
    writers = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await _call(reader, writer, _request(port, token, call))
        writers.append(writer)
    return writers


async def _run(
    ports: Sequence[int], tokens: Sequence[str], call: Mapping[str, Any], count: int, in_flight: int
) -> Load:
    left, durations = count, []

    async def work(number: int) -> None:
        nonlocal left
        port = ports[number % len(ports)]
        request = _request(port, tokens[number % len(tokens)], call)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while left > 0:
            left -= 1
            began = time.perf_counter()
            async with asyncio.timeout(_ANSWER_SECONDS):
                await _call(reader, writer, request)
            durations.append((time.perf_counter() - began) * 1e3)
        writer.close()

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(in_flight):
            tasks.create_task(work(number))
    seconds = time.perf_counter() - began
    return Load(count / seconds, percentile(durations, 0.5), percentile(durations, 0.99))


async def _call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    lowered = head.lower()
    if b"transfer-encoding: chunked" in lowered:
        body = b""
        while not body.endswith(_END):
            piece = await reader.read(65536)
            if not piece:
                raise ServerDiedError("the connection was closed within an answer")
            body += piece
    else:
        length = int(lowered.partition(b"content-length:")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
    if not head.startswith(b"HTTP/1.1 200") or b'"result"' not in body or b'"isError":true' in body:
        raise ServerDiedError((head + body)[:2000].decode(errors="replace"))


def _request(port: int, token: str, call: Mapping[str, Any]) -> bytes:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {**call, "_meta": META}}
    body = json.dumps(message).encode()
    head = (
        f"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {token}\r\n"
        "accept: application/json, text/event-stream\r\ncontent-type: application/json\r\n"
        f"mcp-protocol-version: {MODERN}\r\nmcp-method: tools/call\r\nmcp-name: {call['name']}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
