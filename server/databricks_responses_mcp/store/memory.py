"""Conversations in the memory of the process, limited in number and size, and lost when it ends."""

from itertools import count
from pathlib import Path

from databricks_responses_mcp.store.conversation_queries import add_turn
from databricks_responses_mcp.store.job_queries import put_job
from databricks_responses_mcp.store.records import ConversationState, Job, Turn, Usage
from databricks_responses_mcp.store.retention_queries import (
    Limits,
    Slice,
    delete_all_but_newest,
    delete_conversations_over,
)
from databricks_responses_mcp.store.sql_store import SqlStore
from databricks_responses_mcp.store.sqlite import MemoryWork, SqliteDatabase, SqliteWork
from databricks_responses_mcp.store.statements import Transaction
from databricks_responses_mcp.store.usage_queries import add_usage

MAX_CONVERSATIONS = 500
MAX_BYTES = 64 * 1024 * 1024
MAX_OTHERS = 2000
_AT_ONCE = 50
_KEPT_BEYOND = 20
"""Up to one twentieth more than `MAX_OTHERS` rows exist between two deletions."""


class MemoryStore(SqlStore):
    """Stores conversations, jobs, keys and usage until the process ends; the oldest are deleted above the limits.

    It uses SQLite without a file, so that it behaves like a store with a file.
    """

    def __init__(self, owner: str = "", *, most: int = MAX_CONVERSATIONS, most_bytes: int = MAX_BYTES) -> None:
        super().__init__(MemoryDatabase(), owner)
        self._limits = Limits(most_bytes=most_bytes, most=most)
        self._slice = Slice(_AT_ONCE, most_bytes)
        self._additions = count(1)

    async def add_turn(
        self, conversation_id: str, turn: Turn, state: ConversationState, *, title: str, usage: Usage | None = None
    ) -> None:
        """See `Store.add_turn`. May delete the oldest conversations and usage."""

        def statements() -> Transaction[None]:
            yield from add_turn(self._owner, conversation_id, turn, state, title, usage)
            yield from delete_conversations_over(self._owner, self._limits, self._slice)
            if usage is not None:
                yield from self._delete_oldest()

        await self._database.write(statements)

    async def put_job(self, job: Job) -> None:
        """See `Store.put_job`. May delete the oldest jobs and keys."""

        def statements() -> Transaction[None]:
            yield from put_job(self._owner, job)
            yield from self._delete_oldest()

        await self._database.write(statements)

    async def add_usage(self, usage: Usage) -> None:
        """See `Store.add_usage`. May delete the oldest usage."""

        def statements() -> Transaction[None]:
            yield from add_usage(self._owner, usage)
            yield from self._delete_oldest()

        await self._database.write(statements)

    def _delete_oldest(self) -> Transaction[None]:
        """Delete the oldest jobs, keys and usage at intervals: searching for them costs more than adding one."""
        if next(self._additions) % max(1, MAX_OTHERS // _KEPT_BEYOND) == 0:
            yield from delete_all_but_newest(self._owner, MAX_OTHERS)


class MemoryDatabase(SqliteDatabase):
    """A SQLite database without a file."""

    def __init__(self) -> None:
        super().__init__(Path("memory"))

    async def write_back(self) -> None:
        """Do nothing: there is no log."""

    def _create_work(self) -> SqliteWork:
        return MemoryWork()
