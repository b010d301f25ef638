"""The interface of every store."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from databricks_responses_mcp.store.records import (
    Admission,
    AdmissionRequest,
    ConversationState,
    ConversationSummary,
    Denial,
    Grouping,
    Job,
    KeyClaim,
    RequestLimits,
    StoredConversation,
    Turn,
    Usage,
    UsageTotal,
)


class StoreError(Exception):
    """The store cannot be used: the disk is full or read-only, the file is damaged, the database is unavailable.

    The message tells the user what happened and what to do; it contains no secret.
    """


class ConstraintError(StoreError):
    """A transaction would break a constraint of a table, so nothing of it was stored."""


class UncertainChangeError(StoreError):
    """Whether a change was made cannot be found out."""


class UnstorableValueError(StoreError):
    """A value of the caller cannot be stored, whatever the state of the database."""


class TurnConflictError(StoreError):
    """Another call has added a turn of that number to the conversation, or has deleted it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """The credentials of a connection to a database, and parts that its URL may lack.

    Attributes:
        password: it may give access to more than the database, so it is sent only to a server with a valid certificate
            for its name.
        host: of the database, if neither the URL nor ``PGHOST`` names one.
        user: the database user, if neither the URL nor ``PGUSER`` names one.
        database: the database, if neither the URL nor ``PGDATABASE`` names one.
    """

    password: str = field(repr=False)
    host: str | None = None
    user: str | None = None
    database: str | None = None


FreshSignIn = Callable[[], Awaitable[SignIn]]
"""Returns the credentials of one new connection. Raises ``BridgeError`` if it cannot be had."""


class Store(Protocol):
    """Stores conversations, jobs, idempotency keys, usage and long texts of one owner.

    Every method may raise `StoreError`. A change is durable when the method returns, even if the process is killed
    then. JSON values are returned unchanged; in names (ids, titles, models, …) NUL and lone surrogates become U+FFFD.
    """

    @property
    def replacements(self) -> int:
        """How often the store's file was deleted, moved or replaced while this process used it.

        A conversation that is missing after that was lost, not deleted by its user.
        """
        ...

    def for_owner(self, owner: str) -> Self:
        """Return a store of the same data for another owner. It shares the connections of this one, which closes them.

        Its errors are for users, who learn nothing of the database; the log has what happened.

        Args:
            owner: whose rows it reads and writes; it sees no others.
        """
        ...

    async def add_turn(
        self, conversation_id: str, turn: Turn, state: ConversationState, *, title: str, usage: Usage | None = None
    ) -> None:
        """Commit a turn, the state for the next turn and the usage in one transaction.

        The first turn creates the conversation.

        Args:
            title: of a new conversation; an existing one keeps its title.
            usage: of the request of this turn; None if `add_usage` records it, or if there is none.

        Raises:
            TurnConflictError: if the conversation's newest turn is not the one before ``turn.number``.
        """
        ...

    async def set_state(self, conversation_id: str, state: ConversationState) -> None:
        """Replace the state for the next turn, without adding a turn."""
        ...

    async def conversation(self, conversation_id: str, *, after: int = 0) -> StoredConversation | None:
        """Return the conversation with its turns after number ``after``; None if it does not exist."""
        ...

    async def conversations(
        self, *, limit: int = 50, offset: int = 0, contains: str = "", older_than: float | None = None
    ) -> list[ConversationSummary]:
        """Return summaries, the newest (by ``updated_at``) first.

        Args:
            contains: only those whose id or title contains this, ignoring case.
            older_than: only those not updated since this time.
        """
        ...

    async def count_conversations(self, *, contains: str = "", older_than: float | None = None) -> int:
        """Return how many `conversations` would return without a limit."""
        ...

    async def delete_conversations(self, conversation_ids: Sequence[str]) -> list[str]:
        """Delete these with their turns, but not their usage; return the ids that existed.

        Many ids are deleted in several transactions.
        """
        ...

    async def put_job(self, job: Job) -> None:
        """Insert a job, or replace the one with that id except its ``cancel_requested``."""
        ...

    async def beat_job(self, job_id: str, now: float, structured: Mapping[str, Any] | None) -> bool:
        """Record that a job still runs and what it has received; return whether its cancellation was requested.

        Renews the job's lease, see `JOB_LEASE_SECONDS`.

        Args:
            structured: None leaves the fields of the job unchanged.
        """
        ...

    async def job(self, job_id: str) -> Job | None:
        """Return the job with that id; None if there is none."""
        ...

    async def cancel_job(self, job_id: str) -> bool:
        """Request the cancellation of a job; return False if no running job has that id."""
        ...

    async def ask_in_job(self, job_id: str, questions: Mapping[str, Any]) -> None:
        """Store what the host of a running job must ask its user, by a key that is used once in the job's life.

        Args:
            questions: replace those before; none if nothing is to be asked any more.
        """
        ...

    async def answer_job(self, job_id: str, answers: Mapping[str, Any]) -> None:
        """Store answers to the open questions of a running job, by key; only the first answer to each counts."""
        ...

    async def answers_to_job(self, job_id: str) -> Mapping[str, Any]:
        """Return all answers to a job's questions, by key."""
        ...

    async def claim_key(self, key: str, fingerprint: str, job_id: str, now: float) -> KeyClaim:
        """Claim an idempotency key for a job unless it is claimed; only one of several processes succeeds."""
        ...

    async def release_key(self, key: str, job_id: str) -> None:
        """Release a key if that job holds it: its call had no effect and may be repeated."""
        ...

    async def add_usage(self, usage: Usage) -> None:
        """Record the usage of a request."""
        ...

    async def tokens_on_day(self, at: float, *, everyone: bool = False) -> int:
        """Return the input and output tokens used on the day (UTC) of the time ``at``, by all processes.

        The total is exact as soon as `add_usage` has returned; deleting usage or conversations does not lower it.

        Args:
            everyone: the usage of all owners together.
        """
        ...

    async def usage(self, by: Grouping, *, since: float = 0.0) -> list[UsageTotal]:
        """Return totals by group of requests since ``since``: days in order, other groups by tokens, most first."""
        ...

    async def admit_request(
        self, request: AdmissionRequest, limits: RequestLimits, all_limits: RequestLimits
    ) -> Admission | Denial:
        """Count a request against limits, unless it would exceed one; exact whichever processes admit others meanwhile.

        Times are those of the database's clock. A minute is the last 60 seconds, a day is one of UTC.

        Args:
            limits: of this owner.
            all_limits: of all owners together.
        """
        ...

    async def settle_request(self, admission: Admission, tokens: int) -> None:
        """Record that an admitted request has ended, and replace its reserved tokens by what it used."""
        ...

    async def extend_requests(self, admission_ids: Sequence[str], seconds: float) -> None:
        """Let admitted requests count as running for that many seconds from now, unless they are settled."""
        ...

    async def add_audit_record(self, at: float, record: Mapping[str, Any]) -> None:
        """Append a record to the audit log of the owner; no method reads it."""
        ...

    async def delete_audit_records(self, before: float) -> None:
        """Delete the audit records of every owner that were made before a time, in short transactions with pauses.

        Only one process at a time does so; for the others this does nothing, for ten minutes after it has worked last.
        """
        ...

    async def put_text(self, text_id: str, text: str, now: float) -> None:
        """Keep a long text, or replace the one with that id. The owner's oldest texts are deleted above 64 MB.

        Args:
            now: the age of the text is counted from this time; `sweep` deletes texts after seven days.
        """
        ...

    async def text(self, text_id: str) -> str | None:
        """Return the text with that id, unchanged; None if it does not exist or was deleted."""
        ...

    async def sweep(self, *, now: float, keep_seconds: float | None, most_bytes: int | None) -> int:
        """Delete expired conversations, then the oldest until the rest is within the limit; return how many.

        Works in short transactions with pauses, so that no other call waits long. It may be cancelled at any time:
        completed deletions stay. Ended jobs, keys and texts are deleted after seven days, or after ``keep_seconds`` if
        that is less; jobs that still have the status ``running`` after seven days; usage after 400 days.

        Args:
            keep_seconds: conversations not updated for this time are deleted; None keeps them.
            most_bytes: the limit of all stored turns together; None sets no limit.
        """
        ...

    async def sweep_all(self, *, now: float, keep_seconds: float | None, most_bytes: int | None) -> int:
        """Sweep the rows of every owner, one owner after another; return how many conversations were deleted.

        Only one process at a time does so: the others return 0, for ten minutes after it has worked last.

        Args:
            keep_seconds: see `sweep`.
            most_bytes: the limit of the turns of each owner.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections; the next use opens new ones. Closing a view of `for_owner` closes nothing."""
        ...
