"""Claude Code, from npm: it is given the server, reaches it, and hands its model what the tools answered."""

import json
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from inline_snapshot import snapshot
from mcp.types import TextContent

from databricks_responses_mcp.prompts.catalogue import PROMPTS, get_prompt
from databricks_responses_mcp.server import INSTRUCTIONS
from databricks_responses_mcp.tools.definitions import published_tools
from databricks_workspace_emulator.server import RunningEmulator
from harness.account import Account
from harness.anthropic_api import AnthropicApi, texts, tool_results
from harness.claude_code import PREFIX, ClaudeCode
from harness.deadlines import DEADLINE_SECONDS
from harness.model_api import LAST_WORDS, StandIn, ToolCall
from harness.screen import ESCAPE, on_screen
from harness.terminal import Ran

pytestmark = [pytest.mark.anyio, pytest.mark.hosts]

ASK = f"{PREFIX}ask_databricks_model"
DRAW = f"{PREFIX}generate_image"
WORKSPACE = ("DATABRICKS_HOST", "DATABRICKS_TOKEN", "RESPONSES_MCP_IMAGE_DIR")
MAX_CHARACTERS = 50_000
"""Of a result; a longer one is put into a file, and the model gets its first 2 kB."""


@pytest.fixture
def claude(account: Account, emulator: RunningEmulator) -> Iterator[ClaudeCode]:
    """Claude Code without any server."""
    with StandIn.running(AnthropicApi()) as model:
        yield ClaudeCode(account, emulator, model)


async def test_claude_code_registers_the_server_with_its_own_command_and_reaches_it(claude: ClaudeCode) -> None:
    await claude.add()
    assert claude.servers() == snapshot(
        {
            "databricks": {
                "type": "stdio",
                "command": "PYTHON",
                "args": ["-m", "databricks_responses_mcp"],
                "env": {
                    "HOME": "HOME",
                    "DATABRICKS_HOST": "WORKSPACE",
                    "DATABRICKS_TOKEN": "TOKEN",
                    "RESPONSES_MCP_MODEL": "databricks-gpt-5",
                    "RESPONSES_MCP_IMAGE_DIR": "HOME/pictures",
                },
            }
        }
    )
    assert await claude.run("mcp", "list") == snapshot(
        Ran(
            out="""\
Checking MCP server health…

databricks: PYTHON -m databricks_responses_mcp - ✔ Connected
""",
            err="",
            code=0,
        )
    )


async def test_claude_code_uses_the_server_that_install_registered_with_a_profile(
    claude: ClaudeCode, account: Account
) -> None:
    host, token, pictures = (account.server_env[name] for name in WORKSPACE)
    account.write(".databrickscfg", f"[DEFAULT]\nhost = {host}\ntoken = {token}\n")
    await claude.install("--model", "databricks-gpt-5", "--env", f"RESPONSES_MCP_IMAGE_DIR={pictures}")
    assert claude.servers() == snapshot(
        {
            "databricks": {
                "type": "stdio",
                "command": "PROGRAM",
                "args": [],
                "env": {
                    "DATABRICKS_CONFIG_PROFILE": "DEFAULT",
                    "RESPONSES_MCP_IMAGE_DIR": "HOME/pictures",
                    "RESPONSES_MCP_MODEL": "databricks-gpt-5",
                },
            }
        }
    )
    results = await claude.converse(
        ToolCall(ASK, {"prompt": "[[say It is here.]]"}), ToolCall(DRAW, {"prompt": "a red fox", "size": "256x256"})
    )
    answer, drawn = claude.seen(results)
    assert answer["content"]["text"] == "It is here."
    assert [block["type"] for block in drawn["content"]] == ["image", "text", "text", "text"]
    await claude.install("--uninstall")
    assert (await claude.run("mcp", "list")).out == snapshot(
        "No MCP servers configured. Use `claude mcp add` to add a server.\n"
    )


async def test_claude_code_hands_the_server_the_token_of_its_own_environment(
    claude: ClaudeCode, account: Account
) -> None:
    account.environ |= {name: account.server_env[name] for name in WORKSPACE[:2]}
    await claude.install("--model", "databricks-gpt-5")
    assert claude.servers() == snapshot(
        {
            "databricks": {
                "type": "stdio",
                "command": "PROGRAM",
                "args": [],
                "env": {
                    "DATABRICKS_HOST": "WORKSPACE",
                    "RESPONSES_MCP_MODEL": "databricks-gpt-5",
                    "DATABRICKS_TOKEN": "${DATABRICKS_TOKEN}",
                },
            }
        }
    )
    [result] = await claude.converse(ToolCall(ASK, {"prompt": "[[say It is here.]]"}))
    assert json.loads(result["content"])["text"] == "It is here."


async def test_claude_code_tells_its_model_the_instructions_and_every_tool_as_published(claude: ClaudeCode) -> None:
    await claude.add()
    await claude.converse(ToolCall(ASK, {"prompt": "Hello."}))
    request = claude.model.requests[0]
    assert INSTRUCTIONS in texts(request)
    declared = [tool for tool in request["tools"] if tool["name"].startswith(PREFIX)]
    assert [(one["name"].removeprefix(PREFIX), one["description"], one["input_schema"]) for one in declared] == [
        (tool.name, tool.description, tool.input_schema)
        for tool in sorted(published_tools(), key=lambda tool: tool.name)
    ]


async def test_claude_code_hands_its_model_answers_pictures_and_failures(claude: ClaudeCode) -> None:
    await claude.add()
    results = await claude.converse(
        ToolCall(ASK, {"prompt": "[[say A mixture of experts is a model of many parts.]]"}),
        ToolCall(DRAW, {"prompt": "a red fox", "size": "256x256"}),
        ToolCall(ASK, {"prompt": "Hello.", "model": "no-such-model"}),
    )
    assert claude.seen(results) == snapshot(
        [
            {
                "is_error": False,
                "content": {
                    "text": "A mixture of experts is a model of many parts.",
                    "status": "completed",
                    "model": "embedded-rules",
                    "endpoint": "databricks-gpt-5",
                    "conversation_id": "CONV",
                    "response_id": "RESP",
                    "usage": {
                        "input_tokens": 22,
                        "output_tokens": 13,
                        "total_tokens": 35,
                    },
                },
            },
            {
                "is_error": False,
                "content": [
                    {
                        "type": "image",
                        "source": {
                            "type": "base64",
                            "media_type": "image/png",
                            "data": "PNG of 256x256 pixels, as saved",
                        },
                    },
                    {"type": "text", "text": "[Image: source: COPY]"},
                    {
                        "type": "text",
                        "text": """\
[Resource link: a-red-fox-0b43a9983f.png] image://a-red-fox-0b43a9983f.png (The whole image from the model.)\
""",
                    },
                    {
                        "type": "text",
                        "text": {
                            "text": """\
No model was asked: this is the embedded workspace's rule engine.
You sent 9 characters in 3 words, beginning: “a red fox”
[tool] image_generation drew a picture of 256x256 pixels.\
""",
                            "status": "completed",
                            "model": "embedded-rules",
                            "endpoint": "databricks-gpt-6-1-sol",
                            "conversation_id": "CONV",
                            "response_id": "RESP",
                            "output": [
                                {
                                    "type": "image_generation_call",
                                    "status": "completed",
                                    "size": "256x256",
                                    "quality": "medium",
                                    "background": "opaque",
                                    "output_format": "png",
                                    "action": "generate",
                                    "revised_prompt": "Drawn by rule, no model asked: a red fox",
                                }
                            ],
                            "usage": {
                                "input_tokens": 7,
                                "output_tokens": 1105,
                                "total_tokens": 1112,
                            },
                            "images": [
                                {
                                    "path": "HOME/pictures/a-red-fox-0b43a9983f.png",
                                    "uri": "image://a-red-fox-0b43a9983f.png",
                                    "mime_type": "image/png",
                                    "width": 256,
                                    "height": 256,
                                    "bytes": 46315,
                                    "sha256": "0b43a9983fc217044f018c0194f6424f7c51d04194f6060da0fc2b831430b6da",
                                    "revised_prompt": "Drawn by rule, no model asked: a red fox",
                                }
                            ],
                        },
                    },
                ],
            },
            {
                "is_error": True,
                "content": """\
model_not_found: The workspace has no serving endpoint no-such-model (HTTP 404): The endpoint 'no-such-model'
does not exist, or you have no permission to see it. Call list_databricks_models to see the models of this
workspace and how each is reached. Request id: REQUEST.\
""",
            },
        ]
    )


async def test_claude_code_hands_its_model_the_whole_of_what_was_cut_to_fit(claude: ClaudeCode) -> None:
    await claude.add()
    long = ToolCall(ASK, {"prompt": "[[words 50000]]", "max_output_tokens": 1_000_000})
    [result] = await claude.converse(long)
    assert "<persisted-output>" not in result["content"]
    assert MAX_CHARACTERS * 0.8 < len(result["content"]) <= MAX_CHARACTERS
    facts = json.loads(result["content"])
    assert facts["text"].startswith("word1 word2 ")
    assert "The whole text is the resource answer://1;" in facts["notes"][0]


async def test_claude_code_finds_the_tools_when_it_searches_for_tools(claude: ClaudeCode, account: Account) -> None:
    account.environ["ENABLE_TOOL_SEARCH"] = "true"
    await claude.add()
    found, answer = await claude.converse(
        ToolCall("ToolSearch", {"query": "second opinion of a Databricks model", "max_results": 1}),
        ToolCall(ASK, {"prompt": "[[say Found.]]"}),
    )
    assert INSTRUCTIONS in texts(claude.model.requests[0])
    assert found["content"] == [{"type": "tool_reference", "tool_name": ASK}]
    assert json.loads(answer["content"])["text"] == "Found."


async def test_without_a_person_claude_code_leaves_an_approval_pending(claude: ClaudeCode) -> None:
    await claude.add()
    results = await claude.converse(ToolCall(ASK, {"prompt": "Search for the outage.", "mcp_servers": ["genie"]}))
    assert claude.seen(results) == snapshot(
        [
            {
                "is_error": False,
                "content": {
                    "text": "",
                    "status": "completed",
                    "model": "embedded-rules",
                    "endpoint": "databricks-gpt-5",
                    "conversation_id": "CONV",
                    "response_id": "RESP",
                    "pending_calls": [
                        {
                            "type": "mcp_approval_request",
                            "name": "search",
                            "arguments": '{"query": "Search for the outage."}',
                            "server_label": "genie",
                            "approval_request_id": "MCPR",
                            "answer_with": {
                                "type": "mcp_approval_response",
                                "approval_request_id": "MCPR",
                                "approve": "<true or false, as the user decides>",
                            },
                        }
                    ],
                    "output": [
                        {"type": "mcp_list_tools", "server_label": "genie", "tools": ["search", "fetch"], "error": None}
                    ],
                    "usage": {
                        "input_tokens": 9,
                        "total_tokens": 9,
                    },
                    "notes": [
                        (
                            "The question was dismissed, or nobody could be asked: "
                            "nothing was approved, the calls wait in pending_calls."
                        )
                    ],
                    "next_step": """\
Ask the user about each approval, carry out the other pending calls, then call continue_databricks_model with
conversation_id "CONV" and one output for each, in the shape of its answer_with. To skip a call, answer it
with an output that says so, such as "not carried out", or with approve: false.\
""",
                },
            }
        ]
    )


async def test_claude_code_makes_a_command_of_each_prompt(claude: ClaudeCode) -> None:
    await claude.add()
    command = f"/{PREFIX}second_opinion"
    await claude.converse(ToolCall(ASK, {"prompt": "Hello."}), prompt=f"{command} Why?")
    [message] = get_prompt("second_opinion", {"question": "Why?"}).messages
    assert isinstance(message.content, TextContent)
    assert message.content.text in texts(claude.model.requests[0])
    async with claude.session() as session:
        await session.prompt("Hello.")
        commands = (await session.until("system"))["slash_commands"]
    assert {name for name in commands if name.startswith(PREFIX)} == {f"{PREFIX}{name}" for name in PROMPTS}


async def test_claude_code_shows_the_user_what_the_model_is_writing(
    claude: ClaudeCode, account: Account, emulator: RunningEmulator
) -> None:
    await claude.add()
    claude.settle_in()
    claude.model.will_call(ToolCall(ASK, {"prompt": "[[say One two three four five six.]]"}))
    async with on_screen(account, "claude", "--allowedTools", f"{PREFIX}*") as screen:
        await screen.until("Claude Code v")
        await screen.enter("/mcp")
        await screen.until("✔ databricks")
        await screen.type(ESCAPE)
        await screen.until("auto mode on")
        with emulator.state.hold(after_events=8) as hold:
            await screen.enter("Ask the model.")
            await hold.reached.wait()
            await screen.until("databricks-gpt-5: writing")
        await screen.until(LAST_WORDS)


async def test_an_interruption_in_claude_code_cancels_the_request_to_the_workspace_and_the_server_goes_on(
    claude: ClaudeCode, emulator: RunningEmulator
) -> None:
    await claude.add()
    claude.model.will_call(ToolCall(ASK, {"prompt": "Hi"}), ToolCall(ASK, {"prompt": "[[say still here]]"}))
    async with claude.session() as session:
        with emulator.state.hold(after_events=3) as hold:
            await session.prompt("Ask.")
            await hold.reached.wait()
            await session.interrupt()
            await (await emulator.state.request_log.wait_for(1)).disconnected.wait()
        await session.until("result")
        await session.prompt("Ask again.")
        assert (await session.until("result"))["result"] == LAST_WORDS
    stopped, answer = tool_results(claude.model.requests[-1])
    assert stopped["content"].startswith("The user doesn't want to proceed with this tool use.")
    assert json.loads(answer["content"])["text"] == "still here"


async def test_claude_code_cancels_the_request_to_the_workspace_when_its_time_for_a_call_is_over(
    claude: ClaudeCode, account: Account, emulator: RunningEmulator
) -> None:
    account.environ["MCP_TOOL_TIMEOUT"] = "2000"
    await claude.add()
    results: list[dict[str, Any]] = []

    async def converse() -> None:
        results.extend(
            await claude.converse(ToolCall(ASK, {"prompt": "One."}), ToolCall(ASK, {"prompt": "[[say two]]"}))
        )

    with anyio.fail_after(DEADLINE_SECONDS), emulator.state.hold(after_events=3) as hold:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(converse)
            first = await emulator.state.request_log.wait_for(1)
            await emulator.state.request_log.wait_for(2)
            # The second call is running, on the same server: it was not its end that cut the first.
            await first.disconnected.wait()
            hold.release()
    assert results[0]["content"] == snapshot('MCP server "databricks" tool "ask_databricks_model" timed out after 2s')
    assert json.loads(results[1]["content"])["text"] == "two"
