"""Input items that every surface supports, from those that only the native Responses API has.

A conversation may have begun with another model. The use of its own tools becomes function calls with outputs, so that
the next model knows it.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from databricks_responses_mcp.errors import quoted
from databricks_responses_mcp.responses.accumulator import Item
from databricks_responses_mcp.responses.unsupported import UntranslatableError, tool_feature

_CALLS = {
    "custom_tool_call",
    "apply_patch_call",
    "shell_call",
    "mcp_call",
    "code_interpreter_call",
    "computer_call",
}
_OUTPUTS = {"custom_tool_call_output", "apply_patch_call_output", "shell_call_output", "computer_call_output"}
_PASSING = {"message", "reasoning", "function_call", "function_call_output"}
# The results of these are in the answer that follows them.
_UNTOLD = {
    "web_search_call",
    "file_search_call",
    "tool_search_call",
    "tool_search_output",
    "mcp_list_tools",
    "mcp_approval_request",
}


def plain_items(value: Any, surface: str, *, also: Collection[str] = ()) -> tuple[list[Item], list[str]]:
    """Return a request's ``input`` as messages, reasoning, function calls and their outputs, and notes for the caller.

    Args:
        surface: its name in an error.
        also: other types of items that the surface accepts unchanged.

    Raises:
        UntranslatableError: for an item that the model must know and that has no equivalent.
    """
    if isinstance(value, str):
        return [{"type": "message", "role": "user", "content": value}], []
    items: list[Item] = []
    pictures = False
    for item in _items_of(value):
        kind = str(item.get("type") or ("message" if "role" in item else None))
        if kind in _PASSING or kind in also:
            items.append({**item, "type": kind})
        elif kind in _CALLS:
            items += _call(item)
        elif kind in _OUTPUTS:
            items.append(_output(item))
        elif kind == "image_generation_call":
            pictures = True
        elif kind not in _UNTOLD:
            raise _untranslatable(item, kind, surface)
    notes = ["The model did not receive the images generated earlier in this conversation."] if pictures else []
    return items, notes


def call_id_of(item: Mapping[str, Any]) -> str:
    """Return the id that a call and its output share."""
    return as_text(item.get("call_id") or item.get("id"))


def as_text(value: Any) -> str:
    """Return a value as text for a model: text unchanged, None as an empty text, all else as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except RecursionError:
        return "[nested too deep to show]"


def _items_of(value: Any) -> Iterable[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []


def _untranslatable(item: Mapping[str, Any], kind: str, surface: str) -> UntranslatableError:
    if kind == "compaction":
        return UntranslatableError(
            "compacted conversations",
            f"The earlier turns of this conversation are in a form that only its own model reads, not {surface}.",
        )
    if kind == "mcp_approval_response":
        return UntranslatableError("mcp", f"{surface} has no MCP tools to approve.")
    if kind == "item_reference":
        return UntranslatableError("stored responses", f"{surface} stores no items to refer to: {item.get('id')}.")
    name = kind.removesuffix("_output").removesuffix("_call")
    return UntranslatableError(tool_feature(name), f"{surface} has no items of type {quoted(kind)}.")


def _call(item: Mapping[str, Any]) -> list[Item]:
    kind = item["type"]
    call: Item = {"type": "function_call", "call_id": call_id_of(item)}
    if kind == "custom_tool_call":
        return [{**call, "name": item.get("name"), "arguments": as_text({"input": item.get("input")})}]
    if kind == "mcp_call":
        call |= {"name": item.get("name"), "arguments": as_text(item.get("arguments")) or "{}"}
        said = item.get("output") if item.get("error") is None else f"error: {as_text(item['error'])}"
        return [call, {"type": "function_call_output", "call_id": call["call_id"], "output": as_text(said)}]
    if kind == "code_interpreter_call":
        call |= {"name": "code_interpreter", "arguments": as_text({"code": item.get("code")})}
        return [call, {"type": "function_call_output", "call_id": call["call_id"], "output": _logs(item)}]
    asked = item.get("operation" if kind == "apply_patch_call" else "action")
    return [{**call, "name": kind.removesuffix("_call"), "arguments": as_text(asked or {})}]


def _output(item: Mapping[str, Any]) -> Item:
    said = item.get("output")
    if item["type"] == "apply_patch_call_output":
        said = f"{item.get('status')}: {as_text(said)}" if said else as_text(item.get("status"))
    elif item["type"] == "shell_call_output":
        said = as_text(said)
    elif item["type"] == "computer_call_output":
        said = "a screenshot, which is not shown here"
    return {"type": "function_call_output", "call_id": call_id_of(item), "output": said}


def _logs(item: Mapping[str, Any]) -> str:
    outputs = item.get("outputs")
    logs = (
        [as_text(one.get("logs")) for one in outputs if isinstance(one, Mapping)] if isinstance(outputs, list) else []
    )
    return "\n".join(text for text in logs if text) or as_text(item.get("status"))
