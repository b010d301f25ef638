"""Completion of an argument that names changes: git branches, and paths in the allowed directories."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path, PurePosixPath

import anyio.to_thread

from databricks_responses_mcp.calls.inputs import allowed_paths
from databricks_responses_mcp.calls.state import App
from databricks_responses_mcp.media.path_policy import AllowedPaths

_ALWAYS = ("staged", "HEAD", "HEAD~1")
_MAX_BRANCHES = 500
_MAX_ENTRIES = 2000
_MAX_BYTES = 1_000_000


async def list_change_names(app: App, typed: str) -> Sequence[str]:
    """Return names of changes: git's revisions, branches, and the entries of the folder that was typed so far."""
    allowed = await allowed_paths(app)
    return await anyio.to_thread.run_sync(_names, allowed, typed, abandon_on_cancel=True)


def _names(allowed: AllowedPaths, typed: str) -> list[str]:
    current = Path.cwd()
    if not allowed.has(current):
        return list(_ALWAYS)
    names = [*_ALWAYS, *islice(_branches(current / ".git", allowed), _MAX_BRANCHES), *_paths(current, allowed, typed)]
    return list(dict.fromkeys(names))


def _branches(git: Path, allowed: AllowedPaths) -> Iterator[str]:
    """Yield local branches. The ``.git`` of a worktree is a file with a path, which is not followed."""
    heads = git / "refs" / "heads"
    if not git.is_dir() or not allowed.has(heads):
        return
    for folder, inner, files in os.walk(heads):
        inner.sort()
        yield from (PurePosixPath(Path(folder, name).relative_to(heads)).as_posix() for name in sorted(files))
    packed = git / "packed-refs"
    with suppress(OSError):
        if packed.is_file() and allowed.has(packed):
            with packed.open(encoding="utf-8", errors="replace") as file:
                for line in file.read(_MAX_BYTES).splitlines():
                    _, _, name = line.partition(" refs/heads/")
                    if name:
                        yield name


def _paths(current: Path, allowed: AllowedPaths, typed: str) -> list[str]:
    """Return the entries of the folder in ``typed``, with that folder as prefix; folders end with a slash."""
    start, slash, name = typed.replace("\\", "/").rpartition("/")
    prefix = start + slash
    try:
        folder = current / prefix
        # Listing a Windows share would connect to another machine.
        if prefix.startswith("//") or not allowed.has(folder):
            return []
        with os.scandir(folder) as entries:
            shown = [e for e in islice(entries, _MAX_ENTRIES) if name.startswith(".") or not e.name.startswith(".")]
            return sorted(f"{prefix}{e.name}{'/' if e.is_dir(follow_symlinks=False) else ''}" for e in shown)
    except (OSError, ValueError):
        return []
