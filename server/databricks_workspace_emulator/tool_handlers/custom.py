"""``custom``: a call with free text, or with text of the tool's grammar."""

from collections.abc import AsyncGenerator
from typing import Any

from databricks_workspace_emulator.contract.tools import NAMESPACE
from databricks_workspace_emulator.grammar_filling import fill_lark, fill_regex
from databricks_workspace_emulator.tool_handlers.calls import call_in_deltas, new_call_id
from databricks_workspace_emulator.tool_handlers.patches import envelope, write_patch
from databricks_workspace_emulator.turn import Turn
from databricks_workspace_emulator.writer import Event

_PYTHON = '''def answer() -> str:
    """Made by rule for: {prompt}"""
    return {prompt!r}


print(answer())
'''


async def play(turn: Turn, tool: dict[str, Any]) -> AsyncGenerator[Event]:
    """Call the tool."""
    item = {"type": "custom_tool_call", "call_id": new_call_id(), "name": tool["name"], "input": ""}
    if NAMESPACE in tool:
        item[NAMESPACE] = tool[NAMESPACE]
    for event in call_in_deltas(turn, item, "input", _input(turn, tool), "response.custom_tool_call_input"):
        yield event


def _input(turn: Turn, tool: dict[str, Any]) -> str:
    form = tool.get("format") or {}
    if form.get("syntax") == "regex":
        return fill_regex(form["definition"])
    about = f"{tool['name']} {tool.get('description') or ''} {form.get('definition') or ''}".lower()
    if "patch" in about:
        return envelope(write_patch(turn.conversation))
    if form.get("syntax") == "lark":
        return fill_lark(form["definition"])
    prompt = " ".join(turn.conversation.prompt.split())[:120]
    if "sql" in about:
        return "SELECT 1 AS answer -- " + prompt
    if any(word in about for word in ("python", "code", "exec", "script")):
        return _PYTHON.format(prompt=prompt.replace('"', "'").replace("\\", "/"))
    return prompt or "example"
