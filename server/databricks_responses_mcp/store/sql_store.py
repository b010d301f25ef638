"""A store in a SQL database: every method runs a transaction through the database's driver."""

import logging
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from time import monotonic
from typing import Any, ParamSpec, Self, TypeVar

import anyio

from databricks_responses_mcp.store import (
    conversation_queries,
    job_queries,
    limit_queries,
    retention_queries,
    text_queries,
    usage_queries,
)
from databricks_responses_mcp.store.interface import (
    ConstraintError,
    StoreError,
    TurnConflictError,
    UncertainChangeError,
    UnstorableValueError,
)
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
from databricks_responses_mcp.store.statements import Transaction, name

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
_DELETED_AT_ONCE = 100
# A caller waits for the end of a sweep's transaction, so that should take about 8 ms, and 50 ms at most.
_SLICE_SECONDS = 0.008
_SLICE_ROWS = (4, 64)
_SLICE_ROW_BYTES = 32 * 1024
_LEAST_REST_SECONDS = 0.005
_REMEMBERED_SECONDS = 30.0
_SWEEP = "sweep"
_AUDIT_SWEEP = "audit sweep"
_SWEEP_LEASE_SECONDS = 600.0
"""Renewed for each owner. It is not given back: another process that is due to sweep then would find nothing to do."""


class WaitTimeout:
    """The timeout of calls to a database that may be locked or unavailable: after one full wait, the next are brief.

    Args:
        seconds: the timeout while the database works.
        briefly: the timeout after a call has waited in full, for half a minute or until a call succeeds.
    """

    def __init__(self, seconds: float, briefly: float) -> None:
        self._seconds = seconds
        self._briefly = briefly
        self._brief_until = 0.0

    @property
    def seconds(self) -> float:
        """The timeout of a call that begins now, in seconds."""
        return self._briefly if monotonic() < self._brief_until else self._seconds

    @property
    def has_failed(self) -> bool:
        """Whether a call has waited in full without success, and none has succeeded since."""
        return self._brief_until > 0

    def record_success(self) -> None:
        """Record that a call succeeded."""
        self._brief_until = 0.0

    def record_failure(self) -> None:
        """Record that a call waited for its full time without success.

        A brief wait does not extend the brief period: a slow database gets the full timeout again.
        """
        if monotonic() >= self._brief_until:
            self._brief_until = monotonic() + _REMEMBERED_SECONDS


class SqlDatabase(ABC):
    """A database that runs transactions. The stores of several owners may share it, with its connections."""

    @property
    def replacements(self) -> int:
        """See `Store.replacements`."""
        return 0

    @abstractmethod
    async def read(self, transaction: Callable[P, Transaction[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a transaction that changes nothing; its statements see one state of the database.

        Args:
            transaction: is called with the other arguments; again if the transaction must be run again.
        """

    @abstractmethod
    async def write(self, transaction: Callable[P, Transaction[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a transaction that changes something; it is durable once this has returned. See `read`."""

    @abstractmethod
    async def write_back(self) -> None:
        """Copy logged transactions into the database file, if the database does not do so by itself.

        Nobody waits for it but a sweep.
        """

    @abstractmethod
    async def release_space(self) -> bool:
        """Return some space freed by deletions to the file system; return whether there is more."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close the connections. The database may be used again: it reconnects."""


_FOR_USERS = (TurnConflictError, UncertainChangeError, UnstorableValueError)
"""Errors that say nothing of the database."""


class _UsersDatabase(SqlDatabase):
    """A database of which users learn only that it failed; its address and what is wrong with it are in the log.

    Args:
        database: runs the transactions.
    """

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    @property
    def replacements(self) -> int:
        """See `Store.replacements`."""
        return self._database.replacements

    async def read(self, transaction: Callable[P, Transaction[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `SqlDatabase.read`."""
        with _for_users():
            return await self._database.read(transaction, *args, **kwargs)

    async def write(self, transaction: Callable[P, Transaction[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `SqlDatabase.write`."""
        with _for_users():
            return await self._database.write(transaction, *args, **kwargs)

    async def write_back(self) -> None:
        """See `SqlDatabase.write_back`."""
        await self._database.write_back()

    async def release_space(self) -> bool:
        """See `SqlDatabase.release_space`."""
        return await self._database.release_space()

    async def aclose(self) -> None:
        """See `SqlDatabase.aclose`."""
        await self._database.aclose()


@contextmanager
def _for_users() -> Iterator[None]:
    """Replace the errors that say something of the database."""
    try:
        yield
    except _FOR_USERS:
        raise
    except ConstraintError as error:
        # No fault of the database: two calls were made at the same time.
        logger.info("the database refused a user's change: %s", error)
        raise ConstraintError(
            "the database of this service refused the change: another call changed or deleted the same data meanwhile."
            " Look at it before you try again."
        ) from error
    except StoreError as error:
        logger.warning("the database failed a user's call: %s", error)
        raise StoreError("the database of this service cannot be used now, and its log says why.") from error


class SqlStore:
    """The store of one owner in a SQL database. Every row has an owner, and only rows of this owner are used.

    Args:
        database: closed with this store; views for other owners share it.
        owner: the owner of the rows.
    """

    def __init__(self, database: SqlDatabase, owner: str) -> None:
        self._database = database
        self._owner = name(owner)
        self._is_view = False

    def for_owner(self, owner: str) -> Self:
        """See `Store.for_owner`."""
        view = self._view(owner)
        if not isinstance(self._database, _UsersDatabase):
            view._database = _UsersDatabase(self._database)
        return view

    def _view(self, owner: str) -> Self:
        view = copy(self)
        view._owner = name(owner)
        view._is_view = True
        return view

    async def aclose(self) -> None:
        """See `Store.aclose`."""
        if not self._is_view:
            await self._database.aclose()

    @property
    def replacements(self) -> int:
        """See `Store.replacements`."""
        return self._database.replacements

    async def add_turn(
        self, conversation_id: str, turn: Turn, state: ConversationState, *, title: str, usage: Usage | None = None
    ) -> None:
        """See `Store.add_turn`."""
        await self._database.write(
            conversation_queries.add_turn, self._owner, conversation_id, turn, state, title, usage
        )

    async def set_state(self, conversation_id: str, state: ConversationState) -> None:
        """See `Store.set_state`."""
        await self._database.write(conversation_queries.set_state, self._owner, conversation_id, state)

    async def conversation(self, conversation_id: str, *, after: int = 0) -> StoredConversation | None:
        """See `Store.conversation`."""
        return await self._database.read(conversation_queries.conversation, self._owner, conversation_id, after)

    async def conversations(
        self, *, limit: int = 50, offset: int = 0, contains: str = "", older_than: float | None = None
    ) -> list[ConversationSummary]:
        """See `Store.conversations`."""
        return await self._database.read(
            conversation_queries.conversations, self._owner, limit, offset, contains, older_than
        )

    async def count_conversations(self, *, contains: str = "", older_than: float | None = None) -> int:
        """See `Store.count_conversations`."""
        return await self._database.read(conversation_queries.count_conversations, self._owner, contains, older_than)

    async def delete_conversations(self, conversation_ids: Sequence[str]) -> list[str]:
        """See `Store.delete_conversations`."""
        ids = list(dict.fromkeys(map(name, conversation_ids)))
        deleted: list[str] = []
        for at in range(0, len(ids), _DELETED_AT_ONCE):
            some = ids[at : at + _DELETED_AT_ONCE]
            deleted += await self._database.write(conversation_queries.delete_conversations, self._owner, some)
        return deleted

    async def put_job(self, job: Job) -> None:
        """See `Store.put_job`."""
        await self._database.write(job_queries.put_job, self._owner, job)

    async def beat_job(self, job_id: str, now: float, structured: Mapping[str, Any] | None) -> bool:
        """See `Store.beat_job`."""
        return await self._database.write(job_queries.beat_job, self._owner, job_id, now, structured)

    async def job(self, job_id: str) -> Job | None:
        """See `Store.job`."""
        return await self._database.read(job_queries.job, self._owner, job_id)

    async def cancel_job(self, job_id: str) -> bool:
        """See `Store.cancel_job`."""
        return await self._database.write(job_queries.cancel_job, self._owner, job_id)

    async def ask_in_job(self, job_id: str, questions: Mapping[str, Any]) -> None:
        """See `Store.ask_in_job`."""
        await self._database.write(job_queries.ask_in_job, self._owner, job_id, questions)

    async def answer_job(self, job_id: str, answers: Mapping[str, Any]) -> None:
        """See `Store.answer_job`."""
        await self._database.write(job_queries.answer_job, self._owner, job_id, answers)

    async def answers_to_job(self, job_id: str) -> Mapping[str, Any]:
        """See `Store.answers_to_job`."""
        return await self._database.read(job_queries.answers_to_job, self._owner, job_id)

    async def claim_key(self, key: str, fingerprint: str, job_id: str, now: float) -> KeyClaim:
        """See `Store.claim_key`."""
        return await self._database.write(job_queries.claim_key, self._owner, key, fingerprint, job_id, now)

    async def release_key(self, key: str, job_id: str) -> None:
        """See `Store.release_key`."""
        await self._database.write(job_queries.release_key, self._owner, key, job_id)

    async def add_usage(self, usage: Usage) -> None:
        """See `Store.add_usage`."""
        await self._database.write(usage_queries.add_usage, self._owner, usage)

    async def tokens_on_day(self, at: float, *, everyone: bool = False) -> int:
        """See `Store.tokens_on_day`."""
        if everyone:
            return await self._database.read(usage_queries.tokens_of_all_on_day, at)
        return await self._database.read(usage_queries.tokens_on_day, self._owner, at)

    async def usage(self, by: Grouping, *, since: float = 0.0) -> list[UsageTotal]:
        """See `Store.usage`."""
        return await self._database.read(usage_queries.usage, self._owner, by, since)

    async def admit_request(
        self, request: AdmissionRequest, limits: RequestLimits, all_limits: RequestLimits
    ) -> Admission | Denial:
        """See `Store.admit_request`."""
        return await self._database.write(limit_queries.admit, self._owner, request, limits, all_limits)

    async def settle_request(self, admission: Admission, tokens: int) -> None:
        """See `Store.settle_request`."""
        await self._database.write(limit_queries.settle, self._owner, admission, tokens)

    async def extend_requests(self, admission_ids: Sequence[str], seconds: float) -> None:
        """See `Store.extend_requests`."""
        await self._database.write(limit_queries.extend, self._owner, admission_ids, seconds)

    async def add_audit_record(self, at: float, record: Mapping[str, Any]) -> None:
        """See `Store.add_audit_record`."""
        await self._database.write(limit_queries.add_audit, self._owner, at, dict(record))

    async def put_text(self, text_id: str, text: str, now: float) -> None:
        """See `Store.put_text`."""
        await self._database.write(text_queries.put_text, self._owner, text_id, text, now)

    async def text(self, text_id: str) -> str | None:
        """See `Store.text`."""
        return await self._database.read(text_queries.text, self._owner, text_id)

    async def sweep(self, *, now: float, keep_seconds: float | None, most_bytes: int | None) -> int:
        """See `Store.sweep`."""
        older_than = None if keep_seconds is None else now - keep_seconds
        limits, pace, deleted = retention_queries.Limits(older_than, most_bytes), _SweepPace(), 0
        while True:
            with pace.measured():
                size = retention_queries.Slice(pace.rows, pace.rows * _SLICE_ROW_BYTES)
                slice_ = await self._database.write(
                    retention_queries.delete_conversations_over, self._owner, limits, size
                )
            deleted += slice_.conversations
            if slice_.done:
                break
            await self._pause(pace)
        done = False
        while not done:
            await self._pause(pace)
            with pace.measured():
                done = await self._database.write(
                    retention_queries.delete_expired, self._owner, now=now, keep_seconds=keep_seconds, most=pace.rows
                )
        has_more = True
        while has_more:
            await self._pause(pace)
            with pace.measured():
                has_more = await self._database.release_space()
        return deleted

    async def sweep_all(self, *, now: float, keep_seconds: float | None, most_bytes: int | None) -> int:
        """See `Store.sweep_all`."""
        holder, deleted, owner = uuid.uuid4().hex, 0, None
        while await self._database.write(retention_queries.claim_lease, _SWEEP, holder, _SWEEP_LEASE_SECONDS):
            owner = await self._database.read(retention_queries.next_owner, owner)
            if owner is None:
                break
            with anyio.move_on_after(_SWEEP_LEASE_SECONDS / 2):
                deleted += await self._view(owner).sweep(now=now, keep_seconds=keep_seconds, most_bytes=most_bytes)
        return deleted

    async def delete_audit_records(self, before: float) -> None:
        """See `Store.delete_audit_records`."""
        holder, pace = uuid.uuid4().hex, _SweepPace()
        while await self._database.write(retention_queries.claim_lease, _AUDIT_SWEEP, holder, _SWEEP_LEASE_SECONDS):
            with pace.measured():
                if await self._database.write(retention_queries.delete_audit_records, before, pace.rows):
                    break
            await self._pause(pace)

    async def _pause(self, pace: "_SweepPace") -> None:
        """Let others use the database between two transactions of a sweep."""
        await self._database.write_back()
        await pace.rest()


class _SweepPace:
    """The size of a sweep's transactions, and the pause after each.

    Attributes:
        rows: how many the next transaction may delete.
    """

    def __init__(self) -> None:
        self.rows = _SLICE_ROWS[0]
        self._seconds = 0.0

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure a transaction: the next one deletes more if it was short, less if it was long."""
        began = monotonic()
        yield
        self._seconds = monotonic() - began
        least, most = _SLICE_ROWS
        if self._seconds > _SLICE_SECONDS:
            self.rows = max(least, self.rows // 2)
        elif self._seconds < _SLICE_SECONDS / 3:
            self.rows = min(most, self.rows * 2)

    async def rest(self) -> None:
        """Pause, so that other calls and processes can use the database."""
        await anyio.sleep(max(_LEAST_REST_SECONDS, self._seconds))
