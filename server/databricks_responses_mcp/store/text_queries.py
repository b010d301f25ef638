"""Long texts: the statements of each transaction."""

from databricks_responses_mcp.store.statements import (
    Transaction,
    Unread,
    Value,
    from_json,
    insert,
    name,
    proven_by,
    size,
    to_json,
)

MAX_BYTES = 64_000_000
"""The size of all texts of an owner; the newest stays even if it is larger."""

_TEXT = "SELECT text FROM @texts WHERE owner = ? AND text_id = ?"
_TEXT_SINCE = "SELECT 1 FROM @texts WHERE owner = ? AND text_id = ? AND created_at >= ?"
_DELETE_OLDEST = """
    DELETE FROM @texts WHERE owner = ? AND text_id <> ? AND text_id IN (
        SELECT text_id FROM (
            SELECT text_id, SUM(bytes) OVER (ORDER BY created_at DESC, text_id) AS newer_bytes FROM @texts
            WHERE owner = ?
        ) AS sizes WHERE newer_bytes > ?
    )"""


def _has_text(owner: str, text_id: str, text: str, now: float) -> Transaction[bool]:
    found = yield _TEXT_SINCE, (owner, name(text_id), now)
    return bool(found.rows)


@proven_by(_has_text)
def put_text(owner: str, text_id: str, text: str, now: float) -> Transaction[None]:
    """See `Store.put_text`. A text is stored as JSON, so that any content is returned unchanged."""
    stored = to_json(text)
    new: dict[str, Value] = {"owner": owner, "text_id": name(text_id), "created_at": now, "bytes": size(stored)}
    replacing = (
        "ON CONFLICT (owner, text_id) DO UPDATE SET"
        " created_at = excluded.created_at, bytes = excluded.bytes, text = excluded.text"
    )
    yield Unread(*insert("@texts", {**new, "text": stored}, replacing))
    yield Unread(_DELETE_OLDEST, (owner, name(text_id), owner, MAX_BYTES))


def text(owner: str, text_id: str) -> Transaction[str | None]:
    """See `Store.text`."""
    found = yield _TEXT, (owner, name(text_id))
    return None if not found.rows else str(from_json(found.rows[0][0]))
