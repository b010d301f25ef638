"""The MCP server as clients and agents use it that nobody here wrote: they list, ask, draw, read, and go on."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.tools.definitions import NAMES
from databricks_workspace_emulator.server import RunningEmulator
from harness.chat_completions_api import ChatCompletionsApi, tool_results
from harness.foreign_client import installed, run_node_client, run_python_client
from harness.gemini_api import GeminiApi
from harness.gemini_api import tool_results as gemini_results
from harness.model_api import LAST_WORDS, StandIn, ToolCall
from harness.openai_api import OpenAiApi
from harness.openai_api import tool_results as responses_results
from harness.pip_environments import uv_environment
from harness.stdio_process import ASK, COMMAND, environment

pytestmark = pytest.mark.anyio

PROGRAMS = Path(__file__).parent / "programs"
TYPESCRIPT = ("@modelcontextprotocol/client@2.4.0", "@modelcontextprotocol/sdk@1.32.2")
FASTMCP = ("fastmcp==4.2.3",)
OPENAI_AGENTS = ("openai-agents==0.24.0", "pydantic-ai-slim[openai]==2.68.0", "litellm==1.110.2")
MCP_USE = ("mcp-use==1.7.1", "langchain-openai==1.7.4")
GOOGLE_ADK = ("google-adk[mcp]==2.13.0",)
CALLS = (
    ToolCall(ASK, {"prompt": "[[say Four.]]"}),
    ToolCall("generate_image", {"prompt": "a red fox", "size": "256x256"}),
)


@pytest.fixture
def server(emulator: RunningEmulator, tmp_path: Path) -> str:
    """How the server is started, as JSON."""
    env = environment(emulator, tmp_path / "home")
    return json.dumps({"command": COMMAND[0], "args": COMMAND[1:], "env": env})


@pytest.fixture
def chat_model() -> Iterator[StandIn]:
    with StandIn.running(ChatCompletionsApi()) as running:
        running.will_call(*CALLS)
        yield running


async def python(requirements: tuple[str, ...], program: str, cwd: Path, **env: str) -> Any:
    """Run a program in an environment with these packages."""
    commands = installed(uv_environment, *requirements)
    return await run_python_client(PROGRAMS / program, commands, env=env, cwd=cwd)


@pytest.mark.parametrize("program", ["mcp_client.mjs", "mcp_sdk.mjs"])
async def test_the_typescript_sdks_ask_draw_and_read(program: str, server: str, tmp_path: Path) -> None:
    seen = await run_node_client(PROGRAMS / program, TYPESCRIPT, env={"SERVER": server}, home=tmp_path)
    assert seen.pop("tools") == list(NAMES)
    assert seen == snapshot(
        {"ask": "Hello", "progress": True, "blocks": ["text", "image", "text"], "resource": "image/png"}
    )


async def test_fastmcp_asks_draws_and_reads(server: str, tmp_path: Path) -> None:
    seen = await python(FASTMCP, "fastmcp_client.py", tmp_path, SERVER=server)
    assert seen.pop("tools") == list(NAMES)
    assert seen == snapshot(
        {"ask": "Hello", "progress": True, "blocks": ["text", "image", "text"], "resource": "image/png"}
    )


async def test_openais_agent_draws_and_its_model_gets_the_picture(server: str, tmp_path: Path) -> None:
    with StandIn.running(OpenAiApi()) as model:
        model.will_call(*CALLS)
        seen = await python(OPENAI_AGENTS, "openai_agents_mcp.py", tmp_path, SERVER=server, MODEL_URL=model.url)
    assert seen == {"tools": list(NAMES), "answer": LAST_WORDS, "resource": "image/png"}
    asked, drawn = responses_results(model.requests[-1])
    assert asked["output"] == [{"type": "input_text", "text": "Four."}]
    assert [part["type"] for part in drawn["output"]] == ["input_text", "input_image", "input_text"]
    assert drawn["output"][1]["image_url"].startswith("data:image/png;base64,")
    assert drawn["output"][2]["text"].startswith("MCP resource image://a-red-fox-")


async def test_mcp_use_s_agent_draws_and_goes_on(server: str, chat_model: StandIn, tmp_path: Path) -> None:
    seen = await python(MCP_USE, "mcp_use_agent.py", tmp_path, SERVER=server, MODEL_URL=chat_model.url)
    assert seen == {"tools": list(NAMES), "answer": LAST_WORDS, "resource": "image/png"}
    asked, drawn, *_ = tool_results(chat_model.requests[-1])
    assert asked["content"] == "Four."
    assert [part["type"] for part in drawn["content"]] == ["text", "image_url", "text"]
    assert drawn["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")


async def test_google_adk_s_agent_draws_and_goes_on(server: str, tmp_path: Path) -> None:
    with StandIn.running(GeminiApi()) as model:
        model.will_call(*CALLS)
        env = {"GOOGLE_GEMINI_BASE_URL": model.url, "GOOGLE_API_KEY": "x"}
        seen = await python(GOOGLE_ADK, "google_adk_agent.py", tmp_path, SERVER=server, **env)
    assert seen == {"tools": sorted(NAMES), "answer": LAST_WORDS, "resource": "image/png"}
    [asked], [drawn] = gemini_results(model.requests[-1])
    assert asked["functionResponse"]["response"]["structuredContent"]["text"] == "Four."
    # It hands its model the result as JSON, with the picture in it.
    content = drawn["functionResponse"]["response"]["content"]
    assert [part["type"] for part in content] == ["text", "image", "text"]
