"""The event loop's clock, set forward by a test: a limit of minutes ends when the test says so."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio

from harness.deadlines import DEADLINE_SECONDS


class Clock:
    """The clock of the running event loop, which measures every deadline of asyncio and AnyIO.

    A test sets a limit so long that it cannot be reached by itself, however busy the machine is, waits for the state
    that it is about, and then sets the clock forward by that limit.
    """

    def __init__(self) -> None:
        self._ahead = 0.0
        self._real = asyncio.get_running_loop().time

    def time(self) -> float:
        """Return the time in seconds."""
        return self._real() + self._ahead

    def advance(self, seconds: float) -> None:
        """Make due now what would have been due in ``seconds``."""
        self._ahead += seconds

    async def advance_once(self, reached: Callable[[], object], seconds: float) -> None:
        """Set the clock forward by ``seconds`` as soon as ``reached`` says that the state is there.

        Raises:
            TimeoutError: when it does not come.
        """
        with anyio.fail_after(DEADLINE_SECONDS):
            while not reached():
                await anyio.lowlevel.checkpoint()
        self.advance(seconds)


@contextmanager
def settable_clock() -> Iterator[Clock]:
    """Replace the clock of the running event loop for as long as the context lasts."""
    loop = asyncio.get_running_loop()
    clock = Clock()
    loop.time = clock.time  # type: ignore[method-assign]
    try:
        yield clock
    finally:
        del loop.time
