"""Environments of programs from PyPI with several packages: installed once into the checkout's cache."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.deadlines import LONG_DEADLINE_SECONDS
from harness.pip_programs import UV, pip_bin

CACHE = Path(__file__).parents[2] / ".cache" / "pip"


def pip_environment(*requirements: str) -> Path:
    """Return the folder of the commands of ``requirements`` (in pip's syntax), with its ``python``.

    The test is skipped on a machine without pip. Each list of requirements has its own environment.
    """
    if shutil.which("python3") is None:
        pytest.skip("pip is needed")
    digest = hashlib.sha256(" ".join(requirements).encode()).hexdigest()[:8]
    folder = CACHE / f"{requirements[0].partition('=')[0].partition('[')[0]}-{digest}"
    with alone(CACHE / f"{folder.name}.lock"):
        if not (folder / "installed").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _run(sys.executable, "-m", "venv", "--without-pip", str(folder))
            _run(
                *("python3", "-m", "pip", "--python", str(folder), "install"),
                *("--quiet", "--disable-pip-version-check", "--no-input", *requirements),
            )
            (folder / "installed").write_text("\n".join(requirements), encoding="utf-8")
    return folder / "bin"


def uv_environment(*requirements: str, without: Sequence[str] = ()) -> Path:
    """Return the folder of the commands of ``requirements``, resolved and installed by uv.

    Faster than `pip_environment`, and for large dependencies that the tests never import.

    Args:
        without: names of packages that are not installed, although something depends on them.
    """
    uv = pip_bin(UV) / "uv"
    digest = hashlib.sha256(" ".join((*requirements, "-", *without)).encode()).hexdigest()[:8]
    folder = CACHE / f"{requirements[0].partition('=')[0].partition('[')[0]}-{digest}"
    with alone(CACHE / f"{folder.name}.lock"):
        if not (folder / "installed").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _run(sys.executable, "-m", "venv", "--without-pip", str(folder))
            overrides = folder / "overrides.txt"
            overrides.write_text("".join(f"{name} ; sys_platform == 'none'\n" for name in without), encoding="utf-8")
            _run(
                *(str(uv), "pip", "install", "--quiet", "--python", str(folder / "bin" / "python")),
                *("--override", str(overrides), *requirements),
            )
            (folder / "installed").write_text("\n".join(requirements), encoding="utf-8")
    return folder / "bin"


def _run(*argv: str) -> None:
    # uv does not read pip's variables; wheels on this machine's disk are for both.
    found = {"UV_FIND_LINKS": os.environ["PIP_FIND_LINKS"]} if "PIP_FIND_LINKS" in os.environ else {}
    subprocess.run(
        argv,
        check=True,
        timeout=LONG_DEADLINE_SECONDS,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={**os.environ, **found},
    )


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Hold a lock against the other test processes."""
    import fcntl  # missing on some systems, where these tests are skipped

    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
