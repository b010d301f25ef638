"""Local files that a host's model may have read: in allowed directories after links are resolved, and no secrets."""

import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.failures import shown
from databricks_responses_mcp.media.file_names import as_typed
from databricks_responses_mcp.media.local_files import open_regular
from databricks_responses_mcp.media.secret_files import is_secret_file
from databricks_responses_mcp.visible import visible

if sys.platform != "win32":
    import pwd

SETTING = "RESPONSES_MCP_ALLOWED_DIRS"
SECRETS_SETTING = "RESPONSES_MCP_ALLOW_SECRET_FILES"
_MAX_ENTRIES = 20_000
"""The maximum number of directory entries that are compared with a name that does not exist as given."""

_WALKS = os.open in os.supports_dir_fd
_FOLDER_FLAGS = (
    getattr(os, "O_PATH", os.O_RDONLY)
    | getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is said of a path outside the allowed directories where these are not a setting of the caller's.

    Attributes:
        reason: why it may not be used, as the end of a sentence.
        hint: what to do instead.
    """

    reason: str
    hint: str

    def error(self, what: str) -> BridgeError:
        """Return the error for what may not be used."""
        return BridgeError(ErrorCode.PERMISSION_DENIED, f"{what} may not be used: {self.reason}.", self.hint)


class AllowedPaths:
    """The directories whose files may be used. All methods access the disk: call them in a worker thread.

    Args:
        roots: absolute directories, which need not exist; None allows all.
        secrets: whether files that usually contain secrets may be used too.
        refusal: what is said of other paths, if that is not what a person who configures this server has to know.
    """

    def __init__(self, roots: Sequence[Path] | None, *, secrets: bool = False, refusal: Refusal | None = None) -> None:
        self.roots = None if roots is None else tuple(roots)
        self.secrets = secrets
        self.refusal = refusal

    def also(self, root: Path) -> "AllowedPaths":
        """Return the same with one more directory."""
        if self.roots is None:
            return self
        return AllowedPaths((*self.roots, root), secrets=self.secrets, refusal=self.refusal)

    def has(self, path: Path) -> bool:
        """Return whether an absolute path is in an allowed directory after links are resolved."""
        return self.roots is None or self.root_of(real_path(path)) is not None

    def check(self, path: Path, reference: str) -> Path:
        """Return an absolute path with links resolved, which must be in an allowed directory. It need not exist.

        Raises:
            BridgeError: ``permission_denied``, with the same message whether the file exists or not.
        """
        real = path if self.roots is None and self.secrets else real_path(path)
        if self.roots is not None and self.root_of(real) is None:
            raise self._refused(reference)
        if not self.secrets and (is_secret_file(path) or is_secret_file(real)):
            raise BridgeError(
                ErrorCode.PERMISSION_DENIED,
                f"{shown(reference)} may not be used: its name indicates passwords, keys or other secrets, and its "
                "content would be sent to the model.",
                f"Leave it out, or copy the parts without secrets to another file; {SECRETS_SETTING}=true allows it.",
            )
        return real if self.roots is not None else path

    def locate(self, path: Path, reference: str) -> Path:
        """Return the path itself, or the only file that its name can mean, such as a name in macOS's spelling.

        Accents may be composed or not, and any kind of space matches another. Only allowed directories are searched.

        Raises:
            BridgeError: as `check`.
        """
        self.check(path, reference)
        if os.path.lexists(path):
            return path
        found = Path(path.anchor)
        for name in path.parts[1:]:
            exact = found / name
            if name != ".." and not os.path.lexists(exact) and self.has(found):
                typed = as_typed(name)
                fitting = [entry for entry in _entries(found) if as_typed(entry) == typed]
                if len(fitting) != 1:
                    return path
                exact = found / fitting[0]
            found = exact
        self.check(found, reference)
        return found

    def check_plain(self, path: Path, reference: str) -> Path:
        """Return the same as `check` for a file that is to be changed: its path below the allowed directory must have
        no link.

        Raises:
            BridgeError: ``permission_denied``.
        """
        real = self.check(path, reference)
        root = None if self.roots is None else self.root_of(real)
        for part in (path, *path.parents):
            if root is not None and _same(real_path(part), root):
                break
            if _is_link(part):
                raise BridgeError(
                    ErrorCode.PERMISSION_DENIED,
                    f"{shown(reference)} leads through a symbolic link, and files behind links are not changed.",
                    "Name the file by its own path.",
                )
            if root is None:
                break
        return real if root is not None else real_path(path.parent) / path.name

    def open(self, path: Path, reference: str) -> tuple[BinaryIO, int]:
        """Open a regular file for reading; return it, unbuffered, and its size in bytes.

        The opened file is the checked one: a link that is created meanwhile is not followed.

        Raises:
            BridgeError: ``permission_denied``, and as `open_regular`.
        """
        real = self.check(path, reference)
        if self.roots is None:
            return open_regular(path, reference)
        if _WALKS:
            return open_regular(real, reference, opener=self._open_without_links)
        file, size = open_regular(real, reference)
        # Without directory handles: check after opening that an allowed path still leads to the opened file.
        try:
            if not os.path.samestat(os.fstat(file.fileno()), self.check(path, reference).stat()):
                raise self._refused(reference)
        except (OSError, BridgeError) as error:
            file.close()
            raise self._refused(reference) from error
        return file, size

    def open_folder(self, real: Path) -> int | None:
        """Return a handle of a directory that `check` returned, opened without following links; None without such
        handles.

        Raises:
            OSError: it does not exist, is not a directory, or a link was put into its path.
        """
        if not _WALKS:
            return None
        root = Path(real.anchor) if self.roots is None else self.root_of(real)
        if root is None:
            raise PermissionError(f"{real} is outside")
        descriptor = os.open(root, _FOLDER_FLAGS)
        for name in real.relative_to(root).parts:
            try:
                inner = os.open(name, _FOLDER_FLAGS, dir_fd=descriptor)
            finally:
                os.close(descriptor)
            descriptor = inner
        return descriptor

    def _open_without_links(self, path: str, flags: int) -> int:
        real = Path(path)
        folder = self.open_folder(real.parent) if self.root_of(real) != real else None
        try:
            return os.open(path if folder is None else real.name, flags | getattr(os, "O_NOFOLLOW", 0), dir_fd=folder)
        finally:
            if folder is not None:
                os.close(folder)

    def root_of(self, real: Path) -> Path | None:
        """Return the allowed directory, links resolved, that contains a resolved path."""
        for root in self.roots or ():
            resolved = real_path(root)
            if _same(real, resolved) or Path(os.path.normcase(real)).is_relative_to(os.path.normcase(resolved)):
                return resolved
        return None

    def _refused(self, reference: str) -> BridgeError:
        if self.refusal is not None:
            return self.refusal.error(shown(reference))
        if not self.roots:
            return BridgeError(
                ErrorCode.PERMISSION_DENIED,
                f"{shown(reference)} may not be used: this server may use no local files where it was started.",
                f"Set {SETTING} to the directories that it may use, or start it in a project's directory.",
            )
        allowed = ", ".join(visible(str(root)) for root in self.roots)
        return BridgeError(
            ErrorCode.PERMISSION_DENIED,
            f"{shown(reference)} may not be used: it is not under {allowed}.",
            f"Add its directory to {SETTING}, or copy it to an allowed one.",
        )


EVERYTHING = AllowedPaths(None, secrets=True)
"""For a person who names files."""


def default_roots() -> tuple[Path, ...]:
    """Return the working directory if it is a project, else nothing.

    It is not a project if it is the root, a home directory or the directory of temporary files, if it contains one of
    these, or if it belongs to Windows itself: hosts start servers there when they have no project.
    """
    try:
        here = Path.cwd().resolve()
        homes = [Path.home().resolve()]
    except (OSError, RuntimeError):
        return ()
    if sys.platform != "win32":
        with suppress(KeyError):  # HOME may have another value
            homes.append(Path(pwd.getpwuid(os.getuid()).pw_dir).resolve())
    general = [*homes, Path(tempfile.gettempdir()).resolve(), Path(here.anchor)]
    if any(place.is_relative_to(here) for place in general):
        return ()
    windows = os.environ.get("SYSTEMROOT") if os.name == "nt" else None
    if windows and Path(os.path.normcase(here)).is_relative_to(os.path.normcase(windows)):
        return ()
    return (here,)


def real_path(path: Path) -> Path:
    """Return a path with links resolved; it need not exist."""
    # Not Path.resolve, which raises for a loop of links before Python 3.13.
    return Path(os.path.realpath(path))


def _is_link(path: Path) -> bool:
    try:
        return path.is_symlink()
    except OSError:  # a name that is too long, or a folder without permission: opening it reports that
        return False


def _same(one: Path, other: Path) -> bool:
    return os.path.normcase(one) == os.path.normcase(other)


def _entries(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in islice(entries, _MAX_ENTRIES)]
    except OSError:
        return []
