"""What signing in meets: a workspace's token service on loopback, a host that never answers, programs on PATH."""

import json
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from harness.deadlines import DEADLINE_SECONDS
from harness.http_transports import TRANSPORTS, use_transport


@dataclass
class TokenService:
    """A workspace that tells where to sign in, and gives tokens to service principals."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    refuse: bool = False
    gate: threading.Event = field(default_factory=threading.Event)
    waiting: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        if path == "/.well-known/databricks-config":
            return 200, {"oidc_endpoint": f"{self.url}/oidc", "workspace_id": "4711"}
        if path == "/oidc/.well-known/oauth-authorization-server":
            return 200, {"authorization_endpoint": f"{self.url}/authorize", "token_endpoint": f"{self.url}/token"}
        if path == "/token" and self.refuse:
            return 401, {"error": "invalid_client", "error_description": "Client authentication failed"}
        if path == "/token":
            number = self.asked.count("/token")
            return 200, {"access_token": f"token-{number}", "token_type": "Bearer", "expires_in": 3600}
        return 404, {}


@pytest.fixture(params=TRANSPORTS)
def each_transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the two transports, one after the other."""
    use_transport(request.param, monkeypatch)


@pytest.fixture
def token_service() -> Iterator[TokenService]:
    service = TokenService()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            service.asked.append(self.path)
            if self.path == "/token":
                service.authorizations.append(self.headers.get("authorization", ""))
                self.rfile.read(int(self.headers.get("content-length", 0)))
                service.waiting.set()
                service.gate.wait(DEADLINE_SECONDS)
            status, body = service.answer(self.path)
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        do_POST = do_GET  # noqa: N815 - the standard library's name

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: object) -> None:
            """A caller that went away is what some tests are about."""

    with Server(("127.0.0.1", 0), Handler) as server:
        service.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield service
        service.gate.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def silent_host() -> Iterator[str]:
    """An address where connections are made and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory of one's own, and an environment in which nothing of Databricks is configured."""
    for name in list(os.environ):
        if name.startswith(("DATABRICKS_", "ARM_", "GOOGLE_", "RESPONSES_MCP_")):
            monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return folder


@pytest.fixture
def run_with_open_input() -> Callable[[str, int], list[str]]:
    """``run(code, n)``: the first n lines that Python prints, while its input holds ``request`` and stays open."""

    def run(code: str, count: int) -> list[str]:
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            # What waits for input that never ends would wait for ever: then the lines come out short.
            watchdog = threading.Timer(30, process.kill)
            watchdog.start()
            process.stdin.write("request\n")
            process.stdin.flush()
            lines = [process.stdout.readline().strip() for _ in range(count)]
            watchdog.cancel()
            process.stdin.close()
        return lines

    return run


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """``program(name, script)`` puts a shell script on PATH, as large as the SDK expects the real one to be."""

    def put(name: str, script: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\nexit 0\n" + "#" * (1024 * 1024 + 1))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        return path

    return put
