"""Programs with libraries of other projects: each runs in the environment of its library and prints JSON."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from harness.deadlines import DEADLINE_SECONDS
from harness.npm import NODE, npm_bin

_KEPT = ("PATH", "LANG", "TMPDIR", "SYSTEMROOT")


def installed(install: Callable[..., Path], *packages: str, **options: Any) -> Path:
    """Return what ``install`` of these packages returns; the test is skipped where they cannot be installed."""
    try:
        return install(*packages, **options)
    except subprocess.SubprocessError as error:
        pytest.skip(f"{packages[0]} cannot be installed here: {error}")


async def run_client(command: Sequence[str], *, env: Mapping[str, str], cwd: Path, source: bytes = b"") -> str:
    """Run a program to its end and return what it prints.

    Args:
        command: the program and its arguments.
        env: its environment besides PATH and the like. Nothing else of this process's is passed on.
        cwd: its working directory.
        source: what it reads from stdin.

    Raises:
        AssertionError: it failed; the message has what it printed.
        TimeoutError: it has not ended within the deadline, and was killed.
    """
    environ = {name: os.environ[name] for name in _KEPT if name in os.environ} | dict(env)
    with anyio.fail_after(DEADLINE_SECONDS):
        ran = await anyio.run_process(command, input=source, env=environ, cwd=cwd, check=False)
    assert ran.returncode == 0, f"{ran.stdout.decode()}\n{ran.stderr.decode()[-5000:]}"
    return ran.stdout.decode()


async def run_python_client(program: Path, bin_folder: Path, *, env: Mapping[str, str], cwd: Path) -> Any:
    """Run a Python program in the environment of ``bin_folder``; returns the JSON of its last line."""
    out = await run_client([str(bin_folder / "python"), str(program)], env={"HOME": str(cwd), **env}, cwd=cwd)
    return json.loads(out.splitlines()[-1])


async def run_node_client(program: Path, packages: Sequence[str], *, env: Mapping[str, str], home: Path) -> Any:
    """Run a module of JavaScript beside ``packages`` (``name@version``); returns the JSON of its last line."""
    # From stdin, a module finds the packages of the working directory.
    folder = installed(npm_bin, *packages).parents[1]
    command = [str(installed(npm_bin, NODE) / "node"), "--input-type=module", "-"]
    out = await run_client(command, env={"HOME": str(home), **env}, cwd=folder, source=program.read_bytes())
    return json.loads(out.splitlines()[-1])
