"""``serve --http`` as a process, used with the client entry that it prints."""

import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import httpx
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from harness.deadlines import DEADLINE_SECONDS
from harness.stdio_process import COMMAND

ACCEPT = "application/json, text/event-stream"
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}


@dataclass
class HttpServer:
    """The server's process.

    Attributes:
        url: the URL of its MCP endpoint.
        headers: the headers in the printed entry.
        printed: its output at the start.
    """

    process: Process
    url: str
    headers: dict[str, str]
    printed: str

    @asynccontextmanager
    async def transport(self) -> AsyncIterator[Any]:
        """Return the SDK's own transport, for `mcp.Client`."""
        async with (
            create_mcp_http_client(headers=self.headers) as http,
            streamable_http_client(self.url, http_client=http) as streams,
        ):
            yield streams

    async def post(self, body: Any, path: str | None = None, **headers: str | None) -> httpx.Response:
        """Send one POST; headers that are None are left out, and bytes are sent unchanged."""
        sent: dict[str, str | None] = {"accept": ACCEPT, "content-type": "application/json"}
        sent |= {name.lower(): value for name, value in self.headers.items()}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        kept = {name: value for name, value in sent.items() if value is not None}
        url = self.url if path is None else f"{self.url.removesuffix('/mcp')}{path}"
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with httpx.AsyncClient(timeout=DEADLINE_SECONDS) as http:
            request = http.build_request("POST", url, content=content, headers=kept)
            if "accept" not in kept:
                del request.headers["accept"]
            return await http.send(request)

    async def open_session(self) -> str:
        """Initialize a session and return its id."""
        answer = await self.post(INITIALIZE)
        assert answer.status_code == 200, answer.text
        return answer.headers["mcp-session-id"]


@asynccontextmanager
async def http_server(env: dict[str, str], *arguments: str, address: str = "127.0.0.1:0") -> AsyncIterator[HttpServer]:
    """Run the server's process on a free port; it has ended when the context ends."""
    command = [*COMMAND, "serve", "--http", address, *arguments]
    async with await anyio.open_process(command, env=env, stderr=subprocess.PIPE) as process:
        try:
            with anyio.fail_after(DEADLINE_SECONDS):
                assert process.stderr is not None
                lines = BufferedByteReceiveStream(process.stderr)
                printed = ""
                while "mcpServers" not in printed or printed.count("\n") < 3:
                    printed += (await lines.receive_until(b"\n", 100_000)).decode() + "\n"
                entry = next(line for line in printed.splitlines() if line.startswith("{"))
                (server,) = json.loads(entry)["mcpServers"].values()
                yield HttpServer(process, server["url"], server["headers"], printed)
        finally:
            if process.returncode is None:
                process.kill()
