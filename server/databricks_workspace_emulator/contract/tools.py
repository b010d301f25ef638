"""Tools of a request: the types that an endpoint accepts, their fields, and ``tool_choice``."""

import re
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from databricks_responses_mcp.schemas.bounds import find_exceeded_limit
from databricks_workspace_emulator.catalogue import Endpoint
from databricks_workspace_emulator.contract.shapes import Name, Shape, read
from databricks_workspace_emulator.replies import ApiError, invalid, model_error, workspace_error

Tool = dict[str, Any]

PAY_PER_TOKEN_TOOLS = ("function", "custom", "apply_patch", "shell", "image_generation", "mcp", "web_search")
NAMESPACE = "namespace"
"""The type of a group of tools, which the gateway of Codex accepts."""
_SIZE = re.compile(r"(\d+)x(\d+)")


class _Function(Shape):
    type: Literal["function"]
    name: str = Name
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    defer_loading: bool | None = None
    output_schema: dict[str, Any] | None = None


class _CustomFormat(Shape):
    type: Literal["text", "grammar"]
    syntax: Literal["lark", "regex"] | None = None
    definition: str | None = None


class _Custom(Shape):
    type: Literal["custom"]
    name: str = Name
    description: str | None = None
    format: _CustomFormat | None = None
    defer_loading: bool | None = None


class _ApplyPatch(Shape):
    type: Literal["apply_patch"]


class _Shell(Shape):
    type: Literal["shell"]
    environment: dict[str, Any] | None = None


class _Mask(Shape):
    image_url: str | None = None
    file_id: str | None = None


class _SvgReasoning(Shape):
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None


class _Svg(Shape):
    model: str | None = None
    reasoning: _SvgReasoning | None = None


class _ImageGeneration(Shape):
    type: Literal["image_generation"]
    model: str | None = None
    size: str | None = None
    quality: Literal["low", "medium", "high", "xhigh", "max", "auto"] | None = None
    background: Literal["transparent", "opaque", "auto"] | None = None
    output_format: Literal["png", "webp", "jpeg", "gif", "svg"] | None = None
    output_compression: int | None = Field(default=None, ge=0, le=100)
    partial_images: int | None = Field(default=None, ge=0, le=3)
    action: Literal["generate", "edit", "auto"] | None = None
    complexity: Literal["low", "medium", "high"] | None = None
    frame_count: int | None = Field(default=None, ge=2, le=60)
    frame_duration_ms: int | None = Field(default=None, ge=10, le=10_000)
    svg: _Svg | None = None
    input_fidelity: Literal["high", "low"] | None = None
    moderation: Literal["auto", "low"] | None = None
    input_image_mask: _Mask | None = None


class _ToolNames(Shape):
    tool_names: list[str] | None = None
    read_only: bool | None = None


class _Approval(Shape):
    always: _ToolNames | None = None
    never: _ToolNames | None = None


class _Mcp(Shape):
    type: Literal["mcp"]
    server_label: str = Field(min_length=1)
    server_url: str | None = None
    connector_id: str | None = None
    tunnel_id: str | None = None
    server_description: str | None = None
    authorization: str | None = None
    headers: dict[str, str] | None = None
    allowed_tools: list[str] | _ToolNames | None = None
    require_approval: Literal["always", "never"] | _Approval | None = None
    defer_loading: bool | None = None


class _WebFilters(Shape):
    allowed_domains: list[str] | None = None
    blocked_domains: list[str] | None = None


class _WebLocation(Shape):
    type: Literal["approximate"] | None = None
    country: str | None = None
    city: str | None = None
    region: str | None = None
    timezone: str | None = None


class _WebSearch(Shape):
    type: Literal["web_search"]
    search_context_size: Literal["low", "medium", "high"] | None = None
    filters: _WebFilters | None = None
    user_location: _WebLocation | None = None
    external_web_access: bool | None = None


_SHAPES: dict[str, type[Shape]] = {
    "function": _Function,
    "custom": _Custom,
    "apply_patch": _ApplyPatch,
    "shell": _Shell,
    "image_generation": _ImageGeneration,
    "mcp": _Mcp,
    "web_search": _WebSearch,
}


def read_tools(tools: list[Tool], endpoint: Endpoint) -> list[Tool]:
    """Return the validated tools.

    Raises:
        ApiError: 400 for a tool that this endpoint does not accept.
    """
    for index, tool in enumerate(tools):
        _read_tool(tool, f"tools[{index}]", endpoint)
    names = [tool["name"] for tool in tools if tool["type"] in ("function", "custom")]
    labels = [tool["server_label"] for tool in tools if tool["type"] == "mcp"]
    for known, field in ((names, "name"), (labels, "server_label")):
        if len(set(known)) < len(known):
            raise model_error(f"Two tools have the same {field}.", param="tools")
    return tools


def _read_tool(tool: Tool, where: str, endpoint: Endpoint) -> None:
    kind = tool.get("type")
    if not isinstance(kind, str):
        raise invalid(f"{where}.type", f"Missing required parameter: '{where}.type'.")
    if kind not in PAY_PER_TOKEN_TOOLS:
        if endpoint.pay_per_token:
            raise workspace_error(
                400,
                "INVALID_PARAMETER_VALUE",
                f"Tool type '{kind}' ({where}.type) is not supported for pay-per-token endpoints. "
                f"Supported tool types: {', '.join(PAY_PER_TOKEN_TOOLS)}.",
            )
        return
    if kind in endpoint.without_tools:
        message = f"Tool type '{kind}' ({where}.type) is not supported for endpoint '{endpoint.name}'."
        raise workspace_error(400, "INVALID_PARAMETER_VALUE", message)
    if kind == "custom" and not endpoint.custom_tools:
        raise workspace_error(
            400,
            "INVALID_PARAMETER_VALUE",
            f"Custom tools ({where}) are not supported by {endpoint.name}: they need a model of the GPT-5 series.",
        )
    read(_SHAPES[kind], tool, where)
    check = _CHECKS.get(kind)
    if check is not None and (problem := check(tool, where)) is not None:
        raise problem


def _check_function(tool: Tool, where: str) -> ApiError | None:
    schema = tool.get("parameters") or {}
    if problem := schema_problem(schema) or (strict_schema_problem(schema) if tool.get("strict") else None):
        return model_error(
            f"Invalid schema for function '{tool['name']}': {problem}",
            param=f"{where}.parameters",
            code="invalid_function_parameters",
        )
    return None


def _check_custom(tool: Tool, where: str) -> ApiError | None:
    form = tool.get("format") or {}
    if form.get("type") == "grammar" and not (form.get("syntax") and form.get("definition")):
        return invalid(f"{where}.format", "A grammar needs 'syntax' and 'definition'.")
    if form.get("syntax") == "regex":
        try:
            re.compile(form["definition"])
        except re.error as error:
            return model_error(f"Invalid regex: {error}.", param=f"{where}.format.definition")
    return None


def _check_picture(tool: Tool, where: str) -> ApiError | None:
    if problem := _format_problem(tool, where):
        return problem
    if tool.get("background") == "transparent" and tool.get("output_format") == "jpeg":
        return model_error("Transparent background needs output_format png or webp.", param=f"{where}.background")
    size = tool.get("size") or "auto"
    match = _SIZE.fullmatch(size)
    if size != "auto" and not (match and _possible_size(int(match[1]), int(match[2]))):
        return model_error(
            f"Invalid value: '{size}'. Supported are 'auto' and WIDTHxHEIGHT, both multiples of 16 up to "
            "3840x2160, at most 3 to 1.",
            param=f"{where}.size",
        )
    return None


_ONLY_OF = {"frame_count": "gif", "frame_duration_ms": "gif", "svg": "svg"}
_NOT_OF_GIF = ("input_image_mask", "output_compression", "partial_images")


def _format_problem(tool: Tool, where: str) -> ApiError | None:
    """Return why fields are invalid with ``output_format``; None if they are valid."""
    written_as = tool.get("output_format") or "png"
    for field, needed in _ONLY_OF.items():
        if tool.get(field) is not None and written_as != needed:
            return model_error(f"'{field}' requires output_format '{needed}'.", param=f"{where}.{field}")
    for field in _NOT_OF_GIF if written_as == "gif" else ():
        if tool.get(field):
            return model_error(f"'{field}' is not supported for output_format 'gif'.", param=f"{where}.{field}")
    return None


def _possible_size(width: int, height: int) -> bool:
    sides = (width, height)
    if width * height > 3840 * 2160:
        return False
    return all(16 <= side <= 3840 and side % 16 == 0 for side in sides) and max(sides) <= 3 * min(sides)


def _check_mcp(tool: Tool, where: str) -> ApiError | None:
    if not any(tool.get(key) for key in ("server_url", "connector_id", "tunnel_id")):
        return invalid(f"{where}.server_url", f"Missing required parameter: '{where}.server_url'.")
    return None


_CHECKS = {
    "function": _check_function,
    "custom": _check_custom,
    "image_generation": _check_picture,
    "mcp": _check_mcp,
}


def schema_problem(schema: dict[str, Any]) -> str | None:
    """Return why a schema is invalid; None if it is valid."""
    import jsonschema

    if problem := find_exceeded_limit(schema):
        return f"It {problem}."
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        return f"At {error.json_path}: {error.message[:200]}"
    except RecursionError:
        return "It is nested too deeply."
    return None


def strict_schema_problem(schema: object, context: str = "()") -> str | None:
    """Return why a schema cannot be used with ``strict``, in the API's words; None if it can."""
    if not isinstance(schema, dict):
        return None
    properties = schema.get("properties") or {}
    if schema.get("type") == "object" or properties:
        if schema.get("additionalProperties") is not False:
            return f"In context={context}, 'additionalProperties' is required to be supplied and to be false."
        missing = [name for name in properties if name not in (schema.get("required") or [])]
        if missing:
            return (
                f"In context={context}, 'required' is required to be supplied and to be an array including every key "
                f"in properties. Missing '{missing[0]}'."
            )
    problems = (strict_schema_problem(part, where) for part, where in _parts(schema))
    return next((problem for problem in problems if problem), None)


def _parts(schema: dict[str, Any]) -> Iterator[tuple[object, str]]:
    for key in ("properties", "$defs", "definitions"):
        for name, part in (schema.get(key) or {}).items():
            yield part, f"('{key}', '{name}')"
    yield schema.get("items"), "('items',)"
    for index, part in enumerate(schema.get("anyOf") or []):
        yield part, f"('anyOf', '{index}')"


class _NamedChoice(Shape):
    type: Literal["function", "custom"]
    name: str


class _McpChoice(Shape):
    type: Literal["mcp"]
    server_label: str
    name: str | None = None


class _HostedChoice(Shape):
    type: Literal["web_search", "image_generation", "apply_patch", "shell"]


class _AllowedChoice(Shape):
    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: list[dict[str, Any]]


def read_tool_choice(choice: str | dict[str, Any] | None, tools: list[Tool]) -> str | dict[str, Any]:
    """Return ``tool_choice``, validated against the tools; ``auto`` by default.

    Raises:
        ApiError: 400 for a choice that is not among the tools.
    """
    if choice is None:
        return "auto"
    if isinstance(choice, str):
        if choice not in ("none", "auto", "required"):
            raise invalid("tool_choice", f"Invalid value: '{choice}'. Supported values are: none, auto, required.")
        if choice == "required" and not tools:
            raise model_error("Tool choice 'required' must be specified with 'tools' parameter.", param="tool_choice")
        return choice
    kind = choice.get("type")
    shape: type[Shape]
    if kind in ("function", "custom"):
        shape = _NamedChoice
    elif kind == "mcp":
        shape = _McpChoice
    elif kind == "allowed_tools":
        shape = _AllowedChoice
    else:
        shape = _HostedChoice
    read(shape, choice, "tool_choice")
    wanted = choice["tools"] if kind == "allowed_tools" else [choice]
    for one in wanted:
        if not any(chosen(tool, one) for tool in tools):
            named = one.get("name") or one.get("server_label") or one.get("type")
            raise model_error(f"Tool choice '{named}' not found in 'tools' parameter.", param="tool_choice")
    return choice


def chosen(tool: Tool, choice: dict[str, Any]) -> bool:
    """Return whether ``tool_choice`` (or an entry of ``allowed_tools``) means this tool."""
    if tool.get("type") != choice.get("type"):
        return False
    key = "server_label" if tool["type"] == "mcp" else "name"
    return choice.get(key) is None or tool.get(key) == choice[key]
