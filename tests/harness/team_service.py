"""``serve --http`` for a team, as a process."""

import json
import re
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx
from anyio.abc import Process
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from databricks_responses_mcp.service.static_keys import new_key
from databricks_workspace_emulator.server import RunningEmulator
from harness.deadlines import DEADLINE_SECONDS
from harness.http_process import ACCEPT
from harness.stdio_process import COMMAND, environment

_PORT = re.compile(r"listening on \S+ port (\d+)")


@dataclass
class TeamServer:
    """The process of a service.

    Attributes:
        origin: where it listens.
        printed: what it has written to stderr so far.
    """

    process: Process
    origin: str
    printed: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The URL of the MCP endpoint."""
        return f"{self.origin}/mcp"

    @asynccontextmanager
    async def transport(self, headers: Mapping[str, str]) -> AsyncIterator[Any]:
        """Return the SDK's own transport, for `mcp.Client`."""
        async with (
            create_mcp_http_client(headers=dict(headers)) as http,
            streamable_http_client(self.url, http_client=http) as streams,
        ):
            yield streams

    async def send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | Sequence[tuple[str, str]] = ()
    ) -> httpx.Response:
        """Send one request; a body that is not bytes is sent as JSON. Pairs of headers may have the same name."""
        async with httpx.AsyncClient(timeout=DEADLINE_SECONDS) as http:
            content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            given = list(headers.items() if isinstance(headers, Mapping) else headers)
            usual = {"accept": ACCEPT, "content-type": "application/json"}
            sent = [*given, *((k, v) for k, v in usual.items() if k not in {name.lower() for name, _ in given})]
            return await http.request(method, f"{self.origin}{path}", content=content, headers=sent)


def bearer(token: str) -> dict[str, str]:
    """Return the headers of a client with a token."""
    return {"Authorization": f"Bearer {token}"}


def keys_in(path: Path, *names: str) -> dict[str, str]:
    """Write a file with a key for each name; returns the keys by name."""
    made = {name: new_key(name) for name in names}
    path.write_text("".join(f"{line}\n" for _, line in made.values()), encoding="utf-8")
    return {name: key for name, (key, _) in made.items()}


@asynccontextmanager
async def team_server(
    emulator: RunningEmulator,
    tmp_path: Path,
    *arguments: str,
    command: Sequence[str] = (),
    **more: str,
) -> AsyncIterator[TeamServer]:
    """Run a service on a free port, with these variables; it has ended when the context ends.

    Args:
        arguments: of ``serve``; by default it listens on loopback.
        command: the whole command instead.
    """
    command = command or [*COMMAND, "serve", *(arguments or ("--http", "127.0.0.1:0"))]
    env = environment(emulator, tmp_path, **more)
    async with (
        await anyio.open_process(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process,
        anyio.create_task_group() as tasks,
    ):
        printed: list[str] = []
        ready = anyio.Event()

        async def read() -> None:
            assert process.stderr is not None
            async for data in process.stderr:
                printed.append(data.decode(errors="replace"))
                if _PORT.search("".join(printed)):
                    ready.set()
            ready.set()

        tasks.start_soon(read)
        try:
            with anyio.fail_after(DEADLINE_SECONDS):
                await ready.wait()
            found = _PORT.search("".join(printed))
            assert found is not None, "".join(printed)
            yield TeamServer(process, f"http://127.0.0.1:{found[1]}", printed)
        finally:
            if process.returncode is None:
                process.kill()
            tasks.cancel_scope.cancel()
