"""What every store can do."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from databricks_responses_mcp.store.records import (
    ConversationState,
    ConversationSummary,
    Grouping,
    Job,
    KeyClaim,
    StoredConversation,
    Turn,
    Usage,
    UsageTotal,
)


class StoreError(Exception):
    """The store cannot be used: the disk is full or read-only, the file is damaged, the database is away.

    The text says what happened and what to do, in words for the user; it shows no secret.
    """


class TurnConflictError(StoreError):
    """The conversation has got a turn of that number meanwhile, or is gone: somebody else went on, or deleted it."""


class Store(Protocol):
    """Keeps conversations, jobs, keys and usage of one owner. Every method may raise `StoreError`.

    Whatever a method has returned from is durable: the process may be killed in the next moment. JSON comes back as it
    was, and names (ids, titles, models, …) but for NUL and half surrogate pairs, which become U+FFFD.
    """

    @property
    def replacements(self) -> int:
        """How often this process found another, empty or older store where it had one: the file was deleted or moved.

        A conversation that is not found after that was lost, not deleted by its user.
        """
        ...

    async def add_turn(
        self, conversation_id: str, turn: Turn, state: ConversationState, *, title: str, usage: Usage | None = None
    ) -> None:
        """Commit a turn, the state that the next one starts from and what it cost: all or nothing.

        The first turn creates the conversation.

        Args:
            title: of a new conversation; an old one keeps its own.
            usage: what the request of this turn cost, unless `add_usage` has it; None adds nothing.

        Raises:
            TurnConflictError: if that conversation's newest turn is not the one before ``turn.number``.
        """
        ...

    async def set_state(self, conversation_id: str, state: ConversationState) -> None:
        """Replace what the next turn takes over, without a turn."""
        ...

    async def conversation(self, conversation_id: str, *, after: int = 0) -> StoredConversation | None:
        """The conversation with its turns after number ``after``; None if there is none."""
        ...

    async def conversations(
        self, *, limit: int = 50, offset: int = 0, contains: str = "", older_than: float | None = None
    ) -> list[ConversationSummary]:
        """Summaries, the newest (by ``updated_at``) first.

        Args:
            contains: only those whose id or title contains this, letter case aside.
            older_than: only those not updated since this time.
        """
        ...

    async def count_conversations(self, *, contains: str = "", older_than: float | None = None) -> int:
        """How many `conversations` would give without a limit."""
        ...

    async def delete_conversations(self, conversation_ids: Sequence[str]) -> list[str]:
        """Delete these with their turns (their usage stays); return the ids that existed.

        Many are deleted in several transactions, each all or nothing.
        """
        ...

    async def put_job(self, job: Job) -> None:
        """Insert a job, or replace the one of that id; ``cancel_requested`` of an old one stays as it is."""
        ...

    async def beat_job(self, job_id: str, now: float, facts: Mapping[str, Any] | None) -> bool:
        """Say that a job still runs, and what has arrived (None: as before); returns whether its end was asked for."""
        ...

    async def job(self, job_id: str) -> Job | None:
        """The job of that id."""
        ...

    async def cancel_job(self, job_id: str) -> bool:
        """Ask for the end of a job; False if there is none that runs."""
        ...

    async def claim_key(self, key: str, fingerprint: str, job_id: str, now: float) -> KeyClaim:
        """Claim an idempotency key for a job, unless it is claimed: one of several processes gets it."""
        ...

    async def release_key(self, key: str, job_id: str) -> None:
        """Give a key back, if that job holds it: its call came to nothing and may be made again."""
        ...

    async def add_usage(self, usage: Usage) -> None:
        """Keep what a request cost."""
        ...

    async def tokens_on_day(self, at: float) -> int:
        """Return the input and output tokens spent on the day (UTC) that the time ``at`` is in, by every process.

        The total is exact as soon as `add_usage` has returned, and deleting usage or conversations does not lower it.
        """
        ...

    async def usage(self, by: Grouping, *, since: float = 0.0) -> list[UsageTotal]:
        """Totals by group, of requests at or after ``since``; days in order, other groups by tokens, most first."""
        ...

    async def sweep(self, *, now: float, keep_seconds: float | None, most_bytes: int | None) -> int:
        """Delete what is too old, then the oldest conversations until the rest is small enough; return how many went.

        Works in short transactions with pauses until it is done, so that no other call waits long for it. It may be
        cancelled at any time: what was deleted stays deleted. Ended jobs and keys go after seven days, or
        ``keep_seconds`` if that is less; jobs that were left running after seven days; usage stays for 400 days.

        Args:
            keep_seconds: conversations not updated for so long are deleted; None keeps them.
            most_bytes: of all turns together, as they are stored; None sets no limit.
        """
        ...

    async def aclose(self) -> None:
        """Close what is open."""
        ...
