"""Changing several files at once: all of them or none, and only files that have not changed since they were read.

All new content is first written beside its target, and then renamed. After a failure in between, renamed files are
restored; if the process is killed in between, the next process does that from the journal.
"""

import hashlib
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from databricks_responses_mcp.errors import Action, Advice, BridgeError, ErrorCode
from databricks_responses_mcp.media.failures import shown
from databricks_responses_mcp.media.folders import FileStatus, Folder, Folders, missing_folders
from databricks_responses_mcp.media.write_journal import Step, WriteJournal, copy_name, remove_copies, roll_back
from databricks_responses_mcp.media.write_policy import WritePolicy
from databricks_responses_mcp.visible import visible


@dataclass(frozen=True, slots=True)
class Change:
    """The change of one file.

    Attributes:
        path: its path, or the path to create.
        name: its name in errors.
        data: the new content; None deletes the file.
        digest: SHA-256 of the content that is replaced or deleted, in hexadecimal; None for a new file.
    """

    path: Path
    name: str
    data: bytes | None
    digest: str | None


@dataclass(slots=True)
class _Planned:
    """A change with its temporary files; the status is the one of the file before."""

    change: Change
    step: Step
    before: FileStatus | None
    folder: Folder | None = None


def change_files(changes: Sequence[Change], policy: WritePolicy, journal: WriteJournal) -> str:
    """Make all changes, or none. Permission bits are preserved. Blocks: call it in a worker thread.

    Returns:
        A sentence about what is uncertain; usually empty.

    Raises:
        BridgeError: ``invalid_argument`` and retryable if a file has changed since it was read; ``permission_denied``
            or ``internal`` if one cannot be written. Nothing has been changed then, unless the message says otherwise.
    """
    with journal.entry() as entry, Folders(policy.allowed) as folders:
        work = _Work(policy, folders)
        try:
            for change in changes:
                with _naming(change):
                    work.plan(change)
        except _ChangeError as error:
            raise error.explained() from error.__cause__
        entry.begin_edit([planned.step for planned in work.planned], work.missing)
        try:
            for planned in work.planned:
                with _naming(planned.change):
                    work.stage(planned)
            for planned in work.planned:
                with _naming(planned.change):
                    work.make(planned)
            entry.finish()
        except BaseException as error:
            lost = work.undo()
            if isinstance(error, _ChangeError):
                raise error.explained(lost) from error.__cause__
            raise
        for planned in work.planned:
            if planned.folder is not None:
                remove_copies(planned.step, planned.folder)
        return entry.problem


@dataclass(eq=False)
class _ChangeError(Exception):
    """A change that cannot be made. The state of the other files is known after they have been restored.

    Attributes:
        what: what happened, as a sentence without its end.
    """

    code: ErrorCode
    what: str
    hint: str
    retryable: bool = False
    advice: tuple[Advice, ...] = ()

    def explained(self, lost: Sequence[str] = ()) -> BridgeError:
        """Return the error for the caller.

        Args:
            lost: the names of the files that could not be restored.
        """
        state = f"these could not be put back: {', '.join(lost)}" if lost else "nothing was changed"
        return BridgeError(self.code, f"{self.what}; {state}.", self.hint, retryable=self.retryable, advice=self.advice)


class _Work:
    def __init__(self, policy: WritePolicy, folders: Folders) -> None:
        self._policy = policy
        self._folders = folders
        self.planned: list[_Planned] = []
        self.missing: list[Path] = []

    def plan(self, change: Change) -> None:
        """Check that a file may be changed and has not changed since it was read. Nothing is written."""
        is_new = change.digest is None
        check = self._policy.check_new if is_new else self._policy.check_existing
        path = check(change.path, change.name)
        before: FileStatus | None = None
        missing = missing_folders(path.parent)
        if missing:
            if not is_new:
                raise _changed(change, "is gone")
        elif not path.parent.is_dir():
            raise _changed(change, "cannot be there, because a part of its path is a file now")
        else:
            before = _unchanged(self._folders.get(path.parent), path.name, change)
        self.missing += [folder for folder in missing if folder not in self.missing]
        step = Step(
            folder=str(path.parent),
            name=path.name,
            before=change.digest,
            after=None if change.data is None else hashlib.sha256(change.data).hexdigest(),
            new="" if change.data is None else copy_name("new"),
            old="" if is_new else copy_name("old"),
        )
        self.planned.append(_Planned(change, step, before))

    def stage(self, planned: _Planned) -> None:
        """Write the new content beside the file."""
        planned.folder = folder = self._folders.make(Path(planned.step.folder))
        if planned.change.data is None:
            return
        before = planned.before
        descriptor = folder.create(planned.step.new, 0o666 if before is None else 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(planned.change.data)
            file.flush()
            if before is not None and sys.platform != "win32":
                with suppress(OSError):  # only the superuser can give away files
                    os.fchown(descriptor, before.owner, before.group)
                os.fchmod(descriptor, stat.S_IMODE(before.mode))
            os.fsync(descriptor)

    def make(self, planned: _Planned) -> None:
        """Rename the new content into place; the old content keeps another name until all changes are made."""
        folder, step = planned.folder, planned.step
        assert folder is not None
        if folder.status(step.name) != planned.before:
            raise _changed(planned.change)
        if planned.before is not None:
            # A second name first, so that the file always exists; a deletion may remove it.
            if not (step.new and folder.link(step.name, step.old)):
                folder.rename(step.name, step.old)
            if step.new:
                folder.replace(step.new, step.name)
        elif not folder.link(step.new, step.name):
            # Not `replace`: it would overwrite a file that another program has just put there.
            folder.rename(step.new, step.name)

    def undo(self) -> list[str]:
        """Restore everything; return the names of the files that could not be restored."""
        lost: list[str] = []
        for planned in reversed(self.planned):
            if planned.folder is None:
                continue
            try:
                is_undone = roll_back(planned.step, planned.folder)
            except OSError:
                is_undone = False
                planned.folder.discard(planned.step.new)
            if not is_undone:
                kept = f" (its content is in {planned.step.old} beside it)" if planned.step.old else ""
                lost.append(f"{visible(planned.change.name)}{kept}")
        self._folders.remove(self._folders.made)
        return lost


def _unchanged(folder: Folder, name: str, change: Change) -> FileStatus | None:
    """Return the status of a file that is unchanged; None for a missing file that is to be created.

    Raises:
        _ChangeError: it has changed.
    """
    status = folder.status(name)
    if change.digest is None:
        if status is not None:
            raise _changed(change, "was created by another program in the meantime")
        return None
    if status is None:
        raise _changed(change, "is gone")
    if not stat.S_ISREG(status.mode):
        raise _changed(change)
    if not status.mode & 0o222:
        raise _ChangeError(
            ErrorCode.PERMISSION_DENIED,
            f"{shown(change.name)} is write-protected",
            "Allow writing to it first, if it is to be changed.",
        )
    if folder.digest(name) != change.digest:
        raise _changed(change)
    return status


@contextmanager
def _naming(change: Change) -> Iterator[None]:
    """Convert an operating system error about a change."""
    try:
        yield
    except FileExistsError as error:
        raise _changed(change, "was created by another program in the meantime") from error
    except OSError as error:
        denied = isinstance(error, PermissionError)
        raise _ChangeError(
            ErrorCode.PERMISSION_DENIED if denied else ErrorCode.INTERNAL,
            f"{shown(change.name)} could not be written ({error.strerror or error})",
            "Change its permissions or those of its directory."
            if denied
            else "Check the disk and the path, or apply the diff yourself.",
        ) from error


def _changed(change: Change, what: str = "was changed by another program since it was read") -> _ChangeError:
    return _ChangeError(
        ErrorCode.INVALID_ARGUMENT,
        f"{shown(change.name)} {what}",
        "The diff can also be applied by hand.",
        retryable=True,
        advice=(Advice(Action.EDIT_AGAIN),),
    )
