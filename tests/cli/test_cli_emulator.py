"""``emulator``: a workspace for scripts and people, gone without a trace when it is told to."""

import json
import signal
import socket
import sys
from typing import Any

import httpx
import pytest
from anyio.abc import Process
from inline_snapshot import snapshot

from harness.deadlines import DEADLINE_SECONDS
from harness.terminal import CommandLine, folded, interrupt

pytestmark = pytest.mark.anyio

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


async def line_of(process: Process) -> dict[str, Any]:
    received = b""
    assert process.stdout is not None
    while not received.endswith(b"\n"):
        received += await process.stdout.receive()
    announced: dict[str, Any] = json.loads(received)
    return announced


@pytest.mark.slow
@posix
async def test_its_one_line_of_json_is_enough_to_ask_and_it_ends_at_once(bare: CommandLine) -> None:
    async with bare.started("emulator", "--engine", "rules", "--json", "--fault", "500") as process:
        announced = await line_of(process)
        assert announced["pid"] == process.pid
        there: dict[str, Any] = {"DATABRICKS_HOST": announced["host"], "DATABRICKS_TOKEN": announced["token"]}
        asked = await bare.run("ask", "hi", **there)
        port = announced["host"].rpartition(":")[2]
        taken = await bare.run("emulator", "--engine", "rules", "--port", port)
        process.terminate()
        assert await process.wait() == 143
    assert (asked.code, "The embedded workspace was told to fail." in asked.err) == (8, True)
    assert (taken.out, taken.err.replace(port, "PORT"), taken.code) == snapshot(
        (
            "",
            """\
invalid_argument: The workspace cannot listen on port PORT of 127.0.0.1: another program has it.
  Choose another one with --port, or leave it out to use an unused one.
""",
            2,
        )
    )
    with socket.socket() as free:
        assert free.connect_ex(("127.0.0.1", int(port))) != 0


@posix
@pytest.mark.parametrize(("options", "longest"), [((), 192), (("--short-ids",), 51)])
async def test_ids_are_as_long_as_real_ones_unless_short_ones_are_asked_for(
    bare: CommandLine, options: tuple[str, ...], longest: int
) -> None:
    tool = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
    body = {"model": "databricks-gpt-5", "input": "Rome?", "tools": [tool]}
    async with bare.started("emulator", "--engine", "rules", "--json", *options) as process:
        announced = await line_of(process)
        headers = {"authorization": f"Bearer {announced['token']}"}
        async with httpx.AsyncClient(base_url=announced["host"], headers=headers, timeout=DEADLINE_SECONDS) as http:
            answer = await http.post("/serving-endpoints/responses", json=body)
        process.terminate()
        await process.wait()
    assert [len(item["id"]) for item in answer.json()["output"]] == [longest]


@posix
async def test_what_it_prints_can_be_pasted_into_a_shell(bare: CommandLine) -> None:
    async with bare.started("emulator", "--engine", "rules", "--token", "it's-$HOME") as process:
        assert process.stdout is not None
        received = b""
        while received.count(b"export") < 2 or not received.endswith(b"\n"):
            received += await process.stdout.receive()
        interrupt(process)
        assert process.stderr is not None
        said = b"".join([chunk async for chunk in process.stderr])
        assert await process.wait() == 128 + signal.SIGINT
    text = received.decode()
    port = text.splitlines()[0].rpartition(":")[2]
    assert (text.replace(port, "PORT"), said.decode()) == snapshot(
        (
            """\
Address: http://127.0.0.1:PORT
Token: it's-$HOME

export DATABRICKS_HOST='http://127.0.0.1:PORT'
export DATABRICKS_TOKEN='it'"'"'s-$HOME'
""",
            """\
Answers come from fixed rules, not from a model, as asked for. Ctrl-C ends the workspace.

""",
        )
    )


async def test_a_fault_that_is_none_is_refused_at_once(bare: CommandLine) -> None:
    ran = await bare.run("emulator", "--engine", "rules", "--fault", "explode")
    assert (ran.out, folded(ran.err.splitlines()[-1]), ran.code) == snapshot(
        (
            "",
            """\
Error: Invalid value for --fault: not a fault: 'explode' (unknown fault 'explode'; known are status,
delay, login, drop, close, html, garbage, body, cut, no_terminal, malformed, unknown, slow, failed,
error_event, error_chunk)
""",
            2,
        )
    )
