"""The contract of chat completions: parsed, validated, and converted to the Responses API, which all other code
uses.
"""

from typing import Any, Literal

from pydantic import Field

from databricks_workspace_emulator.catalogue import Endpoint
from databricks_workspace_emulator.contract.chat_messages import read_messages
from databricks_workspace_emulator.contract.items import read_items
from databricks_workspace_emulator.contract.model_limits import (
    refuse_pictures,
    refuse_thinking,
)
from databricks_workspace_emulator.contract.request import (
    ResponsesRequest,
    check_combinations,
    responses_only,
)
from databricks_workspace_emulator.contract.shapes import Body, ReasoningConfig, Shape, TextConfig, read
from databricks_workspace_emulator.contract.tools import Tool, read_tool_choice, read_tools
from databricks_workspace_emulator.replies import bad_request, invalid

_NOT_EXTERNAL = {
    "parallel_tool_calls",
    "store",
    "metadata",
    "service_tier",
    "prompt_cache_key",
    "safety_identifier",
}
"""Fields of OpenAI's chat completions that only external models take."""
_EFFORTS = {"minimal": 1024, "low": 4096, "medium": 16384}


class _JsonSchema(Shape):
    name: str = Field(max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None
    description: str | None = None


class _ResponseFormat(Shape):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: _JsonSchema | None = None


class _StreamOptions(Shape):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class _Thinking(Shape):
    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: int | None = Field(default=None, ge=1024)


class ChatBody(Shape):
    """The fields of the unified chat API."""

    model: str
    messages: list[dict[str, Any]] = Field(min_length=1)
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float | int | None = Field(default=None, ge=0, le=2)
    top_p: float | int | None = Field(default=None, ge=0, le=1)
    top_k: int | None = Field(default=None, ge=1)
    stop: str | list[str] | None = None
    n: int | None = Field(default=None, ge=1, le=1)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    response_format: _ResponseFormat | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    reasoning_effort: str | None = None
    thinking: _Thinking | None = None
    usage_context: dict[str, Any] | None = None
    user: str | None = None


class ExternalChatBody(ChatBody, extra="allow"):
    """An external model: fields that the platform does not know are passed on."""


def read_chat_request(value: dict[str, Any], endpoint: Endpoint) -> tuple[ChatBody, ResponsesRequest]:
    """Apply the contract of ``POST /serving-endpoints/chat/completions`` to a request for an endpoint that serves it.

    Returns:
        The body, and the equivalent request of the Responses API.

    Raises:
        ApiError: the workspace's refusal.
    """
    if endpoint.pay_per_token:
        for field in value:
            if field in _NOT_EXTERNAL or field not in ChatBody.model_fields:
                raise bad_request(f"{field}: Extra inputs are not permitted")
    body = read(ChatBody if endpoint.pay_per_token else ExternalChatBody, value)
    if body.tools and endpoint.chats_without_tools and endpoint.pay_per_token:
        raise responses_only(endpoint)
    reasoning = _reasoning(body, endpoint)
    items = read_items(read_messages(body.messages, endpoint))
    refuse_pictures(items, endpoint)
    tools = read_tools([_tool(tool, index, endpoint) for index, tool in enumerate(body.tools or [])], endpoint)
    native = Body.model_construct(
        model=endpoint.name,
        input=items,
        stream=body.stream,
        max_output_tokens=body.max_completion_tokens or body.max_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        text=_text(body),
        reasoning=reasoning,
    )
    check_combinations(native)
    return body, ResponsesRequest(native, endpoint, items, tools, _tool_choice(body, tools))


def _reasoning(body: ChatBody, endpoint: Endpoint) -> ReasoningConfig | None:
    """Return the reasoning parameters; all models except OpenAI's own show their reasoning."""
    if endpoint.provider == "anthropic":
        if body.reasoning_effort is not None:
            raise bad_request("reasoning_effort: Extra inputs are not permitted")
        return _thinking(body)
    if body.thinking is not None:
        raise bad_request("thinking: Extra inputs are not permitted")
    if body.reasoning_effort is None:
        # OpenAI's open-weight models always reason.
        return ReasoningConfig(effort="low", summary="auto") if endpoint.provider == "openai-oss" else None
    refuse_thinking(endpoint, "reasoning_effort")
    effort = {"effort": body.reasoning_effort}
    if endpoint.provider != "openai":
        effort["summary"] = "auto"
    return read(ReasoningConfig, effort, "reasoning_effort")


def _thinking(body: ChatBody) -> ReasoningConfig | None:
    if body.thinking is None or body.thinking.type == "disabled":
        return None
    budget = body.thinking.budget_tokens
    if body.thinking.type == "enabled":
        if budget is None:
            raise bad_request("thinking.enabled.budget_tokens: Field required")
        if budget >= (body.max_completion_tokens or body.max_tokens or budget + 1):
            raise bad_request("`max_tokens` must be greater than `thinking.budget_tokens`.")
        if body.temperature not in (None, 1):
            raise bad_request("`temperature` may only be set to 1 when thinking is enabled.")
    effort: Any = next((name for name, most in _EFFORTS.items() if (budget or 0) <= most), "high")
    return ReasoningConfig(effort=effort, summary="auto")


def _tool(tool: dict[str, Any], index: int, endpoint: Endpoint) -> Tool:
    where = f"tools[{index}]"
    function = tool.get("function")
    if tool.get("type") != "function" or not isinstance(function, dict):
        raise bad_request(f"Missing 'function' in the tool specification: {where}")
    if "strict" in function and endpoint.provider not in ("openai", "xai"):
        raise bad_request(f"tools.{index}.function.strict: Extra inputs are not permitted")
    return {"type": "function", **function}


def _tool_choice(body: ChatBody, tools: list[Tool]) -> str | dict[str, Any]:
    choice = body.tool_choice
    if isinstance(choice, dict):
        function = choice.get("function")
        if choice.get("type") != "function" or not isinstance(function, dict):
            raise invalid("tool_choice", "Expected a choice of type function.")
        choice = {"type": "function", "name": function.get("name")}
    return read_tool_choice(choice, tools)


def _text(body: ChatBody) -> TextConfig | None:
    form = body.response_format
    if form is None:
        return None
    if form.type != "json_schema":
        return read(TextConfig, {"format": {"type": form.type}})
    if form.json_schema is None:
        raise invalid("response_format.json_schema", "Missing required parameter: 'response_format.json_schema'.")
    given = form.json_schema.model_dump(by_alias=True, exclude_none=True)
    return read(TextConfig, {"format": {"type": "json_schema", **given}})
