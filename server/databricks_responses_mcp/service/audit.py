"""The audit log: a rotated file of JSON lines, or a table of the service's database."""

import json
import os
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from databricks_responses_mcp.calls.call_log import AuditError
from databricks_responses_mcp.store.interface import Store, StoreError

if sys.platform != "win32":
    import fcntl

_MODE = 0o600
_STUCK_SECONDS = 5.0


class AuditFile:
    """Appends a line of JSON for each record; several processes of one machine may share the file.

    A file that would become too large is renamed to ``NAME.1``, that one to ``NAME.2``, and so on. The operating system
    has each record when `write` returns, so a killed process loses none; with ``is_strict`` the disk has it, too.

    Args:
        path: only its owner may read it.
        max_bytes: the size at which it is renamed.
        max_files: the number of renamed files that stay, at least one.
        is_strict: see `AuditLog`.
    """

    def __init__(self, path: Path, *, max_bytes: int, max_files: int, is_strict: bool) -> None:
        self.is_strict = is_strict
        self._path = path
        self._max_bytes = max_bytes
        self._max_files = max_files
        self._one_at_a_time = anyio.CapacityLimiter(1)
        self._began: float | None = None

    async def write(self, record: Mapping[str, Any]) -> None:
        """See `AuditLog.write`."""
        began = self._began
        if began is not None and time.monotonic() - began > _STUCK_SECONDS:
            # Other calls must not wait for it, too.
            raise AuditError(f"{self._path}: the disk has not taken an earlier record.")
        line = json.dumps({key: value for key, value in record.items() if value is not None}) + "\n"
        await anyio.to_thread.run_sync(self._append, line.encode(), limiter=self._one_at_a_time, abandon_on_cancel=True)

    def check(self) -> None:
        """Check that records can be written.

        Raises:
            AuditError: if they cannot.
        """
        self._append(b"")

    def _append(self, line: bytes) -> None:
        self._began = time.monotonic()
        try:
            with self._locked():
                descriptor = self._open()
                if self._is_full(descriptor, line):
                    # Closed first: Windows renames no file that is open.
                    os.close(descriptor)
                    self._rotate()
                    descriptor = self._open()
                try:
                    self._write_whole(descriptor, line)
                finally:
                    os.close(descriptor)
        except OSError as error:
            raise AuditError(f"{self._path}: {error.strerror or type(error).__name__}.") from error
        finally:
            self._began = None

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(self._path, flags, _MODE)
        try:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                raise OSError(0, "not a regular file")
            if sys.platform != "win32" and stat.S_IMODE(mode) & 0o077:
                os.fchmod(descriptor, _MODE)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _is_full(self, descriptor: int, line: bytes) -> bool:
        size = os.fstat(descriptor).st_size
        return size > 0 and size + len(line) > self._max_bytes

    def _write_whole(self, descriptor: int, line: bytes) -> None:
        size = os.fstat(descriptor).st_size
        try:
            written = os.write(descriptor, line)
            if written < len(line):
                raise OSError(0, "the disk is full")
        except OSError:
            # No half line stays, which would spoil the next one.
            os.ftruncate(descriptor, size)
            raise
        if self.is_strict:
            os.fsync(descriptor)

    def _rotate(self) -> None:
        for number in range(self._max_files, 0, -1):
            older = self._path if number == 1 else self._numbered(number - 1)
            if older.exists():
                older.replace(self._numbered(number))

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock of the file against other processes: only one rotates it, or writes a line."""
        if sys.platform == "win32":
            yield
            return
        lock = os.open(self._path.with_name(f"{self._path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, _MODE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


class AuditTable:
    """Appends a row to the table ``audit`` of the service's database.

    Args:
        store: of the user.
        is_strict: see `AuditLog`.
    """

    def __init__(self, store: Store, *, is_strict: bool) -> None:
        self.is_strict = is_strict
        self._store = store

    async def write(self, record: Mapping[str, Any]) -> None:
        """See `AuditLog.write`."""
        kept = {key: value for key, value in record.items() if value is not None}
        try:
            await self._store.add_audit_record(time.time(), kept)
        except StoreError as error:
            raise AuditError(str(error)) from error
