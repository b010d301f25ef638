"""A Responses request as the agents take it that speak in messages: tasks ``agent/v2/chat`` and ``agent/v1/chat``."""

from collections.abc import Mapping
from typing import Any

from databricks_responses_mcp.errors import quoted
from databricks_responses_mcp.responses.chat_messages import chat_messages
from databricks_responses_mcp.responses.plain_items import plain_items
from databricks_responses_mcp.responses.surface_parameters import left_out_note
from databricks_responses_mcp.responses.unsupported import UntranslatableError, tool_feature

_SURFACE = "an agent of the chat kind"
_TAKEN = ("custom_inputs", "context", "databricks_options", "stream")
_UNTOLD = frozenset({"model", "input", "instructions", "tools", "tool_choice", "include", "max_output_tokens", "store"})


def to_agent_chat(body: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The body that asks such an agent for the same, and notes of what was left out.

    It takes messages, ``custom_inputs`` and ``context``; how it thinks and what tools it has is its own affair.

    Raises:
        UntranslatableError: for tools, and for what messages cannot hold.
    """
    for tool in body.get("tools") or ():
        kind = tool.get("type") if isinstance(tool, Mapping) else None
        feature = "function tools" if kind == "function" else tool_feature(kind)
        raise UntranslatableError(
            feature, f"An agent of the chat kind takes no tools; this request has a {quoted(kind)}."
        )
    text = body.get("text")
    wanted = text.get("format") if isinstance(text, Mapping) else None
    if isinstance(wanted, Mapping) and wanted.get("type") != "text":
        raise UntranslatableError("structured output", "An agent of the chat kind takes no format for its answer.")
    items, notes = plain_items(body.get("input"), _SURFACE)
    sent: dict[str, Any] = {
        "model": body.get("model"),
        "messages": chat_messages(body.get("instructions"), items, blank=""),
    }
    sent |= {name: body[name] for name in _TAKEN if body.get(name) is not None}
    left_out = [name for name, value in body.items() if name not in (*_TAKEN, *_UNTOLD) and value is not None]
    return sent, [*notes, *left_out_note(_SURFACE, left_out)]
