"""What a server sent, made fit to be sent on: encodable, not too deep, pictures only where pictures stand."""

import json
import math
from typing import Any

from databricks_responses_mcp.responses.payloads import Payload

_DEEPEST = 60
"""How deep a value may nest: serialisers of hosts and SDKs give up at a few hundred levels."""


def mend(text: str) -> str:
    """Text that can be encoded: surrogates that a stream cut apart are joined, lone ones replaced."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def mended(value: Any, depth: int = 0) -> Any:
    """A JSON value with every text mended and numbers that JSON has; what nests too deep becomes its JSON as text.

    The base64 of a picture stays a ``Payload`` in the ``result`` of an ``image_generation_call``; anywhere else it is
    text like any other.
    """
    if isinstance(value, str):
        return mend(value)
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
        return [mended(item, depth + 1) for item in value]
    picture = value.get("result") if value.get("type") == "image_generation_call" else None
    rest = {
        mend(key) if isinstance(key, str) else key: mended(item, depth + 1) for key, item in _without(value, picture)
    }
    return {**rest, "result": picture} if isinstance(picture, Payload) else rest


def _without(value: dict[Any, Any], picture: Any) -> list[tuple[Any, Any]]:
    return [(key, item) for key, item in value.items() if not (isinstance(picture, Payload) and item is picture)]


def _as_text(value: Any) -> str:
    try:
        return mend(json.dumps(value, ensure_ascii=False, default=repr))
    except RecursionError:
        return "[nested too deep to show]"
