"""Items as servers send them, made regular."""

from random import Random
from typing import Any

import pytest

from databricks_responses_mcp.responses.accumulator import AssembledResponse
from databricks_responses_mcp.responses.received import received_items
from databricks_responses_mcp.responses.request import build_request
from databricks_responses_mcp.turns.outcome import outcome_of

CITE = "\ue200cite\ue202turn0search0\ue201"


def call(arguments: Any, **more: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": "c", "name": "f", "arguments": arguments, **more}


def outcome(*items: dict[str, Any], status: str = "completed") -> dict[str, Any]:
    facts = outcome_of(AssembledResponse(status, list(items), {}), "m").as_dict()
    return {name: facts[name] for name in ("text", "pending_calls", "output", "notes") if name in facts}


@pytest.mark.parametrize(
    ("given", "arguments"),
    [("", "{}"), (None, "{}"), ("null", "{}"), ({"a": 1}, '{"a": 1}'), ('{"a":1}', '{"a":1}'), (" \n", "{}")],
)
@pytest.mark.parametrize("kind", ["function_call", "mcp_call", "mcp_approval_request"])
def test_arguments_are_json_text(given: Any, arguments: str, kind: str) -> None:
    (item,) = received_items([{"type": kind, "id": "i", "arguments": given}], "completed")
    assert item["arguments"] == arguments


@pytest.mark.parametrize(
    ("item", "status", "waits"),
    [
        (call('{"a": 1}'), "completed", True),
        (call('{"a": 1}'), "incomplete", True),
        (call('{"a": 1}', status="incomplete"), "completed", False),
        (call('{"a": "some te', status="completed"), "incomplete", False),
        (call('{"a": "some te', status="completed"), "completed", False),
        (call("{'a': 1}"), "completed", True),
        (call('{"a": 1}{"a": 1}'), "completed", True),
        (call("{'a': 1}"), "incomplete", False),
        ({"type": "custom_tool_call", "call_id": "c", "input": "print("}, "incomplete", False),
        ({"type": "custom_tool_call", "call_id": "c", "input": "x", "status": "completed"}, "incomplete", True),
        ({"type": "shell_call", "call_id": "c", "action": {}, "status": "in_progress"}, "incomplete", False),
        ({"type": "shell_call", "call_id": "c", "action": {}}, "completed", True),
    ],
)
def test_a_call_that_was_cut_off_never_waits_to_be_carried_out(item: dict[str, Any], status: str, waits: bool) -> None:
    facts = outcome(item, status=status)
    assert ("pending_calls" in facts) is waits
    assert ("notes" in facts) is not waits
    assert ("output" in facts) is not waits


def test_the_caller_is_told_of_a_call_that_was_cut_off() -> None:
    assert outcome(call('{"path": "/etc'), status="incomplete") == {
        "text": "",
        "output": [call('{"path": "/etc', status="incomplete")],
        "notes": ["Do not carry out f: the answer ended in the middle of the call."],
    }


@pytest.mark.parametrize("status", ["failed", "cut", "cancelled"])
def test_no_call_of_a_response_that_is_not_kept_waits(status: str) -> None:
    assert outcome(call("{}"), status=status) == {"text": "", "output": [call("{}")]}


def message(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "message", "content": [{"type": "output_text", "text": text, "annotations": []}], **more}


def test_the_final_answer_is_the_answer_and_commentary_stands_apart() -> None:
    said = message("I look.", phase="commentary")
    assert outcome(said, message("It rains.", phase="final_answer")) == {"text": "It rains.", "output": [said]}


def test_commentary_alone_is_the_answer_of_a_whole_response() -> None:
    said = message("Done.", phase="commentary")
    assert outcome(said) == {"text": "Done."}
    assert outcome(said, status="cut") == {"text": "", "output": [said]}
    assert outcome(said, call("{}"))["text"] == ""


def test_citations_stand_where_the_text_is_without_markers() -> None:
    text = f"Paris is big {CITE}. It rains {CITE}."
    start = text.index("It rains")
    notes = [
        {"type": "url_citation", "url": "a", "start_index": 0, "end_index": 12},
        {"type": "url_citation", "url": "b", "start_index": start, "end_index": start + 8},
        {"type": "url_citation", "url": "c", "start_index": text.index(CITE)},
        "odd",
    ]
    content = [{"type": "output_text", "text": text, "annotations": notes}]
    facts = outcome_of(AssembledResponse("completed", [{"type": "message", "content": content}], {}), "m")
    assert facts.text == "Paris is big. It rains."
    assert [(c.get("start_index"), c.get("end_index"), c.get("quote")) for c in facts.citations] == [
        (0, 12, "Paris is big"),
        (14, 22, "It rains"),
        (12, None, None),
    ]


def test_what_repeats_the_pending_calls_or_helps_nobody_is_left_out_of_the_output() -> None:
    listed = {"type": "mcp_list_tools", "id": "x" * 190, "tools": [{"name": "a", "input_schema": {}}, {"name": "b"}, 3]}
    assert outcome(listed, call("{}"))["output"] == [{"type": "mcp_list_tools", "tools": ["a", "b", 3]}]


def test_counts_that_are_zero_are_left_out() -> None:
    usage = {"input_tokens": 3, "output_tokens": 0, "input_tokens_details": {"cached_tokens": 0}, "x": {"y": 1, "z": 0}}
    facts = outcome_of(AssembledResponse("completed", [], {"usage": usage}), "m").as_dict()
    assert facts["usage"] == {"input_tokens": 3, "x": {"y": 1}}


def test_a_citation_in_the_chat_apis_nested_shape_is_a_citation() -> None:
    nested = {"type": "url_citation", "url_citation": {"url": "u", "title": "T", "start_index": 0, "end_index": 3}}
    content = [{"type": "output_text", "text": "It rains.", "annotations": [nested]}]
    read = outcome_of(AssembledResponse("completed", [{"type": "message", "content": content}], {}), "m")
    assert read.citations == [
        {"type": "url_citation", "url": "u", "title": "T", "start_index": 0, "end_index": 3, "quote": "It "}
    ]


ODD: tuple[Any, ...] = (
    None,
    True,
    7,
    -1,
    1.5,
    "",
    "x",
    "\ud83d",
    "\ue200cite\ue202x",
    [],
    {},
    [[{}]],
    ["a"],
    {"type": []},
)
KEYS = [
    "type",
    "call_id",
    "id",
    "name",
    "arguments",
    "status",
    "content",
    "text",
    "annotations",
    "phase",
    "output",
    "tools",
    "summary",
    "url",
    "url_citation",
    "start_index",
    "end_index",
    "approval_request_id",
    "refusal",
]
KINDS = [
    "message",
    "function_call",
    "function_call_output",
    "mcp_call",
    "mcp_approval_request",
    "mcp_list_tools",
    "shell_call",
    "reasoning",
    "web_search_call",
    "output_text",
    "url_citation",
    "hologram",
]


def odd_item(dice: Random, depth: int = 0) -> dict[str, Any]:
    def value() -> Any:
        if depth < 3 and dice.random() < 0.4:
            inner = [odd_item(dice, depth + 1) for _ in range(dice.randint(0, 2))]
            return inner[0] if inner and dice.random() < 0.5 else inner
        return dice.choice(ODD)

    item = {key: value() for key in dice.sample(KEYS, dice.randint(0, 8))}
    return {**item, "type": dice.choice(KINDS)} if dice.random() < 0.8 else item


def test_no_item_is_too_odd_to_be_read() -> None:
    for seed in range(1000):
        dice = Random(seed)
        items = [odd_item(dice) for _ in range(dice.randint(0, 4))]
        read = outcome_of(AssembledResponse(dice.choice(("completed", "incomplete", "cut")), items, {}), "m")
        read.as_dict()
        build_request("m", read.items, {})
