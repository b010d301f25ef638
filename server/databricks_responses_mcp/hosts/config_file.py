"""Reading a configuration file, such as a host's, and replacing it atomically.

The functions block; callers on an event loop run them in a worker thread.
"""

import contextlib
import errno
import hashlib
import os
import re
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from databricks_responses_mcp.errors import BridgeError, ErrorCode

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_MAX_BYTES = 20_000_000
_BACKUP = re.compile(r"\.(\d{8}T\d{6}Z)(?:-(\d{1,6}))?\.databricks-backup")
_NO_BACKUP = ("", 0)
_REPLACE_TRIES = 10
_REPLACE_PAUSE = 0.05
_LOCK_SECONDS = 5.0
# Windows' ERROR_SHARING_VIOLATION and ERROR_LOCK_VIOLATION.
_OPEN_ELSEWHERE = (32, 33)


def read_config(path: Path, *, within: Path | None = None) -> str:
    """Return the file's text, line endings and byte order mark included; "" if there is no file.

    Args:
        within: a folder that must contain the file after links are resolved.

    Raises:
        BridgeError: invalid_argument, if it is not a regular file, not UTF-8, too large, or outside ``within``;
            permission_denied, if it may not be read; internal, if the disk fails.
    """
    if within is not None:
        path = _resolve(path, within)
    try:
        regular = stat.S_ISREG(path.stat().st_mode)  # reading a pipe would block
        data = path.read_bytes() if regular else None
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise _system_error("read", path, error) from None
    if data is None:
        raise BridgeError(ErrorCode.INVALID_ARGUMENT, f"{path} is not a regular file.", "Move it away.")
    if len(data) > _MAX_BYTES:
        raise BridgeError(ErrorCode.INVALID_ARGUMENT, f"{path} is larger than {_MAX_BYTES:,} bytes.", "Move it away.")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"{path} is not UTF-8 text (byte {error.start:,}).",
            "Save it as UTF-8, or move it away; nothing was written.",
        ) from None


def write_config(
    path: Path, text: str, *, previous: str, within: Path | None = None, has_backup: bool = True
) -> Path | None:
    """Replace the file's text atomically: other programs read the old file or the new one, never a part.

    Links are followed. Missing folders are created. Mode and, where possible, owner are preserved; a new file is
    readable by its user only. The old file is copied to ``NAME.TIME.databricks-backup`` in the same folder.

    Args:
        previous: what `read_config` returned; if the file has changed since then, it is not written.
        within: a folder that must contain the file after links are resolved.
        has_backup: whether the old file is copied.

    Returns:
        The backup; None if there was no file, nothing to change, or no backup is wanted.

    Raises:
        BridgeError: the old file is unchanged then: invalid_argument, as for `read_config`, or if another program
            changed the file (then `retryable`); permission_denied, if it may not be written; internal, if the disk
            fails.
    """
    target = _resolve(path, within)
    _expect_unchanged(target, previous)
    if target.exists() and text == previous:
        return None
    data = _encode(path, text)
    backup = None
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _lock(target):
            temporary = _write_beside(target, data)
            _expect_unchanged(target, previous)
            if has_backup and target.exists():
                backup = _back_up(target, previous)
            _retry_while_open(partial(temporary.replace, target))
            temporary = None
        _sync_folder(target.parent)
    except OSError as error:
        if backup is not None:
            backup.unlink(missing_ok=True)
        raise _system_error("write", path, error) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return backup


def delete_config(path: Path, *, previous: str, keep: Collection[Path], within: Path | None = None) -> None:
    """Delete a file and its backups, then its parent folders up to the first that is not empty.

    Args:
        previous: as for `write_config`.
        keep: folders that are never deleted, nor are their parents.
        within: as for `write_config`.

    Raises:
        BridgeError: as for `write_config`.
    """
    target = _resolve(path, within)
    try:
        with _lock(target):
            _expect_unchanged(target, previous)
            _retry_while_open(partial(target.unlink, missing_ok=True))
            for backup in list_backups(target):
                backup.unlink(missing_ok=True)
    except OSError as error:
        raise _system_error("write", path, error) from None
    kept = {_resolve(folder, None) for folder in keep}
    for folder in target.parents:
        if folder in kept:
            return
        try:
            folder.rmdir()
        except OSError:  # not empty
            return


def list_backups(path: Path) -> list[Path]:
    """Return the backups of a file, the oldest first."""
    target = _resolve(path, None)
    try:
        found = [(_backup_order(file, target.name), file) for file in target.parent.iterdir()]
    except OSError:
        return []
    return [file for order, file in sorted(found) if order != _NO_BACKUP]


def _backup_order(file: Path, name: str) -> tuple[str, int]:
    """Return the time and number in a backup's name; `_NO_BACKUP` if ``file`` is not a backup of ``name``."""
    found = _BACKUP.fullmatch(file.name.removeprefix(name)) if file.name.startswith(name) else None
    return (found[1], int(found[2] or 1)) if found is not None else _NO_BACKUP


def _resolve(path: Path, within: Path | None) -> Path:
    """Return the path after all links are resolved."""
    try:
        target = path.resolve()
    except (OSError, RuntimeError):  # a loop of links; RuntimeError before Python 3.13
        raise _system_error("read", path, OSError(errno.ELOOP, "")) from None
    if within is not None and not target.is_relative_to(within.resolve()):
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"{path} is a link that leads out of {within}, to {target}.",
            "Remove the link, or leave --project out to write the user's own file; nothing was written.",
        )
    return target


def _expect_unchanged(path: Path, previous: str) -> None:
    if read_config(path) != previous:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"{path} was changed by another program in the meantime.",
            "Run the command again; nothing was written.",
            retryable=True,
        )


def _encode(path: Path, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"The new text of {path} cannot be encoded as UTF-8.",
            "Use names and paths that are valid Unicode; nothing was written.",
        ) from None


def _write_beside(target: Path, data: bytes) -> Path:
    """Write a temporary file in the same folder, synced to disk, with the mode and owner of the old file."""
    handle, name = tempfile.mkstemp(prefix=".databricks-", suffix=".tmp", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            _keep_access(target, temporary)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _keep_access(target: Path, temporary: Path) -> None:
    old = target.stat()
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "read-only")
    if sys.platform != "win32":
        new = temporary.stat()
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
            with contextlib.suppress(PermissionError):
                os.chown(temporary, old.st_uid, old.st_gid)
        temporary.chmod(stat.S_IMODE(old.st_mode) & 0o777)


def _back_up(target: Path, previous: str) -> Path:
    """Copy the file to a free backup name in the same folder."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    mode = stat.S_IMODE(target.stat().st_mode) & 0o666
    earlier = [_backup_order(backup, target.name) for backup in list_backups(target)]
    # Always above the existing numbers, so that names sort by age.
    first = max((number for time_, number in earlier if time_ == moment), default=0) + 1
    for count in range(first, first + 1000):
        number = f"-{count}" if count > 1 else ""
        backup = target.with_name(f"{target.name}.{moment}{number}.databricks-backup")
        try:
            handle = os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
        except FileExistsError:
            continue
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(previous.encode())
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            backup.unlink(missing_ok=True)
            raise
        return backup
    raise FileExistsError(errno.EEXIST, "too many backups")


def _retry_while_open(change: Callable[[], object]) -> None:
    """Call ``change``, again after a PermissionError: Windows does not replace or delete a file that is open."""
    for _ in range(_REPLACE_TRIES - 1):
        try:
            change()
        except PermissionError:
            time.sleep(_REPLACE_PAUSE)
        else:
            return
    change()


def _sync_folder(folder: Path) -> None:
    """Sync the folder, so that the new name survives a power failure, where the system supports that."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


@contextlib.contextmanager
def _lock(target: Path) -> Iterator[None]:
    """Hold a lock against other processes of this program, from the last read of the old file to its replacement.

    Runs without the lock if locks do not work, or if it is not free after `_LOCK_SECONDS`. The last holder deletes the
    lock file.
    """
    digest = hashlib.sha256(os.fsencode(target)).hexdigest()[:16]
    user = os.getuid() if sys.platform != "win32" else ""
    try:
        lock = Path(tempfile.gettempdir()) / f"databricks-responses-mcp-{user}-{digest}.lock"
        handle, held = _acquire(lock)
    except OSError:
        yield
        return
    try:
        yield
    finally:
        if sys.platform == "win32":  # Windows cannot delete an open file
            os.close(handle)
        if held:
            with contextlib.suppress(OSError):
                lock.unlink()
        if sys.platform != "win32":
            os.close(handle)


def _acquire(lock: Path) -> tuple[int, bool]:
    """Open the lock file; return its descriptor, and whether it was locked before the deadline."""
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        while not (locked := _try_lock(handle)) and time.monotonic() < deadline:
            time.sleep(0.01)
        # The last holder may have deleted the file meanwhile: the next process would then lock another one.
        if not locked or sys.platform == "win32" or _is_same_file(handle, lock):
            return handle, locked
        os.close(handle)


def _is_same_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _try_lock(handle: int) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
    return True


def _system_error(verb: str, path: Path, error: OSError) -> BridgeError:
    """Return the error for a failed system call, with advice."""
    whole = "; the file is unchanged" if verb == "write" else ""
    number = error.errno
    if getattr(error, "winerror", None) in _OPEN_ELSEWHERE:
        what, hint = f"{path} is open in another program.", f"Quit the host, and run the command again{whole}."
        return BridgeError(ErrorCode.PERMISSION_DENIED, what, hint, retryable=True)
    if number in (errno.EACCES, errno.EPERM):
        done = "written" if verb == "write" else "read"
        what, hint = f"{path} may not be {done} by this user.", f"Change its permissions or its folder's{whole}."
        return BridgeError(ErrorCode.PERMISSION_DENIED, what, hint)
    if number == errno.EROFS:
        what = f"{path} is on a read-only disk."
        hint = f"Make the change where the file is managed (`--print` shows it){whole}."
        return BridgeError(ErrorCode.PERMISSION_DENIED, what, hint)
    if number in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        what = f"There is no space left on the disk of {path}."
        return BridgeError(ErrorCode.INTERNAL, what, f"Free some and run the command again{whole}.", retryable=True)
    if number == errno.ELOOP:
        what, hint = f"{path} is part of a loop of symbolic links.", "Remove the link."
        return BridgeError(ErrorCode.INVALID_ARGUMENT, what, hint)
    if number in (errno.ENOTDIR, errno.EEXIST):
        what, hint = f"A parent folder of {path} is a file.", f"Move that file away{whole}."
        return BridgeError(ErrorCode.INVALID_ARGUMENT, what, hint)
    why = error.strerror or type(error).__name__
    return BridgeError(ErrorCode.INTERNAL, f"Cannot {verb} {path}: {why}.", f"Check the disk and run it again{whole}.")
