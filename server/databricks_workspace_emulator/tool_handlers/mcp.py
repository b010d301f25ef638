"""``mcp``: a remote server's tools are listed, approved if required, and called. No server is contacted."""

import json
from collections.abc import AsyncGenerator, Iterator
from typing import Any

from databricks_workspace_emulator.contract.items import Item
from databricks_workspace_emulator.turn import Turn
from databricks_workspace_emulator.writer import Event, deltas

_DEFAULT_TOOLS = ("search", "fetch")
_SCHEMA = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}


async def play(turn: Turn, tool: dict[str, Any]) -> AsyncGenerator[Event]:
    """List the tools if the conversation has not; then execute approved calls, or begin a call."""
    label = tool["server_label"]
    listed = any(item["type"] == "mcp_list_tools" and item["server_label"] == label for item in turn.request.items)
    if not listed:
        for event in _list_tools(turn, tool):
            yield event
    decisions = list(approvals(turn, label))
    for asked, decision in decisions:
        if decision["approve"]:
            for event in _call(turn, label, asked["name"], asked["arguments"], asked["id"]):
                yield event
        else:
            turn.notes.append(f"The user did not approve {asked['name']} of {label}.")
    if decisions:
        return
    name = _wanted(turn, tool)
    arguments = json.dumps({"query": " ".join(turn.conversation.prompt.split())[:200]}, ensure_ascii=False)
    if needs_approval(tool, name):
        for event in ask(turn, label, name, arguments):
            yield event
    else:
        for event in _call(turn, label, name, arguments, None):
            yield event


def approvals(turn: Turn, label: str) -> Iterator[tuple[Item, Item]]:
    """Yield the approval requests for this server's tools that this request answers, each with the decision."""
    asked = {item["id"]: item for item in turn.request.items if item["type"] == "mcp_approval_request"}
    for item in turn.conversation.open_items:
        if item["type"] == "mcp_approval_response":
            request = asked[item["approval_request_id"]]
            if request["server_label"] == label:
                yield request, item


def needs_approval(tool: dict[str, Any], name: str) -> bool:
    """Return whether ``require_approval`` (``always`` by default) covers the tool with this name."""
    rule = tool.get("require_approval") or "always"
    if isinstance(rule, str):
        return rule == "always"
    if name in (rule.get("never") or {}).get("tool_names", ()):
        return False
    always = (rule.get("always") or {}).get("tool_names")
    return always is None or name in always


def _names(tool: dict[str, Any]) -> list[str]:
    allowed = tool.get("allowed_tools")
    if isinstance(allowed, dict):
        allowed = allowed.get("tool_names")
    return list(allowed or _DEFAULT_TOOLS)


def _wanted(turn: Turn, tool: dict[str, Any]) -> str:
    choice = turn.request.tool_choice
    if isinstance(choice, dict) and choice.get("type") == "mcp" and choice.get("name"):
        return str(choice["name"])
    names = _names(tool)
    return next((name for name in names if name.lower() in turn.conversation.prompt.lower()), names[0])


def _list_tools(turn: Turn, tool: dict[str, Any]) -> Iterator[Event]:
    writer = turn.writer
    item: dict[str, Any] = {"type": "mcp_list_tools", "server_label": tool["server_label"], "tools": [], "error": None}
    index, added = writer.add(item)
    yield added
    yield writer.on_item("response.mcp_list_tools.in_progress", index)
    item["tools"] = [
        {"name": name, "description": f"{name}, made up.", "input_schema": _SCHEMA, "annotations": {"read_only": True}}
        for name in _names(tool)
    ]
    yield writer.on_item("response.mcp_list_tools.completed", index)
    yield writer.done(index)


def ask(turn: Turn, label: str, name: str, arguments: str) -> Iterator[Event]:
    """Ask the client to approve a call; the response ends with it."""
    turn.waiting = True
    index, added = turn.writer.add(
        {"type": "mcp_approval_request", "server_label": label, "name": name, "arguments": arguments}
    )
    yield added
    yield turn.writer.done(index)


def _call(turn: Turn, label: str, name: str, arguments: str, approved: str | None) -> Iterator[Event]:
    writer = turn.writer
    item: dict[str, Any] = {
        "type": "mcp_call",
        "status": "in_progress",
        "server_label": label,
        "name": name,
        "arguments": "",
        "output": None,
        "error": None,
        "approval_request_id": approved,
    }
    index, added = writer.add(item)
    yield added
    yield writer.on_item("response.mcp_call.in_progress", index)
    for piece in deltas(writer, arguments):
        item["arguments"] += piece
        yield writer.on_item("response.mcp_call_arguments.delta", index, delta=piece)
    yield writer.on_item("response.mcp_call_arguments.done", index, arguments=item["arguments"])
    if writer.budget.cut:
        item["status"] = "incomplete"
        yield writer.done(index)
        return
    item["output"] = json.dumps({"note": f"Made up: {label} was not contacted."})
    item["status"] = "completed"
    yield writer.on_item("response.mcp_call.completed", index)
    yield writer.done(index)
    turn.notes.append(f"{name} of {label} gave a made-up output.")
