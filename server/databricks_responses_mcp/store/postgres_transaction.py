"""One transaction on a PostgreSQL connection, in few round trips.

A transaction of ids and numbers takes two: its statements are sent together, in messages of the simple query protocol,
the first ones with BEGIN, and those after the last result that it reads with COMMIT. Their values are then literals,
which the driver quotes. What users and models wrote is sent apart from its statement, because the server logs a
statement that fails; each takes a round trip. A transaction of one statement takes one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import anyio
import anyio.to_thread

from databricks_responses_mcp.store.postgres_database import dialect
from databricks_responses_mcp.store.statements import (
    NOTHING,
    Statement,
    StatementResult,
    Transaction,
    Unread,
    Value,
    has_one_statement,
    is_brief,
    may_have_literals,
)

if TYPE_CHECKING:
    from psycopg import AsyncClientCursor, AsyncConnection, AsyncCursor

T = TypeVar("T")
# Shorter than the client's deadline, so that no transaction waits for a lock held by a lost client.
_LIMITS = (
    "SELECT set_config('lock_timeout', '10s', true), set_config('statement_timeout', '20s', true),"
    " set_config('idle_in_transaction_session_timeout', '30s', true)"
)


class Access(Enum):
    """What a transaction does; the value is how it begins. The last column is the id of one that writes."""

    READ = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_LIMITS}"
    # The id tells later whether the transaction was committed, should the answer to COMMIT be lost.
    WRITE = f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {_LIMITS}, txid_current()"


class PostgresTransaction(Generic[T]):
    """One attempt of a transaction. Call `prepare`, `begin`, `run` and `commit`, in this order.

    Args:
        access: whether it writes.
        transaction: makes its statements.
        may_be_at_once: whether one of one statement may be sent without BEGIN.

    Attributes:
        access: whether it writes.
        id: of a transaction that writes, once it has begun; None if it is sent at once.
        is_at_once: whether `commit` sends all of it.
    """

    def __init__(self, access: Access, transaction: partial[Transaction[T]], *, may_be_at_once: bool = True) -> None:
        self.access = access
        self.id: int | None = None
        self.is_at_once = may_be_at_once and has_one_statement(transaction)
        self._statements = transaction()
        self._is_brief = is_brief(transaction)
        self._are_literals = may_have_literals(transaction)
        self._step = _Step((), is_last=False, result=None)
        self._read: StatementResult | None = None
        self._connection: _Connection | None = None

    async def prepare(self) -> None:
        """Make the first statements; no connection is needed for it."""
        self._step = await self._next()

    async def begin(self, connection: AsyncConnection[Any]) -> None:
        """Begin, and run the first statements."""
        self._connection = _Connection(connection)
        if self.is_at_once:
            return
        first, *others = self._messages(before=self.access.value)
        await self._connection.send(first)
        if self.access is Access.WRITE:
            self.id = int((await self._connection.result(1)).rows[0][-1])
        for message in others:
            await self._connection.send(message)
        if self._step.is_last:
            self._step = replace(self._step, statements=())
        else:
            self._read = await self._connection.result(-1)

    async def run(self) -> None:
        """Run the statements up to the last one whose result the transaction reads."""
        assert self._connection is not None
        while not self._step.is_last and not self.is_at_once:
            self._step = await self._next()
            if not self._step.is_last:
                for message in self._messages():
                    await self._connection.send(message)
                self._read = await self._connection.result(-1)

    async def commit(self) -> None:
        """Run the statements that are left, and commit."""
        assert self._connection is not None
        for message in self._messages(after="" if self.is_at_once else "COMMIT"):
            await self._connection.send(message)
        if self.is_at_once:
            self._read = await self._connection.result(-1)
            self._step = await self._next()

    def _messages(self, *, before: str = "", after: str = "") -> list[_Message]:
        return _messages(self._step.statements, are_literals=self._are_literals, before=before, after=after)

    @property
    def result(self) -> T:
        """The transaction's result, once `commit` has returned."""
        result: T = self._step.result
        return result

    async def _next(self) -> _Step:
        # Values may be megabytes of JSON.
        if self._is_brief:
            return _advance(self._statements, self._read)
        return await anyio.to_thread.run_sync(_advance, self._statements, self._read)


async def run_without_begin(connection: AsyncConnection[Any], statements: Transaction[T]) -> T:
    """Run statements that each are a transaction of their own. Their values may be long."""
    read: StatementResult | None = None
    own = _Connection(connection)
    while True:
        step = await anyio.to_thread.run_sync(_advance, statements, read)
        for message in _messages(step.statements, are_literals=False):
            await own.send(message)
        if step.is_last:
            result: T = step.result
            return result
        read = await own.result(-1)


@dataclass(frozen=True, slots=True)
class _Step:
    """A part of a transaction.

    Attributes:
        statements: to be run now; the transaction reads the result of the last one, unless this is the last step.
        is_last: whether the transaction has no other statements.
        result: of the transaction, with its last step.
    """

    statements: Sequence[Statement]
    is_last: bool
    result: Any


def _advance(statements: Transaction[Any], read: StatementResult | None) -> _Step:
    """Return the next step.

    Args:
        read: the result of the statement before it, if there is one.
    """
    made: list[Statement] = []
    try:
        statement = next(statements) if read is None else statements.send(read)
        while isinstance(statement, Unread):
            made.append((statement.sql, statement.values))
            statement = statements.send(NOTHING)
    except StopIteration as stop:
        return _Step(made, is_last=True, result=stop.value)
    made.append(statement)
    return _Step(made, is_last=False, result=None)


@dataclass(frozen=True, slots=True)
class _Message:
    """What is sent at once.

    Attributes:
        sql: one statement, or several.
        values: of the statements.
        are_literals: whether the values become a part of the statements; otherwise it is one statement.
    """

    sql: bytes
    values: Sequence[Value]
    are_literals: bool


def _messages(
    statements: Sequence[Statement], *, are_literals: bool, before: str = "", after: str = ""
) -> list[_Message]:
    """Return as few messages as possible.

    Args:
        are_literals: whether the values may become a part of the statements.
        before: SQL without values that is sent before the statements.
        after: SQL that is sent after them.
    """
    if not are_literals:
        ends = [[_Message(sql.encode(), (), are_literals=True)] if sql else [] for sql in (before, after)]
        return [*ends[0], *(_Message(dialect(sql), values, are_literals=False) for sql, values in statements), *ends[1]]
    together = [sql for sql in (before.encode(), *(dialect(sql) for sql, _ in statements), after.encode()) if sql]
    values = [value for _, its_values in statements for value in its_values]
    return [_Message(b"; ".join(together), values, are_literals=True)] if together else []


class _Connection:
    """Sends the messages of one transaction, and has the results of the last one."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self._connection = connection
        self._literals: AsyncClientCursor[Any] | None = None
        self._last: AsyncCursor[Any] | None = None

    async def send(self, message: _Message) -> None:
        """Send a message, and wait for its results."""
        from psycopg import AsyncClientCursor

        if not message.are_literals:
            self._last = await self._connection.execute(message.sql, message.values)
            return
        if self._literals is None:
            self._literals = AsyncClientCursor(self._connection)
        self._last = await self._literals.execute(message.sql, message.values or None)

    async def result(self, index: int) -> StatementResult:
        """Return the result of a statement of the last message, by its place there."""
        assert self._last is not None
        cursor = await self._last.set_result(index)
        return StatementResult(await cursor.fetchall() if cursor.description else (), cursor.rowcount)
