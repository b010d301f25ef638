"""Deleting what is too old or exceeds the limits, in slices that are short transactions.

Triggers maintain the total size of all conversations (see `schema`), and an index finds the oldest: the cost of a slice
depends on what it deletes, not on the size of the store.
"""

from dataclasses import dataclass

from databricks_responses_mcp.store.conversation_queries import delete_conversations
from databricks_responses_mcp.store.statements import Row, Transaction, Unread, Value, brief
from databricks_responses_mcp.store.usage_queries import day_of

DAY = 86_400.0
KEEP_JOBS_SECONDS = 7 * DAY
KEEP_USAGE_SECONDS = 400 * DAY
_LAST_MIDNIGHT = 253_402_214_400.0
"""The last midnight of the year 9999, the last date that can be formatted."""

_TOO_OLD = """
    SELECT conversation_id, bytes FROM @conversations WHERE owner = ? AND updated_at < ?
    ORDER BY updated_at, conversation_id LIMIT ?"""
_OLDEST = """
    SELECT conversation_id, bytes FROM @conversations WHERE owner = ?
    ORDER BY updated_at, conversation_id LIMIT ?"""
_TOTALS = "SELECT conversations, bytes FROM @totals WHERE owner = ?"
_HIDE = "UPDATE @conversations SET turns = 0, bytes = bytes - ? WHERE owner = ? AND conversation_id = ?"
_DELETE_STATE = "DELETE FROM @states WHERE owner = ? AND conversation_id = ?"
_FIRST_AND_LAST = "SELECT MIN(number), MAX(number) FROM @turns WHERE owner = ? AND conversation_id = ?"
_DELETE_TURNS = "DELETE FROM @turns WHERE owner = ? AND conversation_id = ? AND number < ?"
_AUDIT_AFTER = "SELECT created_at FROM @audit WHERE created_at < ? ORDER BY created_at LIMIT 1 OFFSET ?"

_CLAIM_LEASE = """
    INSERT INTO @leases AS held (name, holder, lease_until) VALUES (?, ?, @clock() + ?)
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, lease_until = excluded.lease_until
    WHERE held.lease_until < @clock() OR held.holder = excluded.holder"""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the conversations in a store.

    Attributes:
        older_than: conversations not updated since this time are deleted; None keeps them.
        most_bytes: the total size of all turns; None sets no limit.
        most: the number of conversations; None sets no limit.
    """

    older_than: float | None = None
    most_bytes: int | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Slice:
    """The most that one transaction deletes, in rows and in bytes of turns."""

    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Deleted:
    """The result of a slice.

    Attributes:
        conversations: the number of conversations that were deleted completely.
        done: whether nothing is left to delete.
    """

    conversations: int
    done: bool


def delete_conversations_over(owner: str, limits: Limits, most: Slice) -> Transaction[Deleted]:
    """Delete one slice of the conversations that exceed the limits, the oldest first.

    A conversation larger than a slice is deleted turn by turn. From the first slice on it cannot be read, listed or
    continued; it is counted with the last slice.
    """
    over = yield from _exceeding(owner, limits, most.rows)
    if not over:
        return Deleted(0, done=True)
    first_id, first_bytes = over[0]
    if first_bytes > most.bytes and (yield from _delete_some_turns(owner, first_id, first_bytes, most.bytes)):
        return Deleted(0, done=False)
    ids, size = [first_id], first_bytes
    for conversation_id, its_bytes in over[1:]:
        size += its_bytes
        if size > most.bytes:
            break
        ids.append(conversation_id)
    return Deleted(len((yield from delete_conversations(owner, ids))), done=False)


def delete_expired(owner: str, *, now: float, keep_seconds: float | None, most: int) -> Transaction[bool]:
    """Delete up to about ``most`` old jobs, keys, texts and rows of usage each; return whether none are left.

    A running job that was not updated for a week was interrupted. Usage is deleted by whole days.
    """
    keep = KEEP_JOBS_SECONDS if keep_seconds is None else min(KEEP_JOBS_SECONDS, keep_seconds)
    midnight = min(max(0.0, (now - KEEP_USAGE_SECONDS) // DAY * DAY), _LAST_MIDNIGHT)
    done = True
    for rows, column, before in (
        ("@jobs WHERE owner = ?", "updated_at", now - KEEP_JOBS_SECONDS),
        ("@jobs WHERE owner = ? AND status <> 'running'", "updated_at", now - keep),
        ("@keys WHERE owner = ?", "created_at", now - keep),
        ("@texts WHERE owner = ?", "created_at", now - keep),
        ("@usage WHERE owner = ?", "created_at", midnight),
    ):
        # Only constant text is concatenated; values are parameters.
        last = yield (
            f"SELECT {column} FROM {rows} AND {column} < ? ORDER BY {column} LIMIT 1 OFFSET ?",  # noqa: S608
            (owner, before, most),
        )
        if last.rows:
            done = False
            yield Unread(f"DELETE FROM {rows} AND {column} <= ?", (owner, last.rows[0][0]))  # noqa: S608
        else:
            yield Unread(f"DELETE FROM {rows} AND {column} < ?", (owner, before))  # noqa: S608
    yield Unread("DELETE FROM @usage_days WHERE owner = ? AND day < ?", (owner, day_of(midnight)))
    return done


def delete_all_but_newest(owner: str, most: int) -> Transaction[None]:
    """Delete all but the newest ``most`` ended jobs, keys, and rows of usage."""
    for rows, column in (
        ("@jobs WHERE owner = ? AND status <> 'running'", "updated_at"),
        ("@keys WHERE owner = ?", "created_at"),
        ("@usage WHERE owner = ?", "created_at"),
    ):
        sql = f"DELETE FROM {rows} AND {column} < (SELECT {column} FROM {rows} ORDER BY {column} DESC LIMIT 1 OFFSET ?)"  # noqa: S608
        yield Unread(sql, (owner, owner, most - 1))


@brief
def claim_lease(lease: str, holder: str, seconds: float) -> Transaction[bool]:
    """Claim a lease, or renew it, for this time from now; return whether ``holder`` has it.

    Unlike a lock, it needs no connection that stays open, which a connection pooler would not keep.
    """
    claimed = yield _CLAIM_LEASE, (lease, holder, seconds)
    return claimed.changed == 1


@brief
def next_owner(after: str | None) -> Transaction[str | None]:
    """Return the first owner of any row after ``after`` in their order; None if there are no more."""
    owners: list[str] = []
    for table in ("totals", "jobs", "keys", "texts", "usage_days"):
        sql = f"SELECT MIN(owner) FROM @{table}"  # noqa: S608 - a constant
        found = yield (sql, ()) if after is None else (f"{sql} WHERE owner > ?", (after,))
        owners += [row[0] for row in found.rows if row[0] is not None]
    return min(owners, default=None)


@brief
def delete_audit_records(before: float, most: int) -> Transaction[bool]:
    """Delete up to about ``most`` of the oldest audit records of all owners; return whether none are left."""
    last = yield _AUDIT_AFTER, (before, most)
    if last.rows:
        yield "DELETE FROM @audit WHERE created_at <= ?", (last.rows[0][0],)
    else:
        yield "DELETE FROM @audit WHERE created_at < ?", (before,)
    return not last.rows


def _exceeding(owner: str, limits: Limits, rows: int) -> Transaction[list[Row]]:
    """Return ids and sizes of the oldest conversations that exceed the limits, at most ``rows``."""
    if limits.older_than is not None:
        found = yield _TOO_OLD, (owner, limits.older_than, rows)
        if found.rows:
            return list(found.rows)
    if limits.most_bytes is None and limits.most is None:
        return []
    totals = yield _TOTALS, (owner,)
    if not totals.rows:
        return []
    conversations, total_bytes = totals.rows[0]
    too_many = 0 if limits.most is None else conversations - max(0, limits.most)
    too_many_bytes = 0 if limits.most_bytes is None else total_bytes - max(0, limits.most_bytes)
    if too_many <= 0 and too_many_bytes <= 0:
        return []
    found = yield _OLDEST, (owner, rows)
    over: list[Row] = []
    for row in found.rows:
        if too_many <= 0 and too_many_bytes <= 0:
            break
        over.append(row)
        too_many -= 1
        too_many_bytes -= row[1]
    return over


def _delete_some_turns(owner: str, conversation_id: str, size: int, most_bytes: int) -> Transaction[bool]:
    """Delete about ``most_bytes`` of the first turns of a conversation; return whether some are left."""
    this: tuple[Value, ...] = (owner, conversation_id)
    found = yield _FIRST_AND_LAST, this
    first, last = found.rows[0]
    turns = 0 if first is None else last - first + 1
    if turns <= 1:
        return False
    deleted = max(1, turns * most_bytes // size)
    yield Unread(_HIDE, (size * deleted // turns, *this))
    yield Unread(_DELETE_STATE, this)
    yield Unread(_DELETE_TURNS, (*this, first + deleted))
    return True
