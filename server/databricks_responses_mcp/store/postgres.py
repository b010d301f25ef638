"""Conversations in PostgreSQL, for several replicas of a shared server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread

from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.store.interface import StoreError
from databricks_responses_mcp.store.postgres_database import (
    MISSING_DRIVER,
    Target,
    dialect,
    explain_error,
    migrate,
    parse_url,
)
from databricks_responses_mcp.store.sql_store import SqlDatabase, SqlStore, WaitTimeout
from databricks_responses_mcp.store.statements import Statement, StatementResult, Transaction

if TYPE_CHECKING:
    from psycopg import AsyncConnection

T = TypeVar("T")
_MOST_CONNECTIONS = 4
_DEADLINE_SECONDS = 30.0
_BRIEFLY_SECONDS = 1.0
_SLOW_SECONDS = 5.0
"""A call that ends unsuccessfully after this time has waited for an unavailable database."""
_COMMIT_SECONDS = 10.0
_IDLE_SECONDS = 120.0
# Shorter than the client's deadline, so that nobody waits for a lock held by a lost client.
_LIMITS = (
    "; SET LOCAL lock_timeout = '10s'; SET LOCAL statement_timeout = '20s'"
    "; SET LOCAL idle_in_transaction_session_timeout = '30s'"
)
_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" + _LIMITS
_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE" + _LIMITS


class PostgresStore(SqlStore):
    """Stores conversations in a PostgreSQL database, in a schema of its own; connects at the first use.

    Args:
        url: see `PostgresPool`, as is ``password``.
        owner: the owner of the conversations; those of others are not visible.
    """

    def __init__(self, url: str, owner: str = "", password: Callable[[], Awaitable[str]] | None = None) -> None:
        super().__init__(PostgresPool(url, password), owner)


class PostgresPool(SqlDatabase):
    """Connections to a PostgreSQL database, each opened when it is needed.

    A call that is cancelled or fails closes its connection, and the server rolls its transaction back.

    Args:
        url: ``postgresql://…``; without ``sslmode`` TLS is required, except for a server on this machine.
        password: returns a fresh password for each connection; None uses that of the URL. A fresh password gives
            access to more than the database, so it is sent only to a server with a valid certificate for its name.
    """

    def __init__(self, url: str, password: Callable[[], Awaitable[str]] | None = None) -> None:
        self._url = url
        self._password = password
        self._target: Target | None = None
        self._capacity = anyio.CapacityLimiter(_MOST_CONNECTIONS)
        self._idle: list[tuple[float, AsyncConnection[Any]]] = []
        self._migrating = anyio.Lock()
        self._migrated = False
        self._timeout = WaitTimeout(_DEADLINE_SECONDS, _BRIEFLY_SECONDS)

    async def aclose(self) -> None:
        """See `SqlDatabase.aclose`."""
        with anyio.CancelScope(shield=True):
            while self._idle:
                await _close(self._idle.pop()[1])

    async def read(self, statements: Transaction[T]) -> T:
        return await self._transaction(_READ, statements)

    async def write(self, statements: Transaction[T]) -> T:
        return await self._transaction(_WRITE, statements)

    async def write_back(self) -> None:
        """Do nothing: the server does it by itself."""

    async def release_space(self) -> bool:
        """Do nothing: the server's own vacuum frees space."""
        return False

    async def _transaction(self, begin: str, statements: Transaction[T]) -> T:
        async with self._deadline_and_errors(), self._capacity:
            connection = await self._begin(begin)
            try:
                result = await _run(connection, statements)
                # Shielded: once the call has ended, the transaction must be either committed or rolled back.
                with anyio.CancelScope(shield=True), anyio.fail_after(_COMMIT_SECONDS):
                    await connection.execute("COMMIT")
            except BaseException:
                await _close(connection)
                raise
            self._idle.append((monotonic(), connection))
            return result

    async def _begin(self, begin: str) -> AsyncConnection[Any]:
        """Begin a transaction on an idle connection if one is still open, else on a new one."""
        from psycopg import Error

        while self._idle:
            since, connection = self._idle.pop()
            if monotonic() - since < _IDLE_SECONDS:
                try:
                    await connection.execute(begin.encode())
                except Error:
                    pass
                except BaseException:
                    await _close(connection)
                    raise
                else:
                    return connection
            await _close(connection)
        connection = await self._connect()
        try:
            await connection.execute(begin.encode())
        except BaseException:
            await _close(connection)
            raise
        return connection

    async def _connect(self) -> AsyncConnection[Any]:
        from psycopg import AsyncConnection

        where = self._get_target()
        more: dict[str, str] = {} if self._password is None else {"password": await self._fresh_password()}
        # Statements are not prepared: a connection pooler may not support that.
        connection: AsyncConnection[Any] = await AsyncConnection.connect(
            **{**where.parameters, **more}, autocommit=True, prepare_threshold=None
        )
        try:
            async with self._migrating:
                if not self._migrated:
                    await migrate(connection, where.label)
                    self._migrated = True
        except BaseException:
            await _close(connection)
            raise
        return connection

    async def _fresh_password(self) -> str:
        assert self._password is not None
        try:
            return await self._password()
        except BridgeError as error:
            raise StoreError(f"There is no password for {self._get_target().label}: {error}") from error

    def _get_target(self) -> Target:
        if self._target is None:
            self._target = parse_url(self._url, certified=self._password is not None)
        return self._target

    @asynccontextmanager
    async def _deadline_and_errors(self) -> AsyncIterator[None]:
        """Set the deadline of a call, and convert its exceptions into `StoreError`."""
        try:
            from psycopg import Error
        except ImportError as error:
            raise StoreError(MISSING_DRIVER) from error
        began, seconds = monotonic(), self._timeout.seconds
        try:
            with anyio.fail_after(seconds):
                yield
            self._timeout.record_success()
        except StoreError:
            raise
        except (Error, OSError, ValueError, TypeError, KeyError) as error:
            # Not "from" the error: the driver's message may contain secrets of the URL.
            raise explain_error(error, self._get_target(), seconds) from None
        finally:
            if monotonic() - began > _SLOW_SECONDS:
                self._timeout.record_failure()


async def _run(connection: AsyncConnection[Any], statements: Transaction[T]) -> T:
    """Run a transaction's statements. The generator runs in a thread: turns may be megabytes of JSON."""
    done: StatementResult | None = None
    while True:
        statement, result = await anyio.to_thread.run_sync(_advance, statements, done)
        if statement is None:
            final: T = result
            return final
        sql, values = statement
        cursor = await connection.execute(dialect(sql), values)
        done = StatementResult(await cursor.fetchall() if cursor.description else [], cursor.rowcount)


def _advance(statements: Transaction[Any], done: StatementResult | None) -> tuple[Statement | None, Any]:
    try:
        return (next(statements) if done is None else statements.send(done)), None
    except StopIteration as stop:
        return None, stop.value


async def _close(connection: AsyncConnection[Any]) -> None:
    with anyio.CancelScope(shield=True), anyio.move_on_after(1):
        await connection.close()
