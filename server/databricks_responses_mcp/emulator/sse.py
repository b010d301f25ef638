"""Server-sent events, written."""

import json
from typing import Any

CONTENT_TYPE = "text/event-stream; charset=utf-8"
HEADERS = {"cache-control": "no-cache"}
DONE = b"data: [DONE]\n\n"


def encode_event(event: dict[str, Any], *, named: bool = True) -> bytes:
    """One event; ``named`` adds the ``event:`` line that native endpoints send and agents do not."""
    name = f"event: {event['type']}\n" if named else ""
    return f"{name}data: {json.dumps(event, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
