"""mcporter, which calls MCP tools from a shell, with the bridge in its configuration."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from databricks_responses_mcp.tools.definitions import NAMES, read_definition
from harness.account import Account
from harness.npm import npm_path
from harness.stdio_process import ASK, COMMAND
from harness.terminal import Ran

pytestmark = [pytest.mark.anyio, pytest.mark.hosts]

MCPORTER = "mcporter@0.12.3"


class Mcporter:
    """mcporter in an account that has the bridge as ``bridge``."""

    def __init__(self, account: Account) -> None:
        account.environ["PATH"] = npm_path(MCPORTER)
        server = {"command": COMMAND[0], "args": COMMAND[1:], "env": dict(account.server_env)}
        self.account = account
        self._config = account.write("mcporter.json", json.dumps({"mcpServers": {"bridge": server}}))

    async def run(self, *command: str) -> Ran:
        """One command; mcporter starts the bridge for it and ends it."""
        return await self.account.run("mcporter", "--config", str(self._config), *command)

    async def call(self, tool: str, *arguments: str) -> str:
        """What a call that succeeds prints."""
        ran = await self.run("call", f"bridge.{tool}", *arguments)
        assert ran.code == 0, ran
        return ran.out


@pytest.fixture
def mcporter(account: Account) -> Mcporter:
    """mcporter in an account of its own."""
    return Mcporter(account)


async def test_it_lists_every_tool_as_a_function_and_with_its_schema(mcporter: Mcporter) -> None:
    people = await mcporter.run("list", "bridge")
    assert people.code == 0
    assert "function ask_databricks_model(prompt: string, model?: string" in people.out
    assert "@param prompt The question or task, with all context needed." in people.out
    script = await mcporter.run("list", "bridge", "--json")
    listed: dict[str, Any] = json.loads(script.out)
    definitions = [read_definition(name) for name in NAMES]
    assert listed["status"] == "ok"
    assert [(tool["name"], tool["description"], tool["inputSchema"]) for tool in listed["tools"]] == [
        (tool["name"], tool["description"], tool["inputSchema"]) for tool in definitions
    ]


async def test_an_answer_is_printed_as_data_or_as_text(mcporter: Mcporter) -> None:
    facts = json.loads(await mcporter.call(ASK, "prompt=[[say Grüße]]"))
    assert (facts["text"], facts["status"], facts["endpoint"]) == ("Grüße", "completed", "databricks-gpt-5")
    assert await mcporter.call(ASK, "prompt=[[say Grüße]]", "--output", "text") == "Grüße\n"


async def test_a_picture_is_named_by_its_path_in_either_form_and_can_be_saved_again(mcporter: Mcporter) -> None:
    drawn = ["generate_image", "prompt=a fox"]
    [facts] = json.loads(await mcporter.call(*drawn))["images"]
    file = Path(facts["path"])
    assert file.parent == mcporter.account.home / "pictures"
    assert hashlib.sha256(file.read_bytes()).hexdigest() == facts["sha256"]

    copies = mcporter.account.home / "copies"
    words = await mcporter.call(*drawn, "--output", "text", "--save-images", str(copies))
    assert words.startswith(f"Picture (1024x1024 image/png, {facts['bytes']} bytes) saved to {file.parent}")
    [copy] = copies.iterdir()
    with Image.open(copy) as picture:
        assert (picture.format, picture.size) == ("PNG", (1024, 1024))


async def test_a_failure_is_data_with_advice_and_a_code_for_the_shell(mcporter: Mcporter) -> None:
    ran = await mcporter.run("call", f"bridge.{ASK}", "prompt=hello", "model=no-such-endpoint")
    assert ran.code == 1
    error = json.loads(ran.out)["error"]
    assert (error["code"], error["retryable"]) == ("model_not_found", False)
    assert error["hint"]
