"""Changing several files at once: all of them or none, and only what is still as it was read.

Everything is written beside its target first and renamed when all of it is there. On a failure in between, what was
renamed already is put back.
"""

import errno
import hashlib
import os
import secrets
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.failures import printable, shown
from databricks_responses_mcp.media.path_policy import AllowedPaths

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_UNLINKABLE = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EINVAL)


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one file.

    Attributes:
        path: as `AllowedPaths.check_plain` gave it.
        name: how errors call it.
        data: the new content; None deletes the file.
        digest: SHA-256 of the content that is replaced or deleted; None for a file that is new.
    """

    path: Path
    name: str
    data: bytes | None
    digest: bytes | None


class _Seen(NamedTuple):
    """What tells that a file is still the same, and what its successor gets from it."""

    mode: int
    owner: int
    group: int
    device: int
    inode: int
    size: int
    mtime_ns: int


@dataclass(slots=True)
class _Folder:
    """A directory by its handle; where there are no such handles, by its path."""

    path: Path
    handle: int | None

    def at(self, name: str) -> str:
        return name if self.handle is not None else str(self.path / name)


@dataclass(slots=True)
class _Staged:
    """A change that is ready to be made; names are in its folder."""

    change: Change
    folder: _Folder
    before: _Seen | None
    new: str = ""
    old: str = ""
    is_made: bool = False


def change_files(changes: Sequence[Change], allowed: AllowedPaths) -> None:
    """Make all changes, or none. Permission bits stay as they are. Blocks: call it in a worker thread.

    Raises:
        BridgeError: ``invalid_argument`` and retryable if a file is not as it was read; ``permission_denied`` or
            ``internal`` if one cannot be written. Nothing has been changed then, unless the message says otherwise.
    """
    with ExitStack() as handles:
        work = _Work(allowed, handles)
        try:
            for change in changes:
                with _naming(change):
                    work.stage(change)
            for staged in work.staged:
                with _naming(staged.change):
                    work.make(staged)
        except BaseException as error:
            work.undo(error)
            raise
        work.clear()


class _Work:
    def __init__(self, allowed: AllowedPaths, handles: ExitStack) -> None:
        self._allowed = allowed
        self._handles = handles
        self._folders: dict[Path, _Folder] = {}
        self._made_folders: list[tuple[_Folder, str]] = []
        self.staged: list[_Staged] = []

    def stage(self, change: Change) -> None:
        """Check a file and write its new content beside it."""
        folder = self._folder(self._allowed.check(change.path.parent, change.name))
        staged = _Staged(change, folder, _unchanged(folder, change))
        self.staged.append(staged)
        if change.data is not None:
            staged.new = _hidden("new")
            self._write(staged, change.data)

    def make(self, staged: _Staged) -> None:
        """Rename into place; what was there stays under another name until all is done."""
        folder, name = staged.folder, staged.change.path.name
        if _status(folder, name) != staged.before:
            raise _changed(staged.change)
        if staged.before is not None:
            staged.old = _hidden("old")
            # A second name first, so that at no moment there is no file; a delete wants that moment.
            if staged.new and _link(folder, name, staged.old):
                pass
            else:
                _rename(folder, name, staged.old)
            staged.is_made = True
            if staged.new:
                os.replace(folder.at(staged.new), folder.at(name), src_dir_fd=folder.handle, dst_dir_fd=folder.handle)
        else:
            # Not a rename: it would replace what somebody else has put there just now.
            if not _link(folder, staged.new, name):
                _rename(folder, staged.new, name)
            staged.is_made = True

    def undo(self, cause: BaseException) -> None:
        """Put everything back; what cannot be is told in the error."""
        lost: list[str] = []
        for staged in reversed(self.staged):
            if not staged.is_made:
                continue
            folder, name = staged.folder, staged.change.path.name
            try:
                if _status(folder, name) == staged.before:
                    continue
                if staged.before is None:
                    os.unlink(folder.at(name), dir_fd=folder.handle)
                else:
                    os.replace(
                        folder.at(staged.old), folder.at(name), src_dir_fd=folder.handle, dst_dir_fd=folder.handle
                    )
            except OSError:
                kept = f" (its content is in {staged.old} beside it)" if staged.old else ""
                lost.append(f"{printable(staged.change.name)}{kept}")
                staged.old = ""
        self.clear()
        for folder, name in reversed(self._made_folders):
            with suppress(OSError):
                os.rmdir(folder.at(name), dir_fd=folder.handle)
        if lost and isinstance(cause, BridgeError):
            cause.message = cause.message.replace(
                "nothing was changed", f"these could not be put back: {', '.join(lost)}"
            )

    def clear(self) -> None:
        """Remove what was written beside the files."""
        for staged in self.staged:
            for name in (staged.new, staged.old):
                if name:
                    with suppress(OSError):
                        os.unlink(staged.folder.at(name), dir_fd=staged.folder.handle)

    def _write(self, staged: _Staged, data: bytes) -> None:
        folder, before = staged.folder, staged.before
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW
        mode = 0o666 if before is None else 0o600
        descriptor = os.open(folder.at(staged.new), flags, mode, dir_fd=folder.handle)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if before is not None and sys.platform != "win32":
                with suppress(OSError):  # only the superuser gives files away
                    os.fchown(descriptor, before.owner, before.group)
                os.fchmod(descriptor, stat.S_IMODE(before.mode))
            os.fsync(descriptor)

    def _folder(self, path: Path) -> _Folder:
        """The directory, made if it is not there."""
        if path not in self._folders:
            try:
                if not path.is_dir():
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
                handle = self._allowed.open_folder(path)
            except FileNotFoundError:
                parent = self._folder(path.parent)
                os.mkdir(parent.at(path.name), dir_fd=parent.handle)
                self._made_folders.append((parent, path.name))
                handle = self._allowed.open_folder(path)
            if handle is not None:
                self._handles.callback(os.close, handle)
            self._folders[path] = _Folder(path, handle)
        return self._folders[path]


def _unchanged(folder: _Folder, change: Change) -> _Seen | None:
    """The state of a file that is as it was read; None for one that is not there and should not be."""
    name = change.path.name
    status = _status(folder, name)
    if change.digest is None:
        if status is not None:
            raise _changed(change, "was made by somebody else meanwhile")
        return None
    if status is None:
        raise _changed(change, "is gone")
    if not stat.S_ISREG(status.mode):
        raise _changed(change)
    if not status.mode & 0o222:
        raise BridgeError(
            ErrorCode.PERMISSION_DENIED,
            f"{shown(change.name)} is write-protected; nothing was changed.",
            "Allow writing to it first, if it is to be changed.",
        )
    digest = hashlib.sha256()
    flags = os.O_RDONLY | _NO_FOLLOW | getattr(os, "O_NONBLOCK", 0)  # a pipe put in its place must not be waited for
    descriptor = os.open(folder.at(name), flags, dir_fd=folder.handle)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    if digest.digest() != change.digest:
        raise _changed(change)
    return status


def _status(folder: _Folder, name: str) -> _Seen | None:
    """Of the file itself, not of what it may link to; None if there is none."""
    try:
        s = os.stat(folder.at(name), dir_fd=folder.handle, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return _Seen(s.st_mode, s.st_uid, s.st_gid, s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns)


def _link(folder: _Folder, source: str, target: str) -> bool:
    """Give a file a second name, which must be free; False where the file system has none."""
    if sys.platform == "win32":
        return False
    try:
        os.link(source, target, src_dir_fd=folder.handle, dst_dir_fd=folder.handle, follow_symlinks=False)
    except OSError as error:
        if error.errno in _UNLINKABLE:
            return False
        raise
    return True


def _rename(folder: _Folder, source: str, target: str) -> None:
    if _status(folder, target) is not None:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
    os.rename(folder.at(source), folder.at(target), src_dir_fd=folder.handle, dst_dir_fd=folder.handle)


def _hidden(kind: str) -> str:
    return f".databricks-responses-mcp-{secrets.token_hex(6)}.{kind}"


@contextmanager
def _naming(change: Change) -> Iterator[None]:
    """Tell what the operating system has against a change."""
    try:
        yield
    except FileExistsError as error:
        raise _changed(change, "was made by somebody else meanwhile") from error
    except OSError as error:
        denied = isinstance(error, PermissionError)
        raise BridgeError(
            ErrorCode.PERMISSION_DENIED if denied else ErrorCode.INTERNAL,
            f"{shown(change.name)} could not be written ({error.strerror or error}); nothing was changed.",
            "Change its permissions or those of its directory."
            if denied
            else "Check the disk and the path, or apply the diff yourself.",
        ) from error


def _changed(change: Change, what: str = "was changed by somebody else since it was read") -> BridgeError:
    return BridgeError(
        ErrorCode.INVALID_ARGUMENT,
        f"{shown(change.name)} {what}; nothing was changed.",
        "Call edit_files again to work from the files as they are now, or apply the diff yourself.",
        retryable=True,
    )
