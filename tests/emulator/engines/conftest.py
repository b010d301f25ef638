"""Real wheels, a real package index and real chat servers, all small and on this machine."""

import base64
import contextlib
import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from databricks_workspace_emulator.engines.artifacts import Artifact


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def engine_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the real engine is kept for the session, so that it is fetched once."""
    return tmp_path_factory.mktemp("engine-cache")


@dataclass
class Index:
    """A package index on a loopback port. ``requests`` holds the paths that were asked for."""

    directory: Path
    url: str = ""
    json: bool = True
    requests: list[str] = field(default_factory=list)
    before_file: Callable[[], object] | None = None
    cut_file_after: int | None = None

    def add(self, name: str = "tiny-engine") -> Artifact:
        """Puts a wheel in the index."""
        return make_wheel(self.directory, name)

    def files_fetched(self) -> list[str]:
        return [path.removeprefix("/files/") for path in self.requests if path.startswith("/files/")]


def make_wheel(directory: Path, name: str = "tiny-engine", payload: bytes = b"weights" * 1000) -> Artifact:
    """A wheel that pip accepts, with two files of which one is needed."""
    stem = name.replace("-", "_")
    filename = f"{stem}-1.0-py3-none-any.whl"
    directory.mkdir(parents=True, exist_ok=True)
    files = {
        f"{stem}/payload.bin": payload,
        f"{stem}/unneeded.txt": b"not wanted",
        f"{stem}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{stem}-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
        for path, data in files.items()
    )
    with zipfile.ZipFile(directory / filename, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
        archive.writestr(f"{stem}-1.0.dist-info/RECORD", record + f"{stem}-1.0.dist-info/RECORD,,\n")
    data = (directory / filename).read_bytes()
    return Artifact(name, "1.0", filename, len(data), hashlib.sha256(data).hexdigest(), (f"{stem}/payload.bin",))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """An index that serves the wheels in its directory, and pip told to use it and nothing else."""
    served = Index(tmp_path / "index")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.requests.append(self.path)
            path = served.directory / self.path.rsplit("/", 1)[-1]
            if self.path.startswith("/files/") and path.is_file():
                if served.before_file is not None:
                    served.before_file()
                data = path.read_bytes()
                self.send_response(200)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(data[: served.cut_file_after])
                self.close_connection = True
                return
            project = self.path.strip("/").rsplit("/", 1)[-1].replace("-", "_")
            names = sorted(wheel.name for wheel in served.directory.glob(f"{project}-*.whl"))
            if served.json:
                kind = "application/vnd.pypi.simple.v1+json"
                files = [{"filename": name, "url": f"/files/{name}", "hashes": {}} for name in names]
                body = json.dumps({"meta": {"api-version": "1.0"}, "name": project, "files": files}).encode()
            else:
                kind = "text/html"
                links = "".join(f'<a href="/files/{name}#frag">{name}</a>' for name in names)
                body = f"<!DOCTYPE html><html><body>{links}</body></html>".encode()
            self.send_response(200 if names else 404)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served.url = f"http://127.0.0.1:{server.server_port}/simple"
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", served.url)
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def no_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This interpreter as it is in an environment without pip, on a machine that has none elsewhere."""
    environment = tmp_path / "without-pip"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(sys, "_base_executable", str(python))
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    return python
