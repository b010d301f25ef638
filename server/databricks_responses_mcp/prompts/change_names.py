"""Completion of an argument that names changes: git's branches, and paths under the allowed directories."""

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
_MOST_BRANCHES = 500
_MOST_ENTRIES = 2000
_MOST_BYTES = 1_000_000


async def change_names(app: App, typed: str) -> Sequence[str]:
    """What can be reviewed: names of git's own, branches, and what is in the folder that was typed so far."""
    allowed = await allowed_paths(app)
    return await anyio.to_thread.run_sync(_names, allowed, typed, abandon_on_cancel=True)


def _names(allowed: AllowedPaths, typed: str) -> list[str]:
    here = Path.cwd()
    if not allowed.has(here):
        return list(_ALWAYS)
    names = [*_ALWAYS, *islice(_branches(here / ".git", allowed), _MOST_BRANCHES), *_paths(here, allowed, typed)]
    return list(dict.fromkeys(names))


def _branches(git: Path, allowed: AllowedPaths) -> Iterator[str]:
    """Local branches. A worktree's ``.git`` is a file that leads elsewhere: it is not followed."""
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
                for line in file.read(_MOST_BYTES).splitlines():
                    _, _, name = line.partition(" refs/heads/")
                    if name:
                        yield name


def _paths(here: Path, allowed: AllowedPaths, typed: str) -> list[str]:
    """Entries of the folder that ``typed`` leads to, spelled as it is; folders end in a slash."""
    start, slash, name = typed.replace("\\", "/").rpartition("/")
    prefix = start + slash
    try:
        folder = here / prefix
        # To look where a Windows share leads is to call on another machine.
        if prefix.startswith("//") or not allowed.has(folder):
            return []
        with os.scandir(folder) as entries:
            shown = [e for e in islice(entries, _MOST_ENTRIES) if name.startswith(".") or not e.name.startswith(".")]
            return sorted(f"{prefix}{e.name}{'/' if e.is_dir(follow_symlinks=False) else ''}" for e in shown)
    except (OSError, ValueError):
        return []
