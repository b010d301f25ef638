"""A real pgbouncer in transaction mode in front of a PostgreSQL server: each transaction may get another connection."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pytest

from harness.deadlines import DEADLINE_SECONDS
from harness.postgres_server import PostgresServer

_NOBODY = 65534


@dataclass(slots=True)
class PgBouncer:
    """A running pgbouncer.

    Attributes:
        port: on loopback.
        server_port: of the server behind it.
        process: pgbouncer's; another one after `restart`.
    """

    port: int
    server_port: int
    process: subprocess.Popen[bytes]
    _command: list[str]

    def url(self, server_url: str) -> str:
        """Return the URL of a database of the server through pgbouncer."""
        return server_url.replace(f":{self.server_port}/", f":{self.port}/")

    def restart(self) -> None:
        """End pgbouncer with all its connections, and start it again."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(DEADLINE_SECONDS)
        self.process = _start(self._command)
        _wait_until_it_listens(self.port, self.process)


@contextmanager
def pgbouncer_of(server: PostgresServer, *, connections: int) -> Iterator[PgBouncer]:
    """Run pgbouncer until the context ends. The test is skipped on a machine without it.

    Args:
        connections: the most to each database of the server.
    """
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is needed: apt install pgbouncer")
    folder = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    (folder / "users").write_text(f'"postgres" "{unquote(server.password)}"\n', encoding="utf-8")
    (folder / "config").write_text(
        f"""[databases]
* = host=127.0.0.1 port={server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder / "users"}
pool_mode = transaction
default_pool_size = {connections}
max_client_conn = 500
server_login_retry = 1
""",
        encoding="utf-8",
    )
    folder.chmod(0o755)
    command = [program, "-q", str(folder / "config")]
    bouncer = PgBouncer(port, server.port, _start(command), command)
    try:
        _wait_until_it_listens(port, bouncer.process)
        yield bouncer
    finally:
        bouncer.process.kill()
        bouncer.process.wait(DEADLINE_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    """Start pgbouncer, as another user if this one is root, which it refuses."""
    is_root = os.geteuid() == 0
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        **({"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if is_root else {}),
    )


def _wait_until_it_listens(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < until:
        assert process.poll() is None, "pgbouncer ended"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("pgbouncer does not listen")
