"""Files that may be written for a model: one policy for every write of every tool.

Files are written only in allowed directories, and never with a name that is run automatically: git, editors and shells
run what they find in ``.git`` and in names that begin with a dot.
"""

import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.failures import shown
from databricks_responses_mcp.media.file_names import (
    canonical,
    is_git_name,
    is_hidden_name,
    is_named_otherwise_on_windows,
    is_short_alias,
    is_too_long,
)
from databricks_responses_mcp.media.path_policy import AllowedPaths, real_path
from databricks_responses_mcp.visible import visible

_HEAD = re.compile(rb"ref:|[0-9a-f]{40}")
_MAX_SHOWN_FOLDERS = 5


class WritePolicy:
    """Where files may be changed and created. All methods access the disk: call them in a worker thread.

    Args:
        allowed: the directories whose files may be used.
        folders: the directories for new files; None means every allowed directory.
        named: new files that the caller named exactly, which may begin with a dot.
        configured: additional directories that may be in a directory with a dot, because the user configured them.
        has_windows_names: whether names follow the rules of Windows.
    """

    def __init__(
        self,
        allowed: AllowedPaths,
        *,
        folders: Iterable[Path] | None = None,
        named: Iterable[Path] = (),
        configured: Sequence[Path] = (),
        has_windows_names: bool = os.name == "nt",
    ) -> None:
        self.allowed = allowed
        self._folders = None if folders is None else tuple(dict.fromkeys(real_path(folder) for folder in folders))
        self._named = frozenset(os.path.normcase(real_path(path)) for path in named)
        self._configured = tuple(configured)
        self._has_windows_names = has_windows_names

    def limited(self, folders: Iterable[Path], named: Iterable[Path]) -> "WritePolicy":
        """Return the same policy with new files only in ``folders``, or among ``named``."""
        return WritePolicy(
            self.allowed,
            folders=folders,
            named=named,
            configured=self._configured,
            has_windows_names=self._has_windows_names,
        )

    def check_existing(self, path: Path, reference: str) -> Path:
        """Return the path, with links resolved, of a file that the caller named; it may be changed and deleted.

        Raises:
            BridgeError: ``permission_denied``.
        """
        real = self.allowed.check_plain(path, reference)
        self._refuse_git(real, reference)
        return real

    def check_new(self, path: Path, reference: str) -> Path:
        """Return the path, with links resolved, of a new file; its directories need not exist.

        Raises:
            BridgeError: ``permission_denied``; ``invalid_argument`` for a name that file systems do not accept.
        """
        for name in path.parts[1:]:
            if is_too_long(name):
                raise BridgeError(
                    ErrorCode.INVALID_ARGUMENT, f"{shown(reference)} is too long for a file name.", "Use a shorter one."
                )
        real = self.check_existing(path, reference)
        below = self._below_a_root(real)
        if canonical(real.name) == "head":
            raise self._git_refusal(reference)
        for name in below:
            if is_short_alias(name) or (self._has_windows_names and is_named_otherwise_on_windows(name)):
                raise BridgeError(
                    ErrorCode.INVALID_ARGUMENT,
                    f"{shown(reference)} is not created: on Windows {shown(name)} means another file or device.",
                    "Use another name.",
                )
        if os.path.normcase(real) in self._named:
            return real
        self._refuse_hidden(below, reference)
        self._refuse_elsewhere(real, reference)
        return real

    def _refuse_git(self, real: Path, reference: str) -> None:
        if any(is_git_name(part) for part in real.parts):
            raise self._git_refusal(reference)
        for parent in real.parents:
            if _is_git_folder(parent):
                raise self._git_refusal(reference)
            if os.path.lexists(parent / ".git"):
                return  # the root of a working tree, which may be in a bare repository

    def _git_refusal(self, reference: str) -> BridgeError:
        return BridgeError(
            ErrorCode.PERMISSION_DENIED,
            f"{shown(reference)} is not written: it belongs to git, which runs what is configured in its files.",
            "Use git's own commands, or change it yourself.",
        )

    def _refuse_hidden(self, below: Sequence[str], reference: str) -> None:
        if not any(is_hidden_name(name) for name in below):
            return
        hint = "Use a name and a folder that do not begin with a dot."
        if self._folders is not None:
            hint = "Use another name, or have the caller give exactly this file in `new_paths`."
        raise BridgeError(
            ErrorCode.PERMISSION_DENIED,
            f"{shown(reference)} is not created: tools run what is under names that begin with a dot.",
            hint,
        )

    def _refuse_elsewhere(self, real: Path, reference: str) -> None:
        folders = self._folders
        if folders is None or any(_is_under(real, folder) for folder in folders):
            return
        listed = ", ".join(visible(str(folder)) for folder in folders[:_MAX_SHOWN_FOLDERS])
        raise BridgeError(
            ErrorCode.PERMISSION_DENIED,
            f"{shown(reference)} is not created: new files go under the folders of the files that were named "
            f"({listed}).",
            "Create it there, or have the caller give exactly this file in `new_paths`.",
        )

    def _below_a_root(self, real: Path) -> Sequence[str]:
        """Return the parts of a path below the innermost directory that was configured, or that the server was started
        in.
        """
        roots = [real_path(root) for root in (*(self.allowed.roots or ()), *self._configured)]
        if self.allowed.roots is None:
            with suppress(OSError):
                roots.append(Path.cwd())
        above = [len(root.parts) for root in roots if root != real and _is_under(real, root)]
        return real.parts[max(above, default=1) :]


def _is_under(path: Path, folder: Path) -> bool:
    return Path(os.path.normcase(path)).is_relative_to(os.path.normcase(folder))


def _is_git_folder(folder: Path) -> bool:
    """Return whether git treats a directory as a repository, by its HEAD: also a bare one, or one with another name."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    head = folder / "HEAD"
    try:
        if head.is_symlink():
            return True
        descriptor = os.open(head, flags)
    except (OSError, ValueError):
        return False
    try:
        return _HEAD.match(os.read(descriptor, 64)) is not None
    except OSError:
        return False
    finally:
        os.close(descriptor)
