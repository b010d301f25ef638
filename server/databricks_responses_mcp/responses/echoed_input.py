"""Output that repeats the input: the Supervisor API returns the whole conversation before its own items."""

from collections.abc import Mapping, Sequence
from typing import Any

from databricks_responses_mcp.responses.accumulator import Item

_OF_CALLERS = ("user", "system", "developer")


def without_echo(output: Sequence[Item], given: Any) -> list[Item]:
    """Return the output without the items at its beginning that repeat the input, in order, and without user messages.

    Args:
        given: the ``input`` of the request.
    """
    items = [item for item in given if isinstance(item, Mapping)] if isinstance(given, list) else []
    place = 0
    # A repetition begins with the first item: otherwise an answer may only happen to equal an earlier text.
    is_repeated = bool(items and output) and _mark(output[0]) == _mark(items[0])
    for item in items if is_repeated else ():
        if place < len(output) and _mark(output[place]) == _mark(item):
            place += 1
    return [item for item in output[place:] if item.get("role") not in _OF_CALLERS]


def _mark(item: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what an item and its repetition have in common, despite other changes."""
    kind = item.get("type") or "message"
    if kind == "message":
        return kind, item.get("role"), _text(item.get("content"))
    return kind, str(item.get("call_id") or item.get("approval_request_id") or item.get("name"))


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text") or part.get("refusal") or "") for part in parts if isinstance(part, Mapping))
