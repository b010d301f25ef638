"""Output: only the answer goes to stdout, everything about it to stderr."""

import errno
import json
import os
import re
import sys
from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread
import click

from databricks_responses_mcp.cli.wrapping import Wrapper, columns_of, wrapped
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.visible import LINES, visible

# Control characters could rewrite the screen, the clipboard or the title: a model's are never sent to a terminal.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# The errors of a reader that has ended: on Windows a closed pipe is an invalid argument.
_CLOSED = (errno.EPIPE, errno.EINVAL, errno.ESHUTDOWN)

_threads_writing = 0


class OutputClosedError(Exception):
    """Nobody reads stdout any more (``| head -1``): the command ends without a message."""


def is_stuck() -> bool:
    """Return whether a thread is still waiting for a reader of its output."""
    return _threads_writing > 0


def prepare_streams() -> None:
    """Replace characters that the terminal's encoding does not have, instead of ending the command.

    For a file or a pipe Windows would use its old code page, which has few characters; UTF-8 is used instead, unless
    ``PYTHONIOENCODING`` says otherwise.
    """
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            if sys.platform == "win32" and not stream.isatty() and not os.environ.get("PYTHONIOENCODING"):
                reconfigure(encoding="utf-8")
            reconfigure(errors="replace")


def harmless(text: str) -> str:
    """Return ``text`` without control characters other than tabs and line breaks."""
    return _CONTROL.sub("", text)


def write_out(text: str) -> None:
    """Write to stdout and flush. Blocks while the reader is busy.

    Raises:
        OutputClosedError: nobody reads any more.
        BridgeError: ``internal``, if writing fails for another reason, such as a full disk.
    """
    out = sys.stdout
    if out is None:
        return
    try:
        out.write(harmless(text) if out.isatty() else text)
        out.flush()
    except OSError as error:
        _discard_the_rest()
        if error.errno in _CLOSED:
            raise OutputClosedError from error
        raise BridgeError(
            ErrorCode.INTERNAL,
            f"stdout cannot be written: {error.strerror}.",
            "Check where it is redirected to.",
        ) from error


async def write_out_aside(text: str) -> None:
    """Call `write_out` in a thread: a slow reader does not block the event loop."""
    await anyio.to_thread.run_sync(_write_counted, text, abandon_on_cancel=True)


def write_json(value: Any) -> None:
    """Write a value to stdout as JSON, for machines and people.

    Characters that the encoding of stdout does not have become JSON escapes, so that nothing is lost.
    """
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "")
    write_out(json.dumps(value, ensure_ascii=encoding != "utf8", indent=2) + "\n")


def note(text: str, **style: Any) -> None:
    """Print a note about the answer: dim, on stderr; wrapped on a terminal."""
    click.echo(click.style(wrapped(visible(text, keep=LINES), sys.stderr), **(style or {"dim": True})), err=True)


def sign(structured: dict[str, Any], *more: str) -> None:
    """Print on stderr which model answered, what it cost, and in which conversation."""
    model, endpoint = structured.get("model", ""), structured.get("endpoint", "")
    who = [model if model == endpoint else f"{model} as {endpoint}"] if model else []
    conversation = [f"conversation {structured['conversation_id']}"] if "conversation_id" in structured else []
    note(f"({', '.join([*who, *_tokens(structured.get('usage') or {}), *conversation, *more])})")


def counted(count: int, word: str) -> str:
    """Return a number with its noun: ``1 turn``, ``2 turns``."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


class AnswerPrinter:
    """Writes an answer to stdout while it arrives; on a terminal its lines are wrapped.

    Args:
        before_first: called before the first character is written.
    """

    def __init__(self, before_first: Callable[[], None]) -> None:
        self._before_first = before_first
        self._pending: list[str] = []
        self._written: list[str] = []
        self._news = anyio.Event()
        self._idle = anyio.Event()
        self._idle.set()
        columns = columns_of(sys.stdout)
        self._wrapper = None if columns is None else Wrapper(columns)

    def take(self, piece: str) -> None:
        """Add a piece of the answer."""
        if self._idle.is_set():
            self._idle = anyio.Event()
        self._pending.append(piece)
        self._news.set()

    async def run(self) -> None:
        """Write what arrives, until cancelled.

        Raises:
            OutputClosedError: nobody reads any more.
        """
        while True:
            await self._news.wait()
            self._news = anyio.Event()
            text = "".join(self._pending)
            self._pending.clear()
            if not self._written:
                self._before_first()
            self._written.append(text)
            shown = text if self._wrapper is None else self._wrapper.feed(harmless(text))
            if shown:
                await write_out_aside(shown)
            if not self._pending:
                self._idle.set()

    async def finish(self, whole: str) -> bool:
        """Write the rest of the answer that has not been streamed, and end the line.

        Returns:
            Whether exactly the whole answer was written.
        """
        await self._idle.wait()
        written = "".join(self._written)
        same = whole.startswith(written)
        if same and len(whole) > len(written):
            self.take(whole[len(written) :])
            await self._idle.wait()
            written = whole
        if written and not written.endswith("\n"):
            self.take("\n")
            await self._idle.wait()
        if self._wrapper is not None and (held_back := self._wrapper.finish()):
            await write_out_aside(held_back)
        return same


def _tokens(usage: dict[str, Any]) -> list[str]:
    parts = [
        f"{usage[key]} token{'' if usage[key] == 1 else 's'} {word}"
        for key, word in (("input_tokens", "in"), ("output_tokens", "out"))
        if key in usage
    ]
    details = usage.get("output_tokens_details")
    if parts and isinstance(details, dict) and details.get("reasoning_tokens"):
        parts[-1] += f" ({details['reasoning_tokens']} of them reasoning)"
    return parts


def _write_counted(text: str) -> None:
    global _threads_writing
    _threads_writing += 1
    try:
        write_out(text)
    finally:
        _threads_writing -= 1


def _discard_the_rest() -> None:
    """Discard buffered output, which the interpreter would otherwise write at its end."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        return
