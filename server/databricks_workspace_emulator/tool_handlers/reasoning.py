"""The reasoning item: a summary if requested, encrypted content if ``include`` names it."""

from collections.abc import AsyncGenerator
from typing import Any

from databricks_workspace_emulator.contract.encrypted import seal
from databricks_workspace_emulator.turn import Turn
from databricks_workspace_emulator.writer import Event, deltas

_THOUGHTS = {"minimal": 1, "low": 1, "medium": 2, "high": 3, "xhigh": 4, "max": 5}


def is_asked(turn: Turn) -> bool:
    """Return whether the request wants the model to reason."""
    config = turn.request.body.reasoning
    return config is not None and config.effort != "none"


async def play(turn: Turn) -> AsyncGenerator[Event]:
    """Yield reasoning as long as the effort requires; it uses tokens whether or not a summary is shown."""
    writer, config = turn.writer, turn.request.body.reasoning
    item: dict[str, Any] = {"type": "reasoning", "summary": []}
    index, added = writer.add(item)
    yield added
    before = writer.budget.spent
    shown = config is not None and (config.summary or config.generate_summary) is not None
    for number, thought in enumerate(_thoughts(turn)):
        if writer.budget.cut:
            break
        text = ""
        if shown:
            yield _part(turn, index, number, "added", "")
        for piece in deltas(writer, thought):
            text += piece
            if shown:
                yield writer.on_item("response.reasoning_summary_text.delta", index, summary_index=number, delta=piece)
        if shown:
            yield writer.on_item("response.reasoning_summary_text.done", index, summary_index=number, text=text)
            yield _part(turn, index, number, "done", text)
            item["summary"].append({"type": "summary_text", "text": text})
    writer.reasoning_tokens += writer.budget.spent - before
    if turn.request.includes("reasoning.encrypted_content"):
        item["encrypted_content"] = seal(turn.request.endpoint.model, turn.conversation.prompt[:200])
    yield writer.done(index)


def _part(turn: Turn, index: int, number: int, what: str, text: str) -> Event:
    return turn.writer.on_item(
        f"response.reasoning_summary_part.{what}",
        index,
        summary_index=number,
        part={"type": "summary_text", "text": text},
    )


def _thoughts(turn: Turn) -> list[str]:
    config = turn.request.body.reasoning
    effort = (config.effort if config else None) or "medium"
    words = len(turn.conversation.prompt.split())
    thoughts = [
        f"**Reading the question**\n\nThe prompt has {words} words. No model thinks here.",
        "**Looking at what is there**\n\nTools, pictures and earlier turns are taken into account in this order.",
        "**Choosing an answer**\n\nThe rule for this kind of question is known.",
        "**Checking the answer**\n\nIt says only what is known.",
        "**Checking it again**\n\nNothing was found that would change it.",
    ]
    return thoughts[: _THOUGHTS[effort]] if effort in _THOUGHTS else thoughts[:2]
