"""Translating a Responses request for agents: for MLflow's ``ResponsesAgent``, or in messages.

Source: task ``agent/v1/responses``; an agent validates ``input`` item by item. It has no ``instructions``: they become
the first item of the input. ``custom_inputs``, ``context`` and ``databricks_options`` are sent unchanged.
"""

from collections.abc import Mapping
from typing import Any

from databricks_responses_mcp.errors import quoted
from databricks_responses_mcp.responses.accumulator import Item
from databricks_responses_mcp.responses.chat_messages import chat_messages
from databricks_responses_mcp.responses.chat_reasoning import unsealed
from databricks_responses_mcp.responses.plain_items import as_text, call_id_of, plain_items
from databricks_responses_mcp.responses.surface_parameters import left_out_note, take_parameters
from databricks_responses_mcp.responses.unsupported import UntranslatableError, is_native_tool, tool_feature

_SURFACE = "an agent"
_KNOWN = frozenset({"background", "metadata", "parallel_tool_calls", "truncation", "user"})
_HERE = frozenset({"model", "input", "instructions", "stream", "tools"})
_APPROVALS = ("mcp_approval_request", "mcp_approval_response")
_CHAT_SURFACE = "an agent with Chat Completions"
_CHAT_FIELDS = ("custom_inputs", "context", "databricks_options", "stream")
_CHAT_DROPPED = frozenset(
    {"model", "input", "instructions", "tools", "tool_choice", "include", "max_output_tokens", "store"}
)


def to_agent(body: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the body for an agent, and notes about what was left out.

    Raises:
        UntranslatableError: for what agents do not support. Tool types that the API does not know are sent: a
            supervisor has some of its own.
    """
    asked, left_out = take_parameters(body, surface="An agent", said_otherwise=_HERE, known=_KNOWN)
    items, notes = _input(body)
    sent: dict[str, Any] = {"model": body.get("model"), "input": items}
    if body.get("stream") is not None:
        sent["stream"] = body["stream"]
    sent |= asked
    if tools := body.get("tools"):
        sent["tools"] = _tools(tools)
    return sent, [*notes, *left_out_note(_SURFACE, left_out)]


def to_agent_chat(body: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the body for an agent that accepts messages, and notes about what was left out.

    These are the tasks ``agent/v2/chat`` and ``agent/v1/chat``. Such an agent accepts messages, ``custom_inputs`` and
    ``context``; it chooses its model and its tools itself.

    Raises:
        UntranslatableError: for tools, and for what messages cannot contain.
    """
    for tool in body.get("tools") or ():
        kind = tool.get("type") if isinstance(tool, Mapping) else None
        feature = "function tools" if kind == "function" else tool_feature(kind)
        raise UntranslatableError(
            feature, f"An agent of the chat kind accepts no tools; this request has a {quoted(kind)}."
        )
    text = body.get("text")
    wanted = text.get("format") if isinstance(text, Mapping) else None
    if isinstance(wanted, Mapping) and wanted.get("type") != "text":
        raise UntranslatableError("structured output", "An agent of the chat kind accepts no format for its answer.")
    items, notes = plain_items(body.get("input"), _CHAT_SURFACE)
    sent: dict[str, Any] = {
        "model": body.get("model"),
        "messages": chat_messages(body.get("instructions"), items, blank=""),
    }
    sent |= {name: body[name] for name in _CHAT_FIELDS if body.get(name) is not None}
    left_out = [
        name for name, value in body.items() if name not in (*_CHAT_FIELDS, *_CHAT_DROPPED) and value is not None
    ]
    return sent, [*notes, *left_out_note(_CHAT_SURFACE, left_out)]


def _tools(tools: Any) -> list[Any]:
    for tool in tools:
        kind = tool.get("type") if isinstance(tool, Mapping) else None
        if is_native_tool(kind):
            raise UntranslatableError(
                tool_feature(kind), f"An agent brings its own tools, and this request has one of type {quoted(kind)}."
            )
    return list(tools)


def _input(body: Mapping[str, Any]) -> tuple[list[Item], list[str]]:
    items: list[Item] = []
    if body.get("instructions"):
        items.append({"type": "message", "role": "system", "content": body["instructions"]})
    notes: list[str] = []
    given = body.get("input")
    for number, item in enumerate(given if isinstance(given, list | tuple) else [given]):
        # An agent asks for approvals itself, and only here can somebody answer them.
        if isinstance(item, Mapping) and item.get("type") in _APPROVALS:
            items.append(dict(item))
            continue
        plain, told = plain_items(item if isinstance(item, str) else [item], _SURFACE)
        items += [_item(made, number) for made in plain if not unsealed(made)]
        notes += [note for note in told if note not in notes]
    return items, notes


def _item(item: Item, number: int) -> Item:
    """Return an item as an agent validates it: ids are required where the API has them, and few annotations are
    known.
    """
    if item["type"] == "message" and item.get("role") == "assistant" and not isinstance(item.get("content"), str):
        parts = item.get("content")
        content = [_part(part) for part in parts] if isinstance(parts, list | tuple) else []
        return {**item, "id": item.get("id") or f"msg_{number}", "content": content}
    if item["type"] == "reasoning":
        return {**item, "id": item.get("id") or f"rs_{number}", "summary": item.get("summary") or []}
    if item["type"] == "function_call":
        return {**item, "call_id": call_id_of(item)}
    if item["type"] == "function_call_output":
        return {**item, "call_id": call_id_of(item), "output": _output(item.get("output"))}
    return item


def _output(value: Any) -> Any:
    """Return text parts as the text that agents require; with images among them, the agent decides."""
    if isinstance(value, list) and all(
        isinstance(part, Mapping) and part.get("type") == "input_text" for part in value
    ):
        return "\n\n".join(as_text(part.get("text")) for part in value)
    return value


def _part(part: Any) -> Any:
    if isinstance(part, Mapping) and part.get("type") in ("output_text", "input_text", "text"):
        return {"type": "output_text", "text": part.get("text") or "", "annotations": []}
    return part
