"""A terminal for a command: its output, and keyboard input. Only on POSIX systems."""

import fcntl
import os
import pty
import struct
import termios

import anyio
import anyio.to_thread

from harness.terminal import without_ids


class Screen:
    """A terminal that a command writes to.

    Args:
        columns: its width; 0 for a terminal whose size is not set.

    Attributes:
        theirs: the command's end; close it in this process once the command has started.
    """

    def __init__(self, columns: int = 0) -> None:
        self.ours, self.theirs = pty.openpty()
        if columns:
            fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.seen = b""

    async def until(self, text: bytes) -> None:
        """Read until ``text`` has been written."""
        while text not in self.seen:
            self.seen += await anyio.to_thread.run_sync(os.read, self.ours, 65536)

    async def type(self, keys: bytes) -> None:
        """Press keys."""
        await anyio.to_thread.run_sync(os.write, self.ours, keys)

    async def rest(self) -> str:
        """Return all output, once the command has ended and closed the terminal."""
        try:
            while data := await anyio.to_thread.run_sync(os.read, self.ours, 65536):
                self.seen += data
        except OSError:
            pass  # the end of a terminal on Linux
        os.close(self.ours)
        return without_ids(self.seen.decode().replace("\r\n", "\n"))
