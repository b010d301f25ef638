"""A store that fails costs no answer: the call says so, and the conversation goes on in memory."""

import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from harness.deadlines import LONG_DEADLINE_SECONDS
from harness.fault_classes import ASK, TEXT, TOKEN, USAGE, chunked, events, sse
from harness.fault_server import Answer, FaultServer, fault_server, said_by_user
from harness.mcp_process import McpProcess, faults_environment, mcp_process
from harness.postgres_server import postgres_server

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")]

LIMITED = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)"
"""A program that lets the next one write no larger files, as on a disk that is full."""


def limited(most_bytes: int) -> list[str]:
    """The start of a command whose files cannot grow beyond so many bytes."""
    return [sys.executable, "-c", f"{LIMITED}; os.execv(sys.argv[2], sys.argv[2:])", str(most_bytes)]


class Conversing:
    """Turns of one conversation with one process of the server."""

    def __init__(self, server: FaultServer, client: McpProcess) -> None:
        self.client = client
        self.conversation_id: str | None = None
        self.seconds: list[float] = []
        self._server = server
        self._said: list[str] = []

    async def turn(self, *, is_kept: bool) -> dict[str, Any]:
        """One turn, whole whatever the store does; whether it could be kept is told."""
        self._said.append(f"fault:0:{len(self._said) + 1}")
        given = {"conversation_id": self.conversation_id} if self.conversation_id is not None else {}
        began = anyio.current_time()
        result = await self.client.call(ASK, prompt=self._said[-1], **given)
        self.seconds.append(anyio.current_time() - began)
        facts: dict[str, Any] = result["structuredContent"]
        assert not result.get("isError"), facts
        assert (facts["text"], facts["usage"]) == (TEXT, USAGE)
        assert any("could not be stored" in note for note in facts.get("notes", [])) == (not is_kept), facts
        assert said_by_user(self._server.bodies[-1]) == self._said
        self.conversation_id = facts["conversation_id"]
        await self.client.ping()
        return facts


def lock(path: Path, stack: ExitStack) -> None:
    """Hold the file as a program that writes does."""
    holder = stack.enter_context(closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)))
    holder.execute("BEGIN IMMEDIATE")


BREAK: dict[str, Callable[[Path, ExitStack], Any]] = {
    "deleted": lambda path, _: shutil.rmtree(path.parent),
    "a file in place of its folder": lambda path, _: (shutil.rmtree(path.parent), path.parent.write_text("x")),
    "locked": lock,
}


@pytest.mark.parametrize("how", BREAK)
async def test_a_store_that_breaks_while_the_server_runs_costs_no_answer(how: str, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "store.db"
    async with fault_server([[Answer(chunked(sse(events())))]], 1) as server:
        env = faults_environment(server.host, tmp_path, store=str(path))
        with anyio.fail_after(LONG_DEADLINE_SECONDS), ExitStack() as stack:
            async with mcp_process(env, tmp_path / "stderr.txt") as client:
                conversing = Conversing(server, client)
                await conversing.turn(is_kept=True)
                BREAK[how](path, stack)
                # A file that was deleted is made anew, and has the whole conversation.
                for _ in range(3):
                    await conversing.turn(is_kept=how == "deleted")
                if how == "locked":
                    # One of them waits for the lock, not each.
                    assert sum(conversing.seconds[2:]) < 10
                    stack.close()
                    await conversing.turn(is_kept=True)
            if how in ("deleted", "locked"):
                async with mcp_process(env, tmp_path / "stderr.txt") as client:
                    conversing.client = client
                    await conversing.turn(is_kept=True)
    assert set(server.requests.values()) == {1}


@pytest.mark.parametrize(
    ("how", "store", "most_bytes"),
    [
        ("a disk that was full from the beginning", "folder/store.db", 8192),
        ("a disk that becomes full", "folder/store.db", 120_000),
        ("a place where nothing can be made", "/proc/store.db", None),
        ("a device", "/dev/null", None),
        ("a folder", "", None),
        ("a damaged file", "damaged.db", None),
    ],
)
async def test_a_store_that_cannot_be_used_costs_no_answer(
    how: str, store: str, most_bytes: int | None, tmp_path: Path
) -> None:
    path = tmp_path / store
    before = Path("/dev/null").stat().st_mode
    (tmp_path / "damaged.db").write_bytes(b"SQLite format 3\0" + b"\xde\xad" * 5000)
    async with fault_server([[Answer(chunked(sse(events())))]], 1) as server:
        env = faults_environment(server.host, tmp_path, store=str(path))
        prefix = [] if most_bytes is None else limited(most_bytes)
        with anyio.fail_after(LONG_DEADLINE_SECONDS):
            async with mcp_process(env, tmp_path / "stderr.txt", prefix=prefix) as client:
                conversing = Conversing(server, client)
                for _ in range(3):
                    if most_bytes == 120_000:
                        result = await client.call(ASK, prompt="fault:0:9" + "x" * 60_000)
                        assert result["structuredContent"]["text"] == TEXT
                    else:
                        await conversing.turn(is_kept=False)
                if most_bytes == 120_000:
                    assert "could not be stored" in result["structuredContent"]["notes"][0]
                await client.ping()
    assert Path("/dev/null").stat().st_mode == before


async def test_postgresql_that_goes_away_costs_no_answer(tmp_path: Path) -> None:
    with postgres_server() as database:
        url = database.new_database()
        async with fault_server([[Answer(chunked(sse(events())))]], 1) as server:
            env = faults_environment(server.host, tmp_path, store=url)
            with anyio.fail_after(LONG_DEADLINE_SECONDS):
                async with mcp_process(env, tmp_path / "stderr.txt") as client:
                    conversing = Conversing(server, client)
                    await conversing.turn(is_kept=True)
                    database.process.send_signal(signal.SIGINT)  # a fast shutdown, which ends its clients' connections
                    await anyio.to_thread.run_sync(database.process.wait)
                    for _ in range(3):
                        await conversing.turn(is_kept=False)
        written = bytes(client.output) + (tmp_path / "stderr.txt").read_bytes()
        for secret in (TOKEN, "no+secret@all", "no%2Bsecret%40all"):
            assert secret.encode() not in written
