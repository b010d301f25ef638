"""Agent frameworks with the bridge's tools: they list them, ask, draw, and go on with what they were given.

Their model is played on loopback, so that what they hand to it can be looked at.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from databricks_responses_mcp.tools.definitions import NAMES
from harness.account import Account
from harness.chat_completions_api import ChatCompletionsApi, tool_results
from harness.deadlines import LONG_DEADLINE_SECONDS
from harness.model_api import LAST_WORDS, StandIn, ToolCall
from harness.pip_environments import pip_environment
from harness.stdio_process import ASK, COMMAND

pytestmark = [pytest.mark.anyio, pytest.mark.hosts]

HARNESS = Path(__file__).parents[1] / "harness"
LANGCHAIN = ("langchain-mcp-adapters==0.3.2", "langchain", "langgraph==1.2.24", "langchain-openai==1.7.4")
PYDANTIC_AI = ("pydantic-ai-slim[openai,mcp]==2.68.0",)
SEMANTIC_KERNEL = ("semantic-kernel[mcp]==1.45.0",)


@pytest.fixture
def model() -> Iterator[StandIn]:
    """The model of the framework."""
    with StandIn.running(ChatCompletionsApi()) as running:
        yield running


async def ran(
    requirements: tuple[str, ...], program: str, account: Account, model: StandIn, *, other: str = ""
) -> dict[str, Any]:
    """Return what a program of the harness saw that asks, draws and goes on.

    Args:
        other: its server is a small one, whose pictures come with a ``link`` or with ``text``; empty for the bridge.
    """
    python = await anyio.to_thread.run_sync(lambda: pip_environment(*requirements) / "python")
    server = {"command": COMMAND[0], "args": COMMAND[1:], "env": dict(account.server_env)}
    if other:
        server = {"command": str(python), "args": [str(HARNESS / "old_link_server.py"), other], "env": {}}
    given = {"server": server, "model_url": model.url, "prompt": "Ask what two and two is, then draw a fox."}
    with anyio.fail_after(LONG_DEADLINE_SECONDS):
        done = await anyio.run_process(
            [str(python), str(HARNESS / program), json.dumps(given)], env=account.environ, check=False
        )
    assert done.returncode == 0, done.stderr.decode()[-4000:]
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def calls(prefix: str = "") -> tuple[ToolCall, ...]:
    drawing = {"prompt": "a red fox", "size": "256x256"}
    return ToolCall(f"{prefix}{ASK}", {"prompt": "[[say Four.]]"}), ToolCall(f"{prefix}generate_image", drawing)


async def test_langchain_s_agent_draws_and_its_model_gets_the_picture_and_no_address_of_ours(
    account: Account, model: StandIn
) -> None:
    model.will_call(*calls())
    seen = await ran(LANGCHAIN, "langchain_program.py", account, model)
    assert seen["tools"] == list(NAMES)
    assert seen["answer"] == LAST_WORDS
    assert seen["resource"][0] == "image/png"
    asked, drawn = tool_results(model.requests[-1])
    assert [part["text"] for part in asked["content"]] == ["Four."]
    assert [part["type"] for part in drawn["content"]] == ["text", "image_url", "text"]
    assert drawn["content"][1]["image_url"]["url"].startswith("data:image/")
    assert drawn["content"][2]["text"].startswith("MCP resource image://a-red-fox-")


async def test_langchain_hands_a_link_to_a_picture_to_the_model_as_an_address_that_nobody_can_load(
    account: Account, model: StandIn
) -> None:
    model.will_call(*calls())
    await ran(LANGCHAIN, "langchain_program.py", account, model, other="link")
    _, drawn = tool_results(model.requests[-1])
    # Why the bridge gives clients that are no known host the link as text.
    assert [part.get("image_url", {}).get("url", "")[:8] for part in drawn["content"]] == ["", "data:ima", "image://"]


async def test_semantic_kernel_s_agent_draws_and_goes_on(account: Account, model: StandIn) -> None:
    model.will_call(*calls("bridge-"))
    seen = await ran(SEMANTIC_KERNEL, "semantic_kernel_program.py", account, model)
    assert set(NAMES) <= set(seen["tools"])
    assert seen["answer"] == LAST_WORDS
    asked, drawn = tool_results(model.requests[-1])
    assert "Four." in asked["content"]
    assert seen["resource"][0] == "image/png"
    assert "error occurred" not in drawn["content"]
    assert "MCP resource image://a-red-fox-" in drawn["content"]


@pytest.mark.parametrize(
    ("other", "told"),
    [("link", "An error occurred while invoking the function"), ("text", "Saved.")],
)
async def test_semantic_kernel_fails_a_call_whose_result_has_a_link_to_a_picture(
    account: Account, model: StandIn, other: str, told: str
) -> None:
    model.will_call(*calls("bridge-"))
    seen = await ran(SEMANTIC_KERNEL, "semantic_kernel_program.py", account, model, other=other)
    assert seen["answer"] == LAST_WORDS
    _, drawn = tool_results(model.requests[-1])
    # Why the bridge gives clients that are no known host the link as text.
    assert told in drawn["content"]


async def test_pydantic_ai_s_agent_draws_and_its_model_gets_the_picture(account: Account, model: StandIn) -> None:
    model.will_call(*calls())
    seen = await ran(PYDANTIC_AI, "pydantic_ai_program.py", account, model)
    assert seen["tools"] == list(NAMES)
    assert seen["answer"] == LAST_WORDS
    assert seen["resource"][0] == "image/png"
    asked, drawn, *after = tool_results(model.requests[-1])
    assert json.loads(asked["content"])["text"] == "Four."
    assert "MCP resource image://a-red-fox-" in drawn["content"]
    shown = [part["image_url"]["url"] for message in after for part in message["content"] if "image_url" in part]
    assert [url.partition(";")[0] for url in shown] == ["data:image/png"]
