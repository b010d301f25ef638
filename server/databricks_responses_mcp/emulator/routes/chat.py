"""``POST /serving-endpoints/chat/completions``: text and function calls, streamed and not."""

import json
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Literal

from pydantic import Field

from databricks_responses_mcp.emulator.catalogue import CHAT_API, Endpoint
from databricks_responses_mcp.emulator.contract.request import find_endpoint, parse_json, require_surface
from databricks_responses_mcp.emulator.contract.shapes import Shape, read
from databricks_responses_mcp.emulator.conversation import Conversation, read_conversation
from databricks_responses_mcp.emulator.engines.base import Engine, TextRequest
from databricks_responses_mcp.emulator.exchange import Aborted, Incoming, Reply, json_reply
from databricks_responses_mcp.emulator.fault_play import play_before
from databricks_responses_mcp.emulator.faults import first
from databricks_responses_mcp.emulator.replies import ApiError, invalid, workspace_error
from databricks_responses_mcp.emulator.schema_filling import fill
from databricks_responses_mcp.emulator.sse import CONTENT_TYPE, DONE, HEADERS, encode_data
from databricks_responses_mcp.emulator.tokens import TokenBudget, count_tokens
from databricks_responses_mcp.errors import BridgeError

_NOT_TAKEN = ("parallel_tool_calls", "store", "metadata", "prompt_cache_key", "safety_identifier")


class _Message(Shape, extra="allow"):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None = None


class _Body(Shape, extra="allow"):
    model: str
    messages: list[dict[str, Any]] = Field(min_length=1)
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float | int | None = Field(default=None, ge=0, le=2)
    top_p: float | int | None = Field(default=None, ge=0, le=1)
    response_format: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None


async def create_completion(incoming: Incoming) -> Reply:
    """Answer by the model that the body names."""
    return await complete(incoming, parse_json(incoming.raw))


async def complete(incoming: Incoming, value: dict[str, Any]) -> Reply:
    """Answer a chat request, streamed or whole."""
    instead = await play_before(incoming)
    if instead is not None:
        return instead
    state = incoming.state
    endpoint = find_endpoint(value, state)
    require_surface(endpoint, CHAT_API)
    if endpoint.pay_per_token and (refused := [field for field in _NOT_TAKEN if value.get(field) is not None]):
        raise workspace_error(400, "BAD_REQUEST", f"{refused[0]}: Extra inputs are not permitted")
    body = read(_Body, value)
    talk = await read_conversation(_items(body), None)
    if state.current_hold is not None:
        await state.current_hold.wait(0)
    chunks = _chunks(body, endpoint, state.engine, talk)
    if body.stream:
        return Reply(_stream(chunks, incoming), content_type=CONTENT_TYPE, headers=HEADERS)
    async with aclosing(chunks):
        return json_reply(_joined([chunk async for chunk in chunks]))


def _items(body: _Body) -> list[dict[str, Any]]:
    """The messages as input items of the Responses API, which the rest of the workspace understands."""
    items: list[dict[str, Any]] = []
    for index, message in enumerate(body.messages):
        checked = read(_Message, message, f"messages[{index}]")
        role = {"tool": "user"}.get(checked.role, checked.role)
        content = checked.content or ""
        if isinstance(content, list):
            content = [_part(part, f"messages[{index}].content[{at}]") for at, part in enumerate(content)]
        items.append({"type": "message", "role": role, "content": content})
    return items


def _part(part: dict[str, Any], where: str) -> dict[str, Any]:
    match part:
        case {"type": "text", "text": str(text)}:
            return {"type": "input_text", "text": text}
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return {"type": "input_image", "image_url": url}
        case _:
            raise invalid(where, "Expected a part of type text or image_url.")


async def _chunks(
    body: _Body, endpoint: Endpoint, engine: Engine, talk: Conversation
) -> AsyncGenerator[dict[str, Any]]:
    schema = ((body.response_format or {}).get("json_schema") or {}).get("schema")
    budget = TokenBudget(body.max_completion_tokens or body.max_tokens)
    request = TextRequest(
        model=endpoint.name,
        messages=talk.messages,
        max_output_tokens=body.max_completion_tokens or body.max_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        json_schema=schema,
    )
    base = {
        "id": f"chatcmpl_{secrets.token_hex(16)}",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": engine.label,
    }

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    if call := _function_call(body, talk):
        yield chunk({"role": "assistant", "content": None, "tool_calls": [call]})
        budget.take(call["function"]["arguments"])
        yield chunk({}, "tool_calls")
        yield {**base, "choices": [], "usage": _usage(talk, budget)}
        return
    yield chunk({"role": "assistant", "content": ""})
    stream = engine.stream(request)
    try:
        async for piece in stream:
            if text := budget.take(piece):
                yield chunk({"content": text})
            if budget.cut:
                break
    except BridgeError as error:
        raise workspace_error(500, "INTERNAL_ERROR", str(error)) from None
    finally:
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()
    yield chunk({}, "length" if budget.cut else "stop")
    # The usage comes with the stream's last chunk whether or not it was asked for.
    yield {**base, "choices": [], "usage": _usage(talk, budget)}


def _function_call(body: _Body, talk: Conversation) -> dict[str, Any] | None:
    """A call of the first function, unless its output is what the conversation ends with."""
    if not body.tools or body.tool_choice == "none" or body.messages[-1].get("role") == "tool":
        return None
    function = body.tools[0].get("function")
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise invalid("tools[0].function.name", "Missing required parameter: 'tools[0].function.name'.")
    schema = function.get("parameters")
    arguments = json.dumps(fill(schema if isinstance(schema, dict) else {"type": "object"}, talk.prompt))
    called = {"name": function["name"], "arguments": arguments}
    return {"index": 0, "id": f"call_{secrets.token_hex(12)}", "type": "function", "function": called}


def _usage(talk: Conversation, budget: TokenBudget) -> dict[str, int]:
    read_tokens = sum(count_tokens(message.content) for message in talk.messages)
    return {
        "prompt_tokens": read_tokens,
        "completion_tokens": budget.spent,
        "total_tokens": read_tokens + budget.spent,
    }


async def told_in_stream(chunks: AsyncGenerator[dict[str, Any]]) -> AsyncGenerator[dict[str, Any]]:
    """The chunks; a failure after the first comes as a chunk too, since the status has been sent."""
    async with aclosing(chunks):
        try:
            async for chunk in chunks:
                yield chunk
        except ApiError as error:
            yield {"error": str(error)}


async def _stream(events: AsyncGenerator[dict[str, Any]], incoming: Incoming) -> AsyncGenerator[bytes]:
    cut = first(incoming.faults, "cut", "error_chunk")
    sent = 0
    async with aclosing(told_in_stream(events)) as chunks:
        async for chunk in chunks:
            if cut is not None and sent == cut.after:
                if cut.kind == "cut":
                    raise Aborted
                yield encode_data({"error": "The embedded workspace was told to fail."})
                return
            yield encode_data(chunk)
            sent += 1
            incoming.exchange.events_sent = sent
    yield DONE


def _joined(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if calls := choices[0]["delta"].get("tool_calls"):
        message |= {
            "content": None,
            "tool_calls": [{key: part for key, part in call.items() if key != "index"} for call in calls],
        }
    choice = {"index": 0, "message": message, "finish_reason": choices[-1]["finish_reason"], "logprobs": None}
    last = chunks[-1]
    return {**last, "object": "chat.completion", "choices": [choice]}
