"""Conversations and running calls of server processes that are shut down or killed, and continued by others."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from databricks_workspace_emulator.server import RunningEmulator
from harness.deadlines import DEADLINE_SECONDS, LONG_DEADLINE_SECONDS
from harness.leases import end_leases
from harness.process_host import ENDS, GET, start_host
from harness.stdio_process import ASK, COMMAND, Raw, environment, server

pytestmark = pytest.mark.anyio

LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
"""Runs a program with a limit on the size of its files, which simulates a full disk."""


def env(emulator: RunningEmulator, tmp_path: Path, **more: str) -> dict[str, str]:
    return environment(emulator, tmp_path, RESPONSES_MCP_STORE=str(tmp_path / "store" / "c.db"), **more)


def user_messages(emulator: RunningEmulator) -> list[str]:
    """Return the user's messages in the newest request."""
    body = emulator.state.request_log.to("/responses")[-1].body
    return [item["content"][0]["text"] for item in body["input"] if item.get("role") == "user"]


@pytest.mark.slow
@pytest.mark.parametrize("how", ENDS)
async def test_a_conversation_is_continued_by_another_process_after_the_first_has_ended(
    emulator: RunningEmulator, tmp_path: Path, how: str
) -> None:
    async with server(env(emulator, tmp_path)) as raw:
        host = await start_host(raw)
        first = await host.call(ASK, prompt="One", reasoning_effort="low")
        await host.end(how)
    async with server(env(emulator, tmp_path)) as raw:
        host = await start_host(raw)
        second = await host.call(ASK, prompt="Two", conversation_id=first["conversation_id"])
    assert second["conversation_id"] == first["conversation_id"]
    assert user_messages(emulator) == ["One", "Two"]
    kinds = [item["type"] for item in emulator.state.request_log.to("/responses")[-1].body["input"]]
    assert kinds == ["message", "reasoning", "message", "message"]


@pytest.mark.slow
@pytest.mark.parametrize("how", ENDS)
async def test_a_running_call_whose_process_ended_is_interrupted_and_not_repeated(
    emulator: RunningEmulator, tmp_path: Path, how: str
) -> None:
    keyed: dict[str, Any] = {"prompt": "[[words 200]]", "idempotency_key": "once"}
    with emulator.state.hold(9):
        async with server(env(emulator, tmp_path, RESPONSES_MCP_HAND_OVER_SECONDS="0.5")) as raw:
            host = await start_host(raw)
            running = await host.call(ASK, **keyed)
            assert running["status"] == "running"
            await host.wait_for_text(running["response_id"])
            if how == "SIGKILL":
                # The received text is stored every few seconds, so that other processes can read it.
                async with server(env(emulator, tmp_path)) as other:
                    await (await start_host(other)).wait_for_text(running["response_id"])
            await host.end(how)
            with anyio.fail_after(DEADLINE_SECONDS):
                await emulator.state.request_log.to("/responses")[0].disconnected.wait()
    if how == "SIGKILL":
        end_leases(tmp_path / "store" / "c.db")
    async with server(env(emulator, tmp_path)) as raw:
        host = await start_host(raw)
        found = await host.call(GET, response_id=running["response_id"])
        again = await host.call(ASK, **keyed)
    assert found["status"] == again["status"] == "interrupted"
    assert found["text"].startswith("word1")
    assert again["text"] == found["text"]
    assert len(emulator.state.request_log.to("/responses")) == 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there a process cannot be limited so")
async def test_on_a_full_disk_the_answer_is_returned_with_a_warning(emulator: RunningEmulator, tmp_path: Path) -> None:
    async with server(env(emulator, tmp_path)) as raw:
        host = await start_host(raw)
        first = await host.call(ASK, prompt="One")
    limit = str(max(file.stat().st_size for file in (tmp_path / "store").iterdir()))
    limited = [sys.executable, "-c", LIMITED, limit, *COMMAND[1:]]
    process = await anyio.open_process(limited, env=env(emulator, tmp_path), stderr=subprocess.PIPE)
    async with process:
        host = await start_host(Raw(process))
        with anyio.fail_after(DEADLINE_SECONDS):
            notes: list[str] = []
            texts: list[str] = []
            for prompt in ("Two " + "x" * 50_000, "Three"):
                facts = await host.call(ASK, prompt=prompt, conversation_id=first["conversation_id"])
                texts.append(facts["text"])
                notes += facts.get("notes", [])
        process.kill()
    assert all(texts)
    assert any("could not be stored" in note for note in notes)
    assert [text[:5] for text in user_messages(emulator)] == ["One", "Two x", "Three"]


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere")
async def test_with_a_read_only_folder_the_answer_is_returned(emulator: RunningEmulator, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir(mode=0o500)
    async with server(env(emulator, tmp_path)) as raw:
        host = await start_host(raw)
        first = await host.call(ASK, prompt="One")
        second = await host.call(ASK, prompt="Two", conversation_id=first["conversation_id"])
    assert first["text"]
    assert second["text"]
    assert "could not be stored" in first["notes"][0]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be killed so there")
async def test_a_killed_server_loses_no_answered_turn_and_no_call_is_billed_twice(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    answered: list[str] = []
    asked = 0
    conversation_id: str | None = None
    with anyio.fail_after(LONG_DEADLINE_SECONDS):
        for round_number in range(12):
            async with server(env(emulator, tmp_path)) as raw:
                host = await start_host(raw)
                await host.call("manage_conversations", action="list")

                async with anyio.create_task_group() as tasks:

                    async def kill(after: float) -> None:
                        await anyio.sleep(after)
                        raw.process.kill()

                    tasks.start_soon(kill, 0.15 + 0.041 * round_number)
                    try:
                        while True:
                            asked += 1
                            named = {"conversation_id": conversation_id} if conversation_id else {}
                            prompt = f"Turn {asked} [[say yes]]"
                            facts = await host.call(ASK, prompt=prompt, idempotency_key=f"key {asked}", **named)
                            conversation_id = facts["conversation_id"]
                            answered.append(prompt)
                    except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, OSError):
                        pass
            end_leases(tmp_path / "store" / "c.db")
            before = len(emulator.state.request_log.to("/responses"))
            async with server(env(emulator, tmp_path)) as raw:
                host = await start_host(raw)
                named = {"conversation_id": conversation_id} if answered and conversation_id else {}
                facts = await host.call(
                    ASK, prompt=f"Turn {asked} [[say yes]]", idempotency_key=f"key {asked}", **named
                )
                bodies = [exchange.body for exchange in emulator.state.request_log.to("/responses")[:before]]
                if any(body is not None and f"Turn {asked} " in str(body["input"][-1]) for body in bodies):
                    # A request that was sent is not sent again.
                    assert len(emulator.state.request_log.to("/responses")) == before
                conversation_id = facts.get("conversation_id", conversation_id)
    async with server(env(emulator, tmp_path)) as raw:
        host = await start_host(raw)
        await host.call(ASK, prompt="End", conversation_id=conversation_id)
    replayed = user_messages(emulator)
    assert [prompt for prompt in answered if prompt not in replayed] == []
    with closing(sqlite3.connect(tmp_path / "store" / "c.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
