"""One transaction on a PostgreSQL connection, in few round trips: a short one takes one or two.

Statements with short values are sent together, in one message of the simple query protocol: the first of a transaction
with BEGIN, and those after the last result that it reads with COMMIT. Their values are then literals, which the driver
quotes; long values are sent apart from their statement. One message has all of a transaction that reads no result and
would be refused if it were run again.
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
    is_brief,
    is_refused_again,
)

if TYPE_CHECKING:
    from psycopg import AsyncConnection, AsyncCursor

T = TypeVar("T")
_LONG_CHARACTERS = 50_000
"""A text of this size takes a tenth of a millisecond to quote."""
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
        may_be_at_once: whether a short one that would be refused if it were run again may be sent as one message.

    Attributes:
        access: whether it writes.
        id: of a transaction that writes, once it has begun; None if it is sent at once.
        is_at_once: whether `commit` sends all of it, once `prepare` has returned.
    """

    def __init__(self, access: Access, transaction: partial[Transaction[T]], *, may_be_at_once: bool = True) -> None:
        self.access = access
        self.id: int | None = None
        self.is_at_once = False
        self._may_be_at_once = may_be_at_once and is_refused_again(transaction)
        self._statements = transaction()
        self._in_thread = not is_brief(transaction)
        self._step = _Step((), is_last=False, result=None)
        self._read: StatementResult | None = None
        self._connection: _Connection | None = None

    async def prepare(self) -> None:
        """Make the first statements; no connection is needed for it."""
        self._step = await self._next()
        has_long = any(_are_long(values) for _, values in self._step.statements)
        self.is_at_once = self._may_be_at_once and self._step.is_last and not has_long

    async def begin(self, connection: AsyncConnection[Any]) -> None:
        """Begin, and run the first statements."""
        self._connection = _Connection(connection)
        if self.is_at_once:
            return
        first, *others = _messages(self._step.statements, before=self.access.value)
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
        while not self._step.is_last:
            self._step = await self._next()
            if not self._step.is_last:
                for message in _messages(self._step.statements):
                    await self._connection.send(message)
                self._read = await self._connection.result(-1)

    async def commit(self) -> None:
        """Run the statements that are left, and commit."""
        assert self._connection is not None
        before = self.access.value if self.is_at_once else ""
        for message in _messages(self._step.statements, before=before, after="COMMIT"):
            await self._connection.send(message)

    @property
    def result(self) -> T:
        """The transaction's result, once `run` has returned."""
        result: T = self._step.result
        return result

    async def _next(self) -> _Step:
        # Values may be megabytes of JSON.
        if self._in_thread:
            return await anyio.to_thread.run_sync(_advance, self._statements, self._read)
        return _advance(self._statements, self._read)


async def run_without_begin(connection: AsyncConnection[Any], statements: Transaction[T]) -> T:
    """Run statements that each are a transaction of their own. Their values may be long."""
    read: StatementResult | None = None
    own = _Connection(connection)
    while True:
        step = await anyio.to_thread.run_sync(_advance, statements, read)
        for message in _messages(step.statements):
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
        is_long: whether the values are long; it is one statement then.
    """

    sql: bytes
    values: Sequence[Value]
    is_long: bool


def _messages(statements: Sequence[Statement], *, before: str = "", after: str = "") -> list[_Message]:
    """Return as few messages as possible.

    Args:
        before: SQL without values that is sent before the statements.
        after: SQL that is sent after them.
    """
    messages: list[_Message] = []
    together: list[bytes] = [before.encode()] if before else []
    values: list[Value] = []
    for sql, its_values in statements:
        if _are_long(its_values):
            if together:
                messages.append(_Message(b"; ".join(together), values, is_long=False))
                together, values = [], []
            messages.append(_Message(dialect(sql), its_values, is_long=True))
        else:
            together.append(dialect(sql))
            values += its_values
    if after:
        together.append(after.encode())
    if together:
        messages.append(_Message(b"; ".join(together), values, is_long=False))
    return messages


class _Connection:
    """Sends the messages of one transaction, and has the results of the last one."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        from psycopg import AsyncClientCursor

        self._connection = connection
        self._literals = AsyncClientCursor(connection)
        self._last: AsyncCursor[Any] = self._literals

    async def send(self, message: _Message) -> None:
        """Send a message, and wait for its results."""
        if message.is_long:
            self._last = await self._connection.execute(message.sql, message.values)
        else:
            self._last = await self._literals.execute(message.sql, message.values or None)

    async def result(self, index: int) -> StatementResult:
        """Return the result of a statement of the last message, by its place there."""
        cursor = await self._last.set_result(index)
        return StatementResult(await cursor.fetchall() if cursor.description else (), cursor.rowcount)


def _are_long(values: Sequence[Value]) -> bool:
    return sum(len(value) for value in values if isinstance(value, str)) > _LONG_CHARACTERS
