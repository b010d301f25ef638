"""The server over Streamable HTTP on this machine."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import anyio
import httpx
import pytest
from mcp import Client
from mcp.client import ClientRequestContext
from mcp.types import ElicitRequestParams, ElicitResult

from databricks_responses_mcp.emulator.server import RunningEmulator
from harness import Host
from harness.deadlines import DEADLINE_SECONDS
from harness.stdio_process import COMMAND, environment

pytestmark = pytest.mark.anyio


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def listening(port: int) -> None:
    """Return when somebody accepts connections there."""
    while True:
        try:
            stream = await anyio.connect_tcp("127.0.0.1", port)
        except OSError:
            await anyio.sleep(0.05)  # the port has no event to wait for
        else:
            await stream.aclose()
            return


async def test_both_eras_are_served_over_http_and_foreign_hosts_are_refused(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    port = free_port()
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "DATABRICKS_HOST": emulator.host,
        "DATABRICKS_TOKEN": emulator.token,
        "RESPONSES_MCP_MODEL": "databricks-gpt-5",
    }
    command = [sys.executable, "-m", "databricks_responses_mcp", "serve", "--http", f"127.0.0.1:{port}"]
    async with await anyio.open_process(command, env=env, stderr=subprocess.DEVNULL) as process:
        try:
            with anyio.fail_after(DEADLINE_SECONDS):
                await listening(port)
                url = f"http://127.0.0.1:{port}/mcp"
                for mode in ("legacy", "2026-07-28"):
                    async with Client(url, mode=mode) as client:
                        host = Host(client)
                        _, facts, failed = await host.call("ask_databricks_model", prompt=f"[[say {mode}]]")
                        assert (failed, facts["text"]) == (False, mode)
                        assert host.progress
                async with httpx.AsyncClient(timeout=DEADLINE_SECONDS) as http:
                    foreign = await http.post(url, headers={"host": "evil.example.com"}, json={})
                    assert foreign.status_code == 421
        finally:
            process.terminate()
            with anyio.move_on_after(DEADLINE_SECONDS, shield=True):
                await process.wait()


@pytest.mark.parametrize("address", ["0.0.0.0:8000", "example.com:80", "127.0.0.1", "127.0.0.1:99999"])
async def test_an_address_that_others_could_reach_is_refused(tmp_path: Path, address: str) -> None:
    command = [sys.executable, "-m", "databricks_responses_mcp", "serve", "--http", address]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = await anyio.run_process(command, env=env, check=False)
    assert done.returncode == 2
    assert b"--http" in done.stderr


async def test_the_user_is_asked_for_approvals_over_http_in_either_era(
    emulator: RunningEmulator, tmp_path: Path, era: str
) -> None:
    async def approve(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={"approve": True})

    asked: list[str] = []
    port = free_port()
    env = environment(emulator, tmp_path)
    command = [*COMMAND, "serve", "--http", f"127.0.0.1:{port}"]
    async with await anyio.open_process(command, env=env, stderr=subprocess.DEVNULL) as process:
        try:
            with anyio.fail_after(DEADLINE_SECONDS):
                await listening(port)
                address = f"http://127.0.0.1:{port}/mcp"
                async with Client(address, mode=era, elicitation_callback=approve) as client:
                    arguments = {"prompt": "Search.", "mcp_servers": ["sql"]}
                    _, facts, failed = await Host(client).call("ask_databricks_model", **arguments)
        finally:
            process.terminate()
    assert not failed
    assert [item["type"] for item in facts["output"]] == ["mcp_list_tools", "mcp_approval_request", "mcp_call"]
    assert len(asked) == 1
