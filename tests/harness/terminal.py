"""The command line as users run it: real processes, their output and exit codes."""

import re
import signal
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio
from anyio.abc import Process

from harness.deadlines import DEADLINE_SECONDS

_REQUEST_ID = re.compile(r"\b[0-9a-f]{32}\b")
_CONVERSATION_ID = re.compile(r"\bconv_[0-9a-f]{16}\b")

Answering = Callable[[bytes], AbstractAsyncContextManager[str]]
"""Starts a server that answers every request with the same bytes; returns its address."""


@dataclass(frozen=True)
class Ran:
    """The output of a command; ids, which differ each time, are replaced by ``REQUEST`` and ``CONVERSATION``.

    Attributes:
        conversations: the ids of conversations in its output, in order, without duplicates.
    """

    out: str
    err: str
    code: int
    conversations: tuple[str, ...] = field(default=(), compare=False, repr=False)

    def folded(self) -> "Ran":
        """Return the same output with long lines folded."""
        return Ran(folded(self.out), folded(self.err), self.code)


def without_ids(text: str) -> str:
    """Return ``text`` with the ids replaced by words."""
    return _CONVERSATION_ID.sub("CONVERSATION", _REQUEST_ID.sub("REQUEST", text))


def folded(text: str) -> str:
    """Return ``text`` with its lines folded at 100 characters."""
    fold = partial(textwrap.fill, width=100, break_long_words=False, break_on_hyphens=False, drop_whitespace=True)
    return "".join(fold(line) + "\n" for line in text.splitlines())


class CommandLine:
    """Starts ``python -m databricks_responses_mcp``.

    Attributes:
        environ: the environment of the processes, without the machine's own configuration.
    """

    def __init__(self, environ: Mapping[str, str], directory: Path) -> None:
        self.environ = dict(environ)
        self.directory = directory

    async def run(self, *arguments: str, stdin: bytes = b"", **environ: str) -> Ran:
        """Run a command to its end; an empty value removes a variable."""
        with anyio.fail_after(DEADLINE_SECONDS):
            done = await anyio.run_process(
                self.argv(*arguments), input=stdin, check=False, env=self.with_environ(environ), cwd=self.directory
            )
        # Universal newlines, as for text on Windows.
        out, err = (data.decode().replace("\r\n", "\n") for data in (done.stdout, done.stderr))
        named = tuple(dict.fromkeys(_CONVERSATION_ID.findall(out + err)))
        return Ran(without_ids(out), without_ids(err), done.returncode, named)

    @asynccontextmanager
    async def started(
        self, *arguments: str, stdin: int = -3, stdout: int = -1, stderr: int = -1, **environ: str
    ) -> AsyncIterator[Process]:
        """Start a command; it is ended with the context."""
        process = await anyio.open_process(
            self.argv(*arguments),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=self.with_environ(environ),
            cwd=self.directory,
        )
        with anyio.fail_after(DEADLINE_SECONDS):
            try:
                yield process
            finally:
                if process.returncode is None:
                    process.kill()
                with anyio.CancelScope(shield=True):
                    await process.aclose()

    @staticmethod
    def argv(*arguments: str) -> list[str]:
        """Return the command line of a command."""
        return [sys.executable, "-m", "databricks_responses_mcp", *arguments]

    def with_environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of one process."""
        return {name: value for name, value in {**self.environ, **environ}.items() if value}


def interrupt(process: Process) -> None:
    """Interrupt a process as Ctrl-C does."""
    process.send_signal(signal.SIGINT)
