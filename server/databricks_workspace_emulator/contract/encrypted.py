"""Reasoning that the client stores but cannot read: made for one model, refused when it was modified."""

import base64
import hashlib
import json
from typing import Any

from databricks_workspace_emulator.contract.items import Item
from databricks_workspace_emulator.replies import model_error

_PREFIX = "gAAAA"


def seal(model: str, thoughts: str) -> str:
    """Return ``encrypted_content`` for a reasoning item. It is not encrypted; it only has the format."""
    payload = json.dumps({"model": model, "thoughts": thoughts}).encode()
    digest = hashlib.sha256(payload).hexdigest().encode()
    return _PREFIX + base64.urlsafe_b64encode(digest + payload).decode()


def check_reasoning(items: list[Item], model: str) -> None:
    """Refuse encrypted reasoning that this model did not write.

    Raises:
        ApiError: 400 ``invalid_encrypted_content``.
    """
    for item in items:
        content = item.get("encrypted_content")
        if item["type"] == "reasoning" and content is not None and _opened(content).get("model") != model:
            raise model_error(
                f"The encrypted content for item {item.get('id')} could not be verified.",
                param="input",
                code="invalid_encrypted_content",
            )


def _opened(content: str) -> dict[str, Any]:
    try:
        raw = base64.urlsafe_b64decode(content.removeprefix(_PREFIX))
        digest, payload = raw[:64], raw[64:]
        value = json.loads(payload) if hashlib.sha256(payload).hexdigest().encode() == digest else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
