"""Forgetting what is too old or too much, as steps on a database."""

from databricks_responses_mcp.store.conversation_queries import delete_conversations
from databricks_responses_mcp.store.steps import Steps

DAY = 86_400.0
KEEP_JOBS_SECONDS = 7 * DAY
KEEP_USAGE_SECONDS = 400 * DAY

_TOO_OLD = "SELECT conversation_id FROM @conversations WHERE owner = ? AND updated_at < ? ORDER BY updated_at LIMIT ?"
_TOO_MANY = """
    SELECT conversation_id FROM (
        SELECT conversation_id, updated_at,
            SUM(bytes) OVER (ORDER BY updated_at DESC, conversation_id DESC) AS bytes_so_far,
            ROW_NUMBER() OVER (ORDER BY updated_at DESC, conversation_id DESC) AS place
        FROM @conversations WHERE owner = ?
    ) AS newest_first
    WHERE bytes_so_far > ? OR place > ? ORDER BY updated_at, conversation_id LIMIT ?"""
_OLD_JOBS = """
    DELETE FROM @jobs WHERE owner = ? AND status <> 'running' AND updated_at <
        (SELECT updated_at FROM @jobs WHERE owner = ? ORDER BY updated_at DESC LIMIT 1 OFFSET ?)"""
_OLD_KEYS = """
    DELETE FROM @keys WHERE owner = ? AND created_at <
        (SELECT created_at FROM @keys WHERE owner = ? ORDER BY created_at DESC LIMIT 1 OFFSET ?)"""
_OLD_USAGE = """
    DELETE FROM @usage WHERE owner = ? AND created_at <
        (SELECT created_at FROM @usage WHERE owner = ? ORDER BY created_at DESC LIMIT 1 OFFSET ?)"""


def delete_some(
    owner: str, *, at_once: int, older_than: float | None, most_bytes: int | None, most: int | None = None
) -> Steps[int]:
    """Delete up to ``at_once`` of the conversations that are too old or too many, the oldest first; returns how many.

    Args:
        older_than: those not updated since then are too old.
        most_bytes: of the turns of those that stay.
        most: how many stay.
    """
    doomed = []
    if older_than is not None:
        found = yield _TOO_OLD, (owner, older_than, at_once)
        doomed = [row[0] for row in found.rows]
    if not doomed and (most_bytes is not None or most is not None):
        found = yield _TOO_MANY, (owner, _or_unlimited(most_bytes), _or_unlimited(most), at_once)
        doomed = [row[0] for row in found.rows]
    return len((yield from delete_conversations(owner, doomed)))


def forget(owner: str, *, now: float, keep_seconds: float | None) -> Steps[None]:
    """Delete old jobs, keys and usage. A job that has not said for a week that it runs was interrupted."""
    keep = KEEP_JOBS_SECONDS if keep_seconds is None else min(KEEP_JOBS_SECONDS, keep_seconds)
    yield (
        "DELETE FROM @jobs WHERE owner = ? AND (updated_at < ? OR (status <> 'running' AND updated_at < ?))",
        (owner, now - KEEP_JOBS_SECONDS, now - keep),
    )
    yield "DELETE FROM @keys WHERE owner = ? AND created_at < ?", (owner, now - keep)
    yield "DELETE FROM @usage WHERE owner = ? AND created_at < ?", (owner, now - KEEP_USAGE_SECONDS)


def forget_most(owner: str, most: int) -> Steps[None]:
    """Keep only the newest ``most`` jobs that have ended, keys, and records of usage."""
    for statement in (_OLD_JOBS, _OLD_KEYS, _OLD_USAGE):
        yield statement, (owner, owner, most - 1)


def _or_unlimited(limit: int | None) -> int:
    return 2**62 if limit is None else max(0, limit)
