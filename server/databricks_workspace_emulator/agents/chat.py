"""Agents of the chat kinds: ``ChatAgent``, which answers with messages, and the older ``ChatModel``, with choices."""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from databricks_workspace_emulator.agents.asked import Asked, Chunk, new_id, trace, words


async def chunks(asked: Asked) -> AsyncGenerator[Chunk]:
    """Yield ``{"id": …, "delta": …}`` chunks of one message; the last one has the fields of the whole answer.

    Raises:
        ApiError: 500 if the engine fails.
    """
    completion_id, message_id = f"chatcmpl_{new_id()}", new_id()
    text = ""
    async with aclosing(words(asked)) as pieces:
        async for piece in pieces:
            text += piece
            yield {"id": completion_id, "delta": {"role": "assistant", "content": piece, "id": message_id}}
    delta = {"role": "assistant", "content": "", "id": message_id}
    last: Chunk = {"id": completion_id, "delta": delta, "finish_reason": "stop"}
    yield last | _extras(asked) | {"usage": _usage(asked, text)}


def whole(asked: Asked, parts: Sequence[Chunk]) -> dict[str, Any]:
    """Return the whole reply of the chunks: ``messages``."""
    last = parts[-1]
    text = "".join(part["delta"]["content"] for part in parts)
    message = {"role": "assistant", "content": text, "id": last["delta"]["id"]}
    return {"messages": [message], **{key: value for key, value in last.items() if key != "delta"}}


async def old_chunks(asked: Asked) -> AsyncGenerator[Chunk]:
    """Yield chunks of chat completions.

    Raises:
        ApiError: 500 if the engine fails.
    """
    base = {"id": f"chatcmpl_{new_id()}", "object": "chat.completion.chunk", "created": int(time.time())}
    async with aclosing(words(asked)) as pieces:
        async for piece in pieces:
            delta = {"role": "assistant", "content": piece}
            yield {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], **_extras(asked)}


def old_whole(asked: Asked, parts: Sequence[Chunk]) -> dict[str, Any]:
    """Return the whole reply of the chunks: ``choices``."""
    text = "".join(part["choices"][0]["delta"].get("content", "") for part in parts)
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {**parts[-1], "object": "chat.completion", "choices": [choice]}


def _extras(asked: Asked) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    if asked.custom_inputs is not None:
        extras["custom_outputs"] = asked.custom_inputs
    if asked.wants_trace:
        extras["databricks_output"] = trace(asked)
    return extras


def _usage(asked: Asked, text: str) -> dict[str, int]:
    usage = asked.usage(text)
    return {
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": usage["output_tokens"],
        "total_tokens": usage["total_tokens"],
    }
