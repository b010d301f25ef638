"""``POST /serving-endpoints/chat/completions``: text, reasoning and function calls, streamed and not."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from databricks_workspace_emulator.catalogue import CHAT_API, Endpoint
from databricks_workspace_emulator.chat_chunks import Chunk, chat_chunks, whole
from databricks_workspace_emulator.chunk_faults import play_in_chunks
from databricks_workspace_emulator.contract.chat_request import read_chat_request
from databricks_workspace_emulator.contract.request import find_endpoint, parse_json, require_surface
from databricks_workspace_emulator.exchange import Aborted, Incoming, Reply, json_reply
from databricks_workspace_emulator.fault_injection import play_before
from databricks_workspace_emulator.faults import first
from databricks_workspace_emulator.responder import begin
from databricks_workspace_emulator.routes import agents
from databricks_workspace_emulator.sse import CONTENT_TYPE, HEADERS

_ENDLESS = "alibaba"
"""Vendors whose models were observed never to send a ``finish_reason`` in a stream."""


async def create_completion(incoming: Incoming) -> Reply:
    """Answer with the endpoint that the body names."""
    instead = await play_before(incoming)
    if instead is not None:
        return instead
    value = parse_json(incoming.raw)
    endpoint = find_endpoint(value, incoming.state, incoming.user)
    require_surface(endpoint, CHAT_API)
    if endpoint.kind == "agent":
        return await agents.respond(incoming, endpoint, value)
    return await complete(incoming, endpoint, value)


async def complete(incoming: Incoming, endpoint: Endpoint, value: dict[str, Any]) -> Reply:
    """Answer a chat request for an endpoint that serves chat, streamed or whole."""
    state = incoming.state
    body, request = read_chat_request(value, endpoint)
    turn = await begin(request, state)
    if state.current_hold is not None:
        await state.current_hold.wait(0)
    options = body.stream_options
    chunks = chat_chunks(turn, wants_usage=not body.stream or (options is not None and options.include_usage is True))
    if body.stream:
        if endpoint.provider == _ENDLESS:
            chunks = _without_end(chunks)
        return Reply(play_in_chunks(incoming, chunks), content_type=CONTENT_TYPE, headers=HEADERS)
    if first(incoming.faults, "cut", "no_terminal", "close"):
        raise Aborted
    async with aclosing(chunks):
        return json_reply(whole([chunk async for chunk in chunks]))


async def _without_end(chunks: AsyncGenerator[Chunk]) -> AsyncGenerator[Chunk]:
    async with aclosing(chunks):
        async for chunk in chunks:
            for choice in chunk["choices"]:
                choice["finish_reason"] = None
            yield chunk
