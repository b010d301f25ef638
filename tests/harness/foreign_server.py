"""A server that nobody here wrote, as a process on a loopback port of its own."""

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
"""How long a server has to end by itself before it is killed."""

_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT")


@dataclass(frozen=True, slots=True)
class ForeignServer:
    """A server that runs.

    Attributes:
        origin: its address.
        key: what it takes for a bearer token.
        process: the server's own.
        log: what it prints.
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
    """Run ``command`` until the end, from when it answers.

    Args:
        port: where it was told to listen; of `free_port`.
        ready: the path that it answers with success as soon as it can be used.
        key: what it was told to take for a bearer token; sent with the question whether it is ready.
        env: what it sees of the environment besides PATH and the like. Nothing else of this process's is passed on.
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
                # Ctrl-C is for the tests, which then end the server themselves; and it may have children.
                start_new_session=True,
            )
        try:
            server = ForeignServer(f"http://127.0.0.1:{port}", key, process, log)
            _wait_until_ready(server, ready)
            yield server
        finally:
            _end(process)


def free_port() -> int:
    """A port of loopback that the system has free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(server: ForeignServer, path: str) -> None:
    request = urllib.request.Request(server.origin + path, headers={"authorization": f"Bearer {server.key}"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(LONG_DEADLINE_SECONDS * 10):
        with suppress(OSError):  # of which HTTP errors are some: not yet
            opener.open(request, timeout=DEADLINE_SECONDS).close()
            return
        with suppress(subprocess.TimeoutExpired):
            server.process.wait(0.1)
            break
    raise AssertionError(server.log.read_text(encoding="utf-8", errors="replace")[-4000:])


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server and what it has started, which is all in the session that it leads."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 15)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.wait(DEADLINE_SECONDS)
