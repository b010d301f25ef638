"""The credentials that a caller gave for an MCP server: sent with requests, and never stored."""

from collections.abc import Iterator, Mapping
from typing import Any

from databricks_responses_mcp.workspace.mcp_servers import PLAIN_HEADERS

_SECRET = ("authorization", "headers")
_MARK = "kept_back"
"""The field of a stored tool that names the removed fields."""


def without_tool_secrets(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters for storing: each MCP server's tool names the fields that were removed."""
    tools = parameters.get("tools")
    if not isinstance(tools, list | tuple):
        return dict(parameters)
    return {**parameters, "tools": [_kept(tool) for tool in tools]}


def tool_secrets(parameters: Mapping[str, Any]) -> Iterator[str]:
    """Yield the credentials in the MCP servers among the tools."""
    tools = parameters.get("tools")
    for tool in tools if isinstance(tools, list | tuple) else ():
        if not isinstance(tool, Mapping):
            continue
        headers = tool.get("headers")
        named = headers.items() if isinstance(headers, Mapping) else ()
        told = [value for name, value in named if str(name).lower() not in PLAIN_HEADERS]
        yield from (value for value in (tool.get("authorization"), *told) if isinstance(value, str))


def with_tool_secrets(parameters: Mapping[str, Any], earlier: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored parameters with the secrets that ``earlier`` ones of this process still have."""
    tools = parameters.get("tools")
    if not isinstance(tools, list | tuple):
        return dict(parameters)
    known = {_name(tool): tool for tool in earlier.get("tools") or () if isinstance(tool, Mapping)}
    return {**parameters, "tools": [_whole(tool, known) for tool in tools]}


def usable_tools(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the parameters as they can be sent, and the labels of MCP servers left out for a lost secret."""
    tools = parameters.get("tools")
    if not isinstance(tools, list | tuple):
        return dict(parameters), []
    left_out = [str(tool.get("server_label")) for tool in tools if isinstance(tool, Mapping) and _MARK in tool]
    if not left_out:
        return dict(parameters), []
    sent = {**parameters, "tools": [tool for tool in tools if not (isinstance(tool, Mapping) and _MARK in tool)]}
    choice = sent.get("tool_choice")
    if not sent["tools"] or (isinstance(choice, Mapping) and choice.get("server_label") in left_out):
        sent.pop("tool_choice", None)
    if not sent["tools"]:
        del sent["tools"]
    return sent, left_out


def _kept(tool: Any) -> Any:
    if not isinstance(tool, Mapping) or tool.get("type") != "mcp":
        return tool
    gone = [name for name in _SECRET if tool.get(name)]
    if not gone:
        return tool
    return {**{name: value for name, value in tool.items() if name not in gone}, _MARK: gone}


def _whole(tool: Any, known: Mapping[Any, Mapping[str, Any]]) -> Any:
    if not isinstance(tool, Mapping) or _MARK not in tool:
        return tool
    earlier = known.get(_name(tool), {})
    if not all(earlier.get(name) for name in tool[_MARK]):
        return tool
    bare = {name: value for name, value in tool.items() if name != _MARK}
    return {**bare, **{name: earlier[name] for name in tool[_MARK]}}


def _name(tool: Mapping[str, Any]) -> tuple[Any, ...]:
    # The address must be the same: a secret is sent only to the server that it was given for.
    return tuple(str(tool.get(key)) for key in ("server_label", "server_url", "connector_id"))
