"""Gemini CLI, from npm: it is given the server, reaches it, and hands its model what the tools answered."""

import json
import re
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from inline_snapshot import snapshot
from mcp.types import TextContent

from databricks_responses_mcp.hosts.server_info import SERVER
from databricks_responses_mcp.prompts.catalogue import get_prompt
from databricks_responses_mcp.server import INSTRUCTIONS
from databricks_responses_mcp.tools.definitions import published_tools
from databricks_workspace_emulator.server import RunningEmulator
from harness.account import Account
from harness.deadlines import DEADLINE_SECONDS
from harness.gemini_api import GeminiApi, declarations
from harness.gemini_cli import GeminiCli
from harness.model_api import StandIn, ToolCall
from harness.terminal import Ran

pytestmark = [pytest.mark.anyio, pytest.mark.hosts]

PREFIX = f"mcp_{SERVER.key}_"
ASK = f"{PREFIX}ask_databricks_model"
DRAW = f"{PREFIX}generate_image"
WORKSPACE = ("DATABRICKS_HOST", "DATABRICKS_TOKEN", "RESPONSES_MCP_IMAGE_DIR")
LIMIT_MS = 8000
"""For a call, where it is to run out; the start of the server has no longer."""
MAX_CHARACTERS = 40_000
"""Of a tool's output; of a longer one Gemini CLI drops the middle (its setting ``truncateToolOutputThreshold``)."""


@pytest.fixture
def gemini(account: Account, emulator: RunningEmulator) -> Iterator[GeminiCli]:
    """Gemini CLI without any server."""
    with StandIn.running(GeminiApi()) as model:
        yield GeminiCli(account, emulator, model)


async def test_gemini_registers_the_server_with_its_own_command_and_reaches_it(gemini: GeminiCli) -> None:
    await gemini.add()
    assert gemini.servers() == snapshot(
        {
            "databricks": {
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
    assert await gemini.run("mcp", "list") == snapshot(
        Ran(
            out="",
            err="""\
Configured MCP servers:

✓ databricks: PYTHON -m databricks_responses_mcp (stdio) - Connected
""",
            code=0,
        )
    )


async def test_gemini_uses_the_server_that_install_registered_with_a_profile(
    gemini: GeminiCli, account: Account
) -> None:
    host, token, pictures = (account.server_env[name] for name in WORKSPACE)
    account.write(".databrickscfg", f"[DEFAULT]\nhost = {host}\ntoken = {token}\n")
    await gemini.install("--model", "databricks-gpt-5", "--env", f"RESPONSES_MCP_IMAGE_DIR={pictures}")
    assert gemini.servers() == snapshot(
        {
            "databricks": {
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
    told = await gemini.converse(
        ToolCall(ASK, {"prompt": "[[say It is here.]]"}), ToolCall(DRAW, {"prompt": "a red fox"})
    )
    assert gemini.seen(told) == snapshot(
        [
            [
                {
                    "functionResponse": {
                        "name": "mcp_databricks_ask_databricks_model",
                        "response": {
                            "output": """\
<untrusted_context>
It is here.
</untrusted_context>\
"""
                        },
                        "id": "call_0",
                    }
                }
            ],
            [
                {
                    "functionResponse": {
                        "name": "mcp_databricks_generate_image",
                        "response": {
                            "output": """\
<untrusted_context>
Picture (1024x1024 image/png, 190162 bytes) saved to HOME/pictures/a-red-fox-b6edc2b2c6.png
Revised prompt: Drawn by rule, no model asked: a red fox

No model was asked: this is the embedded workspace's rule engine.
You sent 9 characters in 3 words, beginning: “a red fox”
[tool] image_generation drew a picture of 1024x1024 pixels.
</untrusted_context>
[Tool 'generate_image' provided the following image data with mime-type: image/png]
Resource Link: a-red-fox-b6edc2b2c6.png at image://a-red-fox-b6edc2b2c6.png\
"""
                        },
                        "id": "call_1",
                    }
                },
                {"inlineData": {"data": "PNG of 1024x1024 pixels, as saved", "mimeType": "image/png"}},
            ],
        ]
    )
    await gemini.install("--uninstall")
    assert await gemini.run("mcp", "list") == snapshot(Ran(out="", err="No MCP servers configured.\n", code=0))


async def test_gemini_hands_the_server_the_token_of_its_own_environment(gemini: GeminiCli, account: Account) -> None:
    account.environ |= {name: account.server_env[name] for name in WORKSPACE[:2]}
    await gemini.install("--model", "databricks-gpt-5")
    assert gemini.servers() == snapshot(
        {
            "databricks": {
                "command": "PROGRAM",
                "args": [],
                "env": {
                    "DATABRICKS_HOST": "WORKSPACE",
                    "RESPONSES_MCP_MODEL": "databricks-gpt-5",
                    "DATABRICKS_TOKEN": "$DATABRICKS_TOKEN",
                },
            }
        }
    )
    told = await gemini.converse(ToolCall(ASK, {"prompt": "[[say It is here.]]"}))
    assert gemini.seen(told) == snapshot(
        [
            [
                {
                    "functionResponse": {
                        "name": "mcp_databricks_ask_databricks_model",
                        "response": {
                            "output": """\
<untrusted_context>
It is here.
</untrusted_context>\
"""
                        },
                        "id": "call_0",
                    }
                }
            ]
        ]
    )


async def test_gemini_tells_its_model_the_instructions_and_every_tool_with_all_its_parameters(
    gemini: GeminiCli,
) -> None:
    await gemini.add()
    await gemini.converse(ToolCall(ASK, {"prompt": "Hello."}))
    request = gemini.model.requests[0]
    assert INSTRUCTIONS in request["contents"][0]["parts"][0]["text"]
    declared = {
        declaration["name"].removeprefix(PREFIX): declaration
        for declaration in declarations(request)
        if declaration["name"].startswith(PREFIX)
    }
    # Gemini CLI adds a parameter of its own to every tool, and takes it away again.
    assert {name: set(one["parametersJsonSchema"]["properties"]) for name, one in declared.items()} == {
        tool.name: {*tool.input_schema["properties"], "wait_for_previous"} for tool in published_tools()
    }
    assert {name: one["description"] for name, one in declared.items()} == {
        tool.name: tool.description for tool in published_tools()
    }
    assert {name: one["parametersJsonSchema"].get("required", []) for name, one in declared.items()} == {
        tool.name: tool.input_schema.get("required", []) for tool in published_tools()
    }
    problems = [problem for one in declared.values() for problem in _problems(one["parametersJsonSchema"], one["name"])]
    assert problems == []


async def test_gemini_hands_its_model_answers_pictures_and_failures(gemini: GeminiCli) -> None:
    await gemini.add()
    told = await gemini.converse(
        ToolCall(ASK, {"prompt": "[[say A mixture of experts is a model of many parts.]]"}),
        ToolCall(DRAW, {"prompt": "a red fox"}),
        ToolCall(ASK, {"prompt": "Hello.", "model": "no-such-model"}),
    )
    assert gemini.seen(told) == snapshot(
        [
            [
                {
                    "functionResponse": {
                        "name": "mcp_databricks_ask_databricks_model",
                        "response": {
                            "output": """\
<untrusted_context>
A mixture of experts is a model of many parts.
</untrusted_context>\
"""
                        },
                        "id": "call_0",
                    }
                }
            ],
            [
                {
                    "functionResponse": {
                        "name": "mcp_databricks_generate_image",
                        "response": {
                            "output": """\
<untrusted_context>
Picture (1024x1024 image/png, 190162 bytes) saved to HOME/pictures/a-red-fox-b6edc2b2c6.png
Revised prompt: Drawn by rule, no model asked: a red fox

No model was asked: this is the embedded workspace's rule engine.
You sent 9 characters in 3 words, beginning: “a red fox”
[tool] image_generation drew a picture of 1024x1024 pixels.
</untrusted_context>
[Tool 'generate_image' provided the following image data with mime-type: image/png]
Resource Link: a-red-fox-b6edc2b2c6.png at image://a-red-fox-b6edc2b2c6.png\
"""
                        },
                        "id": "call_1",
                    }
                },
                {"inlineData": {"data": "PNG of 1024x1024 pixels, as saved", "mimeType": "image/png"}},
            ],
            [
                {
                    "functionResponse": {
                        "name": "mcp_databricks_ask_databricks_model",
                        "response": {
                            "error": """\
MCP tool 'ask_databricks_model' reported tool error for function call:
{"name":"ask_databricks_model","args":{"prompt":"Hello.","model":"no-such-model"}} with response: [{"functionR
esponse":{"name":"ask_databricks_model","response":{"content":[{"type":"text","text":"model_not_found: The
workspace has no serving endpoint no-such-model (HTTP 404): The endpoint 'no-such-model' does not exist, or
you have no permission to see it. Call list_databricks_models to see the models of this workspace and how each
is reached. Request id:
REQUEST."}],"structuredContent":{"status":"failed","error":{"code":"model_not_found","message":"The workspace
has no serving endpoint no-such-model (HTTP 404): The endpoint 'no-such-model' does not exist, or you have no
permission to see it.","retryable":false,"hint":"Call list_databricks_models to see the models of this
workspace and how each is reached.","status":404,"request_id":"REQUEST"}},"isError":true}}}]\
"""
                        },
                        "id": "call_2",
                    }
                }
            ],
        ]
    )


async def test_gemini_hands_its_model_whole_what_was_cut_to_its_characters(gemini: GeminiCli) -> None:
    await gemini.add()
    [[part]] = await gemini.converse(ToolCall(ASK, {"prompt": "[[words 50000]]", "max_output_tokens": 1_000_000}))
    output = part["functionResponse"]["response"]["output"]
    assert len(output) <= MAX_CHARACTERS
    assert output.startswith("<untrusted_context>\nword1 word2 ")
    rest = (
        r"\[The text is 488893 characters; the first (\d+) are here\. The whole text is the resource answer://1; "
        r"answer://1/\1 continues from here\.\]"
    )
    assert re.search(rf"{rest}\n</untrusted_context>$", output)


async def test_gemini_makes_a_command_of_each_prompt(gemini: GeminiCli) -> None:
    await gemini.add()
    await gemini.converse(
        ToolCall(ASK, {"prompt": "Hello."}), prompt='/second_opinion --question="Is it safe, really?"'
    )
    [message] = get_prompt("second_opinion", {"question": "Is it safe, really?"}).messages
    assert isinstance(message.content, TextContent)
    # It writes the prompt as a JSON string.
    assert json.loads(gemini.model.requests[0]["contents"][0]["parts"][-1]["text"]) == message.content.text


async def test_gemini_cancels_the_request_to_the_workspace_when_it_gives_a_call_up(
    gemini: GeminiCli, emulator: RunningEmulator
) -> None:
    await gemini.add("--timeout", str(LIMIT_MS))
    told: list[Any] = []

    async def converse() -> None:
        told.extend(await gemini.converse(ToolCall(ASK, {"prompt": "One."}), ToolCall(ASK, {"prompt": "[[say two]]"})))

    with anyio.fail_after(DEADLINE_SECONDS), emulator.state.hold(after_events=3) as hold:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(converse)
            first = await emulator.state.request_log.wait_for(1)
            await emulator.state.request_log.wait_for(2)
            # The second call is running, on the same server: it was not its end that cut the first.
            await first.disconnected.wait()
            hold.release()
    assert gemini.seen(told) == snapshot(
        [
            [
                {
                    "functionResponse": {
                        "name": "mcp_databricks_ask_databricks_model",
                        "response": {
                            "error": """\
MCP tool 'ask_databricks_model' reported tool error for function call:
{"name":"ask_databricks_model","args":{"prompt":"One."}} with response:
[{"functionResponse":{"name":"ask_databricks_model","response":{"error":{"message":"MCP error -32001: Request
timed out","isError":true}}}}]\
"""
                        },
                        "id": "call_0",
                    }
                }
            ],
            [
                {
                    "functionResponse": {
                        "name": "mcp_databricks_ask_databricks_model",
                        "response": {
                            "output": """\
<untrusted_context>
two
</untrusted_context>\
"""
                        },
                        "id": "call_1",
                    }
                }
            ],
        ]
    )


def _problems(schema: dict[str, Any], where: str) -> list[str]:
    """What the Gemini API's function declarations do not take, or take and do not understand."""
    problems = [f"{where}: {word}" for word in ("anyOf", "oneOf", "allOf", "not", "$ref", "$defs") if word in schema]
    if not isinstance(kind := schema.get("type"), str):
        problems.append(f"{where}: type {kind}")
    if kind == "array":
        problems += _problems(schema.get("items", {}), f"{where}[]")
    for name, inner in schema.get("properties", {}).items():
        problems += _problems(inner, f"{where}.{name}")
    missing = set(schema.get("required", [])) - set(schema.get("properties", {}))
    return [*problems, *(f"{where}: requires {name}, which it does not describe" for name in sorted(missing))]
