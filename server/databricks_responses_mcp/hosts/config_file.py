"""Reads a host's configuration file, and writes it whole or not at all.

The functions block; callers on an event loop run them in a worker thread.
"""

import contextlib
import errno
import hashlib
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from databricks_responses_mcp.errors import BridgeError, ErrorCode

_LARGEST = 20_000_000
_REPLACE_TRIES = 10
_REPLACE_PAUSE = 0.05
_LOCK_SECONDS = 5.0


def read_config(path: Path) -> str:
    """The file's text with its line endings and byte order mark as they are; "" if there is no file.

    Raises:
        BridgeError: invalid_argument, if it is a folder, not UTF-8 or too large; permission_denied, if it may not be
            read; internal, if the disk fails.
    """
    try:
        regular = stat.S_ISREG(path.stat().st_mode)  # a pipe would be waited for
        data = path.read_bytes() if regular else None
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise _failed("read", path, error) from None
    if data is None:
        raise BridgeError(ErrorCode.INVALID_ARGUMENT, f"{path} is not a regular file.", "Move it away.")
    if len(data) > _LARGEST:
        raise BridgeError(ErrorCode.INVALID_ARGUMENT, f"{path} is larger than {_LARGEST:,} bytes.", "Move it away.")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"{path} is not UTF-8 text (byte {error.start:,}).",
            "Save it as UTF-8, or move it away; nothing was written.",
        ) from None


def write_config(path: Path, text: str, *, previous: str) -> Path | None:
    """Puts a text in place of the file's, at once; other programs see the old file or the new one, never a part.

    A link is followed, so it stays a link; folders are made; mode and, where possible, owner are kept; a new file can
    be read by its user alone. The old file is kept beside the new one as ``NAME.TIME.databricks-backup``.

    Args:
        previous: what `read_config` gave; a file that says something else by now is left alone.

    Returns:
        The backup; None if there was no file, or nothing to change.

    Raises:
        BridgeError: with the old file whole: invalid_argument, as `read_config` does, or if the file was changed in the
            meantime (then `retryable`); permission_denied, if it may not be written; internal, if the disk fails.
    """
    target = _resolve(path)
    _expect_unchanged(target, previous)
    there = target.exists()
    if there and text == previous:
        return None
    data = _encode(path, text)
    backup = None
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target):
            temporary = _write_beside(target, data)
            _expect_unchanged(target, previous)
            if target.exists():
                backup = _back_up(target, previous)
            _replace(temporary, target)
            temporary = None
        _sync_folder(target.parent)
    except OSError as error:
        if backup is not None:
            backup.unlink(missing_ok=True)
        raise _failed("write", path, error) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return backup


def _resolve(path: Path) -> Path:
    """The file itself, behind all links."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # links in a circle, before Python 3.13
        raise _failed("read", path, OSError(errno.ELOOP, "")) from None


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
            f"What is to be written to {path} cannot be written as UTF-8.",
            "Use names and paths that are valid Unicode; nothing was written.",
        ) from None


def _write_beside(target: Path, data: bytes) -> Path:
    """The new file, complete on disk, under a passing name; with the mode and owner of the old one."""
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
    """A copy beside the file, under a name that is not taken."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    mode = stat.S_IMODE(target.stat().st_mode) & 0o666
    for count in range(1, 1000):
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


def _replace(temporary: Path, target: Path) -> None:
    """On Windows a file that another program has open cannot be replaced for the moment."""
    for _ in range(_REPLACE_TRIES - 1):
        try:
            temporary.replace(target)
        except PermissionError:
            time.sleep(_REPLACE_PAUSE)
        else:
            return
    temporary.replace(target)


def _sync_folder(folder: Path) -> None:
    """Makes the new name last through a power cut, where that is possible."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


@contextlib.contextmanager
def _locked(target: Path) -> Iterator[None]:
    """One writer of ours at a time, from the last look at the old file to the new one's place.

    Where locks do not work it goes on without one; a hung writer is not waited for longer than some seconds.
    """
    digest = hashlib.sha256(os.fsencode(target)).hexdigest()[:16]
    user = os.getuid() if sys.platform != "win32" else ""
    try:
        lock = Path(tempfile.gettempdir()) / f"databricks-responses-mcp-{user}-{digest}.lock"
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError:
        yield
        return
    try:
        deadline = time.monotonic() + _LOCK_SECONDS
        while not _try_lock(handle) and time.monotonic() < deadline:
            time.sleep(0.01)
        yield
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
    return True


def _failed(verb: str, path: Path, error: OSError) -> BridgeError:
    """What the system said, and what to do about it."""
    whole = "; the file is as it was" if verb == "write" else ""
    number = error.errno
    if number in (errno.EACCES, errno.EPERM):
        done = "written" if verb == "write" else "read"
        what, hint = f"{path} may not be {done} by this user.", f"Change its permissions or its folder's{whole}."
        return BridgeError(ErrorCode.PERMISSION_DENIED, what, hint)
    if number == errno.EROFS:
        what = f"{path} is on a disk that can only be read."
        hint = f"Make the change where the file is managed (`--print` shows it){whole}."
        return BridgeError(ErrorCode.PERMISSION_DENIED, what, hint)
    if number in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        what = f"There is no space left on the disk of {path}."
        return BridgeError(ErrorCode.INTERNAL, what, f"Free some and run the command again{whole}.", retryable=True)
    if number == errno.ELOOP:
        what, hint = f"{path} is a link that leads in a circle.", "Remove the link."
        return BridgeError(ErrorCode.INVALID_ARGUMENT, what, hint)
    if number in (errno.ENOTDIR, errno.EEXIST):
        what, hint = f"A folder on the way to {path} is a file.", f"Move that file away{whole}."
        return BridgeError(ErrorCode.INVALID_ARGUMENT, what, hint)
    why = error.strerror or type(error).__name__
    return BridgeError(ErrorCode.INTERNAL, f"Cannot {verb} {path}: {why}.", f"Check the disk and run it again{whole}.")
