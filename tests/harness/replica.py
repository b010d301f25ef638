"""One replica of a service, as a process that may be killed."""

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.deadlines import DEADLINE_SECONDS
from harness.foreign_server import free_port
from harness.stdio_process import COMMAND


@dataclass(frozen=True, slots=True)
class Replica:
    """A running replica.

    Attributes:
        port: on loopback.
        process: its process.
        log: the file with its log.
    """

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def end(self) -> None:
        """End the process; does nothing if it has ended."""
        self.process.terminate()
        try:
            self.process.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(DEADLINE_SECONDS)


def start_replica(folder: Path, environ: Mapping[str, str]) -> Replica:
    """Start a replica on a free port; returns when it is ready. Blocks: call it in a thread."""
    folder.mkdir()
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*COMMAND, "serve", "--http", f"127.0.0.1:{port}"],
            env={**environ, "HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )
    replica = Replica(port, process, folder / "log")
    until = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz"):
            return replica
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    replica.end()
    raise AssertionError((folder / "log").read_text(encoding="utf-8", errors="replace"))
