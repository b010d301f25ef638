"""``function``: a call with arguments that match the function's JSON Schema."""

import json
import secrets
from collections.abc import AsyncGenerator
from typing import Any

from databricks_workspace_emulator.contract.model_limits import SIGNATURE
from databricks_workspace_emulator.contract.tools import NAMESPACE
from databricks_workspace_emulator.schema_filling import fill
from databricks_workspace_emulator.tool_handlers.calls import call_in_deltas, new_call_id
from databricks_workspace_emulator.turn import Turn
from databricks_workspace_emulator.writer import Event


async def play(turn: Turn, tool: dict[str, Any]) -> AsyncGenerator[Event]:
    """Call the function."""
    arguments = json.dumps(fill(tool.get("parameters") or {"type": "object"}, turn.conversation.prompt))
    item: dict[str, Any] = {
        "type": "function_call",
        "status": "in_progress",
        "call_id": new_call_id(),
        "name": tool["name"],
        "arguments": "",
    }
    if NAMESPACE in tool:
        item[NAMESPACE] = tool[NAMESPACE]
    if turn.request.endpoint.provider == "google":
        item[SIGNATURE] = secrets.token_urlsafe(48)
    name = "response.function_call_arguments"
    for event in call_in_deltas(turn, item, "arguments", arguments, name, name=tool["name"]):
        yield event
