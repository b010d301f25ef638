"""Conversations for people: Markdown to read, JSON to export."""

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from databricks_responses_mcp.responses.accumulator import Item
from databricks_responses_mcp.store.records import ConversationSummary, StoredConversation, Turn
from databricks_responses_mcp.visible import visible

_DATA_CHARACTERS = 100


def as_json(conversation: StoredConversation) -> str:
    """Return everything that is stored of a conversation as JSON; images are data URLs."""
    return json.dumps(asdict(conversation), ensure_ascii=False, indent=2)


def as_markdown(conversation: StoredConversation) -> str:
    """Return the messages of a conversation as Markdown, with author and time."""
    state = conversation.state
    parts = [
        f"# {visible(conversation.title)}",
        f"`{visible(conversation.conversation_id)}`, {_counted(conversation.turns)}",
    ]
    if instructions := state.parameters.get("instructions"):
        parts.append(f"**Instructions**\n\n{instructions}")
    for turn in conversation.turns:
        if turn.number == state.replay_from and turn.number > 1:
            parts.append("---\n\n*From here on, the next message replaces everything above.*")
        parts += _turn(turn)
    if state.pending:
        parts.append(f"**Waiting for outputs**\n\n{_fenced(json.dumps(list(state.pending), indent=2))}")
    return "\n\n".join(parts) + "\n"


def moment(seconds: float) -> str:
    """Return a time as ISO 8601, in UTC, to the second."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def age_of(since: float) -> str:
    """Return how long ago a time is, in its largest unit."""
    seconds = max(time.time() - since, 0.0)
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds // 1:.0f} s"


def facts_of(summary: ConversationSummary) -> dict[str, Any]:
    """Return a conversation as the entry of a list, for programs."""
    structured = {
        "conversation_id": summary.conversation_id,
        "title": summary.title,
        "model": summary.model,
        "endpoint": summary.endpoint,
        "turns": summary.turns,
        "input_tokens": summary.input_tokens,
        "output_tokens": summary.output_tokens,
        "updated_at": moment(summary.updated_at),
    }
    return {**structured, "waiting": summary.waiting} if summary.waiting else structured


def _counted(turns: Sequence[Turn]) -> str:
    return "1 turn" if len(turns) == 1 else f"{len(turns)} turns"


def _turn(turn: Turn) -> list[str]:
    parts = [f"## {turn.number}. You ({moment(turn.created_at)})", *_items(turn.said)]
    if turn.items:
        parts += [f"## {turn.number}. {visible(turn.model)}", *_items(turn.items)]
    if turn.status != "completed":
        parts.append(f"*{visible(turn.status)}*")
    return parts


def _items(items: Iterable[Item]) -> list[str]:
    return [text for item in items if (text := _item(item))]


def _item(item: Item) -> str:
    kind = item.get("type")
    if kind == "message":
        content = item.get("content")
        return "\n\n".join(map(_part, content)) if isinstance(content, list) else str(content or "")
    if kind == "reasoning":
        summary = item.get("summary")
        texts = [str(part.get("text", "")) for part in summary if isinstance(part, dict)] if summary else []
        return "\n".join(f"> {line}" for text in texts for line in text.splitlines())
    if kind == "image_generation_call":
        picture = item.get("picture")
        return f"![picture](<{visible(str(picture))}>)" if picture else "*an image that was not finished*"
    shown = {key: value for key, value in item.items() if key not in ("type", "id", "status", "encrypted_content")}
    return f"**{visible(str(kind))}**\n\n{_fenced(json.dumps(_short(shown), ensure_ascii=False, indent=2))}"


def _part(part: Any) -> str:
    if not isinstance(part, Mapping):
        return str(part)
    if part.get("type") == "input_image":
        url = str(part.get("image_url", ""))
        return f"*a picture, {len(url)} characters*" if url.startswith("data:") else f"![picture](<{visible(url)}>)"
    text = part.get("text") or part.get("refusal") or part.get("transcript")
    return str(text or f"*{visible(str(part.get('type')))}*")


def _short(value: Any) -> Any:
    """Return a JSON value without the data URLs in it."""
    if isinstance(value, str) and value.startswith("data:") and len(value) > _DATA_CHARACTERS:
        return f"{value[:_DATA_CHARACTERS]}…"
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    return [_short(item) for item in value] if isinstance(value, list) else value


def _fenced(text: str) -> str:
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}json\n{text}\n{fence}"
