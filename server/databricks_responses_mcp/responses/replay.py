"""Converting output items to input items, so that a stateless server receives the earlier turns.

The API stores nothing, so the whole conversation is sent again with each turn. Databricks returns ids of hundreds of
characters and refuses more than 64; reasoning can be sent only in its encrypted form; an image's base64 would fill the
request.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from databricks_responses_mcp.responses.accumulator import Item

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
        "image_generation_call",
        "compaction",
        # Tools of external models that pay-per-token ones do not have.
        "code_interpreter_call",
        "file_search_call",
        "computer_call",
        "computer_call_output",
        "tool_search_call",
        "tool_search_output",
    }
)
_ENCRYPTED = frozenset({"reasoning", "compaction"})
_NOT_INPUT = frozenset({"created_by", "parsed_arguments"})
_OF_PICTURES = frozenset({"type", "id", "picture"})
"""The fields of an image's item that a request may contain, besides its ``result`` and ``status``."""


def replayable(items: Iterable[Item]) -> list[Item]:
    """Return the items that the next request's ``input`` may contain, in order; all others are left out.

    An image becomes a stub with the path of its file (``picture``) and no ``result``, for `with_pictures`.
    """
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


def without_reasoning(items: Iterable[Item]) -> list[Item]:
    """Return the items for an endpoint that cannot read encrypted ones: without reasoning and compactions."""
    return [item for item in items if item.get("type") not in _ENCRYPTED]


def from_last_compaction(items: list[Item]) -> list[Item]:
    """Return the items from the last compaction on, which includes the earlier ones."""
    last = max((number for number, item in enumerate(items) if item.get("type") == "compaction"), default=0)
    return items[last:]


def with_pictures(items: Iterable[Item], pictures: Mapping[str, str]) -> list[Item]:
    """Return the items to send: images that are in ``pictures`` complete, other images left out.

    Args:
        pictures: base64 by the path in the stub.
    """
    sent: list[Item] = []
    for item in items:
        if item.get("type") != "image_generation_call":
            sent.append(item)
        elif (result := pictures.get(str(item.get("picture")))) is not None:
            whole = {key: value for key, value in item.items() if key != "picture"}
            sent.append({**whole, "status": "completed", "result": result})
        else:
            # Reasoning is refused without the item that it led to.
            while sent and sent[-1].get("type") == "reasoning":
                sent.pop()
    return sent


def short_id(value: str) -> str:
    """Return an id of at most 64 characters: the id itself, or for a long id always the same short one."""
    if len(value) <= MAX_ID:
        return value
    prefix = value.partition("_")[0]
    digest = hashlib.sha256(value.encode()).hexdigest()[:48]
    return f"{prefix}_{digest}" if 0 < len(prefix) < MAX_ID - 49 else digest


def _parts(content: list[Any]) -> list[Any]:
    """Return a message's parts as the API accepts them: text parts with text, and annotations that are objects."""
    parts: list[Any] = []
    for part in content:
        if isinstance(part, str):
            parts.append({"type": "output_text", "text": part, "annotations": []})
        elif isinstance(part, dict) and isinstance(part.get("type"), str):
            if not isinstance(part.get("text", ""), str) or not isinstance(part.get("refusal", ""), str):
                continue
            notes = part.get("annotations", [])
            sound = [note for note in notes if isinstance(note, dict)] if isinstance(notes, list) else []
            parts.append(part if sound == notes else {**part, "annotations": sound})
    return parts


def _can_replay(item: Item) -> bool:
    kind = item.get("type")
    if not isinstance(kind, str) or kind not in _REPLAYED:
        return False
    if kind == "reasoning":
        return isinstance(item.get("encrypted_content"), str) and bool(item["encrypted_content"])
    if kind == "message":
        content = item.get("content")
        return bool(_parts(content) if isinstance(content, list) else isinstance(content, str) and content)
    if kind == "image_generation_call":
        return isinstance(item.get("picture"), str)
    if kind == "tool_search_call" and item.get("execution") == "client":
        # The bridge does not run tool searches for the server, so nothing has answered it.
        return False
    # A truncated call cannot be answered, and a call without an output is refused.
    return not (kind.endswith("_call") and item.get("status") == "incomplete")


def _input_item(item: Mapping[str, Any]) -> Item:
    sent = {key: value for key, value in item.items() if key not in _NOT_INPUT and value is not None}
    if sent.get("type") == "image_generation_call":
        sent = {key: value for key, value in sent.items() if key in _OF_PICTURES}
    for key in ("id", "call_id", "approval_request_id"):
        if isinstance(sent.get(key), str):
            sent[key] = short_id(sent[key])
        elif key == "id":
            # The API returns text and accepts nothing else; the field is optional.
            sent.pop(key, None)
    if sent.get("type") == "message":
        sent.setdefault("role", "assistant")
        sent.setdefault("status", "completed")
        if isinstance(sent["content"], list):
            sent["content"] = _parts(sent["content"])
    if sent.get("type") == "reasoning":
        sent.setdefault("summary", [])
    return sent
