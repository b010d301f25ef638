"""What requests cost, as steps on a database."""

from datetime import UTC, datetime

from databricks_responses_mcp.store.encoding import count, maybe_name, name
from databricks_responses_mcp.store.records import Grouping, Usage, UsageTotal
from databricks_responses_mcp.store.steps import Steps, insert

_GROUPS: dict[Grouping, str] = {
    "day": "day",
    "model": "model",
    "conversation": "COALESCE(conversation_id, '')",
    "tool": "tool",
}
_TOTALS = """
    SELECT :group, COUNT(*), SUM(input_tokens), SUM(output_tokens), SUM(cached_tokens), SUM(reasoning_tokens)
    FROM @usage WHERE owner = ? AND created_at >= ? GROUP BY :group ORDER BY """
_TOKENS = "SELECT COALESCE(SUM(input_tokens + output_tokens), 0) FROM @usage WHERE owner = ? AND created_at >= ?"


def add_usage(owner: str, usage: Usage) -> Steps[None]:
    """See `Store.add_usage`."""
    yield insert(
        "@usage",
        {
            "owner": owner,
            "created_at": usage.created_at,
            "day": datetime.fromtimestamp(usage.created_at, UTC).date().isoformat(),
            "tool": name(usage.tool),
            "endpoint": name(usage.endpoint),
            "model": name(usage.model),
            "conversation_id": maybe_name(usage.conversation_id),
            "input_tokens": count(usage.input_tokens),
            "output_tokens": count(usage.output_tokens),
            "cached_tokens": count(usage.cached_tokens),
            "reasoning_tokens": count(usage.reasoning_tokens),
        },
    )


def tokens_since(owner: str, since: float) -> Steps[int]:
    """See `Store.tokens_since`."""
    found = yield _TOKENS, (owner, since)
    return int(found.rows[0][0])


def usage(owner: str, by: Grouping, since: float) -> Steps[list[UsageTotal]]:
    """See `Store.usage`. What was spent outside conversations has the key of no conversation, ``""``."""
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
