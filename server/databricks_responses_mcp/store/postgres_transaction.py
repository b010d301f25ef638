"""One transaction on a PostgreSQL connection, in few round trips: a short one takes two.

Statements with short values are sent together, in one message of the simple query protocol: the first of a transaction
with BEGIN, and those after the last result that it reads with COMMIT. Their values are then literals, which the driver
quotes; long values are sent apart from their statement.
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
)

if TYPE_CHECKING:
    from psycopg import AsyncConnection

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

    Attributes:
        id: of a transaction that writes, once it has begun.
    """

    def __init__(self, access: Access, transaction: partial[Transaction[T]]) -> None:
        self.id: int | None = None
        self._access = access
        self._statements = transaction()
        self._in_thread = not is_brief(transaction)
        self._step = _Step((), is_last=False, result=None)
        self._read: StatementResult | None = None

    async def prepare(self) -> None:
        """Make the first statements; no connection is needed for it."""
        self._step = await self._next()

    async def begin(self, connection: AsyncConnection[Any]) -> None:
        """Begin, and run the first statements. May be called again with another connection if this one is lost."""
        _, begun, *results = await _send(connection, self._step.statements, before=self._access.value)
        if self._access is Access.WRITE:
            self.id = int(begun.rows[0][-1])
        if results:
            self._read = results[-1]
        if self._step.is_last:
            self._step = replace(self._step, statements=())

    async def run(self, connection: AsyncConnection[Any]) -> None:
        """Run the statements up to the last one whose result the transaction reads."""
        while not self._step.is_last:
            self._step = await self._next()
            if not self._step.is_last:
                *_, self._read = await _send(connection, self._step.statements)

    async def commit(self, connection: AsyncConnection[Any]) -> None:
        """Run the statements that are left, and commit."""
        await _send(connection, self._step.statements, after="COMMIT")

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
    while True:
        step = await anyio.to_thread.run_sync(_advance, statements, read)
        if step.statements:
            *_, read = await _send(connection, step.statements)
        if step.is_last:
            result: T = step.result
            return result


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


async def _send(
    connection: AsyncConnection[Any], statements: Sequence[Statement], *, before: str = "", after: str = ""
) -> list[StatementResult]:
    """Send statements, those with short values together.

    Args:
        before: a statement without values that is sent before them, or several.
        after: one that is sent after them.

    Returns:
        Their results, with those of ``before`` and ``after``.
    """
    results: list[StatementResult] = []
    together: list[bytes] = [before.encode()] if before else []
    values: list[Value] = []
    for sql, its_values in statements:
        if _are_long(its_values):
            if together:
                results += await _send_together(connection, together, values)
                together, values = [], []
            cursor = await connection.execute(dialect(sql), its_values)
            results.append(StatementResult(await cursor.fetchall() if cursor.description else (), cursor.rowcount))
        else:
            together.append(dialect(sql))
            values += its_values
    if after:
        together.append(after.encode())
    if together:
        results += await _send_together(connection, together, values)
    return results


async def _send_together(
    connection: AsyncConnection[Any], statements: Sequence[bytes], values: Sequence[Value]
) -> list[StatementResult]:
    """Send statements in one message, in which values are literals."""
    from psycopg import AsyncClientCursor

    cursor = AsyncClientCursor(connection)
    await cursor.execute(b"; ".join(statements), values or None)
    results = []
    while True:
        results.append(StatementResult(await cursor.fetchall() if cursor.description else (), cursor.rowcount))
        if not cursor.nextset():
            return results


def _are_long(values: Sequence[Value]) -> bool:
    return sum(len(value) for value in values if isinstance(value, str)) > _LONG_CHARACTERS
