"""What all calls that the client must answer have in common: an id to answer to, and text that comes in deltas."""

import secrets
from typing import Any

from databricks_workspace_emulator.turn import Turn
from databricks_workspace_emulator.writer import Event, deltas


def new_call_id() -> str:
    """An id that the client's output must name."""
    return f"call_{secrets.token_hex(12)}"


def call_in_deltas(
    turn: Turn, item: dict[str, Any], field: str, text: str, events: str, **done_fields: Any
) -> list[Event]:
    """A call whose one long string (``item[field]``) is written in deltas.

    Args:
        turn: is left waiting for the client.
        item: the call, its string still empty.
        field: ``arguments`` or ``input``.
        text: what the string becomes; the token budget may cut it.
        events: the name of the deltas' events without ``.delta``.
        **done_fields: more fields of the ``.done`` event.
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
