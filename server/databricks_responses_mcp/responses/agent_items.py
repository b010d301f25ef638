"""Output items of agents, completed to those of the Responses API: agents leave out ids, types and statuses."""

from typing import Any

from databricks_responses_mcp.responses.accumulator import Item
from databricks_responses_mcp.responses.plain_items import as_text, call_id_of

_TEXTS = ("output_text", "text", "input_text")
_CALLS = ("function_call", "function_call_output")


def agent_item(item: dict[str, Any]) -> Item | None:
    """Return the item with all fields of its type; None if it is not an item, or repeats the agent's input."""
    kind = item.get("type") or ("message" if "content" in item else "")
    if item.get("role") == "tool":
        return output_item(item)
    if not isinstance(kind, str) or not kind:
        return None
    if kind != "message":
        return {"status": "completed", **item, "call_id": call_id_of(item)} if kind in _CALLS else item
    if item.get("role") not in (None, "assistant"):
        return None
    content = item.get("content")
    parts = content if isinstance(content, list) else [content]
    made = [part for part in map(_part, parts) if part is not None]
    return {"status": "completed", **item, "type": "message", "role": "assistant", "content": made}


def output_item(message: dict[str, Any]) -> Item:
    """Return a tool's message of the chat API as the output of a call."""
    named = {"type": "function_call_output", "call_id": str(message.get("tool_call_id") or "")}
    return {**named, "output": as_text(message.get("content")), "status": "completed"}


def text_of_item(item: Item) -> str:
    """Return the text of a message made by ``agent_item``."""
    return "".join(part["text"] for part in item["content"] if part["type"] == "output_text")


def mark_of(item: Item) -> tuple[str, str]:
    """Return what identifies an item when it is repeated: its content, not its id."""
    kind = str(item.get("type"))
    if kind == "message":
        return kind, text_of_item(item)
    return kind, as_text(item.get("call_id") or item.get("id") or item)


def _part(part: Any) -> dict[str, Any] | None:
    if isinstance(part, str):
        return {"type": "output_text", "text": part, "annotations": []}
    if not isinstance(part, dict):
        return None
    if part.get("type", "text") not in _TEXTS:
        return {**part, "type": str(part["type"])}
    notes = part.get("annotations")
    return {
        **part,
        "type": "output_text",
        "text": as_text(part.get("text")),
        "annotations": notes if isinstance(notes, list) else [],
    }
