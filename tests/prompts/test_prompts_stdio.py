"""Prompts and completion over real pipes."""

from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.types import PromptReference

from databricks_responses_mcp.prompts.catalogue import PROMPTS, get_prompt
from databricks_workspace_emulator.server import RunningEmulator
from harness.deadlines import DEADLINE_SECONDS
from harness.stdio_process import COMMAND, environment

pytestmark = pytest.mark.anyio


async def test_a_host_of_either_era_lists_completes_and_gets_prompts(
    emulator: RunningEmulator, tmp_path: Path, era: str
) -> None:
    parameters = StdioServerParameters(
        command=COMMAND[0], args=COMMAND[1:], env=environment(emulator, tmp_path), cwd=tmp_path
    )
    arguments = {"question": "Why is the sky blue?"}
    with anyio.fail_after(DEADLINE_SECONDS):
        async with Client(parameters, mode=era) as client:
            listed = await client.list_prompts()
            got = await client.get_prompt("second_opinion", arguments)
            found = await client.complete(PromptReference(name="second_opinion"), {"name": "model", "value": "5-5"})
    assert listed.prompts == [prompt.as_mcp_prompt() for prompt in PROMPTS.values()]
    assert got.messages == get_prompt("second_opinion", arguments).messages
    assert found.completion.values == ["databricks-gpt-5-5", "databricks-gpt-5-5-pro"]
