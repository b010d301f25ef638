"""Agent endpoints, which speak a looser dialect of the Responses API: no id, no status, no model, no last event."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from databricks_responses_mcp.emulator.contract.items import read_items
from databricks_responses_mcp.emulator.contract.shapes import Shape, read
from databricks_responses_mcp.emulator.conversation import read_conversation
from databricks_responses_mcp.emulator.engines.base import TextRequest
from databricks_responses_mcp.emulator.exchange import Incoming, Reply, json_reply
from databricks_responses_mcp.emulator.replies import ApiError, invalid, workspace_error
from databricks_responses_mcp.emulator.sse import CONTENT_TYPE, DONE, HEADERS, encode_data
from databricks_responses_mcp.errors import BridgeError


class _Body(Shape, extra="allow"):
    input: list[dict[str, Any]]
    stream: bool | None = None
    custom_inputs: dict[str, Any] | None = None
    context: dict[str, Any] | None = None


async def respond(incoming: Incoming, value: dict[str, Any]) -> Reply:
    """Answer as an agent that was deployed to the workspace would."""
    if isinstance(value.get("input"), str):
        raise invalid("input", "Input should be a valid list.")
    body = read(_Body, value)
    talk = await read_conversation(read_items(body.input), None)
    request = TextRequest(model=str(value.get("model", "")), messages=talk.messages)
    pieces = _pieces(incoming, request)
    if body.stream:
        return Reply(_stream(pieces), content_type=CONTENT_TYPE, headers=HEADERS)
    async with aclosing(pieces):
        text = "".join([piece async for piece in pieces])
    return json_reply({"object": "response", "output": [_message(text)], "custom_outputs": body.custom_inputs})


async def _pieces(incoming: Incoming, request: TextRequest) -> AsyncGenerator[str]:
    stream = incoming.state.engine.stream(request)
    try:
        async for piece in stream:
            yield piece
    except BridgeError as error:
        raise workspace_error(500, "INTERNAL_ERROR", str(error)) from None
    finally:
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()


async def _stream(pieces: AsyncGenerator[str]) -> AsyncGenerator[bytes]:
    item_id = secrets.token_hex(8)
    text = ""
    async with aclosing(pieces):
        try:
            async for piece in pieces:
                text += piece
                yield encode_data({"type": "response.output_text.delta", "item_id": item_id, "delta": piece})
        except ApiError as error:
            yield encode_data({"error": str(error)})
            return
    yield encode_data({"type": "response.output_item.done", "item": _message(text, item_id)})
    yield DONE


def _message(text: str, item_id: str | None = None) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text}]
    return {"type": "message", "id": item_id or secrets.token_hex(8), "role": "assistant", "content": content}
