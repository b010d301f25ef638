"""Programs from PyPI, for tests with official tools: installed once into the checkout's cache."""

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.deadlines import LONG_DEADLINE_SECONDS

CACHE = Path(__file__).parents[2] / ".cache" / "pip"
UV = "uv==0.13.9"


def pip_bin(requirement: str) -> Path:
    """Return the folder of the commands of ``requirement`` (``name==version``), installed at the first use.

    The test is skipped on a machine without pip.
    """
    if shutil.which("python3") is None:
        pytest.skip("pip is needed")
    folder = CACHE / requirement.replace("==", "-")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _run(sys.executable, "-m", "venv", "--without-pip", str(folder))
            _run("python3", "-m", "pip", "--python", str(folder), "install", "--quiet", requirement)
            (folder / "installed").touch()
    return folder / "bin"


def wheel_of(project: Path, folder: Path) -> Path:
    """Build a project's wheel in ``folder`` and return it."""
    _run("python3", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(project))
    return next(folder.glob("*.whl"))


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, timeout=LONG_DEADLINE_SECONDS, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
