"""An agent of the Responses kind as ``ResponsesAgent`` makes them: no id, no status, no model, no terminal event."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from databricks_workspace_emulator.agents.asked import Asked, Chunk, new_id, trace, words


async def chunks(asked: Asked) -> AsyncGenerator[Chunk]:
    """Yield deltas that name only their item, then the item.

    Raises:
        ApiError: 500 if the engine fails.
    """
    item_id = new_id()
    text = ""
    async with aclosing(words(asked)) as pieces:
        async for piece in pieces:
            text += piece
            yield {"type": "response.output_text.delta", "item_id": item_id, "delta": piece}
    done: Chunk = {"type": "response.output_item.done", "item": message(text, item_id)}
    if asked.custom_inputs is not None:
        done["custom_outputs"] = asked.custom_inputs
    yield done
    if asked.wants_trace:
        yield {"databricks_output": trace(asked)}


def whole(asked: Asked, parts: Sequence[Chunk]) -> dict[str, Any]:
    """Return the whole reply of the chunks."""
    items = [part["item"] for part in parts if part.get("type") == "response.output_item.done"]
    reply: dict[str, Any] = {"object": "response", "output": items, "custom_outputs": asked.custom_inputs}
    for part in parts:
        if "databricks_output" in part:
            reply["databricks_output"] = part["databricks_output"]
    return reply


def message(text: str, item_id: str) -> dict[str, Any]:
    """Return an agent's message: without a status."""
    content = [{"type": "output_text", "text": text}]
    return {"type": "message", "id": item_id, "role": "assistant", "content": content}
