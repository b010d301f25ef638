"""``shell``: a harmless command for the client to run."""

import re
import shlex
from collections.abc import AsyncGenerator
from typing import Any

from databricks_workspace_emulator.tool_handlers.calls import new_call_id
from databricks_workspace_emulator.turn import Turn
from databricks_workspace_emulator.writer import Event, deltas

_TIMEOUT_MS = 10_000
_MAX_OUTPUT = 4_096


async def play(turn: Turn, tool: dict[str, Any]) -> AsyncGenerator[Event]:
    """Call the tool with one or two commands."""
    writer = turn.writer
    turn.waiting = True
    action: dict[str, Any] = {"commands": [], "timeout_ms": _TIMEOUT_MS, "max_output_length": _MAX_OUTPUT}
    item: dict[str, Any] = {
        "type": "shell_call",
        "status": "in_progress",
        "call_id": new_call_id(),
        "action": action,
        "environment": {"type": "local"} if (tool.get("environment") or {}).get("type") == "local" else None,
    }
    index, added = writer.add(item)
    yield added
    for number, command in enumerate(_commands(turn.conversation.prompt)):
        # These events have no item_id, unlike all others about an item.
        place = {"output_index": index, "command_index": number}
        written = ""
        yield writer.event("response.shell_call_command.added", **place, command="")
        for piece in deltas(writer, command):
            written += piece
            yield writer.event("response.shell_call_command.delta", **place, delta=piece)
        yield writer.event("response.shell_call_command.done", **place, command=written)
        action["commands"].append(written)
        if writer.budget.cut:
            break
    item["status"] = "incomplete" if writer.budget.cut else "completed"
    yield writer.done(index)


def _commands(prompt: str) -> list[str]:
    files = re.findall(r"(?<![\w/])[\w./-]+\.\w{1,5}\b", prompt)
    return ["pwd", f"wc -l {shlex.quote(files[0])}" if files else "ls"]
