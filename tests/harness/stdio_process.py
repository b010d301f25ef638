"""The server as a process that communicates over pipes."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from databricks_workspace_emulator.server import RunningEmulator
from harness.deadlines import LONG_DEADLINE_SECONDS

ASK = "ask_databricks_model"
COMMAND = [sys.executable, "-m", "databricks_responses_mcp"]


def environment(emulator: RunningEmulator, tmp_path: Path, **more: str) -> dict[str, str]:
    """Return the environment of the server's process: this test's workspace, and no variable of the developer."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TEMP", "TMP") if name in os.environ}
    return {
        **kept,
        "HOME": str(tmp_path),
        "DATABRICKS_HOST": emulator.host,
        "DATABRICKS_TOKEN": emulator.token,
        "RESPONSES_MCP_MODEL": "databricks-gpt-5",
        "RESPONSES_MCP_IMAGE_DIR": str(tmp_path / "pictures"),
        **more,
    }


class Raw:
    """The server's process, with JSON lines as input and output."""

    def __init__(self, process: Process) -> None:
        self.process = process
        assert process.stdout is not None
        self._lines = BufferedByteReceiveStream(process.stdout)

    async def send(self, message: dict[str, Any] | str) -> None:
        line = message if isinstance(message, str) else json.dumps(message)
        assert self.process.stdin is not None
        await self.process.stdin.send(line.encode() + b"\n")

    async def receive(self) -> Any:
        return json.loads(await self.receive_line())

    async def receive_line(self) -> bytes:
        """Return one line unchanged, without its end."""
        return await self._lines.receive_until(b"\n", 10_000_000)

    async def ask(self, number: int, method: str, **params: Any) -> Any:
        """Send one request and return the answer to it; other messages are ignored."""
        await self.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        while True:
            message = await self.receive()
            if message.get("id") == number:
                return message

    async def initialize(self) -> None:
        await self.ask(
            0,
            "initialize",
            protocolVersion="2025-11-25",
            capabilities={},
            clientInfo={"name": "test", "version": "1"},
        )
        await self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})


@asynccontextmanager
async def server(env: dict[str, str], *arguments: str) -> AsyncIterator[Raw]:
    """Run the server's process; it has ended when the context ends."""
    process = await anyio.open_process([*COMMAND, *arguments], env=env, stderr=subprocess.PIPE)
    async with process:
        try:
            with anyio.fail_after(LONG_DEADLINE_SECONDS):
                yield Raw(process)
        finally:
            if process.returncode is None:
                process.kill()


async def stderr_of(raw: Raw) -> str:
    assert raw.process.stderr is not None
    return b"".join([chunk async for chunk in raw.process.stderr]).decode()
