"""The event loop's clock, which a test can advance, so that a time limit of minutes ends at once."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio

from harness.deadlines import DEADLINE_SECONDS


class Clock:
    """The clock of the running event loop, which measures every deadline of asyncio and AnyIO.

    A test sets a time limit that is too long to be reached even on a busy machine, waits for the state under test, and
    then advances the clock by that limit.
    """

    def __init__(self) -> None:
        self._ahead = 0.0
        self._real = asyncio.get_running_loop().time

    def time(self) -> float:
        """Return the time in seconds."""
        return self._real() + self._ahead

    def advance(self, seconds: float) -> None:
        """Advance the clock by ``seconds``."""
        self._ahead += seconds

    async def advance_once(self, reached: Callable[[], object], seconds: float) -> None:
        """Advance the clock by ``seconds`` as soon as ``reached`` returns a true value.

        Raises:
            TimeoutError: it does not.
        """
        with anyio.fail_after(DEADLINE_SECONDS):
            while not reached():
                await anyio.lowlevel.checkpoint()
        self.advance(seconds)


@contextmanager
def settable_clock() -> Iterator[Clock]:
    """Replace the clock of the running event loop in the context."""
    loop = asyncio.get_running_loop()
    clock = Clock()
    loop.time = clock.time  # type: ignore[method-assign]
    try:
        yield clock
    finally:
        del loop.time
