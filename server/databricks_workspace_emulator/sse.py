"""Writing server-sent events."""

import json
from typing import Any

CONTENT_TYPE = "text/event-stream; charset=utf-8"
HEADERS = {"cache-control": "no-cache"}
DONE = b"data: [DONE]\n\n"


def encode_event(event: dict[str, Any]) -> bytes:
    """Return one event with its name, as native endpoints send it."""
    return f"event: {event['type']}\n".encode() + encode_data(event)


def encode_data(value: dict[str, Any]) -> bytes:
    """Return one event without a name, as agents and chat completions send it."""
    return b"data: " + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
