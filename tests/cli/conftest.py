"""What the command line's tests share: the workspace of the test, and a server that always says the same."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from databricks_workspace_emulator.server import RunningEmulator
from harness.terminal import Answering, CommandLine


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home directory with nothing in it."""
    home = tmp_path / "home"
    home.mkdir()
    return home


@pytest.fixture
def bare(home: Path, tmp_path: Path) -> CommandLine:
    """A machine on which no workspace is configured."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "SYSTEMROOT", "TEMP", "TMPDIR")}
    environ = {
        **kept,
        "HOME": str(home),
        "USERPROFILE": str(home),
        "COLUMNS": "100",
        "PYTHONIOENCODING": "utf-8",
        "RESPONSES_MCP_IMAGE_DIR": str(tmp_path / "pictures"),
        "RESPONSES_MCP_MAX_RETRIES": "0",
        "RESPONSES_MCP_STORE": str(tmp_path / "conversations.db"),
    }
    return CommandLine(environ, tmp_path)


@pytest.fixture
async def cli(bare: CommandLine, emulator: RunningEmulator) -> CommandLine:
    """A machine on which the workspace of the test is configured."""
    environ = {**bare.environ, "DATABRICKS_HOST": emulator.host, "DATABRICKS_TOKEN": emulator.token}
    return CommandLine({**environ, "RESPONSES_MCP_MODEL": "databricks-gpt-5"}, bare.directory)


@pytest.fixture
def answering() -> Answering:
    """A server that answers every request with the same bytes: ``async with answering(reply) as origin``."""

    @asynccontextmanager
    async def serving(reply: bytes) -> AsyncIterator[str]:
        async def answer(stream: anyio.abc.SocketStream) -> None:
            async with stream:
                received = b""
                while b"\r\n\r\n" not in received:
                    try:
                        received += await stream.receive()
                    except (anyio.EndOfStream, anyio.BrokenResourceError):
                        return
                await stream.send(reply)

        async with (
            await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(listener.serve, answer)
            yield f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
            tasks.cancel_scope.cancel()

    return serving
