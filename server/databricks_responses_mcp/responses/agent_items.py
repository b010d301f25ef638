"""Output items of agents, made what the Responses API says they are: agents leave out ids, types and statuses."""

from typing import Any

from databricks_responses_mcp.responses.accumulator import Item
from databricks_responses_mcp.responses.plain_items import as_text, call_id_of

_TEXTS = ("output_text", "text", "input_text")
_CALLS = ("function_call", "function_call_output")


def agent_item(item: dict[str, Any]) -> Item | None:
    """The item with what belongs to its kind, or None if it is none, or repeats what the agent was told."""
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
    """A tool's message of the chat API as the output of a call."""
    named = {"type": "function_call_output", "call_id": str(message.get("tool_call_id") or "")}
    return {**named, "output": as_text(message.get("content")), "status": "completed"}


def text_of_item(item: Item) -> str:
    """The text of a message that ``agent_item`` has made."""
    return "".join(part["text"] for part in item["content"] if part["type"] == "output_text")


def mark_of(item: Item) -> tuple[str, str]:
    """What tells an item from others when it comes a second time: what it says, not what it is called."""
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
