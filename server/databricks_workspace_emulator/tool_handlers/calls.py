"""The common parts of calls that the client must answer: an id, and text in deltas."""

import secrets
from typing import Any

from databricks_workspace_emulator.turn import Turn
from databricks_workspace_emulator.writer import Event, deltas


def new_call_id() -> str:
    """Return an id that the client's output must name."""
    return f"call_{secrets.token_hex(12)}"


def call_in_deltas(
    turn: Turn, item: dict[str, Any], field: str, text: str, events: str, **done_fields: Any
) -> list[Event]:
    """Return the events of a call whose one long string (``item[field]``) is written in deltas.

    Args:
        turn: waits for the client afterwards.
        item: the call, with its string still empty.
        field: ``arguments`` or ``input``.
        text: the string; the token budget may truncate it.
        events: the name of the deltas' events without ``.delta``.
        **done_fields: additional fields of the ``.done`` event.
    """
    writer = turn.writer
    turn.waiting = True
    index, added = writer.add(item)
    out = [added]
    for piece in deltas(writer, text):
        item[field] += piece
        out.append(writer.on_item(f"{events}.delta", index, delta=piece))
    out.append(writer.on_item(f"{events}.done", index, **{field: item[field]}, **done_fields))
    if "status" in item:
        item["status"] = "incomplete" if writer.budget.cut else "completed"
    out.append(writer.done(index))
    return out
