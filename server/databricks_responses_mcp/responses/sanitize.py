"""Making received data safe to use: valid Unicode, JSON numbers, bounded depth, fields of the API's types."""

import json
import math
from types import NoneType
from typing import Any

from databricks_responses_mcp.responses.accumulator import Item
from databricks_responses_mcp.responses.payloads import Payload
from databricks_responses_mcp.responses.plain_items import as_text

_DEEPEST = 60
"""Levels of nesting that are kept: serialisers of hosts and SDKs fail at a few hundred."""
_TEXTS = ("type", "call_id", "approval_request_id", "name", "server_label", "role", "status", "phase")
_TEXTS_OF_CALLS = ("arguments", "input")


def sanitize_text(text: str) -> str:
    """Return text that can be encoded: join surrogates that a stream separated, and replace lone ones."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def sanitize(value: Any, depth: int = 0) -> Any:
    """Return a JSON value whose texts can be encoded, with valid JSON numbers and bounded depth.

    Deeper values become their JSON as text. The base64 of an image stays a ``Payload`` in the ``result`` of an
    ``image_generation_call``; elsewhere it becomes text.
    """
    if isinstance(value, str):
        return sanitize_text(value)
    if isinstance(value, Payload):
        return bytes(value.base64).decode("ascii", "replace")
    if isinstance(value, float):
        # JSON has no NaN and no infinities: a parser reads 1e400 as one.
        return value if math.isfinite(value) else None
    if not isinstance(value, dict | list):
        return value
    if depth > _DEEPEST:
        return _as_text(value)
    if isinstance(value, list):
        return [sanitize(item, depth + 1) for item in value]
    picture = value.get("result") if value.get("type") == "image_generation_call" else None
    if isinstance(picture, Payload):
        rest = {key: item for key, item in value.items() if item is not picture}
        return {**_sanitized_members(rest, depth), "result": picture}
    return _sanitized_members(value, depth)


def _sanitized_members(members: dict[Any, Any], depth: int) -> dict[Any, Any]:
    # Most members are safe as they are, and a call of a function costs more than to see that: an answer with 1,000
    # citations has 5,000 of them.
    return {
        key if type(key) is not str or key.isascii() else sanitize_text(key): (
            item
            if (kind := type(item)) is NoneType or kind is int or kind is bool or (kind is str and item.isascii())
            else sanitize(item, depth + 1)
        )
        for key, item in members.items()
    }


def sanitize_item(item: Item) -> Item:
    """Return the item with text in the fields where the API has text.

    Fields that identify an item or a call (``type``, ``call_id``, ``name`` …) and a call's arguments become their JSON
    if they have another type, so that a call can still be answered by its id. An ``id`` of another type is left out,
    because the API would refuse it when the item is sent again; only for an approval request it is kept as JSON,
    because the answer names it.
    """
    kind = item.get("type")
    odd = [name for name in _TEXTS if not isinstance(item.get(name), str | None)]
    if isinstance(kind, str) and kind.endswith("_call"):
        odd += [name for name in _TEXTS_OF_CALLS if not isinstance(item.get(name), str | None)]
    has_odd_id = "id" in item and not isinstance(item["id"], str | None)
    if not odd and not has_odd_id:
        return item
    sound: dict[str, Any] = {**item, **{name: as_text(item[name]) for name in odd}}
    if has_odd_id and kind == "mcp_approval_request":
        sound["id"] = as_text(item["id"])
    elif has_odd_id:
        del sound["id"]
    return sound


def _as_text(value: Any) -> str:
    try:
        return sanitize_text(json.dumps(value, ensure_ascii=False, default=repr))
    except RecursionError:
        return "[nested too deep to show]"
