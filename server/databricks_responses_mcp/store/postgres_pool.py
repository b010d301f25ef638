"""Connections to a PostgreSQL database, and the transactions on them.

Not `psycopg_pool`: it connects in background tasks, so a caller whose password is wrong waits for its full time and
is told only that no connection came; and what happens to a transaction whose connection is lost is the caller's part
anyway. No state of a session is used, so that a connection pooler may give each transaction another connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import anyio
import anyio.to_thread

from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.sockets import is_readable
from databricks_responses_mcp.store.interface import FreshSignIn, SignIn, StoreError, UncertainChangeError
from databricks_responses_mcp.store.postgres_database import (
    MISSING_DRIVER,
    Target,
    explain_error,
    migrate,
    parse_url,
)
from databricks_responses_mcp.store.postgres_transaction import Access, PostgresTransaction, run_without_begin
from databricks_responses_mcp.store.sql_store import SqlDatabase, WaitTimeout
from databricks_responses_mcp.store.statements import Transaction, proof_of

if TYPE_CHECKING:
    from psycopg import AsyncConnection

P = ParamSpec("P")
T = TypeVar("T")
DEFAULT_CONNECTIONS = 4
_DEADLINE_SECONDS = 30.0
_BRIEFLY_SECONDS = 1.0
_BRIEFLY_WITH_SIGN_IN_SECONDS = 4.0
"""Enough to ask for a credential as well before connecting."""
_SLOW_SECONDS = 5.0
"""A call that ends unsuccessfully after this time has waited for an unavailable database."""
_WAIT_SECONDS = 8.0
"""How long a call waits for one of the connections; shorter than what its own caller waits for it."""
_NEW_CONNECTIONS = 2
_COMMIT_SECONDS = 15.0
"""Longer than the server lets a statement wait for a lock."""
_IDLE_SECONDS = 120.0
_RECONNECT_SECONDS = 5.0
"""How long a call tries to connect to a database that has worked before: a restart takes a moment."""
_RETRY_PAUSE_SECONDS = 0.25
_MAX_PAUSE_SECONDS = 1.0
_LOST_STATES = ("08", "57P", "25P03", "40001", "40P01")
"""SQLSTATEs after which the server has rolled the transaction back, and it may be run again: a lost connection, a
server that shuts down, a transaction that was idle too long, and a victim of a deadlock."""


class _RolledBackError(Exception):
    """A transaction was rolled back for a reason that has nothing to do with it; it may be run again.

    Attributes:
        reason: the driver's error.
    """

    def __init__(self, reason: BaseException) -> None:
        super().__init__()
        self.reason = reason


class PostgresPool(SqlDatabase):
    """Connections to a PostgreSQL database, each opened when it is needed and closed when it is not used for a while.

    A call that fails, or is cancelled before it commits, closes its connection, and the server rolls its transaction
    back. A transaction whose connection is lost is run again on another one, unless it was committed.

    Args:
        url: ``postgresql://…``; without ``sslmode`` TLS is required, except for a server on this machine.
        sign_in: returns what each new connection is opened with besides the URL; None if the URL has it all.
        connections: the most that are open at a time; calls wait for one of them.
    """

    def __init__(
        self,
        url: str,
        sign_in: FreshSignIn | None = None,
        connections: int = DEFAULT_CONNECTIONS,
    ) -> None:
        self._url = url
        self._sign_in = sign_in
        self._connections = connections
        self._target: Target | None = None
        self._capacity = anyio.CapacityLimiter(connections)
        self._idle: deque[tuple[float, AsyncConnection[Any]]] = deque()
        self._closing: asyncio.TimerHandle | None = None
        self._closers: set[asyncio.Task[None]] = set()
        self._migrating = anyio.Lock()
        self._migrated = False
        briefly = _BRIEFLY_SECONDS if sign_in is None else _BRIEFLY_WITH_SIGN_IN_SECONDS
        self._timeout = WaitTimeout(_DEADLINE_SECONDS, briefly)

    async def aclose(self) -> None:
        """See `SqlDatabase.aclose`."""
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        with anyio.CancelScope(shield=True):
            while self._idle:
                await _close(self._idle.pop()[1])

    async def read(self, transaction: Callable[P, Transaction[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `SqlDatabase.read`."""
        return await self._run(Access.READ, partial(transaction, *args, **kwargs))

    async def write(self, transaction: Callable[P, Transaction[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `SqlDatabase.write`."""
        return await self._run(Access.WRITE, partial(transaction, *args, **kwargs))

    async def write_back(self) -> None:
        """Do nothing: the server does it by itself."""

    async def release_space(self) -> bool:
        """Do nothing: the server's own vacuum frees space."""
        return False

    async def _run(self, access: Access, transaction: partial[Transaction[T]]) -> T:
        """Run a transaction within the deadline of a call; convert exceptions into `StoreError`."""
        try:
            from psycopg import Error
        except ImportError as error:
            raise StoreError(MISSING_DRIVER) from error
        began, seconds = monotonic(), self._timeout.seconds
        try:
            with anyio.fail_after(seconds):
                await self._wait_for_place()
                try:
                    result = await self._run_until_done(access, transaction)
                finally:
                    self._capacity.release()
        except UncertainChangeError:
            self._record_wait(began)
            raise
        except StoreError:
            raise
        except (Error, OSError, ValueError, TypeError, KeyError) as error:
            self._record_wait(began)
            # Not "from" the error: the driver's message may contain secrets of the URL.
            raise explain_error(error, self._get_target(), seconds) from None
        except BaseException:
            self._record_wait(began)
            raise
        self._timeout.record_success()
        return result

    async def _run_until_done(self, access: Access, transaction: partial[Transaction[T]]) -> T:
        """Run a transaction; if its connection is lost, again: on each idle connection and on two new ones.

        A database that works again only after a few seconds gets more attempts: a connection pooler lets its clients
        connect meanwhile.
        """
        lost: BaseException | None = None
        new_connections, pause, until = 0, _RETRY_PAUSE_SECONDS, 0.0
        patience = min(_RECONNECT_SECONDS, self._timeout.seconds / 2) if self._migrated else 0.0
        # If the database does not answer, only BEGIN can be given up without having to find out what was stored.
        may_be_at_once = not self._timeout.has_failed
        while True:
            attempt = PostgresTransaction(access, transaction, may_be_at_once=may_be_at_once)
            await attempt.prepare()
            connection = await self._take_idle()
            if connection is None:
                if lost is not None and new_connections >= _NEW_CONNECTIONS:
                    if monotonic() + pause > until:
                        raise lost
                    await anyio.sleep(pause)
                    pause = min(pause * 2, _MAX_PAUSE_SECONDS)
                connection = await self._connect(patience)
                new_connections += 1
            try:
                await self._attempt(attempt, connection, transaction)
            except _RolledBackError as error:
                until = until if lost is not None else monotonic() + patience
                lost = error.reason
            except StoreError as error:
                # The attempt before it may have been committed after the rows were looked for.
                if lost is None or not attempt.is_at_once or isinstance(error, UncertainChangeError):
                    raise
                if not await self._was_committed(None, transaction):
                    raise
                return attempt.result
            else:
                return attempt.result

    async def _attempt(
        self, attempt: PostgresTransaction[T], connection: AsyncConnection[Any], transaction: partial[Transaction[T]]
    ) -> None:
        """Run a transaction on a connection, which is idle or closed afterwards.

        Raises:
            _RolledBackError: if it may be run again.
        """
        from psycopg import Error

        try:
            await attempt.begin(connection)
            await attempt.run()
        except BaseException as error:
            # Before it is closed: then every connection is.
            lost = isinstance(error, Error) and _is_lost(error, connection)
            await _close(connection)
            if lost:
                raise _RolledBackError(error) from error
            raise
        # Shielded: once the call has ended, the transaction must be either committed or rolled back.
        try:
            with anyio.fail_after(_COMMIT_SECONDS, shield=True):
                await attempt.commit()
        except (Error, TimeoutError) as error:
            lost = isinstance(error, TimeoutError) or _is_lost(error, connection)
            await _close(connection)
            if not lost:
                raise
            with anyio.CancelScope(shield=True):
                is_done = attempt.access is Access.READ or await self._was_committed(attempt.id, transaction)
            if not is_done:
                raise _RolledBackError(error) from error
        except BaseException:
            await _close(connection)
            raise
        else:
            self._put_back(connection)

    async def _was_committed(self, transaction_id: int | None, transaction: partial[Transaction[T]]) -> bool:
        """Return whether the transaction was committed; the answer to its COMMIT did not arrive.

        A server that has crashed may give the id of a transaction that it lost to another one, which is then the one
        that was committed. Only the rows tell.

        Args:
            transaction_id: None if it is not known.

        Raises:
            UncertainChangeError: if it cannot be found out.
        """
        from psycopg import Error

        status: object = None
        with anyio.move_on_after(_COMMIT_SECONDS):
            while True:
                try:
                    connection = await self._connect(_COMMIT_SECONDS)
                    try:
                        # The server may not have noticed yet that it has lost its client.
                        status = "committed" if transaction_id is None else await _status_of(connection, transaction_id)
                        if status == "committed" and (proof := proof_of(transaction)) is not None:
                            return await run_without_begin(connection, proof)
                    finally:
                        await _close(connection)
                except (Error, OSError, StoreError):
                    # The server may end again, or be recovering.
                    status = "in progress"
                if status != "in progress":
                    break
                await anyio.sleep(_RETRY_PAUSE_SECONDS)
        if status in ("committed", "aborted"):
            return status == "committed"
        raise UncertainChangeError(
            "The connection to the database was lost while a change was being committed, and whether it was made cannot"
            " be found out. Look before you try again."
        )

    async def _take_idle(self) -> AsyncConnection[Any] | None:
        """Take the idle connection that was used last; None if there is none."""
        while self._idle:
            since, connection = self._idle.pop()
            if monotonic() - since < _IDLE_SECONDS and not _is_ended(connection):
                return connection
            await _close(connection)
        return None

    def _put_back(self, connection: AsyncConnection[Any]) -> None:
        self._idle.append((monotonic(), connection))
        if self._closing is None:
            self._closing = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._close_idle)

    def _close_idle(self) -> None:
        """Close the connections that were idle for too long; called by a timer, so that they are closed in time."""
        now = monotonic()
        # The ones at the front were idle for longest: the last one is used first.
        while self._idle and now - self._idle[0][0] >= _IDLE_SECONDS:
            closing = asyncio.get_running_loop().create_task(_close(self._idle.popleft()[1]))
            self._closers.add(closing)
            closing.add_done_callback(self._closers.discard)
        self._closing = None
        if self._idle:
            left = _IDLE_SECONDS - (now - self._idle[0][0])
            self._closing = asyncio.get_running_loop().call_later(left, self._close_idle)

    async def _connect(self, patience_seconds: float) -> AsyncConnection[Any]:
        """Connect; if that fails, again for ``patience_seconds``: the server may be restarting."""
        from psycopg import OperationalError

        until, pause = monotonic() + patience_seconds, _RETRY_PAUSE_SECONDS
        while True:
            try:
                return await self._connect_once()
            except OperationalError:
                if monotonic() + pause > until:
                    raise
            await anyio.sleep(pause)
            pause = min(pause * 2, _MAX_PAUSE_SECONDS)

    async def _connect_once(self) -> AsyncConnection[Any]:
        from psycopg import AsyncConnection

        where = self._get_target()
        if self._sign_in is not None:
            where = self._target = parse_url(self._url, sign_in=await self._fresh_sign_in(self._sign_in))
        # Statements are not prepared: a connection pooler may not support that.
        connection: AsyncConnection[Any] = await AsyncConnection.connect(
            **where.parameters, autocommit=True, prepare_threshold=None
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

    async def _fresh_sign_in(self, sign_in: FreshSignIn) -> SignIn:
        try:
            return await sign_in()
        except BridgeError as error:
            raise StoreError(f"There is no password for {self._get_target().label}: {error}") from error

    def _get_target(self) -> Target:
        if self._target is None:
            self._target = parse_url(self._url)
        return self._target

    async def _wait_for_place(self) -> None:
        """Wait for one of the connections to be free, and take it."""
        try:
            # At once if one is free: waiting costs another round of the event loop.
            self._capacity.acquire_nowait()
        except anyio.WouldBlock:
            try:
                with anyio.fail_after(_WAIT_SECONDS):
                    await self._capacity.acquire()
            except TimeoutError:
                raise StoreError(
                    f"All {self._connections} connections to {self._get_target().label} were in use for"
                    f" {_WAIT_SECONDS:g} seconds. Try again. RESPONSES_MCP_SERVICE_DATABASE_CONNECTIONS allows more."
                ) from None

    def _record_wait(self, began: float) -> None:
        if monotonic() - began > _SLOW_SECONDS:
            self._timeout.record_failure()


async def _status_of(connection: AsyncConnection[Any], transaction_id: int) -> object:
    cursor = await connection.execute("SELECT txid_status(%s)", (transaction_id,))
    row = await cursor.fetchone()
    return row[0] if row else None


def _is_ended(connection: AsyncConnection[Any]) -> bool:
    """Return whether the server has ended an idle connection: it sends nothing else on it without being asked."""
    return is_readable(connection.fileno())


def _is_lost(error: BaseException, connection: AsyncConnection[Any]) -> bool:
    """Return whether a transaction that failed was not at fault."""
    return connection.closed or (getattr(error, "sqlstate", None) or "").startswith(_LOST_STATES)


async def _close(connection: AsyncConnection[Any]) -> None:
    with anyio.CancelScope(shield=True), anyio.move_on_after(1):
        await connection.close()
