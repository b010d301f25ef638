"""What a response says."""

from typing import Any

import pytest

from databricks_responses_mcp.responses.answers import answer_shape
from databricks_responses_mcp.responses.output import (
    citations_of,
    other_items_of,
    pending_calls_of,
    refusal_of,
    text_of,
    usage_of,
)
from databricks_responses_mcp.responses.payloads import Payload
from databricks_responses_mcp.responses.sanitize import sanitize, sanitize_text


def text(words: str, *annotations: dict[str, Any]) -> dict[str, Any]:
    return {"type": "output_text", "text": words, "annotations": list(annotations)}


def message(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": list(parts)}


def cite(start: int, end: int, url: str) -> dict[str, Any]:
    return {"type": "url_citation", "start_index": start, "end_index": end, "url": url, "title": url.upper()}


def test_the_text_is_all_messages_and_its_citations_count_in_it() -> None:
    output = [
        message(text("One ", cite(0, 3, "a")), text("two.", cite(0, 3, "b"))),
        {"type": "reasoning", "summary": []},
        message(text("Three.", cite(0, 5, "c"), cite(0, 99, "d"), {"type": "file_path", "file_id": "f"})),
    ]
    whole = text_of(output)
    assert whole == "One two.\n\nThree."
    citations = citations_of(output)
    assert [(c.get("url"), c.get("quote")) for c in citations] == [
        ("a", "One"),
        ("b", "two"),
        ("c", "Three"),
        ("d", None),
        (None, None),
    ]
    for citation in citations:
        if "quote" in citation:
            assert whole[citation["start_index"] : citation["end_index"]] == citation["quote"]


@pytest.mark.parametrize("places", [{"start_index": 0}, {"end_index": 3}, {"start_index": "0", "end_index": 3}, {}])
def test_a_citation_with_one_index_only_is_kept_without_a_quote(places: dict[str, Any]) -> None:
    before = message(text("Hello."))
    note = {"type": "url_citation", "url": "a", **places}
    moved = {key: value + len("Hello.\n\n") for key, value in places.items() if isinstance(value, int)}
    assert citations_of([before, message(text("One", note))]) == [{**note, **moved}]


def test_a_refusal_is_not_text() -> None:
    output = [message({"type": "refusal", "refusal": "No."})]
    assert (text_of(output), refusal_of(output)) == ("", "No.")


def test_calls_wait_with_what_answers_them_unless_they_are_answered() -> None:
    output = [
        {"type": "function_call", "id": "fc", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c2", "output": "done by the agent"},
        {"type": "custom_tool_call", "call_id": "c3", "name": "code", "input": "print(1)"},
        {"type": "apply_patch_call", "call_id": "c4", "operation": {"type": "delete_file", "path": "a"}},
        {"type": "shell_call", "call_id": "c5", "action": {"commands": ["ls"]}},
        {"type": "mcp_approval_request", "id": "ap", "server_label": "s", "name": "n", "arguments": "{}"},
    ]
    assert pending_calls_of(output) == [
        {
            "type": "function_call",
            "call_id": "c1",
            "name": "f",
            "arguments": "{}",
            "answer_with": answer_shape({"type": "function_call", "call_id": "c1"}),
        },
        {
            "type": "custom_tool_call",
            "call_id": "c3",
            "name": "code",
            "input": "print(1)",
            "answer_with": answer_shape({"type": "custom_tool_call", "call_id": "c3"}),
        },
        {
            "type": "apply_patch_call",
            "call_id": "c4",
            "operation": {"type": "delete_file", "path": "a"},
            "answer_with": answer_shape({"type": "apply_patch_call", "call_id": "c4"}),
        },
        {
            "type": "shell_call",
            "call_id": "c5",
            "action": {"commands": ["ls"]},
            "answer_with": answer_shape({"type": "shell_call", "call_id": "c5"}),
        },
        {
            "type": "mcp_approval_request",
            "name": "n",
            "arguments": "{}",
            "server_label": "s",
            "approval_request_id": "ap",
            "answer_with": answer_shape({"type": "mcp_approval_request", "id": "ap"}),
        },
    ]


def test_other_items_are_kept_raw_without_bulk() -> None:
    output = [
        message(text("plain")),
        {"type": "reasoning", "summary": [], "encrypted_content": "zzz"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "why"}], "encrypted_content": "zzz"},
        {"type": "image_generation_call", "id": "i", "result": Payload(memoryview(b"AAAA")), "size": "auto"},
        {"type": "hologram", "beams": 2},
        message({"type": "refusal", "refusal": "No."}),
    ]
    assert other_items_of(output) == [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "why"}]},
        {"type": "image_generation_call", "id": "i", "size": "auto"},
        {"type": "hologram", "beams": 2},
        message({"type": "refusal", "refusal": "No."}),
    ]


def test_usage_has_the_apis_names_whichever_dialect_came() -> None:
    native = {"input_tokens": 1, "output_tokens": 2, "output_tokens_details": {"reasoning_tokens": 1}}
    assert usage_of({"usage": native}) == native
    chat = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "reasoning_tokens": 1}
    assert usage_of({"usage": chat}) == {
        "input_tokens": 1,
        "output_tokens": 2,
        "total_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 1},
    }
    assert usage_of({"usage": None}) is None


def test_a_surrogate_pair_that_was_cut_in_two_is_joined_and_half_of_one_replaced() -> None:
    assert sanitize_text("a\ud83d\ude00b\ud83d") == "a😀b\ufffd"


def test_odd_items_do_not_raise() -> None:
    odd: list[dict[str, Any]] = [
        {},
        {"type": "message"},
        {"type": "message", "content": "plain string"},
        {"type": "message", "content": [None, 3, {"type": "output_text"}, {"type": "output_text", "text": None}]},
        {"type": 7},
        {"type": "reasoning", "summary": None},
    ]
    assert text_of(odd) == "plain string"
    assert (refusal_of(odd), citations_of(odd), pending_calls_of(odd)) == ("", [], [])
    assert other_items_of(odd) == [{}, {"type": 7}]


def test_numbers_stay_as_they_are_but_for_those_that_json_has_not() -> None:
    numbers = {"score": 0.5, "all": [-1.5, 7, True, float("inf"), float("nan")]}
    assert sanitize(numbers) == {"score": 0.5, "all": [-1.5, 7, True, None, None]}
