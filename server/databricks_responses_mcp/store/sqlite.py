"""Conversations in one SQLite file, for several processes of one user."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import TypeVar

import anyio
import anyio.to_thread

from databricks_responses_mcp.store.interface import StoreError
from databricks_responses_mcp.store.sql_store import SqlStore
from databricks_responses_mcp.store.sqlite_failures import explained, is_locked
from databricks_responses_mcp.store.sqlite_file import BUSY_SECONDS, dialect, open_file
from databricks_responses_mcp.store.steps import Done, Steps

T = TypeVar("T")
_SHRINK_SECONDS = 1.0
_PAGES_AT_ONCE = 1000


class SqliteStore(SqlStore):
    """Keeps conversations in a SQLite file, which is opened when it is first used.

    All SQL runs in worker threads, one call at a time. A call that is cancelled while it waits for its turn has done
    nothing; later its transaction is brought to its end first, which takes milliseconds, or seconds if another process
    holds the file.
    """

    def __init__(self, path: Path, owner: str = "") -> None:
        super().__init__(owner)
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, int] | None = None
        self._turn = anyio.CapacityLimiter(1)

    async def aclose(self) -> None:
        """Close the file. The store may be used again after that: it opens anew."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._close, limiter=self._turn)

    async def _read(self, steps: Steps[T]) -> T:
        return await self._in_thread(lambda connection: _transaction(connection, "BEGIN", steps))

    async def _write(self, steps: Steps[T]) -> T:
        return await self._in_thread(lambda connection: _transaction(connection, "BEGIN IMMEDIATE", steps))

    async def _shrink(self) -> None:
        await self._in_thread(_give_back)

    async def _in_thread(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await anyio.to_thread.run_sync(self._guarded, work, limiter=self._turn)

    def _guarded(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return work(self._usable())
        except StoreError:
            raise
        except (sqlite3.Error, OSError, ValueError, TypeError, KeyError) as error:
            # A connection that has met a damaged file or a failing disk may be in any state: the next call opens anew.
            if not (isinstance(error, sqlite3.Error) and is_locked(error)):
                self._close()
            raise explained(error, self._path) from error

    def _usable(self) -> sqlite3.Connection:
        """The open connection, to the file that is there now: one that was moved away takes no more turns."""
        if self._connection is not None and self._identity() != self._opened:
            self._close()
        if self._connection is None:
            self._connection = self._open()
            self._opened = self._identity()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        return open_file(self._path)

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _transaction(connection: sqlite3.Connection, begin: str, steps: Steps[T]) -> T:
    connection.execute(begin)
    try:
        result = _run(connection, steps)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def _run(connection: sqlite3.Connection, steps: Steps[T]) -> T:
    try:
        sql, values = next(steps)
        while True:
            cursor = connection.execute(dialect(sql), values)
            sql, values = steps.send(Done(cursor.fetchall(), cursor.rowcount))
    except StopIteration as stop:
        result: T = stop.value
        return result


def _give_back(connection: sqlite3.Connection) -> None:
    until = monotonic() + _SHRINK_SECONDS
    while monotonic() < until:
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        if not free:
            break
        connection.execute(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})").fetchall()
    # The file shrinks when the log is written back, which readers may put off: then the next sweep does it.
    connection.execute("PRAGMA busy_timeout = 100")
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
