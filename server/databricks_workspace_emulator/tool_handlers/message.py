"""The assistant's message: text from the engine, a refusal, or text with citations."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from databricks_responses_mcp.schemas.validation import check_values
from databricks_responses_mcp.schemas.validation_result import Verdict
from databricks_workspace_emulator.schema_filling import fill
from databricks_workspace_emulator.turn import Turn
from databricks_workspace_emulator.writer import Event, deltas

_REFUSAL = "I am sorry, but the embedded workspace was told to refuse this."


async def play(turn: Turn) -> AsyncGenerator[Event]:
    """Yield the answer. If the budget ends it, the message is ``incomplete``."""
    async with aclosing(_message(turn, _text(turn), "final_answer")) as events:
        async for event in events:
            yield event


async def play_commentary(turn: Turn) -> AsyncGenerator[Event]:
    """Yield a message to the user before the work."""
    async with aclosing(_message(turn, _once("Looking into it."), "commentary")) as events:
        async for event in events:
            yield event


async def play_refusal(turn: Turn) -> AsyncGenerator[Event]:
    """Yield a message that declines."""
    writer = turn.writer
    item = _new_message(turn, "final_answer")
    index, added = writer.add(item)
    yield added
    part = {"type": "refusal", "refusal": ""}
    yield writer.on_item("response.content_part.added", index, content_index=0, part=dict(part))
    for piece in deltas(writer, _REFUSAL):
        part["refusal"] += piece
        yield writer.on_item("response.refusal.delta", index, content_index=0, delta=piece)
    yield writer.on_item("response.refusal.done", index, content_index=0, refusal=part["refusal"])
    yield writer.on_item("response.content_part.done", index, content_index=0, part=part)
    item |= {"content": [part], "status": "completed"}
    yield writer.done(index)


async def _message(turn: Turn, text: AsyncGenerator[str], phase: str) -> AsyncGenerator[Event]:
    writer = turn.writer
    item = _new_message(turn, phase)
    index, added = writer.add(item)
    yield added
    part: dict[str, Any] = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    yield writer.on_item("response.content_part.added", index, content_index=0, part={**part, "annotations": []})
    async with aclosing(text):
        async for piece in text:
            allowed = writer.budget.take(piece)
            if allowed:
                part["text"] += allowed
                yield writer.on_item("response.output_text.delta", index, content_index=0, delta=allowed, logprobs=[])
            if writer.budget.cut:
                break
    if phase == "final_answer":
        for event in _cite(turn, index, part):
            yield event
    yield writer.on_item("response.output_text.done", index, content_index=0, text=part["text"], logprobs=[])
    yield writer.on_item("response.content_part.done", index, content_index=0, part=part)
    item |= {"content": [part], "status": "incomplete" if writer.budget.cut else "completed"}
    yield writer.done(index)


def _cite(turn: Turn, index: int, part: dict[str, Any]) -> list[Event]:
    """Append the sources to the text, each with its annotation."""
    events: list[Event] = []
    writer = turn.writer
    for number, citation in enumerate(turn.citations):
        if writer.budget.cut or turn.request.json_schema is not None:
            break
        mark = f" ([{citation.title}]({citation.url}))"
        start = len(part["text"])
        part["text"] += mark
        writer.budget.take(mark)
        annotation = {
            "type": "url_citation",
            "start_index": start + 1,
            "end_index": start + len(mark),
            "url": citation.url,
            "title": citation.title,
        }
        part["annotations"].append(annotation)
        events.append(writer.on_item("response.output_text.delta", index, content_index=0, delta=mark, logprobs=[]))
        events.append(
            writer.on_item(
                "response.output_text.annotation.added",
                index,
                content_index=0,
                annotation_index=number,
                annotation=annotation,
            )
        )
    return events


async def _text(turn: Turn) -> AsyncGenerator[str]:
    request = turn.text_request()
    if request.json_schema is None:
        stream = turn.engine.stream(request)
        try:
            async for piece in stream:
                yield piece
        finally:
            # An engine that is stopped in the middle of its answer must close its connection immediately.
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()
        return
    # The API guarantees JSON that matches the schema; an engine may not.
    written = "".join([piece async for piece in turn.engine.stream(request)])
    if not await fits(written, request.json_schema):
        written = json.dumps(fill(request.json_schema, turn.conversation.prompt), ensure_ascii=False)
    for piece in deltas_of(written):
        yield piece


async def fits(text: str, schema: dict[str, Any]) -> bool:
    """Return whether the text is JSON that matches the schema, except its patterns."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return (await check_values(schema, [value])).verdict is Verdict.MATCH


def deltas_of(text: str) -> list[str]:
    """Return text in pieces of a few characters."""
    return [text[start : start + 12] for start in range(0, len(text), 12)]


async def _once(text: str) -> AsyncGenerator[str]:
    yield text


def _new_message(turn: Turn, phase: str) -> dict[str, Any]:
    item: dict[str, Any] = {"type": "message", "status": "in_progress", "role": "assistant"}
    # Only OpenAI's own models distinguish commentary from the answer.
    if turn.request.endpoint.provider == "openai":
        item["phase"] = phase
    return item | {"content": []}
