"""``POST /serving-endpoints/completions``: agents of the chat kind, and plain text for a prompt."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Literal

from pydantic import Field

from databricks_workspace_emulator.catalogue import CHAT_API, Endpoint
from databricks_workspace_emulator.chat_chunks import Chunk, chat_chunks, whole
from databricks_workspace_emulator.chunk_faults import play_in_chunks
from databricks_workspace_emulator.contract.chat_request import read_chat_request
from databricks_workspace_emulator.contract.request import find_endpoint, parse_json, require_surface
from databricks_workspace_emulator.contract.shapes import Shape, read
from databricks_workspace_emulator.exchange import Aborted, Incoming, Reply, json_reply
from databricks_workspace_emulator.fault_injection import play_before
from databricks_workspace_emulator.faults import first
from databricks_workspace_emulator.replies import bad_request
from databricks_workspace_emulator.responder import begin
from databricks_workspace_emulator.routes import agents
from databricks_workspace_emulator.sse import CONTENT_TYPE, HEADERS

_PROVIDERS = ("meta",)
"""Vendors whose foundation models complete a prompt; others accept only messages."""


class _Body(Shape):
    model: str
    prompt: str = Field(min_length=1)
    stream: bool | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float | int | None = Field(default=None, ge=0, le=2)
    top_p: float | int | None = Field(default=None, ge=0, le=1)
    top_k: int | None = Field(default=None, ge=1)
    stop: str | list[str] | None = None
    n: Literal[1] | None = None
    use_raw_prompt: bool | None = None


async def complete_prompt(incoming: Incoming) -> Reply:
    """Answer with the endpoint that the body names: an agent's messages, or the text that continues a prompt."""
    instead = await play_before(incoming)
    if instead is not None:
        return instead
    value = parse_json(incoming.raw)
    endpoint = find_endpoint(value, incoming.state, incoming.user)
    if endpoint.kind == "agent":
        require_surface(endpoint, CHAT_API)
        return await agents.respond(incoming, endpoint, value)
    if endpoint.kind == "foundation" and endpoint.provider not in _PROVIDERS:
        raise bad_request(f"The task 'llm/v1/completions' is not supported by '{endpoint.name}'.")
    return await _complete(incoming, endpoint, read(_Body, value))


async def _complete(incoming: Incoming, endpoint: Endpoint, body: _Body) -> Reply:
    plain = body.model_dump(exclude={"prompt", "use_raw_prompt"}, exclude_none=True)
    _, request = read_chat_request(plain | {"messages": [{"role": "user", "content": body.prompt}]}, endpoint)
    turn = await begin(request, incoming.state)
    chunks = chat_chunks(turn)
    if body.stream:
        return Reply(play_in_chunks(incoming, _texts(chunks)), content_type=CONTENT_TYPE, headers=HEADERS)
    if first(incoming.faults, "cut", "no_terminal", "close"):
        raise Aborted
    async with aclosing(chunks):
        return json_reply(_text(whole([chunk async for chunk in chunks])))


async def _texts(chunks: AsyncGenerator[Chunk]) -> AsyncGenerator[Chunk]:
    async with aclosing(chunks):
        async for chunk in chunks:
            yield _text(chunk)


def _text(chunk: dict[str, Any]) -> dict[str, Any]:
    choices = [
        {
            "index": choice["index"],
            "text": (choice.get("delta") or choice.get("message") or {}).get("content") or "",
            "finish_reason": choice["finish_reason"],
            "logprobs": None,
        }
        for choice in chunk["choices"]
    ]
    return {**chunk, "object": "text_completion", "choices": choices}
