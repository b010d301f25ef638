"""What tests with the official tools share: this checkout as if it had been published, and an empty account."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from databricks_workspace_emulator.server import RunningEmulator
from harness.account import Account
from harness.pip_programs import UV, pip_bin, wheel_of
from harness.stdio_process import environment

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Published:
    """This checkout, to be had by name through uv.

    Attributes:
        environ: with which ``uvx`` finds it; nothing of it was ever downloaded before.
        bin: the folder of uv's commands.
    """

    environ: dict[str, str]
    bin: Path


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    folder = tmp_path_factory.mktemp("published")
    wheel_of(ROOT, folder / "dist")
    certificates = {name: os.environ[name] for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in os.environ}
    environ = {"UV_FIND_LINKS": str(folder / "dist"), "UV_CACHE_DIR": str(folder / "cache"), **certificates}
    return Published(environ, pip_bin(UV))


@pytest.fixture
def account(emulator: RunningEmulator, tmp_path: Path, published: Published) -> Account:
    """An empty account on a machine that has uv."""
    server_env = environment(emulator, tmp_path / "home")
    # Before the release the command that is installed is started, and uv afterwards.
    folders = [str(published.bin), str(Path(sys.executable).parent), os.environ["PATH"]]
    own = {"PATH": os.pathsep.join(folders), **published.environ}
    return Account(home=tmp_path / "home", server_env=server_env, environ=own)
