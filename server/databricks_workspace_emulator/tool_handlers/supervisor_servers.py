"""``uc_connection`` and ``app`` of the Supervisor API: MCP servers, whose calls wait for an approval."""

import json
from collections.abc import AsyncGenerator
from typing import Any

from databricks_workspace_emulator.contract.open_request import hosted_object
from databricks_workspace_emulator.engines.rules import directive
from databricks_workspace_emulator.tool_handlers import mcp
from databricks_workspace_emulator.turn import Turn
from databricks_workspace_emulator.writer import Event

_TOOL = "search"


async def play(turn: Turn, tool: dict[str, Any]) -> AsyncGenerator[Event]:
    """Ask for an approval if the prompt says ``[[approval]]``; execute the calls that were approved.

    As documented, the output of a call is a ``function_call_output`` with the id of the approval request.
    """
    label = server_label(tool)
    decisions = list(mcp.approvals(turn, label))
    for asked, decision in decisions:
        if decision["approve"]:
            output = json.dumps({"note": f"Made up: {label} was not contacted."})
            index, added = turn.writer.add(
                {"type": "function_call_output", "call_id": asked["id"], "output": output, "status": "completed"}
            )
            yield added
            yield turn.writer.done(index)
            turn.notes.append(f"{asked['name']} of {label} gave a made-up output.")
        else:
            turn.notes.append(f"The user did not approve {asked['name']} of {label}.")
    if not decisions and directive(turn.conversation.prompt)[0] == "approval":
        arguments = json.dumps({"query": turn.conversation.prompt[:200]}, ensure_ascii=False)
        for event in mcp.ask(turn, label, _TOOL, arguments):
            yield event


def server_label(tool: dict[str, Any]) -> str:
    """Return the name of the tool's server."""
    return str(hosted_object(tool)["name"])
