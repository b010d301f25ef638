"""Conversations in one SQLite file, for several processes of one user."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread

from databricks_responses_mcp.store.sql_store import SqlStore

if TYPE_CHECKING:
    from databricks_responses_mcp.store.sqlite_work import SqliteWork
    from databricks_responses_mcp.store.steps import Steps

T = TypeVar("T")


class SqliteStore(SqlStore):
    """Keeps conversations in a SQLite file, which is opened when it is first used.

    All SQL runs in worker threads, one call at a time. A call that is cancelled while it waits for its turn has done
    nothing; later its transaction is brought to its end first, which takes milliseconds, or seconds if another process
    holds the file.
    """

    def __init__(self, path: Path, owner: str = "") -> None:
        super().__init__(owner)
        self._path = path
        self._opened: SqliteWork | None = None
        self._turn = anyio.CapacityLimiter(1)

    async def aclose(self) -> None:
        """Close the file. The store may be used again after that: it opens anew."""
        if self._opened is not None:
            with anyio.CancelScope(shield=True):
                await self._in_thread(lambda work: work.close())

    @property
    def replacements(self) -> int:
        """See `Store.replacements`."""
        return 0 if self._opened is None else self._opened.replacements

    async def _read(self, steps: Steps[T]) -> T:
        return await self._in_thread(lambda work: work.transaction("BEGIN", steps))

    async def _write(self, steps: Steps[T]) -> T:
        return await self._in_thread(lambda work: work.transaction("BEGIN IMMEDIATE", steps))

    async def _shrink(self) -> bool:
        return await self._in_thread(lambda work: work.give_back())

    async def _in_thread(self, call: Callable[[SqliteWork], T]) -> T:
        return await anyio.to_thread.run_sync(self._do, call, limiter=self._turn)

    def _do(self, call: Callable[[SqliteWork], T]) -> T:
        if self._opened is None:
            self._opened = self._work()
        return call(self._opened)

    def _work(self) -> SqliteWork:
        # SQLite is loaded here, in the thread: a server that starts does not wait for it.
        from databricks_responses_mcp.store.sqlite_work import SqliteWork

        return SqliteWork(self._path)
