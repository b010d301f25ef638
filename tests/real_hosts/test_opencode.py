"""opencode, from npm: it is given the server, reaches it, and hands its model what the tools answered."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from inline_snapshot import snapshot
from mcp.types import TextContent

from databricks_responses_mcp.hosts.server_info import SERVER
from databricks_responses_mcp.prompts.catalogue import get_prompt
from databricks_responses_mcp.server import INSTRUCTIONS
from databricks_responses_mcp.tools.definitions import published_tools
from databricks_workspace_emulator.engines.base import TextRequest
from databricks_workspace_emulator.server import RunningEmulator
from harness.account import Account
from harness.chat_completions_api import ChatCompletionsApi
from harness.deadlines import DEADLINE_SECONDS
from harness.model_api import StandIn, ToolCall
from harness.opencode import Opencode
from harness.terminal import Ran

pytestmark = [pytest.mark.anyio, pytest.mark.hosts]

PREFIX = f"{SERVER.key}_"
ASK = f"{PREFIX}ask_databricks_model"
DRAW = f"{PREFIX}generate_image"
READ = "read_mcp_resource"
WORKSPACE = ("DATABRICKS_HOST", "DATABRICKS_TOKEN", "RESPONSES_MCP_IMAGE_DIR")
LIMIT_MS = 8000
"""For a call, where it is to run out; the start of the server has no longer."""
MAX_BYTES = 50 * 1024
"""Of a tool's output; of a longer one opencode keeps the beginning."""


@pytest.fixture
def opencode(account: Account, emulator: RunningEmulator) -> Iterator[Opencode]:
    """opencode without any server."""
    with StandIn.running(ChatCompletionsApi()) as model:
        yield Opencode(account, emulator, model)


async def test_opencode_registers_the_server_with_its_own_command_and_reaches_it(opencode: Opencode) -> None:
    await opencode.add()
    assert opencode.servers() == snapshot(
        {
            "databricks": {
                "type": "local",
                "command": ["PYTHON", "-m", "databricks_responses_mcp"],
                "environment": {
                    "HOME": "HOME",
                    "DATABRICKS_HOST": "WORKSPACE",
                    "DATABRICKS_TOKEN": "TOKEN",
                    "RESPONSES_MCP_MODEL": "databricks-gpt-5",
                    "RESPONSES_MCP_IMAGE_DIR": "HOME/pictures",
                },
            }
        }
    )
    assert await opencode.run("mcp", "list") == snapshot(
        Ran(
            out="""\
┌  MCP Servers
│
●  ✓ databricks connected
│      PYTHON -m databricks_responses_mcp
│
└  1 server(s)

""",
            err="\n",
            code=0,
        )
    )


async def test_opencode_uses_the_server_that_install_registered_with_a_profile(
    opencode: Opencode, account: Account
) -> None:
    host, token, pictures = (account.server_env[name] for name in WORKSPACE)
    account.write(".databrickscfg", f"[DEFAULT]\nhost = {host}\ntoken = {token}\n")
    await opencode.install("--model", "databricks-gpt-5", "--env", f"RESPONSES_MCP_IMAGE_DIR={pictures}")
    assert opencode.servers() == snapshot(
        {
            "databricks": {
                "type": "local",
                "command": ["PROGRAM"],
                "environment": {
                    "DATABRICKS_CONFIG_PROFILE": "DEFAULT",
                    "RESPONSES_MCP_IMAGE_DIR": "HOME/pictures",
                    "RESPONSES_MCP_MODEL": "databricks-gpt-5",
                },
                "enabled": True,
                "timeout": 300000,
            }
        }
    )
    told = await opencode.converse(
        ToolCall(ASK, {"prompt": "[[say It is here.]]"}), ToolCall(DRAW, {"prompt": "a red fox"})
    )
    assert opencode.seen(told) == snapshot(
        [
            {"role": "tool", "tool_call_id": "call_0", "content": "It is here."},
            {
                "role": "tool",
                "tool_call_id": "call_1",
                "content": """\
Picture (1024x1024 image/png, 190162 bytes) saved to HOME/pictures/a-red-fox-b6edc2b2c6.png
Revised prompt: Drawn by rule, no model asked: a red fox

No model was asked: this is the embedded workspace's rule engine.
You sent 9 characters in 3 words, beginning: “a red fox”
[tool] image_generation drew a picture of 1024x1024 pixels.\
""",
            },
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Attached media from tool result:"},
                    {
                        "type": "image_url",
                        "image_url": {"url": "data:image/png;base64,PNG of 1024x1024 pixels, as saved"},
                    },
                ],
            },
        ]
    )
    await opencode.install("--uninstall")
    assert await opencode.run("mcp", "list") == snapshot(
        Ran(
            out="""\
┌  MCP Servers
│
▲  No MCP servers configured
│
└  Add servers with: opencode mcp add

""",
            err="\n",
            code=0,
        )
    )


async def test_opencode_hands_the_server_the_token_of_its_own_environment(opencode: Opencode, account: Account) -> None:
    account.environ |= {name: account.server_env[name] for name in WORKSPACE[:2]}
    await opencode.install("--model", "databricks-gpt-5")
    assert opencode.servers() == snapshot(
        {
            "databricks": {
                "type": "local",
                "command": ["PROGRAM"],
                "environment": {
                    "DATABRICKS_HOST": "WORKSPACE",
                    "RESPONSES_MCP_MODEL": "databricks-gpt-5",
                    "DATABRICKS_TOKEN": "{env:DATABRICKS_TOKEN}",
                },
                "enabled": True,
                "timeout": 300000,
            }
        }
    )
    told = await opencode.converse(ToolCall(ASK, {"prompt": "[[say It is here.]]"}))
    assert opencode.seen(told) == snapshot([{"role": "tool", "tool_call_id": "call_0", "content": "It is here."}])


async def test_opencode_tells_its_model_the_instructions_and_every_tool_with_all_its_parameters(
    opencode: Opencode,
) -> None:
    await opencode.add()
    await opencode.converse(ToolCall(ASK, {"prompt": "Hello."}))
    request = opencode.model.requests[0]
    assert INSTRUCTIONS in request["messages"][0]["content"]
    declared = {
        function["name"].removeprefix(PREFIX): function
        for function in (tool["function"] for tool in request["tools"])
        if function["name"].startswith(PREFIX)
    }
    assert {
        name: (one["description"], one["parameters"]["properties"], one["parameters"].get("required", []))
        for name, one in declared.items()
    } == {
        tool.name: (tool.description, tool.input_schema["properties"], tool.input_schema.get("required", []))
        for tool in published_tools()
    }


async def test_opencode_hands_its_model_answers_pictures_and_failures(opencode: Opencode) -> None:
    await opencode.add()
    told = await opencode.converse(
        ToolCall(ASK, {"prompt": "[[say A mixture of experts is a model of many parts.]]"}),
        ToolCall(DRAW, {"prompt": "a red fox"}),
        ToolCall(ASK, {"prompt": "Hello.", "model": "no-such-model"}),
    )
    assert opencode.seen(told) == snapshot(
        [
            {"role": "tool", "tool_call_id": "call_0", "content": "A mixture of experts is a model of many parts."},
            {
                "role": "tool",
                "tool_call_id": "call_1",
                "content": """\
Picture (1024x1024 image/png, 190162 bytes) saved to HOME/pictures/a-red-fox-b6edc2b2c6.png
Revised prompt: Drawn by rule, no model asked: a red fox

No model was asked: this is the embedded workspace's rule engine.
You sent 9 characters in 3 words, beginning: “a red fox”
[tool] image_generation drew a picture of 1024x1024 pixels.\
""",
            },
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Attached media from tool result:"},
                    {
                        "type": "image_url",
                        "image_url": {"url": "data:image/png;base64,PNG of 1024x1024 pixels, as saved"},
                    },
                ],
            },
            {
                "role": "tool",
                "tool_call_id": "call_2",
                "content": """\
model_not_found: The workspace has no serving endpoint no-such-model (HTTP 404): The endpoint 'no-such-model'
does not exist, or you have no permission to see it. Call list_databricks_models to see the models of this
workspace and how each is reached. Request id: REQUEST.\
""",
            },
        ]
    )


async def test_opencode_tells_a_model_that_takes_no_pictures_where_the_picture_is(opencode: Opencode) -> None:
    opencode.blind()
    await opencode.add()
    assert opencode.seen(await opencode.converse(ToolCall(DRAW, {"prompt": "a red fox"}))) == snapshot(
        [
            {
                "role": "tool",
                "tool_call_id": "call_0",
                "content": """\
Picture (1024x1024 image/png, 190162 bytes) saved to HOME/pictures/a-red-fox-b6edc2b2c6.png
Revised prompt: Drawn by rule, no model asked: a red fox

No model was asked: this is the embedded workspace's rule engine.
You sent 9 characters in 3 words, beginning: “a red fox”
[tool] image_generation drew a picture of 1024x1024 pixels.\
""",
            },
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Attached media from tool result:"},
                    {
                        "type": "text",
                        "text": "ERROR: Cannot read image (this model does not support image input). Inform the user.",
                    },
                ],
            },
        ]
    )


async def test_opencode_hands_its_model_whole_what_was_cut_to_its_bytes(opencode: Opencode) -> None:
    await opencode.add()
    [told, rest] = await opencode.converse(
        ToolCall(ASK, {"prompt": "[[words 50000]]", "max_output_tokens": 1_000_000}),
        ToolCall(READ, {"server": SERVER.key, "uri": "answer://1"}),
    )
    assert len(told["content"].encode()) <= MAX_BYTES
    assert told["content"].startswith("word1 word2 ")
    note = (
        r"\[The text is 488893 characters; the first (\d+) are here\. The whole text is the resource answer://1; "
        r"answer://1/\1 continues from here\.\]$"
    )
    assert re.search(note, told["content"])
    # Of a resource too, opencode shows its model no more than that, and keeps the whole in a file.
    saved = re.search(r"Full output saved to: (\S+)", rest["content"])
    assert saved is not None
    whole = " ".join(f"word{number}" for number in range(1, 50_001))
    assert whole in Path(saved[1]).read_text(encoding="utf-8")


async def test_opencode_hands_its_model_whole_what_was_cut_to_its_lines(opencode: Opencode) -> None:
    await opencode.add()
    lines = "\n".join(f"line {number}" for number in range(2600))
    [told] = await opencode.converse(ToolCall(ASK, {"prompt": f"[[say {lines}]]", "max_output_tokens": 1_000_000}))
    assert re.search(rf"\[The text is {len(lines)} characters; .* the resource answer://1; .*\]$", told["content"])


async def test_opencode_makes_a_command_of_each_prompt(opencode: Opencode) -> None:
    await opencode.add()
    command = ("--command", f"{SERVER.key}:second_opinion", "Is it safe?")
    await opencode.converse(ToolCall(ASK, {"prompt": "Hello."}), prompt=command)
    # It asks for the prompt with placeholders, and puts the words of the command in their place.
    [message] = get_prompt("second_opinion", {"question": "$1", "model": "$2"}).messages
    assert isinstance(message.content, TextContent)
    written = message.content.text.replace("$1", "Is it safe?").replace("$2", "")
    assert opencode.model.requests[0]["messages"][1]["content"] == written


async def test_opencode_waits_as_long_as_progress_comes(opencode: Opencode, emulator: RunningEmulator) -> None:
    emulator.state.engine = Slow(words=20, seconds=0.5)
    await opencode.add(timeout_ms=LIMIT_MS)
    assert opencode.seen(await opencode.converse(ToolCall(ASK, {"prompt": "Count."}))) == snapshot(
        [{"role": "tool", "tool_call_id": "call_0", "content": "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20"}]
    )


async def test_opencode_cancels_the_request_to_the_workspace_when_it_gives_a_call_up(
    opencode: Opencode, emulator: RunningEmulator
) -> None:
    await opencode.add(timeout_ms=LIMIT_MS)
    told: list[Any] = []

    async def converse() -> None:
        told.extend(
            await opencode.converse(ToolCall(ASK, {"prompt": "One."}), ToolCall(ASK, {"prompt": "[[say two]]"}))
        )

    with anyio.fail_after(DEADLINE_SECONDS), emulator.state.hold(after_events=3) as hold:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(converse)
            first = await emulator.state.request_log.wait_for(1)
            await emulator.state.request_log.wait_for(2)
            # The second call is running, on the same server: it was not its end that cut the first.
            await first.disconnected.wait()
            hold.release()
    assert opencode.seen(told) == snapshot(
        [
            {"role": "tool", "tool_call_id": "call_0", "content": "MCP error -32001: Request timed out"},
            {"role": "tool", "tool_call_id": "call_1", "content": "two"},
        ]
    )


class Slow:
    """An engine that counts, with a pause before each word."""

    label = "slow"

    def __init__(self, words: int, seconds: float) -> None:
        self._words = words
        self._seconds = seconds

    async def stream(self, request: TextRequest) -> AsyncIterator[str]:
        for number in range(self._words):
            await anyio.sleep(self._seconds)
            yield f"{number + 1} "

    async def aclose(self) -> None:
        """Nothing to stop."""
