"""Token usage: the statements of each transaction."""

from datetime import UTC, datetime

from databricks_responses_mcp.store.records import Grouping, Usage, UsageTotal
from databricks_responses_mcp.store.statements import (
    Transaction,
    Unread,
    Value,
    brief,
    count,
    insert,
    name,
    optional_name,
    proven_by,
)

_GROUPS: dict[Grouping, str] = {
    "day": "day",
    "model": "model",
    "conversation": "COALESCE(conversation_id, '')",
    "tool": "tool",
}
_TOTALS = """
    SELECT :group, COUNT(*), SUM(input_tokens), SUM(output_tokens), SUM(cached_tokens), SUM(reasoning_tokens)
    FROM @usage WHERE owner = ? AND created_at >= ? GROUP BY :group ORDER BY """
_SAME_USAGE = """
    SELECT 1 FROM @usage
    WHERE owner = ? AND created_at = ? AND tool = ? AND endpoint = ? AND input_tokens = ? AND output_tokens = ?"""
_TOKENS = "SELECT tokens FROM @usage_days WHERE owner = ? AND day = ?"
_TOKENS_OF_ALL = "SELECT SUM(tokens) FROM @usage_days WHERE day = ?"


def _has_usage(owner: str, usage: Usage) -> Transaction[bool]:
    values = (name(usage.tool), name(usage.endpoint), count(usage.input_tokens), count(usage.output_tokens))
    found = yield _SAME_USAGE, (owner, usage.created_at, *values)
    return bool(found.rows)


@brief
@proven_by(_has_usage)
def add_usage(owner: str, usage: Usage) -> Transaction[None]:
    """See `Store.add_usage`."""
    yield Unread(*insert("@usage", {"owner": owner, **usage_columns(usage)}))


def usage_columns(usage: Usage) -> dict[str, Value]:
    """Return a row of usage without its owner."""
    return {
        "created_at": usage.created_at,
        "day": day_of(usage.created_at),
        "tool": name(usage.tool),
        "endpoint": name(usage.endpoint),
        "model": name(usage.model),
        "conversation_id": optional_name(usage.conversation_id),
        "input_tokens": count(usage.input_tokens),
        "output_tokens": count(usage.output_tokens),
        "cached_tokens": count(usage.cached_tokens),
        "reasoning_tokens": count(usage.reasoning_tokens),
    }


@brief
def tokens_on_day(owner: str, at: float) -> Transaction[int]:
    """See `Store.tokens_on_day`. A trigger adds each row of usage to the total of its day, in the same transaction."""
    found = yield _TOKENS, (owner, day_of(at))
    return int(found.rows[0][0]) if found.rows else 0


@brief
def tokens_of_all_on_day(at: float) -> Transaction[int]:
    """Return the tokens that all owners used on the day of a time."""
    found = yield _TOKENS_OF_ALL, (day_of(at),)
    return int(found.rows[0][0] or 0)


def day_of(at: float) -> str:
    """Return the day (UTC, ``YYYY-MM-DD``) of a time."""
    return datetime.fromtimestamp(at, UTC).date().isoformat()


def usage(owner: str, by: Grouping, since: float) -> Transaction[list[UsageTotal]]:
    """See `Store.usage`. Usage outside conversations has the key ``""``."""
    order = "1" if by == "day" else "SUM(input_tokens + output_tokens) DESC, 1"
    found = yield _TOTALS.replace(":group", _GROUPS[by]) + order, (owner, since)
    return [
        UsageTotal(
            key=key,
            requests=int(requests),
            input_tokens=int(given),
            output_tokens=int(got),
            cached_tokens=int(cached),
            reasoning_tokens=int(thought),
        )
        for key, requests, given, got, cached, thought in found.rows
    ]
