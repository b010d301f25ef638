"""A server of another project, as a process on a loopback port."""

import os
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from harness.deadlines import DEADLINE_SECONDS, LONG_DEADLINE_SECONDS

_GRACE_SECONDS = 10
"""The time for a server to end before it is killed, in seconds."""

_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT")


@dataclass(frozen=True, slots=True)
class ForeignServer:
    """A running server.

    Attributes:
        origin: its address.
        key: the bearer token that it accepts.
        process: its process.
        log: the file with its output.
    """

    origin: str
    key: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def port(self) -> int:
        return int(self.origin.rpartition(":")[2])


@contextmanager
def foreign_server(
    command: Sequence[str],
    *,
    port: int,
    ready: str,
    key: str = "dapi-test",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Iterator[ForeignServer]:
    """Run ``command`` until the context ends, which begins when it answers.

    Args:
        port: the port on which it listens, from `free_port`.
        ready: a path that it answers with success as soon as it is ready.
        key: the bearer token that it accepts; sent with the requests for ``ready``.
        env: variables added to PATH and similar ones. No other variable of this process is inherited.
    """
    with tempfile.TemporaryDirectory(prefix="upstream-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                list(command),
                cwd=cwd or folder,
                env={**{name: os.environ[name] for name in _KEPT if name in os.environ}, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                # In its own session: Ctrl-C reaches only the tests, which end the server and its children.
                start_new_session=True,
            )
        try:
            server = ForeignServer(f"http://127.0.0.1:{port}", key, process, log)
            _wait_until_ready(server, ready)
            yield server
        finally:
            _end(process)


def free_port() -> int:
    """Return a free port on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(server: ForeignServer, path: str) -> None:
    request = urllib.request.Request(server.origin + path, headers={"authorization": f"Bearer {server.key}"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(LONG_DEADLINE_SECONDS * 10):
        with suppress(OSError):  # not ready yet; HTTP errors are subclasses
            opener.open(request, timeout=DEADLINE_SECONDS).close()
            return
        with suppress(subprocess.TimeoutExpired):
            server.process.wait(0.1)
            break
    raise AssertionError(server.log.read_text(encoding="utf-8", errors="replace")[-4000:])


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server and its children, which are all in its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 15)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.wait(DEADLINE_SECONDS)
