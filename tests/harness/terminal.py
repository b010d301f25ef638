"""The command line as a user has it: real processes, their output, their exit codes."""

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
"""Starts a server that answers every request with the same bytes; gives its address."""


@dataclass(frozen=True)
class Ran:
    """What a command did; ids, which differ each time, are ``REQUEST`` and ``CONVERSATION``.

    Attributes:
        conversations: the ids of conversations that it named, in order, each once.
    """

    out: str
    err: str
    code: int
    conversations: tuple[str, ...] = field(default=(), compare=False, repr=False)

    def folded(self) -> "Ran":
        """The same with long lines folded, to be read in a test."""
        return Ran(folded(self.out), folded(self.err), self.code)


def without_ids(text: str) -> str:
    """``text`` with words in place of the ids that differ each time."""
    return _CONVERSATION_ID.sub("CONVERSATION", _REQUEST_ID.sub("REQUEST", text))


def folded(text: str) -> str:
    """``text`` with its lines folded at 100 characters."""
    fold = partial(textwrap.fill, width=100, break_long_words=False, break_on_hyphens=False, drop_whitespace=True)
    return "".join(fold(line) + "\n" for line in text.splitlines())


class CommandLine:
    """Starts ``python -m databricks_responses_mcp``.

    Attributes:
        environ: the environment of the processes: nothing of the machine's own configuration.
    """

    def __init__(self, environ: Mapping[str, str], directory: Path) -> None:
        self.environ = dict(environ)
        self.directory = directory

    async def run(self, *arguments: str, stdin: bytes = b"", **environ: str) -> Ran:
        """Run a command to its end; an empty value takes a variable away."""
        with anyio.fail_after(DEADLINE_SECONDS):
            done = await anyio.run_process(
                self.argv(*arguments), input=stdin, check=False, env=self.with_environ(environ), cwd=self.directory
            )
        # Read as text is on Windows too.
        out, err = (data.decode().replace("\r\n", "\n") for data in (done.stdout, done.stderr))
        named = tuple(dict.fromkeys(_CONVERSATION_ID.findall(out + err)))
        return Ran(without_ids(out), without_ids(err), done.returncode, named)

    @asynccontextmanager
    async def started(
        self, *arguments: str, stdin: int = -3, stdout: int = -1, stderr: int = -1, **environ: str
    ) -> AsyncIterator[Process]:
        """A command that runs; it is ended with the context."""
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
        """The command line of a command."""
        return [sys.executable, "-m", "databricks_responses_mcp", *arguments]

    def with_environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The environment of one process."""
        return {name: value for name, value in {**self.environ, **environ}.items() if value}


def interrupt(process: Process) -> None:
    """What Ctrl-C does."""
    process.send_signal(signal.SIGINT)
