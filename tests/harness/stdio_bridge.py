"""The server's process with a model server of another project, as a host uses it: calls, progress, cancellation."""

import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from harness.deadlines import DEADLINE_SECONDS
from harness.stdio_process import ASK, COMMAND, Raw

CONTINUE = "continue_databricks_model"


class StdioBridge:
    """The initialized process.

    Attributes:
        raw: sends and receives its lines.
        progress: all progress messages so far.
    """

    def __init__(self, raw: Raw) -> None:
        self.raw = raw
        self.progress: list[str] = []
        self._number = 0

    async def begin(self, tool: str, **arguments: Any) -> int:
        """Call a tool without waiting; return the number of the call."""
        self._number += 1
        call = {"name": tool, "arguments": arguments, "_meta": {"progressToken": self._number}}
        await self.raw.send({"jsonrpc": "2.0", "id": self._number, "method": "tools/call", "params": call})
        return self._number

    async def result(self, number: int) -> dict[str, Any]:
        """Return the structured content of a call's result, with ``isError``."""
        while True:
            message = await self._receive()
            if message.get("id") == number:
                result = message["result"]
                assert result["content"][0]["text"]  # what hosts without structured content show
                return {**result["structuredContent"], "isError": bool(result.get("isError"))}

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool and wait for its result."""
        return await self.result(await self.begin(tool, **arguments))

    async def ask(self, prompt: str, **arguments: Any) -> dict[str, Any]:
        """Ask the model that is set in the environment."""
        return await self.call(ASK, prompt=prompt, **arguments)

    async def progress_with(self, text: str) -> str:
        """Return the first progress message that contains ``text``."""
        while not any(text in message for message in self.progress):
            await self._receive()
        return next(message for message in self.progress if text in message)

    async def cancel(self, number: int) -> None:
        """Cancel a call as a host does."""
        params = {"requestId": number}
        await self.raw.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})

    async def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = await self.raw.receive()
        if message.get("method") == "notifications/progress":
            self.progress.append(message["params"]["message"])
        return message


@asynccontextmanager
async def stdio_bridge(origin: str, key: str, tmp_path: Path, **settings: str) -> AsyncIterator[StdioBridge]:
    """Run the process while the context is open.

    Args:
        settings: more settings, by the names of ``RESPONSES_MCP_*`` in lower case.
    """
    env = {
        **{name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TEMP", "TMP") if name in os.environ},
        "HOME": str(tmp_path),
        "DATABRICKS_HOST": origin,
        "DATABRICKS_TOKEN": key,
        "RESPONSES_MCP_STORE": "off",
        **{f"RESPONSES_MCP_{name.upper()}": value for name, value in settings.items()},
    }
    process = await anyio.open_process(COMMAND, env=env, stderr=subprocess.PIPE)
    async with process:
        try:
            with anyio.fail_after(DEADLINE_SECONDS):
                raw = Raw(process)
                await raw.initialize()
                yield StdioBridge(raw)
        finally:
            if process.returncode is None:
                process.kill()
