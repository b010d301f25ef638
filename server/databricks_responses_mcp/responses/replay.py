"""Output items made into input items: what a stateless server is told of the turns before.

The API stores nothing, so the whole conversation is sent again with each turn. Databricks gives out ids of hundreds of
characters and refuses more than 64; reasoning can be replayed only in its encrypted form; a picture's base64 would fill
the request.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from databricks_responses_mcp.responses.assembly import Item

MAX_ID = 64

_REPLAYED = frozenset(
    {
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
        "apply_patch_call",
        "apply_patch_call_output",
        "shell_call",
        "shell_call_output",
        "web_search_call",
        "mcp_list_tools",
        "mcp_call",
        "mcp_approval_request",
        "mcp_approval_response",
        "compaction",
    }
)
_NOT_INPUT = frozenset({"picture", "created_by", "parsed_arguments"})


def replayable(items: Iterable[Item]) -> list[Item]:
    """The items as the next request's ``input`` may hold them, in order; what cannot be replayed is left out."""
    kept: list[Item] = []
    reasoning: list[Item] = []
    for item in items:
        if item.get("type") == "reasoning":
            reasoning += [item] if _can_replay(item) else []
            continue
        if _can_replay(item):
            kept += [*reasoning, item]
        # Reasoning is refused without the item that it led to.
        reasoning = []
    return [_input_item(item) for item in kept]


def short_id(value: str) -> str:
    """An id of at most 64 characters: the id itself, or always the same short one for the same long one."""
    if len(value) <= MAX_ID:
        return value
    prefix = value.partition("_")[0]
    digest = hashlib.sha256(value.encode()).hexdigest()[:48]
    return f"{prefix}_{digest}" if 0 < len(prefix) < MAX_ID - 49 else digest


def _can_replay(item: Item) -> bool:
    kind = item.get("type")
    if kind not in _REPLAYED:
        return False
    if kind == "reasoning":
        return bool(item.get("encrypted_content"))
    if kind == "message":
        return bool(item.get("content"))
    # A call that was cut off in the middle cannot be answered, and an unanswered call is refused.
    return not (kind.endswith("_call") and item.get("status") == "incomplete")


def _input_item(item: Mapping[str, Any]) -> Item:
    sent = {key: value for key, value in item.items() if key not in _NOT_INPUT and value is not None}
    for key in ("id", "call_id", "approval_request_id"):
        if isinstance(sent.get(key), str):
            sent[key] = short_id(sent[key])
    if sent.get("type") == "message":
        sent.setdefault("role", "assistant")
        sent.setdefault("status", "completed")
    if sent.get("type") == "reasoning":
        sent.setdefault("summary", [])
    return sent
