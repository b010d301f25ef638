"""The server's process with many concurrent requests over pipes; every answer is counted."""

import json
import os
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from harness.fault_classes import TOKEN
from harness.stdio_process import COMMAND

HANDSHAKE, NO_HANDSHAKE = "2025-11-25", "2026-07-28"
"""The two protocol revisions that the server supports."""
_MAX_LINE_BYTES = 64_000_000


def faults_environment(host: str, folder: Path, **more: str) -> dict[str, str]:
    """Return the environment of the server's process: the workspace at ``host``, and no variable of the developer.

    Args:
        more: settings by the names of ``RESPONSES_MCP_*`` in lower case.
    """
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TEMP", "TMP") if name in os.environ}
    settings = {
        "model": "m",
        "image_model": "m",
        "surface": "responses",
        "image_dir": str(folder / "pictures"),
        "allowed_dirs": str(folder),
        "store": str(folder / "store.db"),
        **more,
    }
    return {
        **kept,
        "HOME": str(folder),
        "DATABRICKS_HOST": host,
        "DATABRICKS_TOKEN": TOKEN,
        **{f"RESPONSES_MCP_{name.upper()}": value for name, value in settings.items()},
    }


class McpProcess:
    """One process of the server.

    Attributes:
        answers: the number of messages that answered a request, by its id.
        strays: messages that answered no request, such as errors without an id.
        output: all output on stdout.
    """

    def __init__(self, process: Process, revision: str) -> None:
        assert process.stdout is not None
        self.process = process
        self.revision = revision
        self.answers: Counter[Any] = Counter()
        self.strays: list[Any] = []
        self.output = bytearray()
        self._lines = BufferedByteReceiveStream(process.stdout)
        self._waiting: dict[Any, tuple[anyio.Event, list[Any]]] = {}
        self._next = 0
        self._sending = anyio.Lock()

    async def write(self, line: bytes) -> None:
        """Write one line unchanged."""
        assert self.process.stdin is not None
        async with self._sending:
            await self.process.stdin.send(line + b"\n")

    async def request(self, method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send a request and return the whole message that answers it.

        Raises:
            EOFError: the process has ended.
        """
        self._next += 1
        number = self._next
        return await self.answer_to(number, json.dumps(self.message(number, method, params)).encode())

    def message(self, number: Any, method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return a request of this revision."""
        given = dict(params or {})
        if self.revision == NO_HANDSHAKE:
            meta = {
                "io.modelcontextprotocol/protocolVersion": NO_HANDSHAKE,
                "io.modelcontextprotocol/clientInfo": {"name": "faults", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {},
            }
            given["_meta"] = {**meta, **given.get("_meta", {})}
        return {"jsonrpc": "2.0", "id": number, "method": method, "params": given}

    async def answer_to(self, number: Any, line: bytes) -> dict[str, Any]:
        """Write a line that has this id, and return the message that answers it."""
        event, got = self._waiting[number] = anyio.Event(), []
        await self.write(line)
        await event.wait()
        del self._waiting[number]
        if not got:
            raise EOFError("the server has ended")
        answer: dict[str, Any] = got[0]
        return answer

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool; return its result, or the whole message if it is a protocol error."""
        message = await self.request("tools/call", {"name": tool, "arguments": arguments})
        result: dict[str, Any] = message.get("result", message)
        return result

    async def ping(self) -> None:
        """Send a request that the server answers without a workspace."""
        message = await self.request("ping" if self.revision == HANDSHAKE else "tools/list")
        assert "result" in message, message

    async def read(self) -> None:
        """Receive messages until the process ends."""
        try:
            while True:
                line = await self._lines.receive_until(b"\n", _MAX_LINE_BYTES)
                self.output += line + b"\n"
                message = json.loads(line)
                if "method" in message:
                    continue
                number = message.get("id")
                self.answers[number] += 1
                if number not in self._waiting:
                    self.strays.append(message)
                    continue
                event, got = self._waiting[number]
                got.append(message)
                event.set()
        except (anyio.EndOfStream, anyio.IncompleteRead, anyio.ClosedResourceError, anyio.BrokenResourceError):
            for event, _ in self._waiting.values():
                event.set()

    async def kill(self) -> None:
        """End the process as ``kill -9`` does."""
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def mcp_process(
    env: Mapping[str, str], log: Path, *, revision: str = HANDSHAKE, prefix: Sequence[str] = ()
) -> AsyncIterator[McpProcess]:
    """Run the server until it is ready for requests; it has ended when the context ends.

    Args:
        log: the file for its stderr.
        prefix: a command that starts it, such as one that sets limits.
    """
    with log.open("ab") as stderr:
        process = await anyio.open_process(
            [*prefix, *COMMAND], env=dict(env), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr
        )
    async with process:
        try:
            client = McpProcess(process, revision)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.read)
                if revision == HANDSHAKE:
                    hello = {"protocolVersion": revision, "capabilities": {}}
                    await client.request("initialize", {**hello, "clientInfo": {"name": "faults", "version": "1"}})
                    await client.write(b'{"jsonrpc": "2.0", "method": "notifications/initialized"}')
                yield client
                tasks.cancel_scope.cancel()
        finally:
            if process.returncode is None:
                process.kill()
