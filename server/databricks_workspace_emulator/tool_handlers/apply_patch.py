"""``apply_patch``: one file operation for the client to apply."""

from collections.abc import AsyncGenerator
from dataclasses import asdict
from typing import Any

from databricks_workspace_emulator.tool_handlers.calls import new_call_id
from databricks_workspace_emulator.tool_handlers.patches import write_patch
from databricks_workspace_emulator.turn import Turn
from databricks_workspace_emulator.writer import Event


async def play(turn: Turn, tool: dict[str, Any]) -> AsyncGenerator[Event]:
    """Call the tool. The API has no event for the patch's text: the item contains all of it."""
    writer = turn.writer
    turn.waiting = True
    operation = asdict(write_patch(turn.conversation))
    item: dict[str, Any] = {
        "type": "apply_patch_call",
        "status": "in_progress",
        "call_id": new_call_id(),
        "operation": {**operation, "diff": ""},
    }
    index, added = writer.add(item)
    yield added
    operation["diff"] = writer.budget.take(operation["diff"])
    item |= {"operation": operation, "status": "in_progress" if writer.budget.cut else "completed"}
    yield writer.done(index)
