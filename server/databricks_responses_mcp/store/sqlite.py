"""Conversations in one SQLite file, for several processes of one user."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import ParamSpec, TypeVar

import anyio
import anyio.to_thread

from databricks_responses_mcp.store.interface import StoreError
from databricks_responses_mcp.store.sql_store import SqlDatabase, SqlStore, WaitTimeout
from databricks_responses_mcp.store.sqlite_file import (
    BUSY_SECONDS,
    dialect,
    explain_error,
    is_locked,
    open_file,
    open_memory,
    write_back,
)
from databricks_responses_mcp.store.statements import NOTHING, StatementResult, Transaction, Unread

P = ParamSpec("P")
T = TypeVar("T")
_PAGES_AT_ONCE = 50
_SHRINK_SECONDS = 0.01
_CHECKPOINT_WAIT_MS = 20
_BRIEFLY_SECONDS = 0.2


class SqliteWork:
    """A connection to a file, reopened when necessary. One thread at a time may use it.

    Each method may raise `StoreError`.

    Attributes:
        replacements: how often the file was found replaced or missing.
    """

    def __init__(self, path: Path) -> None:
        self.replacements = 0
        self._timeout = WaitTimeout(BUSY_SECONDS, _BRIEFLY_SECONDS)
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def transaction(self, begin: str, statements: Transaction[T]) -> T:
        """Run a transaction that the statement ``begin`` begins."""
        result = self._with_connection(lambda connection: _transaction(connection, begin, statements))
        if begin != "BEGIN":
            # Readers do not wait for the write lock, so only a write shows that it is free.
            self._timeout.record_success()
        return result

    def free_pages(self) -> bool:
        """Return some unused pages to the file system; return whether there are more."""
        return self._with_connection(_free_some_pages)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _with_connection(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return work(self._current_connection(self._timeout.seconds))
        except StoreError:
            raise
        except sqlite3.IntegrityError as error:
            raise explain_error(error, self._path) from error
        except (sqlite3.Error, OSError, ValueError, TypeError, KeyError) as error:
            # After a damaged file or a disk error the connection may be in any state: the next call reopens it.
            if isinstance(error, sqlite3.Error) and is_locked(error):
                self._timeout.record_failure()
            else:
                self.close()
            raise explain_error(error, self._path) from error

    def _current_connection(self, busy_seconds: float) -> sqlite3.Connection:
        """Return a connection to the file that the path names now: a file that was moved is not written any more.

        Args:
            busy_seconds: how long its statements wait for a lock that another process holds.
        """
        if self._file is not None and self._identity() != self._file:
            self.close()
            self.replacements += 1
            self._file = None
        if self._connection is None:
            self._connection = self._open(busy_seconds)
            self._file = self._identity()
        self._connection.execute(f"PRAGMA busy_timeout = {int(busy_seconds * 1000)}")
        return self._connection

    def _open(self, busy_seconds: float) -> sqlite3.Connection:
        return open_file(self._path, busy_seconds)

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino


class MemoryWork(SqliteWork):
    """A connection to a database in memory."""

    def __init__(self) -> None:
        super().__init__(Path("memory"))

    def _open(self, busy_seconds: float) -> sqlite3.Connection:
        return open_memory()

    def _identity(self) -> None:
        return None


def _transaction(connection: sqlite3.Connection, begin: str, statements: Transaction[T]) -> T:
    connection.execute(begin)
    try:
        result = _run(connection, statements)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def _run(connection: sqlite3.Connection, statements: Transaction[T]) -> T:
    try:
        statement = next(statements)
        while True:
            if isinstance(statement, Unread):
                connection.execute(dialect(statement.sql), statement.values)
                statement = statements.send(NOTHING)
            else:
                cursor = connection.execute(dialect(statement[0]), statement[1])
                statement = statements.send(StatementResult(cursor.fetchall(), cursor.rowcount))
    except StopIteration as stop:
        result: T = stop.value
        return result


def _free_some_pages(connection: sqlite3.Connection) -> bool:
    until, free = monotonic() + _SHRINK_SECONDS, _free_pages(connection)
    if free:
        connection.execute("BEGIN IMMEDIATE")
        try:
            # One call may free fewer pages than requested.
            while monotonic() < until and (left := _free_pages(connection)):
                connection.execute(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})").fetchall()
                if _free_pages(connection) >= left:
                    break
        finally:
            connection.execute("COMMIT")
        if 0 < _free_pages(connection) < free:
            return True
    # The file shrinks at a checkpoint. Readers may prevent it: then the next sweep does it.
    connection.execute(f"PRAGMA busy_timeout = {_CHECKPOINT_WAIT_MS}")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return False


def _free_pages(connection: sqlite3.Connection) -> int:
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    return int(free)


class SqliteStore(SqlStore):
    """Stores conversations in a SQLite file, which is opened at the first use."""

    def __init__(self, path: Path, owner: str = "") -> None:
        super().__init__(SqliteDatabase(path), owner)


class SqliteDatabase(SqlDatabase):
    """A SQLite file, which is opened at the first use.

    All SQL runs in worker threads, one call at a time. A call that is cancelled before its transaction starts has no
    effect; after that its transaction is completed first, which takes milliseconds, or seconds if another process has
    locked the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: SqliteWork | None = None
        self._one_at_a_time = anyio.CapacityLimiter(1)

    async def aclose(self) -> None:
        """Close the file; the next use opens it again."""
        if self._opened is not None:
            with anyio.CancelScope(shield=True):
                await self._run_in_thread(lambda work: work.close())

    @property
    def replacements(self) -> int:
        """See `Store.replacements`."""
        return 0 if self._opened is None else self._opened.replacements

    async def read(self, transaction: Callable[P, Transaction[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `SqlDatabase.read`."""
        return await self._run_in_thread(lambda work: work.transaction("BEGIN", transaction(*args, **kwargs)))

    async def write(self, transaction: Callable[P, Transaction[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `SqlDatabase.write`."""
        return await self._run_in_thread(lambda work: work.transaction("BEGIN IMMEDIATE", transaction(*args, **kwargs)))

    async def write_back(self) -> None:
        """Write the log back on a connection of its own, so that no call waits for it.

        A transaction that fills the log writes it back before it ends, and later transactions wait for that.
        """
        await anyio.to_thread.run_sync(write_back, self._path)

    async def release_space(self) -> bool:
        """See `SqlDatabase.release_space`."""
        return await self._run_in_thread(lambda work: work.free_pages())

    async def _run_in_thread(self, call: Callable[[SqliteWork], T]) -> T:
        return await anyio.to_thread.run_sync(self._call, call, limiter=self._one_at_a_time)

    def _call(self, call: Callable[[SqliteWork], T]) -> T:
        if self._opened is None:
            self._opened = self._create_work()
        return call(self._opened)

    def _create_work(self) -> SqliteWork:
        return SqliteWork(self._path)
