"""Tasks of several steps with every tool type, through the real server over pipes, in both protocol eras."""

from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters

from databricks_workspace_emulator.server import RunningEmulator
from harness import Host
from harness.deadlines import DEADLINE_SECONDS
from harness.stdio_process import ASK, COMMAND, environment

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FILE = "Add input validation to main.py.\n\nmain.py:\n```python\ndef f(n):\n    return n\n```"

STEPS: dict[str, tuple[str, dict[str, Any], dict[str, Any], str]] = {
    "function": (
        "Weather in Paris?",
        {"type": "function", "name": "get_weather", "parameters": CITY, "strict": False},
        {"output": "22 degrees"},
        "22 degrees",
    ),
    "custom": (
        "Write Python.",
        {"type": "custom", "name": "code_exec"},
        {"output": "it printed 120"},
        "it printed 120",
    ),
    "apply_patch": (FILE, {"type": "apply_patch"}, {"status": "completed"}, "completed"),
    "shell": ("List files.", {"type": "shell"}, {"stdout": "main.py", "exit_code": 0}, "main.py"),
}


async def test_every_call_is_executed_and_its_output_is_used(
    emulator: RunningEmulator, tmp_path: Path, era: str
) -> None:
    parameters = StdioServerParameters(
        command=COMMAND[0], args=COMMAND[1:], env=environment(emulator, tmp_path), cwd=tmp_path
    )
    answers: dict[str, bool] = {}
    with anyio.fail_after(DEADLINE_SECONDS):
        async with Client(parameters, mode=era) as client:
            host = Host(client)
            for name, (prompt, tool, output, expected) in STEPS.items():
                _, asked, _ = await host.call(ASK, prompt=prompt, tools=[tool])
                (call,) = asked["pending_calls"]
                _, facts, failed = await host.call(
                    "continue_databricks_model",
                    conversation_id=asked["conversation_id"],
                    outputs=[{"call_id": call["call_id"], **output}],
                )
                answers[name] = not failed and expected in facts["text"] and "pending_calls" not in facts
            _, found, _ = await host.call("search_web", question="News?")
            answers["web_search"] = bool(found["citations"])
            _, drawn, _ = await host.call(ASK, prompt="Draw a cat.", tools=[{"type": "image_generation"}])
            answers["image_generation"] = Path(drawn["images"][0]["path"]).exists()
    assert answers == dict.fromkeys([*STEPS, "web_search", "image_generation"], True)
