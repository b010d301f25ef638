"""Prompts in real hosts: the arguments that reach the prompt, and the message that the host's model sees."""

from pathlib import Path
from typing import Any

import pytest

from databricks_workspace_emulator.server import RunningEmulator
from harness.account import Account
from harness.anthropic_api import AnthropicApi
from harness.chat_completions_api import ChatCompletionsApi
from harness.claude_code import ClaudeCode
from harness.model_api import StandIn, ToolCall
from harness.opencode import Opencode
from harness.stdio_process import environment

pytestmark = [pytest.mark.anyio, pytest.mark.hosts]


@pytest.fixture
def account(emulator: RunningEmulator, tmp_path: Path) -> Account:
    """Create an empty account in which the bridge uses this test's workspace."""
    server_env = environment(emulator, tmp_path / "home")
    return Account(home=tmp_path / "home", server_env={k: v for k, v in server_env.items() if k != "PATH"})


async def shown_by_claude_code(account: Account, emulator: RunningEmulator, command: str) -> str:
    """Return the text that Claude Code sends to its model for a command."""
    with StandIn.running(AnthropicApi()) as model:
        claude = ClaudeCode(account, emulator, model)
        await claude.add()
        model.will_call(ToolCall("mcp__databricks__ask_databricks_model", {"prompt": "[[say Yes.]]"}))
        ran = await claude.run("-p", command, "--allowedTools", "mcp__databricks__*")
        assert ran.code == 0, ran
        return words(model.requests[0]["messages"])


async def test_claude_code_truncates_a_sentence_but_its_model_sees_it_completely(
    account: Account, emulator: RunningEmulator
) -> None:
    command = "/mcp__databricks__second_opinion Is this lock really needed?"
    shown = await shown_by_claude_code(account, emulator, command)
    assert "<command-args>Is this lock really needed?</command-args>" in shown
    assert "> Is this\n\n1. " in shown
    assert "use that: some hosts pass only its first words" in shown
    assert "Call the tool `ask_databricks_model`" in shown


async def test_claude_code_assigns_each_word_to_an_argument(account: Account, emulator: RunningEmulator) -> None:
    command = "/mcp__databricks__review_diff main security databricks-gpt-5-5-pro"
    shown = await shown_by_claude_code(account, emulator, command)
    assert "> main\n" in shown
    assert 'concentrate on "security"' in shown
    assert '- `model`: "databricks-gpt-5-5-pro"' in shown


async def test_opencode_replaces_placeholders_afterwards(account: Account, emulator: RunningEmulator) -> None:
    with StandIn.running(ChatCompletionsApi()) as model:
        opencode = Opencode(account, emulator, model)
        await opencode.add()
        model.will_call(ToolCall("databricks_ask_databricks_model", {"prompt": "[[say Yes.]]"}))
        ran = await opencode.run("run", "--auto", "--command", "databricks:review_diff", "main", "security")
        assert ran.code == 0, ran
        shown = words(model.requests[0]["messages"])
    assert "> main\n" in shown
    assert "If the quote above is empty: The changes are the uncommitted ones" in shown
    assert 'concentrate on "security"' in shown
    assert '- `model`: ""\n' in shown
    assert "An empty value was not given: leave that argument out." in shown


def words(content: Any) -> str:
    """Return all text of messages at any depth."""
    if isinstance(content, list):
        return "\n".join(map(words, content))
    if isinstance(content, dict):
        return words(content.get("text") or content.get("content") or "")
    return str(content)
