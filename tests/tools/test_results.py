"""What results say, in words and in structure."""

import json
from typing import Any

import pytest

from databricks_responses_mcp.calls.results import answer_result, error_result, running_result
from databricks_responses_mcp.calls.state import App
from databricks_responses_mcp.calls.truncation import CHARACTERS_PER_TOKEN
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.hosts.limits import UNKNOWN_HOST
from databricks_responses_mcp.turns.bridge import Bridge
from harness import Connect

pytestmark = pytest.mark.anyio

WAIT = 'Call get_response with response_id "job_1" to wait for the rest, or with cancel true to stop it.'
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "answer_with": {"call_id": "c"}}


def shown(result: Any) -> tuple[str, dict[str, Any]]:
    return result.content[0].text, result.structured_content


async def test_a_running_call_says_how_to_wait_in_words_and_in_structure(bridge: Bridge) -> None:
    so_far = {"text": "One two", "model": "m", "incomplete_reason": "x"}
    assert shown(running_result(App(bridge), UNKNOWN_HOST, "job_1", so_far, seconds=61.23, tail="I look it up")) == (
        f"[Still running after 61 s] The work continues in the server. {WAIT} Newest: …I look it up So far:\n\nOne two",
        {
            "text": "One two",
            "model": "m",
            "status": "running",
            "response_id": "job_1",
            "elapsed_seconds": 61.2,
            "tail": "I look it up",
            "next_step": WAIT,
        },
    )


async def test_a_call_that_has_said_nothing_yet_has_no_tail(bridge: Bridge) -> None:
    assert shown(running_result(App(bridge), UNKNOWN_HOST, "job_1", {}, seconds=0.04, problem="Not kept.")) == (
        f"[Still running after 0 s] The work continues in the server. {WAIT}\n\n[Not kept.]",
        {
            "status": "running",
            "response_id": "job_1",
            "text": "",
            "elapsed_seconds": 0.0,
            "next_step": WAIT,
            "notes": ["Not kept."],
        },
    )


@pytest.mark.parametrize(
    ("facts", "step"),
    [
        (
            {"pending_calls": [CALL], "conversation_id": "conv_1"},
            (
                'Carry out the pending calls, then call continue_databricks_model with conversation_id "conv_1" and '
                "one output for each, in the shape of its answer_with. To skip a call, answer it with an output "
                'that says so, such as "not carried out".'
            ),
        ),
        (
            {"pending_calls": [{**CALL, "type": "mcp_approval_request"}]},
            (
                "Ask the user about each approval, carry out the other pending calls, then call "
                "continue_databricks_model with one output for each, in the shape of its answer_with. To skip a "
                'call, answer it with an output that says so, such as "not carried out", or with approve: false.'
            ),
        ),
        (
            {"pending_calls": [CALL, {**CALL, "type": "mcp_approval_request", "answer_with": {"approve": False}}]},
            (
                "Nobody can approve the MCP calls from here. Tell the user that they wait, and that they can be "
                "approved in a host that can ask its user, or by the server's setting "
                "RESPONSES_MCP_MODEL_APPROVALS=allow. To continue without them, carry out the other pending calls, "
                "then call continue_databricks_model with one output for each, in the shape of its answer_with."
            ),
        ),
        (
            {"status": "incomplete", "incomplete_reason": "max_output_tokens"},
            "Ask again with a larger max_output_tokens.",
        ),
        ({"status": "incomplete", "incomplete_reason": "max_output_tokens", "limited_by": "SETTING"}, None),
        ({"status": "incomplete", "incomplete_reason": "content_filter"}, None),
        ({"status": "completed"}, None),
    ],
)
async def test_what_to_do_next_is_in_the_structure_and_in_the_words(
    bridge: Bridge, facts: dict[str, Any], step: str | None
) -> None:
    words, structure = shown(answer_result(App(bridge), UNKNOWN_HOST, {"text": "Hi", "status": "completed", **facts}))
    assert structure.get("next_step") == step
    assert step is None or step in words
    assert step is not None or "larger" not in words


async def test_an_answer_that_ended_in_the_middle_of_a_call_was_not_all_reasoning(bridge: Bridge) -> None:
    ended = {"text": "", "status": "incomplete", "incomplete_reason": "max_output_tokens"}
    call = {"type": "function_call", "name": "f", "arguments": "{", "status": "incomplete"}
    words, _ = shown(answer_result(App(bridge), UNKNOWN_HOST, {**ended, "output": [call]}))
    assert "went into reasoning" not in words
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}
    words, _ = shown(answer_result(App(bridge), UNKNOWN_HOST, {**ended, "output": [thought]}))
    assert "All of it went into reasoning." in words


async def test_a_failure_in_words_has_the_seconds_and_the_request_id(bridge: Bridge) -> None:
    error = BridgeError(ErrorCode.RATE_LIMITED, "Slow down.", "Wait.", retry_after_seconds=30.0, request_id="req-1")
    words, _ = shown(error_result(App(bridge), UNKNOWN_HOST, error))
    assert words == "rate_limited: Slow down. Wait. Retry after 30 s. Request id: req-1."


async def test_what_is_said_twice_is_shown_once(bridge: Bridge) -> None:
    facts = {"text": "Hi", "output": [{"type": "x", "a": 1}, {"type": "x", "a": 1}], "notes": ["Note.", "Note."]}
    words, _ = shown(answer_result(App(bridge), UNKNOWN_HOST, facts))
    assert words == 'Hi\n\n[x] {"a": 1}\n\n[Note.]'


async def test_commentary_is_shown_as_long_as_there_is_no_answer(bridge: Bridge) -> None:
    said = {"type": "message", "phase": "commentary", "content": [{"type": "output_text", "text": "I look."}, 7]}
    assert shown(answer_result(App(bridge), UNKNOWN_HOST, {"text": "", "output": [said]}))[0] == "[Commentary] I look."
    assert shown(answer_result(App(bridge), UNKNOWN_HOST, {"text": "Done.", "output": [said]}))[0] == "Done."


async def test_an_answer_that_the_budget_ended_is_not_to_be_asked_for_again(
    connect: Connect,
) -> None:
    async with connect(daily_token_budget=100) as host:
        content, facts, _ = await host.call("ask_databricks_model", prompt="[[words 500]]")
    assert (facts["status"], facts["limited_by"]) == ("incomplete", "RESPONSES_MCP_DAILY_TOKEN_BUDGET")
    assert "larger" not in content[0].text
    async with connect(max_output_tokens=50, daily_token_budget=None) as host:
        content, facts, _ = await host.call("ask_databricks_model", prompt="[[words 500]]")
    assert (facts["status"], facts["limited_by"]) == ("incomplete", "RESPONSES_MCP_MAX_OUTPUT_TOKENS")
    assert "larger" not in content[0].text


async def test_output_items_that_are_too_long_are_cut_and_whole_in_a_resource(bridge: Bridge) -> None:
    app = App(bridge)
    limit = bridge.settings.max_text_tokens * CHARACTERS_PER_TOKEN
    long = "x" * limit
    items = [{"type": "web_search_call", "action": {"query": long, "queries": [long, "y" * 2000, 7]}}]
    _, facts = shown(answer_result(app, UNKNOWN_HOST, {"text": "Found.", "status": "completed", "output": items}))
    cut = f"{'x' * 2000}…"
    characters = len(json.dumps(items))
    assert facts == {
        "text": "Found.",
        "status": "completed",
        "output": [{"type": "web_search_call", "action": {"query": cut, "queries": [cut, "y" * 2000, 7]}}],
        "notes": [
            f"The output items are {characters} characters of JSON; they are cut here and whole as resource answer://1."
        ],
    }
    assert json.loads(await app.long_texts.read("1") or "") == items
