"""Malformed requests over the pipes of a process and over HTTP, in both protocol eras."""

import json
from pathlib import Path
from typing import Any

import pytest

from databricks_workspace_emulator.server import RunningEmulator
from harness.bad_requests import META, bad_requests
from harness.stdio_process import ASK, environment, server

pytestmark = pytest.mark.anyio


async def test_each_request_is_answered_exactly_once_over_stdio(
    emulator: RunningEmulator, tmp_path: Path, era: str
) -> None:
    meta = {} if era == "legacy" else META
    requests = bad_requests(json.dumps(meta))
    async with server(environment(emulator, tmp_path)) as raw:
        if era == "legacy":
            await raw.initialize()
        else:
            await raw.ask(0, "tools/list", _meta=meta)
        for line in requests.values():
            await raw.send(line)
        seen: list[tuple[Any, Any]] = []
        while len(seen) < len(requests):
            answer = await raw.receive()
            seen.append((answer["id"], answer.get("error", {}).get("code", "result")))
        # No other message was written for any of them.
        last = await raw.ask(99, "tools/call", name=ASK, arguments={"prompt": "[[say alive]]"}, _meta=meta)
        assert last["result"]["structuredContent"]["text"] == "alive"
    assert sorted(seen) == [
        ("batch", -32600),
        ("cut", -32700),
        ("digits", -32700),
        ("method", -32600),
        ("nesting", -32700),
        ("params", -32600),
        ("schema", -32700),
        ("surrogate", "result"),
        ("version", -32600),
    ]


async def test_an_oversized_line_is_refused_and_the_next_one_is_read(emulator: RunningEmulator, tmp_path: Path) -> None:
    piece = b"x" * 8 * 1024 * 1024
    async with server(environment(emulator, tmp_path)) as raw:
        await raw.initialize()
        assert raw.process.stdin is not None
        await raw.process.stdin.send(b'{"jsonrpc":"2.0","method":"tools/call","params":{"name":"')
        for _ in range(9):
            await raw.process.stdin.send(piece)
        await raw.process.stdin.send(b'"},"id":"long"}\n')
        refused = await raw.receive()
        ping = await raw.ask(1, "ping")
    assert (refused["id"], refused["error"]["code"]) == ("long", -32600)
    assert ping["result"] == {}


async def test_separators_in_an_answer_are_escaped_on_the_wire(emulator: RunningEmulator, tmp_path: Path) -> None:
    said = "one\u2028two\u2029three\u0085four"
    async with server(environment(emulator, tmp_path)) as raw:
        await raw.initialize()
        call = {"name": ASK, "arguments": {"prompt": f"[[say {said}]]"}}
        await raw.send({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call})
        line = await raw.receive_line()
    assert json.loads(line)["result"]["structuredContent"]["text"] == said
    assert line.decode().splitlines() == [line.decode()]
