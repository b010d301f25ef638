"""Keeping a server only as long as the process that uses it: a small separate program, run as a script.

    python -I -S keeper.py OWNER_PID LOG_FILE COMMAND [ARGUMENT …]

Standard input is a pipe from the owner. When it ends, for whatever reason the owner ended, the server is terminated,
and killed if it does not end. If this program is killed itself, the kernel kills the server (Linux). The output of the
server goes to the log file, of which only the end is kept.

Only the standard library is imported, so that it starts quickly.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

_LOG_BYTES = 256 * 1024
_GRACE_SECONDS = 2.0
_OWNER_POLL_SECONDS = 2.0
_PR_SET_PDEATHSIG = 1


class _Log:
    """A file with the last part of what was written to it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)

    def write(self, data: bytes) -> None:
        # A full disk must not end the server.
        try:
            os.write(self._file, data)
            if (size := os.lseek(self._file, 0, os.SEEK_CUR)) > _LOG_BYTES:
                end = os.pread(self._file, _LOG_BYTES // 2, size - _LOG_BYTES // 2)
                os.ftruncate(self._file, 0)
                os.lseek(self._file, 0, os.SEEK_SET)
                os.write(self._file, end)
        except OSError:
            return


def _die_with_keeper() -> Callable[[], None] | None:
    """Set up the child process between fork and exec. Safe here, unlike in the owner: this program has one thread."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    keeper = os.getpid()

    def before_exec() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:  # It ended before the line above took effect.
            os._exit(1)

    return before_exec


def _owner_is_gone(owner: int, ready: list[int]) -> bool:
    # A fork of the owner may keep the pipe open after the owner has ended; the parent's id changes in any case.
    return os.getppid() != owner or (0 in ready and os.read(0, 4096) == b"")


def keep(owner: int, log: _Log, command: list[str]) -> int:
    """Run the command until it ends or the owner is gone; return its exit status, negative for a signal."""
    try:
        server = subprocess.Popen(  # noqa: S603  # the owner's command line
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=_die_with_keeper(),
        )
    except OSError as error:
        log.write(f"cannot start {command[0]}: {error.strerror}\n".encode())
        return 127
    assert server.stdout is not None
    output = server.stdout.fileno()
    while True:
        ready, _, _ = select.select([0, output], [], [], _OWNER_POLL_SECONDS)
        if output in ready:
            if not (data := os.read(output, 65536)):
                return server.wait()
            log.write(data)
        if _owner_is_gone(owner, ready):
            return _end(server, output, log)


def _end(server: subprocess.Popen[bytes], output: int, log: _Log) -> int:
    server.terminate()
    deadline = time.monotonic() + _GRACE_SECONDS
    # Its last output is still read: a full pipe would prevent it from ending.
    while (left := deadline - time.monotonic()) > 0:
        if select.select([output], [], [], left)[0]:
            if not (data := os.read(output, 65536)):
                break
            log.write(data)
    try:
        return server.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        server.kill()
        return server.wait()


def main(arguments: list[str]) -> int:
    """Run the program; see the module's text."""
    status = keep(int(arguments[0]), _Log(Path(arguments[1])), arguments[2:])
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
