"""Directories by their handles, so that a link that is put into a path meanwhile is not followed."""

import errno
import hashlib
import os
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from databricks_responses_mcp.media.path_policy import AllowedPaths

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_UNLINKABLE = (
    errno.EPERM,
    errno.EACCES,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.ENOSYS,
    errno.EMLINK,
    errno.EXDEV,
    errno.EINVAL,
)


def make_private_folder(folder: Path) -> None:
    """Create a directory that this program's user alone may enter, if it is not there; blocks.

    Raises:
        OSError: it cannot be created.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


class FileStatus(NamedTuple):
    """What identifies an unchanged file, and what its replacement inherits."""

    mode: int
    owner: int
    group: int
    device: int
    inode: int
    size: int
    mtime_ns: int


@dataclass(slots=True)
class Folder:
    """A directory. Names are of files directly in it; links are never followed.

    Attributes:
        path: its path, links resolved.
        handle: its descriptor; None on systems without such handles.
    """

    path: Path
    handle: int | None

    def at(self, name: str) -> str:
        """Return the arguments of ``os`` functions for a file in the directory."""
        return name if self.handle is not None else str(self.path / name)

    def status(self, name: str) -> FileStatus | None:
        """Return the status of the file itself, not of a link's target; None if it does not exist."""
        try:
            s = os.stat(self.at(name), dir_fd=self.handle, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return FileStatus(s.st_mode, s.st_uid, s.st_gid, s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns)

    def create(self, name: str, mode: int) -> int:
        """Create a new file, and return its descriptor."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW
        return os.open(self.at(name), flags, mode, dir_fd=self.handle)

    def digest(self, name: str) -> str | None:
        """Return the SHA-256 of a regular file, in hexadecimal; None if there is none with that name."""
        flags = os.O_RDONLY | _NO_FOLLOW | getattr(os, "O_NONBLOCK", 0)  # a pipe with that name must not block
        try:
            descriptor = os.open(self.at(name), flags, dir_fd=self.handle)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            return hashlib.file_digest(file, "sha256").hexdigest()

    def link(self, source: str, target: str) -> bool:
        """Give a file a second, unused name; return False if the file system does not support it."""
        if sys.platform == "win32":
            return False
        try:
            os.link(
                self.at(source), self.at(target), src_dir_fd=self.handle, dst_dir_fd=self.handle, follow_symlinks=False
            )
        except OSError as error:
            if error.errno in _UNLINKABLE:
                return False
            raise
        return True

    def rename(self, source: str, target: str) -> None:
        """Rename a file to an unused name.

        Raises:
            FileExistsError: the name is used.
        """
        if self.status(target) is not None:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
        os.rename(self.at(source), self.at(target), src_dir_fd=self.handle, dst_dir_fd=self.handle)

    def replace(self, source: str, target: str) -> None:
        """Rename a file over another one."""
        os.replace(self.at(source), self.at(target), src_dir_fd=self.handle, dst_dir_fd=self.handle)

    def unlink(self, name: str) -> None:
        """Remove a file."""
        os.unlink(self.at(name), dir_fd=self.handle)

    def discard(self, name: str) -> None:
        """Remove a file if it exists and can be removed."""
        with suppress(OSError):
            self.unlink(name)


class Folders:
    """The directories of one write, opened once each; a context manager that closes them.

    Args:
        allowed: the directories that may be used.

    Attributes:
        made: the created directories, outermost first.
    """

    def __init__(self, allowed: AllowedPaths) -> None:
        self._allowed = allowed
        self._open: dict[Path, Folder] = {}
        self.made: list[Path] = []

    def __enter__(self) -> "Folders":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for folder in self._open.values():
            if folder.handle is not None:
                os.close(folder.handle)
        self._open.clear()

    def get(self, path: Path) -> Folder:
        """Return the directory at a path that ``AllowedPaths.check`` returned.

        Raises:
            OSError: it does not exist, is not a directory, or a link was put into its path.
        """
        if path not in self._open:
            if not path.is_dir():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
            self._open[path] = Folder(path, self._allowed.open_folder(path))
        return self._open[path]

    def make(self, path: Path) -> Folder:
        """Return the same, and create it with its parents if it does not exist."""
        try:
            return self.get(path)
        except FileNotFoundError:
            if path.parent == path:
                raise
            if self._allowed.root_of(path) == path:
                # The path above an allowed directory is not checked: the user configured it.
                path.mkdir(parents=True, exist_ok=True)
                return self.get(path)
            parent = self.make(path.parent)
            os.mkdir(parent.at(path.name), dir_fd=parent.handle)
            self.made.append(path)
            return self.get(path)

    def remove(self, paths: list[Path]) -> None:
        """Remove directories that are empty, the last one first."""
        for path in reversed(paths):
            with suppress(OSError):
                parent = self.get(path.parent)
                os.rmdir(parent.at(path.name), dir_fd=parent.handle)


def missing_folders(path: Path) -> list[Path]:
    """Return the directories that must be created for a path to be one, outermost first."""
    missing: list[Path] = []
    while not os.path.lexists(path) and path.parent != path:
        missing.insert(0, path)
        path = path.parent
    return missing
