"""Conversations in the memory of the process: gone with it, and never too many."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from databricks_responses_mcp.store.records import ConversationState, Job, Turn, Usage
from databricks_responses_mcp.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from databricks_responses_mcp.store.sqlite_work import SqliteWork

MOST_CONVERSATIONS = 500
MOST_BYTES = 64 * 1024 * 1024
MOST_OTHERS = 2000
_AT_ONCE = 50


class MemoryStore(SqliteStore):
    """Keeps conversations, jobs, keys and usage until the process ends: of each the newest, when it gets too much.

    It is SQLite without a file, so that one without a disk behaves like one with it.
    """

    def __init__(self, owner: str = "", *, most: int = MOST_CONVERSATIONS, most_bytes: int = MOST_BYTES) -> None:
        super().__init__(Path("memory"), owner)
        self._most, self._most_bytes = most, most_bytes

    async def add_turn(self, conversation_id: str, turn: Turn, state: ConversationState, *, title: str) -> None:
        """See `Store.add_turn`. May forget the oldest conversations."""
        from databricks_responses_mcp.store import retention_queries as retention

        await super().add_turn(conversation_id, turn, state, title=title)
        limits = retention.Limits(most_bytes=self._most_bytes, most=self._most)
        size = retention.Slice(_AT_ONCE, self._most_bytes)
        await self._write(retention.delete_conversations_over(self._owner, limits, size))

    async def put_job(self, job: Job) -> None:
        """See `Store.put_job`. May forget the oldest jobs and keys."""
        await super().put_job(job)
        await self._forget_others()

    async def add_usage(self, usage: Usage) -> None:
        """See `Store.add_usage`. May forget the oldest usage."""
        await super().add_usage(usage)
        await self._forget_others()

    async def _forget_others(self) -> None:
        from databricks_responses_mcp.store.retention_queries import keep_newest

        await self._write(keep_newest(self._owner, MOST_OTHERS))

    def _work(self) -> SqliteWork:
        from databricks_responses_mcp.store.sqlite_work import MemoryWork

        return MemoryWork()
