"""Short progress messages about a turn for a host.

Hosts show the newest message and truncate it at 200 characters; some end a call without progress after a minute.
"""

import logging
from collections.abc import Awaitable, Callable

import anyio

from databricks_responses_mcp.responses.accumulator import ResponseAssembler
from databricks_responses_mcp.responses.sanitize import sanitize_text

Report = Callable[[float, str], Awaitable[None]]
"""Receives a value that only increases (seconds since the call began) and a message of at most 200 characters."""

logger = logging.getLogger(__name__)

_MESSAGE = 200
_NEWS_SECONDS = 1.0
_SILENCE_SECONDS = 10.0


class Reporter:
    """Sends the progress of one call, which may run several turns concurrently.

    Args:
        report: sends a message.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._started = anyio.current_time()
        self._last = 0.0
        self._silent = False

    def silence(self) -> None:
        """Send nothing more: the call has been answered."""
        self._silent = True

    async def say(self, message: str) -> None:
        """Send one message now."""
        if self._silent:
            return
        value = round(anyio.current_time() - self._started, 3)
        self._last = value = max(value, round(self._last + 0.001, 3))
        # A piece of text may end within a character: half an emoji cannot be encoded.
        message = sanitize_text(message)
        try:
            await self._report(value, message if len(message) <= _MESSAGE else message[: _MESSAGE - 1] + "…")
        except Exception:
            # A host that no longer accepts progress must not lose the answer.
            self._silent = True
            logger.warning("progress could not be sent; the call continues without it", exc_info=True)

    @property
    def elapsed(self) -> float:
        """The seconds since the call began."""
        return anyio.current_time() - self._started


class TurnProgress:
    """Reports on one turn: when there is news, at most once a second and at least every ten seconds.

    Args:
        reporter: the call's reporter.
        assembler: the turn's state.
        label: precedes each message, to distinguish several turns.
    """

    def __init__(self, reporter: Reporter, assembler: ResponseAssembler, label: str) -> None:
        self._reporter = reporter
        self._assembler = assembler
        self._label = label
        self._wake = anyio.Event()

    async def opened(self) -> None:
        """Report that the answer has begun."""
        await self._reporter.say(f"{self._label}: the model is answering")

    async def waiting(self, reason: str, seconds: float) -> None:
        """Report that the request will be sent again after a wait."""
        await self._reporter.say(f"{self._label}: {reason}, trying again in {seconds:.0f} s")

    def preview(self) -> None:
        """Report a preview of an image immediately."""
        self._wake.set()

    async def run(self) -> None:
        """Report until cancelled."""
        told_events, told_at = self._assembler.events, anyio.current_time()
        while True:
            with anyio.move_on_after(_NEWS_SECONDS):
                await self._wake.wait()
            self._wake = anyio.Event()
            events, now = self._assembler.events, anyio.current_time()
            if events != told_events or now - told_at >= _SILENCE_SECONDS:
                told_events, told_at = events, now
                await self._reporter.say(self._message())

    def _message(self) -> str:
        assembler = self._assembler
        head = f"{self._label}: {assembler.phase}, {self._reporter.elapsed:.0f} s"
        if not assembler.characters:
            return head
        head += f", {assembler.characters} characters: …"
        tail = " ".join(assembler.tail.split())
        return head + tail[-(_MESSAGE - len(head)) :]
