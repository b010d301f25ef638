"""A journal of writes: recorded before they begin, and undone by the next process if a process was killed.

Each write in progress has a file of JSON lines in the journal's directory, which belongs to the user: a project cannot
forge one. Its process holds a lock on it, which ends with the process in every case. The next process that starts or
writes undoes what unlocked files record. A line ``done`` means that only copies are left to remove.
"""

import json
import logging
import os
import re
import secrets
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from databricks_responses_mcp.media.folders import Folder, Folders
from databricks_responses_mcp.media.path_policy import AllowedPaths

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

logger = logging.getLogger(__name__)

_SUFFIX = ".jsonl"
_COPY = re.compile(r"\.databricks-responses-mcp-[0-9a-f]{12}\.(new|old|part)")
_MAX_BYTES = 16_000_000
_MAX_AGE_SECONDS = 30 * 24 * 3600
_MAX_ATTEMPTS = 20
_LOCK_OFFSET = 1 << 30  # a lock on Windows prevents others from reading the locked bytes


@dataclass(frozen=True, slots=True)
class Step:
    """The change of one file, and the copies beside it meanwhile.

    Attributes:
        folder: its directory, links resolved.
        name: its name in that directory.
        before: SHA-256 of its content in hexadecimal; None for a new file.
        after: the same of its new content; None for a deletion.
        new: the name of the copy with the new content; empty for a deletion.
        old: the name of the copy with the former content; empty for a new file.
    """

    folder: str
    name: str
    before: str | None
    after: str | None
    new: str
    old: str


def copy_name(kind: str) -> str:
    """Return a name for a copy beside a file: ``new``, ``old`` or ``part``."""
    return f".databricks-responses-mcp-{secrets.token_hex(6)}.{kind}"


def roll_back(step: Step, folder: Folder) -> bool:
    """Restore a file, and remove the copies.

    Returns:
        False if another program has changed it since: then the file and the copy of the former content are kept.

    Raises:
        OSError: it cannot be written.
    """
    status = folder.status(step.name)
    now = folder.digest(step.name) if status is not None and stat.S_ISREG(status.mode) else None
    is_undone = True
    if step.before is None:
        copy = folder.status(step.new)
        if now is not None and now == step.after and (copy is None or status == copy):
            folder.unlink(step.name)
    elif folder.status(step.old) is not None and now != step.before:
        if (status is not None and now != step.after) or folder.digest(step.old) != step.before:
            is_undone = False
        else:
            folder.replace(step.old, step.name)
    remove_copies(step, folder, keep_old=not is_undone)
    return is_undone


def remove_copies(step: Step, folder: Folder, *, keep_old: bool = False) -> None:
    """Remove the copies beside a file."""
    for name in (step.new, "" if keep_old else step.old):
        if name:
            folder.discard(name)


class Entry:
    """The record of one write in progress; its lines are on the disk when a method returns.

    Attributes:
        problem: why it could not be stored, in a sentence; empty if it was.
    """

    def __init__(self, descriptor: int | None, problem: str = "") -> None:
        self._descriptor = descriptor
        self.problem = problem

    def begin_edit(self, steps: Sequence[Step], made: Sequence[Path]) -> None:
        """Record the files to change, and the directories to create."""
        self._add({"steps": [asdict(step) for step in steps], "made": [str(path) for path in made]})

    def begin_file(self, folder: Path, copy: str) -> None:
        """Record a file that is written with a temporary name."""
        self._add({"folder": str(folder), "copy": copy})

    def claim(self, folder: Path, name: str) -> None:
        """Record an empty file that reserves a name."""
        self._add({"folder": str(folder), "claim": name})

    def finish(self) -> None:
        """Record that the write is complete."""
        self._add({"done": True})

    def _add(self, line: dict[str, Any]) -> None:
        if self._descriptor is None:
            return
        data = memoryview(json.dumps(line).encode() + b"\n")
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
            os.fsync(self._descriptor)
        except OSError as error:
            self._descriptor = None
            self.problem = _problem(error)


class WriteJournal:
    """The records of writes, in a directory that need not exist. All methods access the disk."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @contextmanager
    def entry(self) -> Iterator[Entry]:
        """Yield a record for one write, after undoing interrupted ones. It is removed at the end.

        A disk that cannot store it does not prevent the write: then `Entry.problem` says so.
        """
        self.recover()
        try:
            path, descriptor = self._create()
        except OSError as error:
            logger.warning("a write is not recorded: %s", error)
            yield Entry(None, _problem(error))
            return
        try:
            yield Entry(descriptor)
        finally:
            self._remove(path, descriptor)

    def recover(self) -> list[str]:
        """Undo interrupted writes of killed processes; return the paths of the files that were restored or removed."""
        try:
            paths = sorted(self.directory.iterdir())
        except OSError:
            return []
        recovered: list[str] = []
        for path in paths:
            if path.suffix == _SUFFIX:
                with suppress(OSError):
                    recovered += self._recover(path)
        if recovered:
            logger.warning("an interrupted write was undone: %s", ", ".join(map(ascii, recovered)))
        return recovered

    def _create(self) -> tuple[Path, int]:
        """Return a new file that this process has locked.

        Raises:
            OSError: it cannot be created.
        """
        for _ in range(_MAX_ATTEMPTS):
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self.directory / f"{secrets.token_hex(8)}{_SUFFIX}"
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
            try:
                descriptor = os.open(path, flags, 0o600)
            except FileNotFoundError:
                continue  # another process has removed the empty directory
            # Another process may have removed the new file as one of a dead process.
            if _lock(descriptor) and os.fstat(descriptor).st_nlink > 0:
                return path, descriptor
            self._remove(path, descriptor)
        raise OSError("the file system has no locks")

    def _remove(self, path: Path, descriptor: int) -> None:
        if sys.platform == "win32":
            os.close(descriptor)  # an open file cannot be removed there
            with suppress(OSError):
                path.unlink()
        else:
            with suppress(OSError):
                path.unlink()
            os.close(descriptor)
        with suppress(OSError):
            self.directory.rmdir()

    def _recover(self, path: Path) -> list[str]:
        flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags)
        if not _lock(descriptor) or os.fstat(descriptor).st_nlink == 0:
            os.close(descriptor)
            return []
        try:
            lines = _lines(descriptor)
            age = time.time() - os.fstat(descriptor).st_mtime
            recovered, is_undone = _undo(lines)
        except BaseException:
            os.close(descriptor)
            raise
        if is_undone or age > _MAX_AGE_SECONDS:
            self._remove(path, descriptor)
        else:
            os.close(descriptor)
        return recovered


def _undo(lines: Sequence[dict[str, Any]]) -> tuple[list[str], bool]:
    """Undo recorded lines; return what was undone, and whether nothing is left to do."""
    is_done = any(line.get("done") is True for line in lines)
    recovered: list[str] = []
    is_undone = True
    with Folders(AllowedPaths(None, secrets=True)) as folders:
        for line in reversed(lines):
            try:
                if "steps" in line:
                    recovered += _undo_edit(line, folders, is_done=is_done)
                elif "folder" in line:
                    recovered += _undo_file(line, folders)
            except FileNotFoundError:
                continue  # its directory no longer exists, so nothing is left to undo
            except OSError as error:
                logger.warning("an interrupted write cannot be undone: %s", error)
                is_undone = False
            except (KeyError, TypeError, ValueError) as error:
                logger.warning("a record of a write is damaged: %s", type(error).__name__)
    return recovered, is_undone


def _undo_edit(line: dict[str, Any], folders: Folders, *, is_done: bool) -> list[str]:
    recovered: list[str] = []
    problem: OSError | None = None
    for fields in reversed(line["steps"]):
        step = Step(**fields)
        if not all(_COPY.fullmatch(name) for name in (step.new, step.old) if name):
            raise ValueError("not a name of ours")
        path = Path(step.folder)
        try:
            folder = folders.get(path)
            if is_done:
                remove_copies(step, folder)
            elif roll_back(step, folder):
                recovered.append(str(path / step.name))
            else:
                logger.warning("%r was changed since: its former content is in %r", str(path / step.name), step.old)
        except FileNotFoundError:
            continue
        except OSError as error:
            problem = error
    if not is_done:
        folders.remove([Path(path) for path in line["made"]])
    if problem is not None:
        raise problem
    return recovered


def _undo_file(line: dict[str, Any], folders: Folders) -> list[str]:
    path = Path(line["folder"])
    folder = folders.get(path)
    if "claim" in line:
        status = folder.status(line["claim"])
        if status is not None and stat.S_ISREG(status.mode) and status.size == 0:
            folder.discard(line["claim"])
        return []
    if _COPY.fullmatch(line["copy"]) and folder.status(line["copy"]) is not None:
        folder.unlink(line["copy"])
        return [str(path / line["copy"])]
    return []


def _lines(descriptor: int) -> list[dict[str, Any]]:
    """Return the lines that were written completely."""
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        data = file.read(_MAX_BYTES)
    lines: list[dict[str, Any]] = []
    for text in data.split(b"\n")[:-1]:
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            break
        if isinstance(line, dict):
            lines.append(line)
    return lines


def _lock(descriptor: int) -> bool:
    """Lock a file without waiting; the lock ends with the process. Return False if it is locked, or cannot be."""
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, _LOCK_OFFSET, os.SEEK_SET)
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            finally:
                os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _problem(error: OSError) -> str:
    return (
        "The files are written, but the write could not be recorded meanwhile "
        f"({error.strerror or error}): if the server had been killed then, some of them might have stayed unchanged."
    )
