"""Tasks over real transports: headers, broken connections, and killed servers."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp import StdioServerParameters
from mcp.shared.inbound import encode_header_value

from databricks_workspace_emulator.server import RunningEmulator
from harness.deadlines import DEADLINE_SECONDS
from harness.stdio_process import ASK, COMMAND, environment, server
from harness.tasks_client import IDENTIFIER, TaskHost, task_client

pytestmark = pytest.mark.anyio

META = "io.modelcontextprotocol"


def meta(*extensions: str) -> dict[str, Any]:
    """Return the metadata of every request of protocol version 2026-07-28."""
    capabilities: dict[str, Any] = {"extensions": {extension: {} for extension in extensions}}
    return {
        f"{META}/protocolVersion": "2026-07-28",
        f"{META}/clientInfo": {"name": "test", "version": "1"},
        f"{META}/clientCapabilities": capabilities,
    }


@asynccontextmanager
async def serving(emulator: RunningEmulator, tmp_path: Path, **more: str) -> AsyncIterator[str]:
    """Run ``serve --http`` as a process; yield its address."""
    with anyio.fail_after(DEADLINE_SECONDS):
        # The server of the conformance suite prints its address; its fixtures are not needed here.
        async with await anyio.open_process(
            [sys.executable, str(Path(__file__).parents[1] / "conformance" / "server.py")],
            env=environment(emulator, tmp_path, **more),
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                assert process.stdout is not None
                yield (await process.stdout.receive()).decode().strip()
            finally:
                process.kill()


async def post(url: str, method: str, params: dict[str, Any], *extensions: str, **headers: str) -> httpx.Response:
    """Send one request with the headers of its method except ``Mcp-Name``."""
    sent = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": method,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta(*extensions)}}
    async with httpx.AsyncClient(timeout=DEADLINE_SECONDS) as http:
        return await http.post(url, json=body, headers=sent)


@pytest.mark.slow
async def test_a_task_survives_its_connection_and_is_named_in_a_header(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    async with serving(emulator, tmp_path, RESPONSES_MCP_HAND_OVER_SECONDS="0.05") as url:
        with emulator.state.hold(after_events=8) as hold:
            call = {"name": ASK, "arguments": {"prompt": "[[words 30]]"}}
            created = (await post(url, "tools/call", call, IDENTIFIER, mcp_name=ASK)).json()["result"]
            await hold.reached.wait()
            task = {"taskId": created["taskId"]}
            refused = [
                await post(url, "tasks/get", task, IDENTIFIER, mcp_name="job_other"),
                await post(url, "tasks/get", task, IDENTIFIER),
                await post(url, "tasks/cancel", task, IDENTIFIER, mcp_name="=?base64?!?="),
                await post(url, "tasks/cancel", task, mcp_name=created["taskId"]),
                await post(url, "tasks/get", {"taskId": "job_0"}, IDENTIFIER, mcp_name="job_0"),
                await post(url, "tasks/list", {}, IDENTIFIER),
            ]
            encoded = f"=?base64?{encode_header_value(chr(233) + created['taskId'])[9:]}"
            assert (await post(url, "tasks/get", task, IDENTIFIER, mcp_name=encoded)).status_code == 400
            working = (await post(url, "tasks/get", task, IDENTIFIER, mcp_name=created["taskId"])).json()["result"]
        async with task_client(url) as client:
            result = await TaskHost(client).result(created["taskId"])
    assert (created["resultType"], created["status"], working["status"]) == ("task", "working", "working")
    assert [(answer.status_code, answer.json()["error"]["code"]) for answer in refused] == [
        (400, -32020),
        (400, -32020),
        (400, -32020),
        (400, -32021),
        (400, -32602),
        (404, -32601),
    ]
    assert len(result["structuredContent"]["text"].split()) == 30


async def test_discovery_announces_tasks_and_the_handshake_does_not(emulator: RunningEmulator, tmp_path: Path) -> None:
    async with server(environment(emulator, tmp_path)) as raw:
        discovered = await raw.ask(1, "server/discover", _meta=meta())
    async with server(environment(emulator, tmp_path)) as raw:
        shaken = await raw.ask(
            1, "initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo={"name": "t", "version": "1"}
        )
    capabilities = discovered["result"]["capabilities"]
    assert (capabilities["extensions"], "tasks" in capabilities) == ({IDENTIFIER: {}}, False)
    assert "tasks" not in shaken["result"]["capabilities"]


@pytest.mark.slow
async def test_a_task_over_pipes_survives_its_server_being_killed(emulator: RunningEmulator, tmp_path: Path) -> None:
    env = environment(emulator, tmp_path, RESPONSES_MCP_HAND_OVER_SECONDS="0.05")
    parameters = StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=env, cwd=tmp_path)
    begin = {"name": ASK, "arguments": {"prompt": "[[words 30]]"}, "_meta": meta(IDENTIFIER)}
    with anyio.fail_after(DEADLINE_SECONDS):
        async with server(env) as raw:
            with emulator.state.hold():
                finished = (await raw.ask(1, "tools/call", **begin))["result"]["taskId"]
            task: dict[str, Any] = {"status": "working"}
            while task["status"] == "working":
                task = (await raw.ask(2, "tasks/get", taskId=finished, _meta=meta(IDENTIFIER)))["result"]
            with emulator.state.hold(after_events=8) as hold:
                running = (await raw.ask(3, "tools/call", **begin))["result"]["taskId"]
                await hold.reached.wait()
                os.kill(raw.process.pid, signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
                await raw.process.wait()
        async with task_client(parameters) as client:
            host = TaskHost(client)
            kept = await host.get(finished)
            lost = await host.get(running)
    assert kept["result"] == task["result"]
    # A call without a heartbeat for some time counts as interrupted.
    assert lost["status"] == "working"
