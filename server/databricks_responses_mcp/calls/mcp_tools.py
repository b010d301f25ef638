"""MCP servers that a caller defines in a call's `tools`: none may be called without an approval.

The caller is the model of a host. It may not approve a call of an MCP server, so it may not define one that needs no
approval either: that requires the configuration.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from databricks_responses_mcp.errors import BridgeError, ErrorCode, quoted
from databricks_responses_mcp.workspace.settings import Settings

_ASKS = (None, "always")
"""Values of ``require_approval`` that apply to every tool."""


def check_mcp_tools(settings: Settings, tools: Any, extra: Mapping[str, Any]) -> None:
    """Check the MCP servers in a call's tools, and in those of `extra`.

    Args:
        settings: their ``model_approvals`` may allow all.
        tools: the argument.
        extra: the argument, which may contain tools instead.

    Raises:
        BridgeError: ``permission_denied``, naming the tool that would be called without an approval.
    """
    if settings.model_approvals == "allow":
        return
    for place, server in _mcp_tools(tools, extra):
        if server.get("require_approval") not in _ASKS:
            named = server.get("server_url") or server.get("connector_id") or server.get("server_label")
            raise BridgeError(
                ErrorCode.PERMISSION_DENIED,
                f"{place} lets the MCP server {quoted(named)} be called without the user's approval, and a model may "
                "not decide that: nothing was sent.",
                "Leave require_approval out: the user is then asked. To call the server without being asked, the user "
                "configures it with require_approval in RESPONSES_MCP_MCP_SERVERS, or sets "
                "RESPONSES_MCP_MODEL_APPROVALS=allow.",
            )


def _mcp_tools(tools: Any, extra: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, given in (("tools", tools), ("extra.tools", extra.get("tools"))):
        for number, tool in enumerate(given if isinstance(given, list | tuple) else ()):
            if isinstance(tool, Mapping) and str(tool.get("type")).strip().lower() == "mcp":
                yield f"{name}[{number}]", tool
