"""Advice is data below the edges: its words for a host's model are made in `calls`, those for a terminal in `cli`."""

import ast
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

from inline_snapshot import snapshot

import databricks_responses_mcp
from databricks_responses_mcp.calls.advice import mcp_words
from databricks_responses_mcp.cli.advice import doctor_words, terminal_words
from databricks_responses_mcp.errors import Action, Advice, BridgeError, ErrorCode
from databricks_responses_mcp.tools.definitions import NAMES

ROOT = Path(databricks_responses_mcp.__file__).parent
MCP_EDGE = ("tools/", "calls/", "prompts/", "server.py")
TERMINAL_EDGE = ("cli/",)
DOCUMENTATION = ("workspace/settings.py", "hosts/server_info.py")
"""What settings are for, and what the package says of itself."""

NAMES_A_TOOL = re.compile(rf"\b(?:{'|'.join(NAMES)})\b")
NAMES_A_COMMAND = re.compile(r"\bdatabricks-responses-mcp [a-z]+\b|databricks auth login")
SUBJECTS = {
    Action.USE_NAME: "databricks-gpt-5",
    Action.USE_MODEL: "databricks-gpt-5",
    Action.CONTINUE_CONVERSATION: "conv_1",
    Action.COMPACT: "conv_1",
    Action.CONTINUE_CALL: "conv_1",
    Action.ASK: "other tools",
    Action.LEAVE_OUT: "top_p",
    Action.RAISE: "max_output_tokens",
    Action.LOWER: "max_output_tokens",
    Action.SIGN_IN: "--profile dev",
}


def texts(file: Path) -> Iterator[str]:
    """Yield the strings of a source file that are no docstrings; an f-string without its values."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            constants = (part.value for part in node.values if isinstance(part, ast.Constant))
            yield "".join(map(str, constants))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (statements | parts):
            yield node.value


def found(pattern: re.Pattern[str], *, outside: tuple[str, ...]) -> list[str]:
    """Return where a text of more than one word matches, in the files whose paths start with none of these."""
    return [
        f"{file.relative_to(ROOT).as_posix()}: {text}"
        for file in sorted(ROOT.rglob("*.py"))
        if not file.relative_to(ROOT).as_posix().startswith(outside)
        for text in texts(file)
        if " " in text.strip() and pattern.search(text)
    ]


def test_no_text_below_the_edges_names_a_tool() -> None:
    assert found(NAMES_A_TOOL, outside=(*MCP_EDGE, *TERMINAL_EDGE, *DOCUMENTATION)) == []


def test_no_text_outside_the_edges_names_a_command() -> None:
    assert found(NAMES_A_COMMAND, outside=("cli/", "calls/advice.py", *DOCUMENTATION)) == [
        # What the Databricks CLI says of itself.
        "workspace/sdk_errors.py: databricks-cli:|databricks auth login|refresh token",
    ]


def test_a_terminal_is_told_of_tools_only_where_no_command_does_the_same() -> None:
    assert found(NAMES_A_TOOL, outside=(*MCP_EDGE, *DOCUMENTATION)) == [
        f"cli/advice.py: {terminal_words(Advice(Action.CONTINUE_CALL, '{subject}'))}",
    ]


def rendered(words: Callable[[Advice], str]) -> str:
    lines: list[str] = []
    for action in Action:
        text = f"{action}: {words(Advice(action, SUBJECTS.get(action, '')))}"
        lines += textwrap.wrap(text, 100, subsequent_indent="    ", break_on_hyphens=False)
    return "\n".join(lines) + "\n"


def test_every_action_has_its_words_for_mcp() -> None:
    assert rendered(mcp_words) == snapshot("""\
list_models: Call list_databricks_models to see the models of this workspace and how each is
    reached.
use_name: Did you mean databricks-gpt-5?
use_new_name: The workspace has moved this model to the name , which was asked: use that name.
use_model: In this workspace databricks-gpt-5 has it.
list_conversations: Call manage_conversations with action list to see the stored conversations.
continue_conversation: To continue it, call ask_databricks_model with conversation_id "conv_1" and a
    prompt.
start_conversation: Call ask_databricks_model without conversation_id to start a new conversation.
compact: To shorten the conversation, call manage_conversations with action compact and
    conversation_id "conv_1": a summary then replaces its earlier turns. Or pass context_management
    in extra, if the endpoint accepts it.
continue_call: First call continue_databricks_model with conversation_id "conv_1" and one output for
    each pending call.
ask: Call ask_databricks_model to use other tools.
edit_again: Call edit_files again to work from the files as they are now.
leave_out: Leave out top_p.
raise: Ask again with a larger max_output_tokens.
lower: Lower max_output_tokens.
unset_limits: To use this endpoint, unset RESPONSES_MCP_MAX_OUTPUT_TOKENS and
    RESPONSES_MCP_DAILY_TOKEN_BUDGET: these limits need max_output_tokens in each request.
sign_in: To sign in, have the user run `databricks auth login --profile dev`.
try_embedded: To try it without a workspace, start the server with --embedded.
run_doctor: `databricks-responses-mcp doctor` shows which check fails.
""")


def test_every_action_has_its_words_for_a_terminal() -> None:
    assert rendered(terminal_words) == snapshot("""\
list_models: Run `databricks-responses-mcp models` to see the models of this workspace and how each
    is reached.
use_name: Did you mean databricks-gpt-5?
use_new_name: The workspace has moved this model to the name , which was asked: use that name.
use_model: In this workspace databricks-gpt-5 has it.
list_conversations: Run `databricks-responses-mcp conversations list` to see the stored
    conversations.
continue_conversation: To continue it, run `databricks-responses-mcp ask --conversation conv_1`.
start_conversation: Run `databricks-responses-mcp ask` to start a new conversation.
compact: To shorten the conversation, run `databricks-responses-mcp conversations compact conv_1`: a
    summary then replaces its earlier turns. Or pass context_management in --extra, if the endpoint
    accepts it.
continue_call: Commands do not answer calls: an MCP host does, with continue_databricks_model and
    conversation_id conv_1.
ask: Run `databricks-responses-mcp ask` to use other tools.
edit_again: Run `databricks-responses-mcp edit` again to work from the files as they are now.
leave_out: Leave out --top-p.
raise: Ask again with a larger --max-output-tokens.
lower: Lower --max-output-tokens.
unset_limits: To use this endpoint, unset RESPONSES_MCP_MAX_OUTPUT_TOKENS and
    RESPONSES_MCP_DAILY_TOKEN_BUDGET: these limits need a maximum in each request.
sign_in: To sign in, run `databricks auth login --profile dev`.
try_embedded: To try it without a workspace, add --embedded.
run_doctor: `databricks-responses-mcp doctor` shows which check fails.
""")


def test_the_doctor_does_not_advise_to_run_the_doctor() -> None:
    assert doctor_words(Advice(Action.RUN_DOCTOR)) == ""
    assert doctor_words(Advice(Action.LIST_MODELS)) == terminal_words(Advice(Action.LIST_MODELS))


def test_a_subject_is_shown_as_it_is() -> None:
    hostile = Advice(Action.CONTINUE_CONVERSATION, "{subject} $(reboot) {0}")
    assert (mcp_words(hostile), terminal_words(hostile)) == (
        'To continue it, call ask_databricks_model with conversation_id "{subject} $(reboot) {0}" and a prompt.',
        "To continue it, run `databricks-responses-mcp ask --conversation '{subject} $(reboot) {0}'`.",
    )


def test_advice_that_is_added_stands_before_that_which_is_there_and_never_twice() -> None:
    error = BridgeError(ErrorCode.MODEL_NOT_FOUND, "It is not there.", "", advice=(Advice(Action.LIST_MODELS),))
    more = error.with_advice(Advice(Action.USE_NAME, "a"), Advice(Action.LIST_MODELS))
    assert more.full_hint(mcp_words) == snapshot(
        "Did you mean a? Call list_databricks_models to see the models of this workspace and how each is reached."
    )
    assert error.advice == (Advice(Action.LIST_MODELS),)
