"""A user's account for one test: an empty home folder and project for a real host."""

import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio.abc import Process

from harness.deadlines import DEADLINE_SECONDS
from harness.terminal import Ran


@dataclass
class Account:
    """An empty home folder with a project, and the environment of processes in it.

    Attributes:
        home: the home folder.
        project: the folder in which processes start; below the home folder.
        server_env: the variables that the bridge's process needs to reach this test's workspace.
        environ: the environment of the host's processes, without the machine's own configuration. Tests add to it.
    """

    home: Path
    server_env: Mapping[str, str]
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.project = self.home / "project"
        self.project.mkdir(parents=True)
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        self.environ = {**kept, "HOME": str(self.home), "TERM": "xterm-256color", "NO_COLOR": "1", **self.environ}

    def write(self, path: str, text: str) -> Path:
        """Write a file below the home."""
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    async def run(self, *argv: str, seconds: float = DEADLINE_SECONDS, **environ: str) -> Ran:
        """Run a command to its end, with an empty stdin."""
        pipe = subprocess.PIPE
        async with self.started(
            *argv, seconds=seconds, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, **environ
        ) as process:
            out: list[bytes] = []
            err: list[bytes] = []
            assert process.stdout is not None
            assert process.stderr is not None
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_collect, process.stdout, out)
                tasks.start_soon(_collect, process.stderr, err)
            code = await process.wait()
        return Ran(b"".join(out).decode(), b"".join(err).decode(), code)

    @asynccontextmanager
    async def started(
        self,
        *argv: str,
        seconds: float = DEADLINE_SECONDS,
        stdin: int = subprocess.PIPE,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
        **environ: str,
    ) -> AsyncIterator[Process]:
        """Start a process; it is ended with the context.

        Raises:
            TimeoutError: the context lasts longer than ``seconds``.
        """
        process = await anyio.open_process(
            argv,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env={**self.environ, **environ},
            cwd=self.project,
            start_new_session=True,
        )
        with anyio.fail_after(seconds):
            try:
                yield process
            finally:
                _end(process)
                with anyio.CancelScope(shield=True):
                    await process.aclose()


async def _collect(stream: anyio.abc.ByteReceiveStream, into: list[bytes]) -> None:
    into.extend([chunk async for chunk in stream])


def _end(process: Process) -> None:
    """End a process and its children, which form a session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
