"""The tools of an answer: those that ``tool_choice`` requires, else each tool that has not been used yet.

By default (``auto``) the emulator uses every tool once for each question, or only those that the prompt names, to show
all tools. Hosted tools come first; calls that the client must answer end the response.
"""

import re
from typing import Any

from databricks_workspace_emulator.contract.tools import NAMESPACE, Tool, chosen
from databricks_workspace_emulator.tool_handlers import (
    apply_patch,
    custom,
    function,
    image_generation,
    mcp,
    patches,
    shell,
    supervisor_servers,
    web_search,
)
from databricks_workspace_emulator.turn import Play, Turn

_HOSTED: dict[str, Play] = {
    "image_generation": image_generation.play,
    "app": supervisor_servers.play,
    "mcp": mcp.play,
    "uc_connection": supervisor_servers.play,
    "web_search": web_search.play,
}
_CALLS: dict[str, Play] = {
    "apply_patch": apply_patch.play,
    "custom": custom.play,
    "function": function.play,
    "shell": shell.play,
}


def plan(turn: Turn) -> list[tuple[Play, Tool]]:
    """Return the tool calls of this turn, in order."""
    choice = turn.request.tool_choice
    if choice == "none":
        return []
    tools, demanded = _candidates(_ungrouped(turn.request.tools), choice)
    if not demanded:
        tools = _named_in(turn.conversation.prompt, [tool for tool in tools if not _had_its_turn(turn, tool)])
    hosted = [(play, tool) for tool in tools if (play := _HOSTED.get(tool["type"]))]
    calls = [(play, tool) for tool in tools if (play := _CALLS.get(tool["type"]))]
    if demanded:
        # One is enough to satisfy a requirement.
        return [*hosted, *calls][:1]
    limit = turn.request.body.max_tool_calls
    parallel = turn.request.body.parallel_tool_calls is not False
    return [*hosted[:limit], *(calls if parallel else calls[:1])]


def _ungrouped(tools: list[Tool]) -> list[Tool]:
    """Return the tools, those of a namespace with its name."""
    found: list[Tool] = []
    for tool in tools:
        if tool["type"] == NAMESPACE:
            found += [{**inner, NAMESPACE: tool["name"]} for inner in tool["tools"]]
        else:
            found.append(tool)
    return found


def _candidates(tools: list[Tool], choice: str | dict[str, Any]) -> tuple[list[Tool], bool]:
    """Return the tools that may be used, and whether one of them must be."""
    if isinstance(choice, str):
        return tools, choice == "required"
    if choice["type"] != "allowed_tools":
        return [tool for tool in tools if chosen(tool, choice)], True
    allowed = [tool for tool in tools if any(chosen(tool, one) for one in choice["tools"])]
    return allowed, choice["mode"] == "required"


def _had_its_turn(turn: Turn, tool: Tool) -> bool:
    """Return whether a client's tool has already answered this question, or a hosted one this prompt."""
    if tool["type"] == "apply_patch" and patches.must_correct(turn.conversation):
        return False
    if tool["type"] in _CALLS:
        return bool(turn.conversation.outputs)
    if (label := _server_label(tool)) and any(mcp.approvals(turn, label)):
        return False
    return turn.conversation.is_continued


def _server_label(tool: Tool) -> str:
    """Return the name by which approvals name the server of a tool; empty for other tools."""
    if tool["type"] == "mcp":
        return str(tool["server_label"])
    return supervisor_servers.server_label(tool) if tool["type"] in ("app", "uc_connection") else ""


def _named_in(prompt: str, tools: list[Tool]) -> list[Tool]:
    words = set(re.findall(r"\w+", prompt.lower()))
    named = [tool for tool in tools if str(tool.get("name", tool["type"])).lower() in words]
    return named or tools
