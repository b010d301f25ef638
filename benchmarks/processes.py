"""The processes that a benchmark drives: MCP servers over their pipes, and the upstream that they ask."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.canned import TEXT_MODEL
from benchmarks.measuring import cpu_seconds

ROOT = Path(__file__).parent.parent
BRIDGE = (sys.executable, "-m", "databricks_responses_mcp")
FLOOR = (sys.executable, "-m", "benchmarks.floor_server")
_QUESTION = {"prompt": "What is in the lake?"}
ASK: dict[tuple[str, ...], dict[str, Any]] = {
    BRIDGE: {"name": "ask_databricks_model", "arguments": _QUESTION},
    FLOOR: {"name": "ask", "arguments": _QUESTION},
}
"""The call that both servers answer alike."""
ASK_STREAMED: dict[str, Any] = {"name": "ask_streamed", "arguments": _QUESTION}
"""The floor's other way to answer it."""
MODERN = "2026-07-28"
LEGACY = "2025-11-25"
_PATIENCE_SECONDS = 120.0


class ServerDiedError(Exception):
    """A server ended, or hung, in the middle of a benchmark."""


class ServerProcess:
    """A server as a child, which is killed if the benchmark takes too long.

    Args:
        command: what to run.
        environ: its whole environment.
        patience: seconds after which it is killed.
        has_pipes: whether stdin and stdout are pipes; otherwise stdout goes where stderr goes.
    """

    def __init__(
        self, command: tuple[str, ...], environ: Mapping[str, str], *, patience: float, has_pipes: bool
    ) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the server
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if has_pipes else subprocess.DEVNULL,
            stdout=subprocess.PIPE if has_pipes else self._errors,
            stderr=self._errors,
            env=environ,
            cwd=ROOT,
        )
        self._watchdog = threading.Timer(patience, self._process.kill)
        self._watchdog.daemon = True
        self._watchdog.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def cpu(self) -> float | None:
        """Return the CPU seconds used so far; None where they cannot be measured."""
        return cpu_seconds(self.pid)

    def errors(self) -> bytes:
        """Return what it has written to stderr so far."""
        return os.pread(self._errors.fileno(), os.fstat(self._errors.fileno()).st_size, 0)

    def _wait_for_end(self) -> None:
        """Wait for the process, which was asked to end; kill it if it does not."""
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._watchdog.cancel()
        self._errors.close()


class McpServer(ServerProcess):
    """An MCP server as a child, spoken to in raw lines: an SDK's client would cost more than some of what it asks.

    Args:
        command: what to run.
        environ: its whole environment.
        patience: seconds after which it is ended.
    """

    def __init__(
        self, command: tuple[str, ...], environ: Mapping[str, str], *, patience: float = _PATIENCE_SECONDS
    ) -> None:
        super().__init__(command, environ, patience=patience, has_pipes=True)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self._next = 0

    def __enter__(self) -> "McpServer":
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(BrokenPipeError):
            self._in.close()
        self._wait_for_end()
        self._out.close()

    def send(self, method: str, params: Mapping[str, Any] | None = None) -> int:
        """Send a request; returns its id."""
        self._next += 1
        self._write({"id": self._next, "method": method, **({"params": params} if params is not None else {})})
        return self._next

    def receive(self) -> dict[str, Any]:
        """The next answer, to whichever request.

        Raises:
            ServerDiedError: if the server ends or refuses, with the end of its log.
        """
        while True:
            line = self._out.readline()
            if not line:
                raise ServerDiedError(self.errors()[-2000:].decode(errors="replace") or "nothing on stderr")
            message: dict[str, Any] = json.loads(line)
            if "error" in message or message.get("result", {}).get("isError"):
                raise ServerDiedError(line[:2000].decode())
            if "result" in message:
                return message

    def request(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """Send a request and wait for its result."""
        number = self.send(method, params)
        answer = self.receive()
        assert answer["id"] == number
        return answer["result"]

    def list_tools(self, era: str) -> None:
        """From nothing to the list of tools, as a host of that era gets there."""
        client = {"name": "benchmarks", "version": "1"}
        if era == MODERN:
            prefix = "io.modelcontextprotocol/"
            meta = {f"{prefix}protocolVersion": era, f"{prefix}clientInfo": client, f"{prefix}clientCapabilities": {}}
            self.request("server/discover", {"_meta": meta})
            self.request("tools/list", {"_meta": meta})
            return
        self.request("initialize", {"protocolVersion": era, "capabilities": {}, "clientInfo": client})
        self._write({"method": "notifications/initialized"})
        self.request("tools/list")

    def _write(self, message: Mapping[str, Any]) -> None:
        self._in.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self._in.flush()


def server_environ(port: int, workdir: Path) -> dict[str, str]:
    """An environment in which servers ask the upstream and know nothing of this machine's own workspaces."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("DATABRICKS_", "RESPONSES_MCP_"))}
    return {
        **inherited,
        "HOME": str(workdir),
        "DATABRICKS_HOST": f"http://127.0.0.1:{port}",
        "DATABRICKS_TOKEN": "dapi0123456789abcdef0123456789abcdef",
        "RESPONSES_MCP_MODEL": TEXT_MODEL,
        "RESPONSES_MCP_IMAGE_DIR": str(workdir / "pictures"),
    }


@contextmanager
def upstream(picture: Path | None = None) -> Iterator[int]:
    """The upstream, running; gives its port."""
    command = [sys.executable, "-m", "benchmarks.upstream", *(["--picture", str(picture)] if picture else [])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()
