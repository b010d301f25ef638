"""One running llama.cpp server: started on its own loopback port, monitored, and always stopped."""

import os
import re
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

import anyio
import anyio.abc

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_workspace_emulator.engines import keeper, model_server
from databricks_workspace_emulator.engines.artifacts import MODEL_FILE, OPENMP_DIRECTORY, WITHOUT_IT
from databricks_workspace_emulator.engines.chat_completions import ChatCompletions

SLOTS = 2
"""The number of concurrent answers."""
_CONTEXT_TOKENS = 8192
"""For all slots together."""

_START_SECONDS = 60.0
_STOP_SECONDS = 6.0
_POLL_SECONDS = 0.05
_TAIL_BYTES = 1500
_LOGS_KEPT = 5
_MAX_THREADS = 8
_LISTENING = re.compile(rb"listening on http://127\.0\.0\.1:(\d+)")


class LlamaServer:
    """A server of the local model with its keeper program. Created by ``start``.

    Attributes:
        chat: the client of its ``/v1``.
        context_tokens: the limit of one conversation, prompt and answer together.
    """

    def __init__(self, process: anyio.abc.Process, log: Path) -> None:
        self.context_tokens = _CONTEXT_TOKENS // SLOTS
        self._process = process
        self._log = log
        self._chat: ChatCompletions | None = None

    @property
    def chat(self) -> ChatCompletions:
        assert self._chat is not None
        return self._chat

    @property
    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self._process.returncode is not None

    @classmethod
    async def start(cls, directory: Path, logs: Path) -> Self:
        """Start the server whose files are in ``directory``, and wait until it answers.

        Raises:
            BridgeError: it ended or was not ready in time; the message has the end of its log.
        """
        log = await anyio.to_thread.run_sync(_new_log, logs)
        key = secrets.token_urlsafe(24)
        try:
            # A pipe that only this process has: the keeper ends the server when it closes, for whatever reason. A
            # separate session prevents Ctrl-C in the terminal from reaching the server before this process has
            # finished.
            process = await anyio.open_process(
                [sys.executable, "-I", "-S", keeper.__file__, str(os.getpid()), str(log), *_command(directory)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_environment(directory, key),
                cwd=directory,
                start_new_session=True,
            )
        except OSError as error:
            raise _not_started(f"cannot be started ({error.strerror})") from error
        server = cls(process, log)
        try:
            with anyio.move_on_after(_START_SECONDS):
                await server._wait_until_ready(key)
                return server
            raise _not_started(f"was not ready after {_START_SECONDS:.0f} seconds", await server.log_tail())
        except BaseException:
            await server.aclose()
            raise

    async def _wait_until_ready(self, key: str) -> None:
        while (port := await anyio.to_thread.run_sync(self._port)) is None:
            self._raise_if_ended(await self.log_tail())
            await anyio.sleep(_POLL_SECONDS)
        self._chat = ChatCompletions(f"http://127.0.0.1:{port}/v1", api_key=key, advice=f"Try again, or {WITHOUT_IT}.")
        while True:
            try:
                health = await self._chat.get("/health")
                properties = await self._chat.get("models")
            except BridgeError:
                self._raise_if_ended(await self.log_tail())
                await anyio.sleep(_POLL_SECONDS)
                continue
            if health.get("status") == "ok":
                self.context_tokens = properties["data"][0]["meta"]["n_ctx"]
                return

    async def tokens(self, text: str) -> int:
        """Return the number of tokens of a text for this model. Raises ``BridgeError``."""
        return len((await self.chat.post("/tokenize", {"content": text}))["tokens"])

    async def ends_within(self, seconds: float) -> bool:
        """Return whether it has ended, after waiting for at most that time."""
        with anyio.move_on_after(seconds):
            await self._process.wait()
        return self.has_ended

    async def log_tail(self) -> str:
        """Return the end of its output, on one line; empty if there is none."""
        return await anyio.to_thread.run_sync(self._read_tail)

    async def aclose(self) -> None:
        """Stop it and wait for its end, also while being cancelled. Safe to call twice."""
        with anyio.CancelScope(shield=True):
            if self._chat is not None:
                await self._chat.aclose()
            assert self._process.stdin is not None
            await self._process.stdin.aclose()
            if not await self.ends_within(_STOP_SECONDS):
                self._process.kill()  # The kernel ends the server with its keeper.
                await self._process.wait()

    def _port(self) -> int | None:
        try:
            found = _LISTENING.search(self._log.read_bytes())
        except OSError:
            return None
        return int(found[1]) if found else None

    def _read_tail(self) -> str:
        try:
            end = self._log.read_bytes()[-_TAIL_BYTES:]
        except OSError:
            return ""
        return " ".join(end.decode(errors="replace").split())

    def _raise_if_ended(self, tail: str) -> None:
        if self.has_ended:
            raise _not_started(self.how_it_ended(), tail)

    def how_it_ended(self) -> str:
        """Return its exit status as a text."""
        status = self._process.returncode
        if status == 128 + 4:
            return "was ended by an instruction that this processor does not have"
        return f"ended with status {status}"


def _not_started(what: str, tail: str = "") -> BridgeError:
    return BridgeError(
        ErrorCode.UPSTREAM_UNAVAILABLE,
        f"The local model's server {what}.{f' The end of its log: {tail}' if tail else ''}",
        f"Try again, or {WITHOUT_IT}.",
    )


def _new_log(logs: Path) -> Path:
    logs.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Several servers may run, each with its own log; those of killed processes are removed when they are the oldest.
    old = sorted(logs.glob("llama-server-*.log"), key=lambda path: path.name)
    for path in old[: max(0, len(old) - _LOGS_KEPT + 1)]:
        path.unlink(missing_ok=True)
    descriptor, name = tempfile.mkstemp(prefix="llama-server-", suffix=".log", dir=logs)
    os.close(descriptor)
    return Path(name)


def _command(directory: Path) -> list[str]:
    return [
        *(sys.executable, "-I", "-S", "-B", model_server.__file__),
        *(str(directory), str(directory / MODEL_FILE)),
        *(str(_CONTEXT_TOKENS), str(SLOTS), str(usable_cores())),
    ]


def _environment(directory: Path, key: str) -> dict[str, str]:
    # Not the whole environment: LLAMA_*, GGML_* and OMP_* would change the server, and it needs no credentials. The key
    # is passed here because other users can read a command line.
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    # Threads that spin while they wait make it fifteen times slower as soon as another program needs a core.
    return kept | {
        "LLAMA_API_KEY": key,
        "OMP_WAIT_POLICY": "passive",
        "LD_LIBRARY_PATH": str(directory / OPENMP_DIRECTORY),
    }


def usable_cores() -> int:
    """Return how many threads this process may use: the cores it may run on, within the container's quota."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="utf-8").split()
        cores = min(cores, int(quota) // int(period))
    except (OSError, ValueError):
        pass  # No quota, or a system that has none.
    return max(1, min(cores, _MAX_THREADS))
