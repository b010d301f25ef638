"""What real hosts make of a prompt's command: the arguments that reach the prompt, and what their model is shown."""

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
    """An empty account; the bridge in it is led to this test's workspace."""
    server_env = environment(emulator, tmp_path / "home")
    return Account(home=tmp_path / "home", server_env={k: v for k, v in server_env.items() if k != "PATH"})


async def shown_by_claude_code(account: Account, emulator: RunningEmulator, command: str) -> str:
    """What the model of Claude Code gets to see of a command."""
    with StandIn.running(AnthropicApi()) as model:
        claude = ClaudeCode(account, emulator, model)
        await claude.add()
        model.will_call(ToolCall("mcp__databricks__ask_databricks_model", {"prompt": "[[say Yes.]]"}))
        ran = await claude.run("-p", command, "--allowedTools", "mcp__databricks__*")
        assert ran.code == 0, ran
        return words(model.requests[0]["messages"])


async def test_claude_code_cuts_a_sentence_and_its_model_can_still_read_it_whole(
    account: Account, emulator: RunningEmulator
) -> None:
    command = "/mcp__databricks__second_opinion Is this lock really needed?"
    shown = await shown_by_claude_code(account, emulator, command)
    assert "<command-args>Is this lock really needed?</command-args>" in shown
    assert "> Is this\n\n1. " in shown
    assert "go by that: some hosts hand over only its first words" in shown
    assert "Call the tool `ask_databricks_model`" in shown


async def test_claude_code_gives_each_word_to_an_argument(account: Account, emulator: RunningEmulator) -> None:
    command = "/mcp__databricks__review_diff main security databricks-gpt-5-5-pro"
    shown = await shown_by_claude_code(account, emulator, command)
    assert "> main\n" in shown
    assert 'above all at "security"' in shown
    assert '- `model`: "databricks-gpt-5-5-pro"' in shown


async def test_opencode_puts_the_words_in_afterwards(account: Account, emulator: RunningEmulator) -> None:
    with StandIn.running(ChatCompletionsApi()) as model:
        opencode = Opencode(account, emulator, model)
        await opencode.add()
        model.will_call(ToolCall("databricks_ask_databricks_model", {"prompt": "[[say Yes.]]"}))
        ran = await opencode.run("run", "--auto", "--command", "databricks:review_diff", "main", "security")
        assert ran.code == 0, ran
        shown = words(model.requests[0]["messages"])
    assert "> main\n" in shown
    assert "If nothing stands in the quote above: The changes are the uncommitted ones" in shown
    assert 'above all at "security"' in shown
    assert '- `model`: ""\n' in shown
    assert "An empty one was not given: leave that argument out." in shown


def words(content: Any) -> str:
    """All text of messages, at any depth."""
    if isinstance(content, list):
        return "\n".join(map(words, content))
    if isinstance(content, dict):
        return words(content.get("text") or content.get("content") or "")
    return str(content)
