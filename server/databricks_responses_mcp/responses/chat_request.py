"""Translating a Responses request to the chat completions API, which every model of a workspace supports.

Source: ``POST /serving-endpoints/chat/completions`` and ``/{name}/invocations``. Fields that the unified API rejects
are not sent: parallel_tool_calls, store, metadata, service_tier, prompt_cache_key, safety_identifier, and ``strict`` of
tools except for OpenAI's models.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from databricks_responses_mcp.errors import quoted
from databricks_responses_mcp.responses.chat_messages import Message, chat_messages
from databricks_responses_mcp.responses.plain_items import plain_items
from databricks_responses_mcp.responses.surface_parameters import left_out_note, take_parameters
from databricks_responses_mcp.responses.unsupported import UntranslatableError, require_functions, tool_feature

_SURFACE = "Chat Completions"
_SAID_OTHERWISE = frozenset(
    {
        "model",
        "input",
        "instructions",
        "messages",
        "stream",
        "tools",
        "tool_choice",
        "text",
        "reasoning",
        "max_output_tokens",
    }
)
# As in workspace.endpoints: gpt-5 and gpt-5-1-codex, not gpt-oss-120b.
_GPT = re.compile(r"(?:^|[-._/])gpt-\d{1,2}(?:[-.]\d{1,2}(?![\dkb]))?(?![\dkb])", re.IGNORECASE)
_CLAUDE = re.compile("claude", re.IGNORECASE)


def to_chat(body: Mapping[str, Any], *, strict_tools: bool | None = None) -> tuple[dict[str, Any], list[str]]:
    """Return the equivalent chat completions body, and notes about what was left out.

    Args:
        body: the body of a Responses request. Parameters that this API does not have (``thinking``, ``stop`` …) are
            sent too.
        strict_tools: whether the model accepts ``strict`` in tools; None decides by its name.

    Raises:
        UntranslatableError: for what the chat API does not support.
    """
    model = str(body.get("model") or "")
    asked, left_out = take_parameters(body, surface="The chat API", said_otherwise=_SAID_OTHERWISE)
    items, notes = plain_items(body.get("input"), "the chat API")
    blank = " " if _CLAUDE.search(model) else None
    messages = chat_messages(body.get("instructions"), items, blank=blank)
    if len(messages) > 1 and messages[-1]["role"] == "assistant":
        messages.pop()
        notes.append("The conversation ended with the model's own words; they were left out of the request.")
    chat: dict[str, Any] = {**asked, "model": model, "messages": messages}
    chat |= _tools(body, strict=bool(_GPT.search(model)) if strict_tools is None else strict_tools, messages=messages)
    chat |= _text(body.get("text"), left_out)
    chat |= _reasoning(body.get("reasoning"), left_out, takes_effort=_CLAUDE.search(model) is None)
    limit = body.get("max_output_tokens")
    if limit is not None and not chat.keys() & {"max_tokens", "max_completion_tokens"}:
        chat["max_tokens"] = limit
    if (stream := body.get("stream")) is not None:
        chat["stream"] = stream
    if stream:
        chat["stream_options"] = {"include_usage": True}
    return chat, [*notes, *left_out_note(_SURFACE, left_out)]


def _tools(body: Mapping[str, Any], *, strict: bool, messages: Sequence[Message]) -> dict[str, Any]:
    tools = require_functions(body.get("tools") or (), "The chat API")
    choice = body.get("tool_choice")
    if isinstance(choice, Mapping) and choice.get("type") == "allowed_tools":
        tools, choice = _allowed(tools, choice)
    if not tools:
        return _tools_of_the_past(messages)
    fields: dict[str, Any] = {"tools": [_function(tool, strict=strict) for tool in tools]}
    if isinstance(choice, str):
        fields["tool_choice"] = choice
    elif isinstance(choice, Mapping):
        if choice.get("type") != "function":
            kind = choice.get("type")
            raise UntranslatableError(
                tool_feature(kind), f"The chat API cannot be told to use a tool of type {quoted(kind)}."
            )
        fields["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}}
    return fields


def _allowed(tools: list[Mapping[str, Any]], choice: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], str]:
    """Return the tools that may be used now; the chat API gets no others."""
    allowed = require_functions(choice.get("tools") or (), "The chat API")
    names = [tool.get("name") for tool in allowed]
    return [tool for tool in tools if tool.get("name") in names], str(choice.get("mode") or "auto")


def _function(tool: Mapping[str, Any], *, strict: bool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.get("name")}
    if tool.get("description"):
        function["description"] = tool["description"]
    function["parameters"] = tool.get("parameters") or {"type": "object", "properties": {}}
    if strict and isinstance(tool.get("strict"), bool):
        function["strict"] = tool["strict"]
    return {"type": "function", "function": function}


def _tools_of_the_past(messages: Sequence[Message]) -> dict[str, Any]:
    """Return definitions of the functions that were called earlier: Claude refuses a conversation with calls and no
    tools.
    """
    names = dict.fromkeys(call["function"]["name"] for message in messages for call in message.get("tool_calls", ()))
    if not names:
        return {}
    parameters = {"type": "object", "properties": {}}
    described = "Used earlier in this conversation, not available now."
    return {
        "tools": [
            {"type": "function", "function": {"name": name, "description": described, "parameters": parameters}}
            for name in names
        ],
        "tool_choice": "none",
    }


def _text(text: Any, left_out: list[str]) -> dict[str, Any]:
    if not isinstance(text, Mapping):
        return {}
    left_out += [f"text.{name}" for name, value in text.items() if name != "format" and value is not None]
    wanted = text.get("format")
    if not isinstance(wanted, Mapping) or wanted.get("type") == "text":
        return {}
    kind = wanted.get("type")
    if kind == "json_object":
        return {"response_format": {"type": "json_object"}}
    if kind != "json_schema":
        raise UntranslatableError("structured output", f"The chat API has no answers of format {quoted(kind)}.")
    schema = {"name": wanted.get("name") or "answer", "schema": wanted.get("schema") or {}}
    schema |= {key: wanted[key] for key in ("description", "strict") if wanted.get(key) is not None}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _reasoning(reasoning: Any, left_out: list[str], *, takes_effort: bool) -> dict[str, Any]:
    """Return the reasoning parameters; Claude's is ``thinking``, which callers pass themselves."""
    if not isinstance(reasoning, Mapping):
        return {}
    effort = reasoning.get("effort") if takes_effort else None
    taken = {"effort"} if takes_effort else set()
    left_out += [f"reasoning.{name}" for name, value in reasoning.items() if name not in taken and value is not None]
    return {} if effort is None else {"reasoning_effort": effort}
