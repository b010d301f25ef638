"""Turns that make one answer: words, places, items and costs of all of them."""

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.turns.outcome import Outcome, keep_before


def outcome(text: str, **more: object) -> Outcome:
    fields = {"text": text, "status": "completed", "model": "m", "endpoint": "e", **more}
    return Outcome(**fields)  # type: ignore[arg-type]  # each test gives the right ones


def test_words_places_items_and_costs_are_joined() -> None:
    before = outcome(
        "Let me look.",
        usage={"input_tokens": 3, "output_tokens_details": {"reasoning_tokens": 1}, "tier": "a"},
        output=[{"type": "mcp_list_tools"}],
        pending_calls=[{"call_id": "c"}],
        notes=("first",),
        citations=[{"start_index": 0, "end_index": 3, "url": "u0"}],
    )
    after = outcome(
        "It broke.",
        response_id="r2",
        usage={"input_tokens": 5, "output_tokens_details": {"reasoning_tokens": 2}, "tier": "b", "total_tokens": 9},
        output=[{"type": "mcp_call"}],
        notes=("second",),
        citations=[{"start_index": 3, "end_index": 8, "url": "u1"}, {"url": "u2"}],
    )
    whole = before.merge(after)
    assert whole.as_dict() == {
        "text": "Let me look.\n\nIt broke.",
        "status": "completed",
        "model": "m",
        "endpoint": "e",
        "response_id": "r2",
        "citations": [
            {"start_index": 0, "end_index": 3, "url": "u0"},
            {"start_index": 17, "end_index": 22, "url": "u1"},
            {"url": "u2"},
        ],
        "output": [{"type": "mcp_list_tools"}, {"type": "mcp_call"}],
        "usage": {
            "input_tokens": 8,
            "output_tokens_details": {"reasoning_tokens": 3},
            "tier": "b",
            "total_tokens": 9,
        },
        "notes": ["first", "second"],
    }
    assert whole.text[17:22] == "broke"


def test_a_turn_that_says_nothing_adds_no_blank_lines() -> None:
    assert outcome("").merge(outcome("b")).text == "b"
    assert outcome("a").merge(outcome("")).text == "a"
    assert outcome("a").merge(outcome("b")).usage is None


def test_a_failure_keeps_what_came_before_it() -> None:
    error = BridgeError(ErrorCode.TIMEOUT, "Late.", "Wait.", partial={"text": "It b", "output": [{"type": "mcp_call"}]})
    before = outcome("Look:", output=[{"type": "mcp_list_tools"}], pending_calls=[{"call_id": "c"}])
    assert keep_before(error, before).partial == {
        "text": "Look:\n\nIt b",
        "model": "m",
        "endpoint": "e",
        "output": [{"type": "mcp_list_tools"}, {"type": "mcp_call"}],
        "pending_calls": [{"call_id": "c"}],
    }
