"""Programs from npm, for tests with real hosts and official tools: installed once into the checkout's cache."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.deadlines import LONG_DEADLINE_SECONDS

CACHE = Path(__file__).parents[2] / ".cache" / "npm"
NODE = "node@24.21.0"
"""The Node for the tools: some need a newer version than the machine's."""


def npm_bin(*packages: str) -> Path:
    """Return the folder of the commands of ``packages`` (``name@version``), installed at the first use.

    The test is skipped on a machine without npm.
    """
    if sys.platform == "win32" or shutil.which("npm") is None:
        pytest.skip("npm is needed")
    name = hashlib.sha256(" ".join(sorted(packages)).encode()).hexdigest()[:16]
    folder = CACHE / name
    with _alone(CACHE / f"{name}.lock"):
        if not (folder / "installed").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            (folder / "package.json").write_text('{"private": true}\n', encoding="utf-8")
            subprocess.run(
                ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", *packages],
                cwd=folder,
                check=True,
                timeout=LONG_DEADLINE_SECONDS,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
            (folder / "installed").write_text("\n".join(packages), encoding="utf-8")
    return folder / "node_modules" / ".bin"


def npm_path(*packages: str) -> str:
    """Return a PATH with the commands of ``packages`` and a new Node before the machine's own."""
    return os.pathsep.join([str(npm_bin(*packages)), str(npm_bin(NODE)), os.environ["PATH"]])


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold a lock against the other test processes."""
    import fcntl

    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
