"""Output that repeats the input: the Supervisor API returns the whole conversation before what it adds."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from databricks_responses_mcp.responses.accumulator import Item

_OF_CALLERS = ("user", "system", "developer")


def input_marks(given: Any) -> list[str]:
    """Return a mark of each input item by which its repetition is recognised.

    Args:
        given: the ``input`` of the request.
    """
    return [_mark(item) for item in given if isinstance(item, Mapping)] if isinstance(given, list) else []


def without_echo(output: Sequence[Item], marks: Sequence[str]) -> list[Item]:
    """Return the output without the items at its beginning that repeat the input, in order, and without callers' words.

    Args:
        marks: the `input_marks` of the request.
    """
    place = 0
    # A repetition begins with the first item: without it, an answer may only happen to say what was said before.
    is_repeated = bool(marks and output) and _mark(output[0]) == marks[0]
    for mark in marks if is_repeated else ():
        if place < len(output) and _mark(output[place]) == mark:
            place += 1
    return [item for item in output[place:] if item.get("role") not in _OF_CALLERS]


def _mark(item: Mapping[str, Any]) -> str:
    """Return a hash of what an item and its repetition share, whatever else was done to it."""
    kind = item.get("type") or "message"
    if kind == "message":
        shared: tuple[Any, ...] = (kind, item.get("role"), _text(item.get("content")))
    else:
        shared = (kind, str(item.get("call_id") or item.get("approval_request_id") or item.get("name")))
    return hashlib.sha256(repr(shared).encode()).hexdigest()[:16]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text") or part.get("refusal") or "") for part in parts if isinstance(part, Mapping))
