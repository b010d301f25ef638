"""Requests to agents in both formats, and the text of the answers."""

import secrets
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from databricks_responses_mcp.errors import BridgeError
from databricks_workspace_emulator.contract.items import Item, read_items
from databricks_workspace_emulator.contract.shapes import Shape, read
from databricks_workspace_emulator.conversation import Conversation, read_conversation
from databricks_workspace_emulator.engines.base import Engine, TextRequest
from databricks_workspace_emulator.replies import bad_request, invalid, workspace_error
from databricks_workspace_emulator.tokens import count_tokens

Chunk = dict[str, Any]


class _Options(Shape):
    return_trace: bool | None = None


class _Common(Shape, extra="allow"):
    model: str = ""
    stream: bool | None = None
    custom_inputs: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    databricks_options: _Options | None = None


class _ResponsesBody(_Common):
    input: list[dict[str, Any]]


class _Said(Shape, extra="allow"):
    role: str
    content: str | None = None


class _ChatBody(_Common):
    messages: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to an agent.

    Attributes:
        name: the agent's name.
        items: the conversation as received; for a chat, its messages.
        talk: the parsed conversation.
        custom_inputs: returned as ``custom_outputs``.
        wants_trace: whether ``databricks_options`` requests a trace.
        stream: whether the answer is streamed.
        engine: writes the text.
    """

    name: str
    items: list[Item]
    talk: Conversation
    custom_inputs: dict[str, Any] | None
    wants_trace: bool
    stream: bool
    engine: Engine

    def usage(self, text: str) -> dict[str, int]:
        """Return the tokens of this request and of ``text``."""
        read_tokens = sum(count_tokens(message.content) for message in self.talk.messages)
        written = count_tokens(text)
        return {"input_tokens": read_tokens, "output_tokens": written, "total_tokens": read_tokens + written}


async def read_responses_agent(value: dict[str, Any], engine: Engine) -> Asked:
    """Read a request in the format of ``ResponsesAgent``: ``input`` must be a list.

    Raises:
        ApiError: 400 if it is invalid.
    """
    _require(value, "input")
    if isinstance(value["input"], str):
        raise invalid("input", "Input should be a valid list.")
    body = read(_ResponsesBody, value)
    items = read_items(body.input)
    return _asked(body, items, await read_conversation(items, None), engine)


async def read_chat_agent(value: dict[str, Any], engine: Engine) -> Asked:
    """Read a request in the format of ``ChatAgent`` and ``ChatModel``: ``messages`` of plain text.

    Raises:
        ApiError: 400 if it is invalid.
    """
    _require(value, "messages")
    body = read(_ChatBody, value)
    items: list[Item] = []
    for index, message in enumerate(body.messages):
        said = read(_Said, message, f"messages[{index}]")
        role = said.role if said.role in ("system", "assistant") else "user"
        items.append({"type": "message", "role": role, "content": said.content or ""})
    if not items:
        raise invalid("messages", "It must not be empty.")
    return _asked(body, body.messages, await read_conversation(items, None), engine)


def _require(value: dict[str, Any], field: str) -> None:
    # The message of MLflow, which validates a request against the agent's signature before the agent sees it.
    if value.get(field) is None:
        raise bad_request(
            f"Failed to enforce schema of the data with the agent's signature. Error: Model is missing inputs "
            f"['{field}']. Note that there were extra inputs: {sorted(set(value) - {'model', 'stream', field})}"
        )


def _asked(body: _Common, items: list[Item], talk: Conversation, engine: Engine) -> Asked:
    wants_trace = body.databricks_options is not None and body.databricks_options.return_trace is True
    return Asked(body.model, items, talk, body.custom_inputs, wants_trace, body.stream is True, engine)


async def words(asked: Asked) -> AsyncGenerator[str]:
    """Yield the agent's text in pieces.

    Raises:
        ApiError: 500 if the engine fails.
    """
    stream = asked.engine.stream(TextRequest(model=asked.name, messages=asked.talk.messages))
    try:
        async for piece in stream:
            yield piece
    except BridgeError as error:
        raise workspace_error(500, "INTERNAL_ERROR", str(error)) from None
    finally:
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()


def new_id() -> str:
    """Return an id in the style of agents: short, and without a prefix for the type."""
    return secrets.token_hex(8)


def trace(asked: Asked) -> dict[str, Any]:
    """Return the field for ``return_trace``."""
    info = {"trace_id": f"tr-{secrets.token_hex(16)}", "state": "OK"}
    spans = [{"name": asked.name, "span_type": "AGENT", "attributes": {}}]
    return {"trace": {"info": info, "data": {"spans": spans}}}
