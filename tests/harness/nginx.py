"""A real nginx before several replicas of a service, as a process on a loopback port."""

import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.deadlines import DEADLINE_SECONDS

ROOT = Path(__file__).parents[2]
_BALANCING = ROOT / "manifests" / "docker" / "nginx.conf"
"""What a real deployment uses: everything but the names of the replicas and the port."""


@dataclass
class Nginx:
    """A running nginx.

    Attributes:
        port: where it listens.
        folder: its configuration and logs.
        process: its master process.
    """

    port: int
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def origin(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def use(self, replicas: Sequence[int]) -> None:
        """Pass requests to the replicas on these ports from now on; requests that are under way go on."""
        _configure(self.folder, self.port, replicas)
        self.process.send_signal(signal.SIGHUP)


@contextmanager
def nginx(folder: Path, port: int, replicas: Sequence[int]) -> Iterator[Nginx]:
    """Run nginx on a port, before replicas on these ports. The test is skipped on a machine without nginx."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("nginx is needed")
    folder.mkdir()
    _configure(folder, port, replicas)
    command = [program, "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    subprocess.run([*command, "-t", "-q"], check=True, timeout=DEADLINE_SECONDS)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        yield Nginx(port, folder, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(DEADLINE_SECONDS)


def _configure(folder: Path, port: int, replicas: Sequence[int]) -> None:
    """Write the configuration: that of the deployment in a file of its own, with these replicas and this port."""
    servers = "\n".join(f"    server 127.0.0.1:{replica} max_fails=1 fail_timeout=2s;" for replica in replicas)
    balancing = _BALANCING.read_text(encoding="utf-8")
    balancing = balancing.replace("    server replica:8000 resolve;", servers).replace("listen 8080", f"listen {port}")
    assert servers in balancing
    assert f"listen {port}" in balancing
    lines = [
        "daemon off;",
        "worker_processes 1;",
        f"pid {folder}/pid;",
        "events { worker_connections 4096; }",
        "http {",
        *(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")),
        f"access_log {folder}/access.log;",
        balancing,
        "}",
    ]
    (folder / "nginx.conf").write_text("\n".join(lines), encoding="utf-8")
