"""Several turns that make one answer: nothing that was said or paid for in any of them is lost."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.turns.outcome import Outcome

_PARTING = "\n\n"


def joined(before: Outcome | None, after: Outcome) -> Outcome:
    """One outcome of two turns of a conversation: the state of the later one, the words, items and costs of both."""
    if before is None:
        return after
    text = _PARTING.join(part for part in (before.text, after.text) if part)
    shift = len(text) - len(after.text)
    return replace(
        after,
        text=text,
        citations=[*before.citations, *(_moved(citation, shift) for citation in after.citations)],
        output=[*before.output, *after.output],
        items=[*before.items, *after.items],
        usage=total_usage(before.usage, after.usage),
        notes=(*before.notes, *after.notes),
    )


def keep_before(error: BridgeError, before: Outcome) -> BridgeError:
    """``error`` with what came before it; the calls that waited then still wait."""
    earlier = {key: value for key, value in before.as_dict().items() if key != "status"}
    text = _PARTING.join(part for part in (before.text, error.partial.get("text")) if part)
    output = [*before.output, *error.partial.get("output", [])]
    error.partial = {**earlier, **error.partial, "text": text, **({"output": output} if output else {})}
    if before.pending_calls:
        error.partial["pending_calls"] = before.pending_calls
    return error


def _moved(citation: dict[str, Any], shift: int) -> dict[str, Any]:
    places = {key: citation[key] + shift for key in ("start_index", "end_index") if isinstance(citation.get(key), int)}
    return {**citation, **places}


def total_usage(first: Mapping[str, Any] | None, second: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Token counts added up, those of their details too; None if there are none."""
    if first is None or second is None:
        return dict(first or second or {}) or None
    total: dict[str, Any] = {**first, **second}
    for key in first.keys() & second.keys():
        one, other = first[key], second[key]
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            total[key] = total_usage(one, other)
        elif isinstance(one, int | float) and isinstance(other, int | float):
            total[key] = one + other
    return total
