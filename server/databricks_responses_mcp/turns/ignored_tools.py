"""Tools that an upstream ignored without an error: some servers drop the tool types that they do not know."""

from collections.abc import Mapping
from typing import Any

from databricks_responses_mcp.responses.accumulator import AssembledResponse

_CALLED = {
    "function": ("function_call",),
    "custom": ("custom_tool_call",),
    "apply_patch": ("apply_patch_call",),
    "shell": ("shell_call",),
    "web_search": ("web_search_call",),
    "web_search_preview": ("web_search_call",),
    "image_generation": ("image_generation_call",),
    "file_search": ("file_search_call",),
    "code_interpreter": ("code_interpreter_call",),
    "mcp": ("mcp_list_tools", "mcp_call", "mcp_approval_request"),
}
"""The items that prove that a tool of a type was used. An MCP server is always listed first."""


def ignored_tools_note(request: Mapping[str, Any], response: AssembledResponse) -> str | None:
    """Return a sentence about tools of a request that its answer shows were ignored; None if there are none.

    A response repeats the tools of the request. If some are missing, or no tool was called although one was required,
    the server dropped them.
    """
    tools = request.get("tools")
    if not isinstance(tools, list) or response.status != "completed":
        return None
    types = list(dict.fromkeys(str(tool.get("type")) for tool in tools if isinstance(tool, Mapping)))
    items = {item.get("type") for item in response.output}
    echoed = response.fields.get("tools")
    if isinstance(echoed, list):
        known = {tool.get("type") for tool in echoed if isinstance(tool, Mapping)}
        ignored = [kind for kind in types if kind not in known and not items & set(_CALLED.get(kind, ()))]
        if ignored:
            kinds = ", ".join(ignored)
            return f"The response does not list the tools of type {kinds}: the server has probably ignored them."
    choice = request.get("tool_choice")
    named = choice.get("type") if isinstance(choice, Mapping) else None
    wanted = types if choice == "required" else [named] if named in types else []
    if wanted and not any(str(item).endswith(("_call", "_request", "_list_tools")) for item in items):
        named_types = " or ".join(map(str, wanted))
        return (
            f"tool_choice asked for a call of {named_types}, and the answer contains none: the server may have ignored "
            "these tools."
        )
    return None
