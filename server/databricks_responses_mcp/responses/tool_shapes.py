"""Converting tool definitions of other APIs to those of the Responses API.

Models know the chat API's format best, ``{"type": "function", "function": {"name": …}}``; MCP servers list tools with
an ``inputSchema``, and Anthropic's API has an ``input_schema``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

_SCHEMAS = ("parameters", "inputSchema", "input_schema")
_OF_MCP = ("inputSchema", "input_schema", "outputSchema", "annotations", "title", "_meta", "icons", "execution")


def responses_tools(tools: Sequence[Any]) -> list[Any]:
    """Return the tools in the format of the Responses API; unknown formats are unchanged."""
    return [_tool(tool) if isinstance(tool, Mapping) else tool for tool in tools]


def responses_choice(choice: Any) -> Any:
    """Return a ``tool_choice`` in the format of the Responses API."""
    if not isinstance(choice, Mapping):
        return choice
    kind = choice.get("type")
    named = choice.get(kind) if isinstance(kind, str) else None
    if kind == "allowed_tools":
        allowed = {**choice, **(named if isinstance(named, Mapping) else {})}
        allowed.pop("allowed_tools", None)
        tools = allowed.get("tools")
        return {**allowed, "tools": [responses_choice(tool) for tool in tools]} if isinstance(tools, list) else allowed
    if kind in ("function", "custom") and isinstance(named, Mapping) and "name" not in choice:
        return {"type": kind, "name": named.get("name")}
    return choice


def domain_of(site: str) -> str:
    """Return the domain of a URL, as ``allowed_domains`` requires: no scheme, no port and no path."""
    before, scheme, after = site.strip().partition("://")
    name = after if scheme else before.removeprefix("//")
    for mark in "/?#":
        name = name.partition(mark)[0]
    name = name.rpartition("@")[2].partition(":")[0].removeprefix("*.").strip(".")
    return name.lower() or site


def _tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    kind = tool.get("type")
    if kind is None:
        kind = _kind_of(tool)
    nested = tool.get(kind) if kind in ("function", "custom") else None
    if isinstance(nested, Mapping) and "name" not in tool:
        rest = {key: value for key, value in tool.items() if key not in ("type", kind)}
        tool = {**rest, **nested}
    if kind == "function":
        return {"type": kind, **_function(tool)}
    if kind == "custom":
        return {**tool, "type": kind, **_custom_format(tool.get("format"))}
    if kind == "web_search":
        return {**tool, **_filters(tool.get("filters"))}
    return tool


def _kind_of(tool: Mapping[str, Any]) -> str | None:
    """Return the type of a tool that does not state it."""
    if isinstance(tool.get("function"), Mapping):
        return "function"
    is_function = isinstance(tool.get("name"), str) and any(isinstance(tool.get(key), Mapping) for key in _SCHEMAS)
    return "function" if is_function else None


def _function(tool: Mapping[str, Any]) -> dict[str, Any]:
    schema = next((tool[key] for key in _SCHEMAS if tool.get(key) is not None), None)
    if schema is None or schema is tool.get("parameters"):
        return {key: value for key, value in tool.items() if key != "type"}
    rest = {key: value for key, value in tool.items() if key not in ("type", *_OF_MCP)}
    return {**rest, "parameters": schema}


def _custom_format(value: Any) -> dict[str, Any]:
    grammar = value.get("grammar") if isinstance(value, Mapping) else None
    return {"format": {"type": "grammar", **grammar}} if isinstance(grammar, Mapping) else {}


def _filters(value: Any) -> dict[str, Any]:
    domains = value.get("allowed_domains") if isinstance(value, Mapping) else None
    if not isinstance(domains, list) or not all(isinstance(domain, str) for domain in domains):
        return {}
    return {"filters": {**value, "allowed_domains": [domain_of(domain) for domain in domains]}}
