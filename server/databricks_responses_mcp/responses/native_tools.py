"""The tool types of the Responses API, validated before a request is sent, so that an error names the field.

Source: the tool types that the documentation lists for pay-per-token endpoints: ``function``, ``custom``,
``apply_patch``, ``shell``, ``image_generation``, ``mcp``, ``web_search``. Unknown fields are accepted: the API grows,
and the endpoint decides.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from databricks_responses_mcp.errors import quoted
from databricks_responses_mcp.schemas.bounds import find_exceeded_limit

NATIVE_TYPES = ("function", "custom", "apply_patch", "shell", "image_generation", "mcp", "web_search")

_Name = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


class _Tool(BaseModel):
    model_config = ConfigDict(extra="allow")


class _Function(_Tool):
    type: Literal["function"]
    name: _Name
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class _TextFormat(_Tool):
    type: Literal["text"]


class _GrammarFormat(_Tool):
    type: Literal["grammar"]
    syntax: Literal["lark", "regex"]
    definition: Annotated[str, Field(min_length=1)]


class _Custom(_Tool):
    type: Literal["custom"]
    name: _Name
    description: str | None = None
    format: Annotated[_TextFormat | _GrammarFormat, Field(discriminator="type")] | None = None


class _ApplyPatch(_Tool):
    type: Literal["apply_patch"]


class _Shell(_Tool):
    type: Literal["shell"]
    environment: dict[str, Any] | None = None


class _ImageGeneration(_Tool):
    type: Literal["image_generation"]
    size: str | None = None
    quality: str | None = None
    background: str | None = None
    output_format: str | None = None
    output_compression: Annotated[int, Field(ge=0, le=100)] | None = None
    partial_images: Annotated[int, Field(ge=0, le=3)] | None = None


class _Mcp(_Tool):
    type: Literal["mcp"]
    server_label: Annotated[str, Field(min_length=1)]
    server_url: str | None = None
    connector_id: str | None = None
    tunnel_id: str | None = None
    allowed_tools: list[str] | dict[str, Any] | None = None
    require_approval: Literal["always", "never"] | dict[str, Any] | None = None


class _Filters(_Tool):
    allowed_domains: list[str] | None = None


class _Location(_Tool):
    type: Literal["approximate"] = "approximate"
    city: str | None = None
    country: str | None = None
    region: str | None = None
    timezone: str | None = None


class _WebSearch(_Tool):
    type: Literal["web_search"]
    search_context_size: Literal["low", "medium", "high"] | None = None
    filters: _Filters | None = None
    user_location: _Location | None = None


_KNOWN: TypeAdapter[Any] = TypeAdapter(
    Annotated[
        _Function | _Custom | _ApplyPatch | _Shell | _ImageGeneration | _Mcp | _WebSearch,
        Field(discriminator="type"),
    ]
)


def tool_problems(tools: Sequence[Any]) -> list[str]:
    """Return the problems of the tool definitions, each with its place, for example ``tools[0].name: Field
    required``.
    """
    problems: list[str] = []
    names: set[tuple[str, str]] = set()
    for number, tool in enumerate(tools):
        where = f"tools[{number}]"
        if not isinstance(tool, Mapping):
            problems.append(f"{where}: a tool is an object")
        elif not isinstance(tool.get("type"), str) or not tool["type"]:
            problems.append(f"{where}.type: a tool has a type; the API's are {', '.join(NATIVE_TYPES)}")
        elif problem := _too_much(tool):
            problems.append(f"{where}: it {problem}")
        elif tool["type"] in NATIVE_TYPES:
            problems += [f"{where}{problem}" for problem in _problems(tool)]
            named = (str(tool.get("name")), str(tool.get("server_label")))
            if named != ("None", "None") and named in names:
                problems.append(f"{where}.name: {quoted(tool.get('name') or tool.get('server_label'))} is there twice")
            names.add(named)
    return problems


def size_problems(tools: Any) -> list[str]:
    """Return the exceeded limits of tools that are sent verbatim, each with its place; nothing else of them is
    checked.
    """
    given = tools if isinstance(tools, list) else []
    return [f"tools[{number}]: it {problem}" for number, tool in enumerate(given) if (problem := _too_much(tool))]


def tool_choice(choice: str, tools: Sequence[Mapping[str, Any]]) -> str | dict[str, Any] | None:
    """Return the API's ``tool_choice`` for a mode (none, auto, required), a tool's name, or a tool's type.

    Returns:
        The result is None if there is no such tool.
    """
    if choice in ("none", "auto", "required"):
        return choice
    for tool in tools:
        kind = str(tool.get("type"))
        if kind in ("function", "custom") and tool.get("name") == choice:
            return {"type": kind, "name": choice}
        if kind == "mcp" and tool.get("server_label") == choice:
            return {"type": "mcp", "server_label": choice}
    if any(tool.get("type") == choice for tool in tools) and choice not in ("function", "custom", "mcp"):
        return {"type": choice}
    return None


def _too_much(tool: Any) -> str | None:
    return find_exceeded_limit(tool) or (
        find_exceeded_limit(tool.get("parameters")) if isinstance(tool, Mapping) else None
    )


def _problems(tool: Mapping[str, Any]) -> list[str]:
    try:
        _KNOWN.validate_python(tool)
    except ValidationError as error:
        return [_problem(detail) for detail in error.errors(include_url=False, include_input=False)]
    if tool["type"] == "mcp" and not any(tool.get(key) for key in ("server_url", "connector_id", "tunnel_id")):
        return [".server_url: an MCP server needs an address"]
    return []


def _problem(detail: Any) -> str:
    # The first part of the place is the type, which selected the model; the caller knows it.
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"][1:])
    return f"{place}: {detail['msg']}"
