"""A host's program on a terminal, as its user sees and uses it."""

import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pyte

from harness.account import Account
from harness.deadlines import DEADLINE_SECONDS

ESCAPE = "\x1b"
_ROWS, _COLUMNS = 40, 120


class Screen:
    """The screen of a program on a terminal."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._screen = pyte.Screen(_COLUMNS, _ROWS)
        self._stream = pyte.ByteStream(self._screen)

    async def type(self, keys: str) -> None:
        """Press keys."""
        await anyio.wait_writable(self._terminal)
        os.write(self._terminal, keys.encode())

    async def enter(self, line: str) -> None:
        """Type a line, and press Enter when it is on the screen."""
        await self.type(line)
        await self.until(line)
        await self.type("\r")

    async def until(self, text: str) -> None:
        """Wait until ``text`` is on the screen.

        Raises:
            AssertionError: it does not appear.
        """
        with anyio.move_on_after(DEADLINE_SECONDS):
            while text not in self.shown():
                await anyio.wait_readable(self._terminal)
                try:
                    self._stream.feed(os.read(self._terminal, 65536))
                except OSError:  # the program has ended
                    break
        assert text in self.shown(), self.shown()

    def shown(self) -> str:
        """Return the current text of the screen."""
        return "\n".join(line.rstrip() for line in self._screen.display)


@asynccontextmanager
async def on_screen(account: Account, *argv: str) -> AsyncIterator[Screen]:
    """Start a program on a terminal; it is ended with the context."""
    import pty
    import termios
    from fcntl import ioctl

    terminal, program_side = pty.openpty()
    ioctl(program_side, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
    try:
        async with account.started(*argv, stdin=program_side, stdout=program_side, stderr=program_side):
            os.close(program_side)
            program_side = -1
            yield Screen(terminal)
    finally:
        os.close(terminal)
        if program_side >= 0:
            os.close(program_side)
