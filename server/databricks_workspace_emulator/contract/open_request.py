"""The contract of Open Responses: one format for the models of all vendors, with less than OpenAI's own has."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from databricks_workspace_emulator.catalogue import OPEN_API, Endpoint
from databricks_workspace_emulator.contract.items import Item, read_items
from databricks_workspace_emulator.contract.model_limits import (
    SIGNATURE,
    refuse_pictures,
    refuse_thinking,
    refuse_unsigned_calls,
)
from databricks_workspace_emulator.contract.request import ResponsesRequest, check_combinations, refuse_stored
from databricks_workspace_emulator.contract.shapes import Body, join_path, read
from databricks_workspace_emulator.contract.tools import Tool, read_tool_choice, read_tools
from databricks_workspace_emulator.replies import bad_request, invalid, workspace_error

SUPERVISOR_TOOLS = {
    "genie_space": "id",
    "uc_function": "name",
    "knowledge_assistant": "knowledge_assistant_id",
    "uc_connection": "name",
    "app": "name",
}
"""The hosted tools of the Supervisor API, each with the field that identifies its object."""

_IGNORED = ("user", "safety_identifier", "metadata", "truncation")
_ITEMS = ("message", "function_call", "function_call_output")
_APPROVALS = ("mcp_approval_request", "mcp_approval_response")
_OPENAI_ONLY = (
    "include",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "context_management",
    "moderation",
    "top_logprobs",
    "prompt",
    "image",
    "access_programs",
)


def read_supervisor_request(value: dict[str, Any], endpoint: Endpoint) -> ResponsesRequest:
    """Apply the contract of the Supervisor API: Open Responses with hosted tools and background responses.

    Raises:
        ApiError: the workspace's refusal.
    """
    tools = value.get("tools") or []
    for sampling in ("temperature", "top_p"):
        if tools and value.get(sampling) is not None:
            raise invalid(sampling, f"'{sampling}' is not supported together with tools.")
    if value.get("background") and value.get("stream"):
        raise invalid("background", "'background' cannot be combined with 'stream'.")
    kinds = [tool.get("type") if isinstance(tool, dict) else None for tool in tools]
    for index, (kind, tool) in enumerate(zip(kinds, tools, strict=True)):
        field = SUPERVISOR_TOOLS.get(str(kind))
        if field is None and kind != "function":
            supported = ", ".join(("function", *SUPERVISOR_TOOLS))
            raise invalid(f"tools[{index}].type", f"Tool type {kind!r} is not supported. Supported: {supported}.")
        # In an object named after the type, or beside the type.
        if field is not None and not isinstance(hosted_object(tool).get(field), str):
            raise invalid(f"tools[{index}].{kind}.{field}", "Missing required parameter.")
    functions = [tool for kind, tool in zip(kinds, tools, strict=True) if kind == "function"]
    plain = {key: field for key, field in value.items() if key != "background"} | {"tools": functions or None}
    if isinstance(value.get("tool_choice"), dict) and value["tool_choice"].get("type") in SUPERVISOR_TOOLS:
        plain.pop("tool_choice")
    if isinstance(value.get("input"), list):
        plain["input"] = _without_approved_outputs(value["input"])
    request = read_open_request(plain, endpoint, item_types=(*_ITEMS, *_APPROVALS))
    return replace(request, tools=list(tools), echoes=True)


def hosted_object(tool: Tool) -> dict[str, Any]:
    """Return the object of a hosted tool: in a field named after the tool's type, or the tool itself."""
    inner = tool.get(str(tool.get("type")))
    return inner if isinstance(inner, dict) else tool


def _without_approved_outputs(items: list[Any]) -> list[Any]:
    """Return the items without the outputs of approved calls: these belong to approvals, not to function calls."""
    asked = [item.get("id") for item in items if isinstance(item, dict) and item.get("type") == _APPROVALS[0]]
    return [
        item
        for item in items
        if not (isinstance(item, dict) and item.get("type") == "function_call_output" and item.get("call_id") in asked)
    ]


def read_open_request(
    value: dict[str, Any], endpoint: Endpoint, *, item_types: Sequence[str] = _ITEMS
) -> ResponsesRequest:
    """Apply the contract of ``POST /serving-endpoints/open-responses``.

    Args:
        item_types: the types of input items that are accepted.

    Raises:
        ApiError: the workspace's refusal.
    """
    _require_open(endpoint)
    refuse_stored(value)
    if value.get("input") is None:
        raise invalid("input", "Missing required parameter: 'input'.")
    _check_model(value, endpoint)
    if endpoint.provider != "openai":
        value = {key: field for key, field in value.items() if key not in _IGNORED}
    body = read(Body, value)
    check_combinations(body)
    items = _items(body, endpoint, item_types)
    tools = _tools(body, endpoint)
    return ResponsesRequest(body, endpoint, items, tools, read_tool_choice(body.tool_choice, tools))


def _require_open(endpoint: Endpoint) -> None:
    if OPEN_API in endpoint.api_types:
        return
    if endpoint.pay_per_token and endpoint.provider == "meta":
        # As observed with old models: the platform does not say what is wrong.
        raise workspace_error(500, "INTERNAL_ERROR", "Internal error.")
    raise workspace_error(
        400,
        "INVALID_PARAMETER_VALUE",
        f"API type '{OPEN_API}' is not supported by '{endpoint.name}'. "
        f"Supported API types: [{', '.join(endpoint.api_types)}]",
    )


def _check_model(value: dict[str, Any], endpoint: Endpoint) -> None:
    if endpoint.provider == "openai":
        return
    for field in _OPENAI_ONLY:
        if value.get(field) is not None:
            raise bad_request(f"The parameter '{field}' is not supported for model {endpoint.name}.")
    if value.get("reasoning") is not None:
        refuse_thinking(endpoint, "reasoning")


def _tools(body: Body, endpoint: Endpoint) -> list[Tool]:
    for index, tool in enumerate(body.tools or []):
        kind = tool.get("type")
        if kind != "function":
            raise workspace_error(
                400,
                "INVALID_PARAMETER_VALUE",
                f"Tool type {kind!r} (tools[{index}].type) is not supported by the Open Responses API. "
                "Supported tool types: function.",
            )
    return read_tools(body.tools or [], endpoint)


def _items(body: Body, endpoint: Endpoint, types: Sequence[str]) -> list[Item]:
    given = read_items(body.input) if isinstance(body.input, str) else body.input
    for index, item in enumerate(given):
        _check_item(item, f"input[{index}]", types)
    if given and given[-1].get("role") == "assistant":
        raise bad_request(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )
    refuse_unsigned_calls(given, endpoint)
    refuse_pictures(given, endpoint)
    return read_items([_as_native(item) for item in given])


def _check_item(item: Item, where: str, types: Sequence[str]) -> None:
    kind = item.get("type", "message")
    if kind not in types:
        raise invalid(f"{where}.type", f"Items of type {kind!r} are not supported as input; use {', '.join(types)}.")
    content = item.get("content")
    for index, part in enumerate(content if isinstance(content, list) else []):
        named = part.get("type") if isinstance(part, dict) else None
        if isinstance(named, str) and named.startswith("output_"):
            path = join_path(where, ["content", index, "type"])
            raise invalid(path, f"Invalid value: '{named}'. Supported values are: input_text, input_image, input_file.")


def _as_native(item: Item) -> Item:
    """Return an item as in the native API, where content of an assistant is output."""
    item = {key: value for key, value in item.items() if key != SIGNATURE}
    content = item.get("content")
    if item.get("role") == "assistant" and isinstance(content, list):
        item["content"] = [
            {**part, "type": "output_text"} if part.get("type") == "input_text" else part for part in content
        ]
    return item
