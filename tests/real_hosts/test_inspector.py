"""The MCP Inspector's command line on the bridge's process, in both protocol eras."""

import base64
import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from databricks_responses_mcp.prompts.catalogue import PROMPTS
from databricks_responses_mcp.server import INSTRUCTIONS
from databricks_responses_mcp.tools.definitions import NAMES, read_definition
from harness.account import Account
from harness.npm import npm_path
from harness.stdio_process import ASK, COMMAND
from harness.terminal import Ran

pytestmark = [pytest.mark.anyio, pytest.mark.hosts]

INSPECTOR = "@modelcontextprotocol/inspector@2.12.0"
NO_FINDINGS = ""
TOOL_FAILED = 5


@dataclass
class Inspector:
    """The Inspector with this test's bridge, in one era."""

    account: Account
    era: str
    path: str

    async def run(self, method: str, *arguments: str, **server_env: str) -> Ran:
        """One request: the Inspector starts the bridge, asks it and ends it."""
        env = {**self.account.server_env, **server_env}
        given = [word for name, value in env.items() for word in ("-e", f"{name}={value}")]
        era = "legacy" if self.era == "legacy" else "modern"
        command = ["mcp-inspector", "--cli", "--format", "json", "--protocol-era", era, *given, *COMMAND]
        return await self.account.run(*command, "--method", method, *arguments, PATH=self.path)

    async def result(self, method: str, *arguments: str) -> dict[str, Any]:
        """The result of a request that succeeds."""
        ran = await self.run(method, *arguments)
        assert (ran.code, ran.err) == (0, NO_FINDINGS)
        result: dict[str, Any] = json.loads(ran.out)["result"]
        return result

    async def call(self, tool: str, **arguments: str) -> dict[str, Any]:
        """The result of a tool call that succeeds."""
        return await self.result("tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments))


@pytest.fixture
def inspector(account: Account, era: str) -> Inspector:
    """The Inspector in an account of its own, in either era."""
    return Inspector(account, era, npm_path(INSPECTOR))


async def test_it_speaks_the_era_that_it_was_told_to_speak(inspector: Inspector) -> None:
    said = await inspector.result("initialize")
    version = "2025-11-25" if inspector.era == "legacy" else "2026-07-28"
    assert (said["protocolVersion"], said["instructions"]) == (version, INSTRUCTIONS)


async def test_every_schema_is_portable_and_every_definition_arrives_as_published(inspector: Inspector) -> None:
    listed = await inspector.result("tools/list", "--strict")
    assert listed["tools"] == [read_definition(name) for name in NAMES]


async def test_an_answer_comes_as_text_and_as_data(inspector: Inspector) -> None:
    result = await inspector.call(ASK, prompt="[[say Grüße]]")
    facts = result["structuredContent"]
    assert (result["content"], result["isError"]) == ([{"type": "text", "text": "Grüße"}], False)
    assert facts["conversation_id"].startswith("conv_")
    assert (facts["text"], facts["status"], facts["endpoint"]) == ("Grüße", "completed", "databricks-gpt-5")


async def test_a_picture_comes_inline_as_a_file_and_as_a_resource(inspector: Inspector) -> None:
    result = await inspector.call("generate_image", prompt="a fox")
    text, inline, link = result["content"]
    [facts] = result["structuredContent"]["images"]
    file = Path(facts["path"])
    assert text["text"].startswith(f"Picture (1024x1024 image/png, {facts['bytes']} bytes) saved to {file}\n")
    assert hashlib.sha256(file.read_bytes()).hexdigest() == facts["sha256"]
    with Image.open(io.BytesIO(base64.b64decode(inline["data"]))) as picture:
        assert picture.get_format_mimetype() == inline["mimeType"]
    assert link["type"] == "text"
    uri = f"image://{file.name}"
    assert link["text"].startswith(f"MCP resource {uri} (image/png, {facts['bytes']} bytes)")

    templates = await inspector.result("resources/templates/list")
    assert [template["uriTemplate"] for template in templates["resourceTemplates"]] == [
        "image://{name}",
        "answer://{number}",
        "answer://{number}/{start}",
        "model://{name}",
        "conversation://{id}",
    ]
    read = await inspector.result("resources/read", "--uri", uri)
    blob = base64.b64encode(file.read_bytes()).decode()
    assert read["contents"] == [{"uri": uri, "mimeType": "image/png", "blob": blob}]


@pytest.mark.parametrize(
    ("arguments", "server_env", "code"),
    [
        ({"prompt": ""}, {}, "invalid_argument"),
        ({"prompt": "hello"}, {"DATABRICKS_TOKEN": "wrong"}, "unauthenticated"),
    ],
    ids=["bad argument", "wrong token"],
)
async def test_a_failed_call_says_why_and_ends_with_the_code_for_it(
    inspector: Inspector, arguments: dict[str, str], server_env: dict[str, str], code: str
) -> None:
    ran = await inspector.run("tools/call", "--tool-name", ASK, "--tool-args-json", json.dumps(arguments), **server_env)
    assert ran.code == TOOL_FAILED
    assert json.loads(ran.err)["error"]["code"] == "tool_is_error"
    result = json.loads(ran.out)["result"]
    error = result["structuredContent"]["error"]
    assert (result["isError"], error["code"]) == (True, code)
    request = f" Request id: {error['request_id']}." if "request_id" in error else ""
    assert result["content"] == [{"type": "text", "text": f"{code}: {error['message']} {error['hint']}{request}"}]


async def test_a_picture_that_is_not_there_is_an_error(inspector: Inspector) -> None:
    ran = await inspector.run("resources/read", "--uri", "image://nothing.png")
    assert (ran.code, ran.out) == (1, "")
    assert "nothing.png" in json.loads(ran.err)["error"]["message"]


async def test_every_prompt_is_listed_and_is_written_for_what_was_given(inspector: Inspector) -> None:
    listed = await inspector.result("prompts/list")
    assert [prompt["name"] for prompt in listed["prompts"]] == list(PROMPTS)
    given = ["--prompt-name", "second_opinion", "--prompt-args", "question=Is a heron a bird?"]
    written = await inspector.result("prompts/get", *given)
    [message] = written["messages"]
    assert message["role"] == "user"
    assert "\n> Is a heron a bird?\n" in message["content"]["text"]
    assert f"`{ASK}`" in message["content"]["text"]


async def test_a_prompt_that_is_not_there_is_an_error_that_names_those_that_are(inspector: Inspector) -> None:
    ran = await inspector.run("prompts/get", "--prompt-name", "nothing")
    assert (ran.code, ran.out) == (1, "")
    message = json.loads(ran.err)["error"]["message"]
    assert all(name in message for name in ("nothing", *PROMPTS))


async def test_calls_at_once_over_one_pipe_all_succeed(inspector: Inspector) -> None:
    load = ["--load", "--load-requests", "8", "--load-concurrency", "4"]
    arguments = ["--tool-name", ASK, "--tool-args-json", json.dumps({"prompt": "[[say hi]]"})]
    summary = await inspector.result("tools/call", *arguments, *load)
    assert (summary["requests"], summary["ok"], summary["errorMessages"]) == (8, 8, [])
