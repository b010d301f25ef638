"""Codex, from npm: `codex exec` with a model on loopback, and its app server, which calls tools without any model."""

import json
import re
from collections.abc import Iterator

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.hosts.server_info import SERVER
from databricks_responses_mcp.server import INSTRUCTIONS
from databricks_responses_mcp.tools.definitions import published_tools
from databricks_workspace_emulator.server import RunningEmulator
from harness.account import Account
from harness.codex import APPROVED, NAMESPACE, REQUIRED, WALL_TIME, Codex
from harness.model_api import StandIn, ToolCall
from harness.openai_api import OpenAiApi, declarations, tool_results

pytestmark = [pytest.mark.anyio, pytest.mark.hosts]

ASK = f"{NAMESPACE}/ask_databricks_model"
DRAW = f"{NAMESPACE}/generate_image"
WORKSPACE = ("DATABRICKS_HOST", "DATABRICKS_TOKEN", "RESPONSES_MCP_IMAGE_DIR")
LIST = f"{NAMESPACE}/list_databricks_models"


@pytest.fixture
def codex(account: Account, emulator: RunningEmulator) -> Iterator[Codex]:
    """Codex without any server."""
    with StandIn.running(OpenAiApi()) as model:
        yield Codex(account, emulator, model)


async def test_codex_registers_the_server_with_its_own_command_and_reaches_it(codex: Codex) -> None:
    await codex.add()
    listed = await codex.run("mcp", "list", "--json")
    assert codex.view.seen(json.loads(listed.out)) == snapshot(
        [
            {
                "name": "databricks",
                "enabled": True,
                "disabled_reason": None,
                "transport": {
                    "type": "stdio",
                    "command": "PYTHON",
                    "args": ["-m", "databricks_responses_mcp"],
                    "env": {
                        "RESPONSES_MCP_MODEL": "databricks-gpt-5",
                        "DATABRICKS_HOST": "WORKSPACE",
                        "DATABRICKS_TOKEN": "TOKEN",
                        "HOME": "HOME",
                        "RESPONSES_MCP_IMAGE_DIR": "HOME/pictures",
                    },
                    "env_vars": [],
                    "cwd": None,
                },
                "startup_timeout_sec": None,
                "tool_timeout_sec": None,
                "auth_status": "unsupported",
            }
        ]
    )
    async with codex.app_server() as app:
        status = await app.call("mcpServerStatus/list")
    [server] = status["data"]
    assert (server["name"], server["serverInfo"]["title"]) == (SERVER.key, SERVER.title)
    assert {name: (tool["description"], tool["inputSchema"]) for name, tool in server["tools"].items()} == {
        tool.name: (tool.description, tool.input_schema) for tool in published_tools()
    }


async def test_codex_uses_the_server_that_install_registered_with_a_profile(codex: Codex, account: Account) -> None:
    host, token, pictures = (account.server_env[name] for name in WORKSPACE)
    account.write(".databrickscfg", f"[DEFAULT]\nhost = {host}\ntoken = {token}\n")
    await codex.install("--model", "databricks-gpt-5", "--env", f"RESPONSES_MCP_IMAGE_DIR={pictures}")
    assert codex.servers() == snapshot(
        {
            "databricks": {
                "command": "PROGRAM",
                "args": [],
                "startup_timeout_sec": 60,
                "tool_timeout_sec": 300,
                "env": {
                    "DATABRICKS_CONFIG_PROFILE": "DEFAULT",
                    "RESPONSES_MCP_IMAGE_DIR": "HOME/pictures",
                    "RESPONSES_MCP_MODEL": "databricks-gpt-5",
                },
            }
        }
    )
    codex.set(REQUIRED, APPROVED)
    results, _ = await codex.converse(
        ToolCall(ASK, {"prompt": "[[say It is here.]]"}), ToolCall(DRAW, {"prompt": "a red fox", "size": "256x256"})
    )
    answer, drawn = codex.seen(results)
    assert answer["text"] == "It is here."
    assert [picture["path"] for picture in drawn["images"]] == snapshot(["HOME/pictures/a-red-fox-0b43a9983f.png"])
    await codex.install("--uninstall")
    assert codex.servers() == {}


async def test_codex_hands_the_server_the_token_of_its_own_environment(codex: Codex, account: Account) -> None:
    account.environ |= {name: account.server_env[name] for name in WORKSPACE[:2]}
    await codex.install("--model", "databricks-gpt-5")
    assert codex.servers() == snapshot(
        {
            "databricks": {
                "command": "PROGRAM",
                "args": [],
                "env_vars": ["DATABRICKS_TOKEN"],
                "startup_timeout_sec": 60,
                "tool_timeout_sec": 300,
                "env": {"DATABRICKS_HOST": "WORKSPACE", "RESPONSES_MCP_MODEL": "databricks-gpt-5"},
            }
        }
    )
    codex.set(REQUIRED, APPROVED)
    [result], _ = await codex.converse(ToolCall(ASK, {"prompt": "[[say It is here.]]"}))
    assert codex.seen([result])[0]["text"] == "It is here."


async def test_codex_tells_its_model_the_instructions_and_every_tool_with_all_its_parameters(codex: Codex) -> None:
    await codex.add()
    await codex.converse(ToolCall(LIST))
    request = codex.model.requests[0]
    [namespace] = [tool for tool in request["tools"] if tool.get("name") == NAMESPACE]
    assert namespace["description"] == INSTRUCTIONS
    declared = {
        name.removeprefix(f"{NAMESPACE}/"): (one["description"], set(one["parameters"]["properties"]))
        for name, one in declarations(request).items()
        if name.startswith(f"{NAMESPACE}/")
    }
    assert declared == {
        tool.name: (tool.description, set(tool.input_schema["properties"])) for tool in published_tools()
    }


async def test_codex_exec_refuses_tools_that_write_or_cost_until_they_are_approved_in_its_settings(
    codex: Codex, emulator: RunningEmulator
) -> None:
    await codex.add()
    results, _ = await codex.converse(ToolCall(ASK, {"prompt": "Hello."}), ToolCall(LIST))
    assert codex.seen(results)[0] == snapshot(["MCP tool call requires approval, but approval policy is never"])
    assert codex.seen(results)[1]["models"]
    assert emulator.state.request_log.to("/responses") == []


async def test_codex_hands_its_model_answers_the_paths_of_pictures_and_failures(codex: Codex) -> None:
    await codex.add(APPROVED)
    results, shown = await codex.converse(
        ToolCall(ASK, {"prompt": "[[say A mixture of experts is a model of many parts.]]"}),
        ToolCall(DRAW, {"prompt": "a red fox", "size": "256x256"}),
        ToolCall(ASK, {"prompt": "Hello.", "model": "no-such-model"}),
    )
    assert codex.seen(results) == snapshot(
        [
            {
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
            {
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
            {
                "status": "failed",
                "error": {
                    "code": "model_not_found",
                    "message": """\
The workspace has no serving endpoint no-such-model (HTTP 404): The endpoint 'no-such-model' does not exist,
or you have no permission to see it.\
""",
                    "retryable": False,
                    "hint": "Call list_databricks_models to see the models of this workspace and how each is reached.",
                    "status": 404,
                    "request_id": "REQUEST",
                },
            },
        ]
    )
    assert [line for line in shown.splitlines() if line.startswith("mcp: ")] == snapshot(
        [
            "mcp: databricks/ask_databricks_model started",
            "mcp: databricks/ask_databricks_model (completed)",
            "mcp: databricks/generate_image started",
            "mcp: databricks/generate_image (completed)",
            "mcp: databricks/ask_databricks_model started",
            "mcp: databricks/ask_databricks_model (failed)",
        ]
    )


async def test_codex_hands_its_model_the_whole_of_what_was_cut_to_fit(codex: Codex) -> None:
    await codex.add(APPROVED)
    results, _ = await codex.converse(
        ToolCall(ASK, {"prompt": "[[words 50000]]", "max_output_tokens": 1_000_000}),
        ToolCall("read_mcp_resource", {"server": SERVER.key, "uri": "answer://1/9000"}),
    )
    answer, rest = (result["output"] for result in results)
    assert "truncated" not in answer + rest
    assert 8_000 < len(answer) < 12_000
    facts = json.loads(WALL_TIME.sub("", answer))
    assert facts["text"].startswith("word1 word2 ")
    assert "The whole text is the resource answer://1;" in facts["notes"][0]
    [page] = json.loads(rest)["contents"]
    assert re.fullmatch(r"word1124 word1125 .+ \s*\[\d+ more: answer://1/\d+\]", page["text"], re.DOTALL), page


async def test_without_a_person_codex_declines_an_approval_and_the_model_is_told(codex: Codex) -> None:
    await codex.add(APPROVED)
    results, _ = await codex.converse(ToolCall(ASK, {"prompt": "Search for the outage.", "mcp_servers": ["genie"]}))
    facts = codex.seen(results)[0]
    assert (facts["status"], facts["text"], facts["notes"], facts.get("pending_calls")) == snapshot(
        (
            "completed",
            """\
No model was asked: this is the embedded workspace's rule engine.
You sent 22 characters in 4 words, beginning: “Search for the outage.”
[tool] The user did not approve search of genie.\
""",
            ["The user declined search of genie, or nobody could be asked and the host did."],
            None,
        )
    )


async def test_the_app_server_calls_the_tools_and_asks_the_user_for_an_approval(codex: Codex) -> None:
    await codex.add()
    async with codex.app_server() as app:
        answer = await app.tool("ask_databricks_model", prompt="[[say Hello.]]")
        drawn = await app.tool("generate_image", prompt="a red fox", size="256x256")
        failed = await app.tool("ask_databricks_model", prompt="Hello.", model="no-such-model")
        app.answers.append({"action": "accept", "content": {}})
        searched = await app.tool("ask_databricks_model", prompt="Search for the outage.", mcp_servers=["genie"])
    assert answer["content"] == [{"type": "text", "text": "Hello."}]
    text, picture, link = drawn["content"]
    assert codex.view.seen(text["text"]) == snapshot("""\
Picture (256x256 image/png, 46315 bytes) saved to HOME/pictures/a-red-fox-0b43a9983f.png
Revised prompt: Drawn by rule, no model asked: a red fox

No model was asked: this is the embedded workspace's rule engine.
You sent 9 characters in 3 words, beginning: “a red fox”
[tool] image_generation drew a picture of 256x256 pixels.\
""")
    assert codex.view.picture(picture["data"]) == snapshot("PNG of 256x256 pixels, as saved")
    assert link == snapshot(
        {
            "type": "resource_link",
            "uri": "image://a-red-fox-0b43a9983f.png",
            "name": "a-red-fox-0b43a9983f.png",
            "description": "The whole image from the model.",
            "mimeType": "image/png",
            "size": 46315,
        }
    )
    assert (failed["isError"], codex.view.seen(failed["structuredContent"])) == snapshot(
        (
            True,
            {
                "status": "failed",
                "error": {
                    "code": "model_not_found",
                    "message": """\
The workspace has no serving endpoint no-such-model (HTTP 404): The endpoint 'no-such-model' does not exist,
or you have no permission to see it.\
""",
                    "retryable": False,
                    "hint": "Call list_databricks_models to see the models of this workspace and how each is reached.",
                    "status": 404,
                    "request_id": "REQUEST",
                },
            },
        )
    )
    assert app.asked == snapshot(
        [
            """\
databricks-gpt-5 wants to call the tool search of the MCP server genie with:
{"query": "Search for the outage."}
Accept to let it make this call.\
"""
        ]
    )
    assert searched["structuredContent"]["notes"] == snapshot(["The user approved search of genie."])


async def test_an_interruption_in_codex_cancels_the_request_to_the_workspace_and_the_server_goes_on(
    codex: Codex, emulator: RunningEmulator
) -> None:
    await codex.add(APPROVED)
    codex.model.will_call(ToolCall(ASK, {"prompt": "Hi"}), ToolCall(ASK, {"prompt": "[[say still here]]"}))
    async with codex.app_server() as app:
        with emulator.state.hold(after_events=3) as hold:
            turn = await app.start_turn("Ask.")
            await hold.reached.wait()
            await app.call("turn/interrupt", threadId=app.thread, turnId=turn)
            await (await emulator.state.request_log.wait_for(1)).disconnected.wait()
        again = await app.start_turn("Ask again.")
        assert await app.end_of_turn(again) == "completed"
    stopped, answer = codex.seen(tool_results(codex.model.requests[-1]))
    assert re.fullmatch(r"aborted by user after [\d.]+s", stopped)
    assert answer["text"] == "still here"


async def test_codex_cancels_the_request_to_the_workspace_when_its_time_for_a_call_is_over(
    codex: Codex, emulator: RunningEmulator
) -> None:
    await codex.add(APPROVED, "tool_timeout_sec = 2")
    with emulator.state.hold(after_events=3):
        [result], _ = await codex.converse(ToolCall(ASK, {"prompt": "Hi"}))
        await (await emulator.state.request_log.wait_for(1)).disconnected.wait()
    assert codex.seen([result]) == snapshot(
        [
            [
                """\
tool call error: tool call failed for `databricks/ask_databricks_model`

Caused by:
    timed out awaiting tools/call after 2s\
"""
            ]
        ]
    )
