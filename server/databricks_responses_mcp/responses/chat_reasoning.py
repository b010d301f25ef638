"""Reasoning of the chat API, kept so that it can be handed back.

Claude signs what it thought before it called a tool, and Databricks takes that back as it was given. A reasoning item
of the Responses API has one field for what only the model reads, ``encrypted_content``: the parts go there verbatim.
"""

import json
from collections.abc import Mapping
from typing import Any

from databricks_responses_mcp.responses.plain_items import as_text

_MARK = "chat-reasoning:"


def sealed(parts: list[dict[str, Any]]) -> str:
    """The ``encrypted_content`` for these content parts."""
    return _MARK + as_text(parts)


def unsealed(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The content parts that a reasoning item came from; empty for reasoning that is not from the chat API."""
    text = item.get("encrypted_content")
    if not isinstance(text, str) or not text.startswith(_MARK):
        return []
    try:
        parts = json.loads(text[len(_MARK) :])
    except (ValueError, RecursionError):
        return []
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
