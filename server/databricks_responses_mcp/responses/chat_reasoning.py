"""Reasoning of the chat API, stored so that it can be sent again.

Claude signs its reasoning before a tool call, and Databricks requires it unchanged. A reasoning item of the Responses
API has one field that only the model reads, ``encrypted_content``, which stores these parts verbatim.
"""

import json
from collections.abc import Mapping
from typing import Any

from databricks_responses_mcp.responses.plain_items import as_text

_MARK = "chat-reasoning:"


def sealed(parts: list[dict[str, Any]]) -> str:
    """Return the ``encrypted_content`` for these content parts."""
    return _MARK + as_text(parts)


def unsealed(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the content parts that a reasoning item was made from; empty for reasoning of another API."""
    text = item.get("encrypted_content")
    if not isinstance(text, str) or not text.startswith(_MARK):
        return []
    try:
        parts = json.loads(text[len(_MARK) :])
    except (ValueError, RecursionError):
        return []
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
