"""A service that gets SIGTERM while calls run: each client gets an answer, and what has arrived is stored."""

import signal
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from databricks_responses_mcp.service.drain import END_SECONDS
from databricks_workspace_emulator.server import RunningEmulator
from harness.bad_requests import META
from harness.deadlines import DEADLINE_SECONDS
from harness.stdio_process import ASK
from harness.team_service import TeamServer, bearer, keys_in, team_server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows ends processes without asking"),
]


def calling(tool: str, era: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the body and the headers of a call of a client of either protocol era, which takes JSON alone."""
    params: dict[str, Any] = {"name": tool, "arguments": arguments}
    headers = {"accept": "application/json"}
    if era != "legacy":
        params["_meta"] = META
        headers |= {"mcp-protocol-version": era, "mcp-method": "tools/call", "mcp-name": tool}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}, headers


async def call(serving: TeamServer, key: str, tool: str, era: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool without a session; returns its structured result."""
    body, headers = calling(tool, era, **arguments)
    answer = await serving.send("POST", "/mcp", body, {**headers, **bearer(key)})
    assert answer.status_code == 200, (answer.text, "".join(serving.printed))
    structured: dict[str, Any] = answer.json()["result"]["structuredContent"]
    return structured


async def no_longer_listening(serving: TeamServer) -> None:
    """Wait until the service refuses new connections, because it has begun to end."""
    while True:
        try:
            await serving.send("GET", "/healthz")
        except httpx.ConnectError:
            return
        await anyio.sleep(0.02)


async def test_a_call_that_ends_soon_is_answered_after_the_signal_and_the_process_ends_well(
    emulator: RunningEmulator, tmp_path: Path, era: str
) -> None:
    (key,) = keys_in(tmp_path / "keys", "ada").values()
    answers: list[dict[str, Any]] = []
    async with team_server(emulator, tmp_path, RESPONSES_MCP_SERVICE_KEYS_FILE=str(tmp_path / "keys")) as serving:

        async def ask() -> None:
            answers.append(await call(serving, key, ASK, era, prompt="[[say just in time]]"))

        with anyio.fail_after(DEADLINE_SECONDS):
            with emulator.state.hold(after_events=3) as hold:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(ask)
                    await hold.reached.wait()
                    serving.process.send_signal(signal.SIGTERM)
                    with pytest.raises(httpx.TransportError):  # noqa: PT012 - until it does not listen any more
                        while True:
                            probe = await serving.send("GET", "/readyz")
                            if probe.status_code == 503:
                                assert probe.json() == {"status": "draining"}
                    assert answers == []
                    hold.release()
            await serving.process.wait()
    assert [answer["text"] for answer in answers] == ["just in time"]
    assert serving.process.returncode == 0


async def test_a_call_that_does_not_end_is_handed_over_and_another_replica_knows_what_had_arrived(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    (key,) = keys_in(tmp_path / "keys", "ada").values()
    env = {"RESPONSES_MCP_SERVICE_KEYS_FILE": str(tmp_path / "keys")}
    handed: dict[str, dict[str, Any]] = {}
    async with team_server(emulator, tmp_path, **env) as serving:

        async def ask(era: str) -> None:
            handed[era] = await call(serving, key, ASK, era, prompt="[[words 200]]")

        with anyio.fail_after(DEADLINE_SECONDS), emulator.state.hold(after_events=40) as hold:
            async with anyio.create_task_group() as tasks:
                for era in ("legacy", "2026-07-28"):
                    tasks.start_soon(ask, era)
                await hold.reached.wait()
                while len(list(emulator.state.request_log.to("/responses"))) < 2:  # noqa: ASYNC110 - it has no event
                    await anyio.sleep(0.01)
                serving.process.send_signal(signal.SIGTERM)
                signalled = time.monotonic()
            await serving.process.wait()
            seconds = time.monotonic() - signalled
        assert serving.process.returncode == 0, "".join(serving.printed)
        assert seconds < END_SECONDS + DEADLINE_SECONDS / 4  # on an idle machine 9.5 s
    assert {era: answer["status"] for era, answer in handed.items()} == {"legacy": "running", "2026-07-28": "running"}
    async with team_server(emulator, tmp_path, **env) as replica:
        for era, answer in handed.items():
            found = await call(replica, key, "get_response", era, response_id=answer["response_id"])
            assert (found["status"], found["text"].split()[0]) == ("interrupted", "word1"), found
            assert len(found["text"].split()) > 5


async def test_a_second_interrupt_ends_the_process_at_once(emulator: RunningEmulator, tmp_path: Path) -> None:
    (key,) = keys_in(tmp_path / "keys", "ada").values()
    async with team_server(emulator, tmp_path, RESPONSES_MCP_SERVICE_KEYS_FILE=str(tmp_path / "keys")) as serving:
        with anyio.fail_after(DEADLINE_SECONDS), emulator.state.hold(after_events=3) as hold:
            async with anyio.create_task_group() as tasks:

                async def ask() -> None:
                    with pytest.raises((httpx.TransportError, AssertionError)):
                        await call(serving, key, ASK, "legacy", prompt="[[say never]]")

                tasks.start_soon(ask)
                await hold.reached.wait()
                serving.process.send_signal(signal.SIGINT)
                await no_longer_listening(serving)
                serving.process.send_signal(signal.SIGINT)
                await serving.process.wait()
    assert serving.process.returncode == 0
