"""Output items as the next request may hold them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databricks_responses_mcp.responses.accumulator import ResponseAssembler
from databricks_responses_mcp.responses.payloads import Payload
from databricks_responses_mcp.responses.plain_items import plain_items
from databricks_responses_mcp.responses.replay import (
    MAX_ID,
    from_last_compaction,
    replayable,
    short_id,
    with_pictures,
)


def test_items_go_back_as_they_came_without_what_only_answers_have() -> None:
    long = "m" * 192
    items = [
        {"type": "reasoning", "id": "rs_" + "x" * 413, "encrypted_content": "zzz", "status": None},
        {"type": "reasoning", "id": "rs_2", "summary": [{"type": "summary_text", "text": "not replayable"}]},
        {
            "type": "message",
            "id": long,
            "role": "assistant",
            "phase": "commentary",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
        },
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"},
        {
            "type": "function_call",
            "id": "fc_2",
            "call_id": "call_2",
            "name": "f",
            "arguments": '{"a',
            "status": "incomplete",
        },
        {"type": "image_generation_call", "id": "ig", "result": Payload(memoryview(b"AAAA")), "picture": "x"},
        {"type": "hologram"},
    ]
    assert replayable(items) == [
        {"type": "reasoning", "id": short_id("rs_" + "x" * 413), "encrypted_content": "zzz", "summary": []},
        {
            "type": "message",
            "id": short_id(long),
            "role": "assistant",
            "phase": "commentary",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
        },
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"},
        {"type": "image_generation_call", "id": "ig", "picture": "x"},
    ]


OF_EXTERNAL_MODELS = [
    {
        "type": "code_interpreter_call",
        "id": "ci_1",
        "code": "1+1",
        "container_id": "c",
        "outputs": [],
        "status": "completed",
    },
    {"type": "file_search_call", "id": "fs_1", "queries": ["q"], "status": "completed"},
    {"type": "tool_search_call", "id": "ts_1", "execution": "server", "arguments": {}, "status": "completed"},
    {"type": "tool_search_output", "id": "to_1", "execution": "server", "tools": [], "status": "completed"},
    {"type": "computer_call", "id": "cu_1", "call_id": "c1", "action": {"type": "screenshot"}, "status": "completed"},
    {"type": "computer_call_output", "call_id": "c1", "output": {"type": "computer_screenshot", "image_url": "data:"}},
]


def test_a_message_is_sent_with_the_role_and_status_that_the_api_requires_and_without_an_id_that_is_no_text() -> None:
    bare = {"type": "message", "id": 7, "content": [{"type": "output_text", "text": "Hi", "annotations": []}]}
    assert replayable([bare]) == [
        {"type": "message", "role": "assistant", "status": "completed", "content": bare["content"]}
    ]


def test_what_external_models_did_with_their_tools_goes_back() -> None:
    assert replayable(OF_EXTERNAL_MODELS) == OF_EXTERNAL_MODELS
    assert replayable([{"type": "tool_search_call", "execution": "client"}]) == []
    cut = {**OF_EXTERNAL_MODELS[0], "status": "incomplete"}
    assert replayable([cut]) == []


def test_on_other_surfaces_it_is_told_as_function_calls() -> None:
    ran = {**OF_EXTERNAL_MODELS[0], "outputs": [{"type": "logs", "logs": "2"}]}
    items, notes = plain_items([ran, *OF_EXTERNAL_MODELS[1:]], "chat")
    assert (items, notes) == (
        [
            {"type": "function_call", "call_id": "ci_1", "name": "code_interpreter", "arguments": '{"code": "1+1"}'},
            {"type": "function_call_output", "call_id": "ci_1", "output": "2"},
            {"type": "function_call", "call_id": "c1", "name": "computer", "arguments": '{"type": "screenshot"}'},
            {"type": "function_call_output", "call_id": "c1", "output": "a screenshot, which is not shown here"},
        ],
        [],
    )


def test_pictures_go_back_whole_where_they_are_given_and_not_at_all_elsewhere() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "zzz"}
    items = [thought, {"type": "image_generation_call", "id": "ig", "picture": "/tmp/x.png"}, {"type": "message"}]
    whole = {"type": "image_generation_call", "id": "ig", "status": "completed", "result": "AAAA"}
    assert with_pictures(items, {"/tmp/x.png": "AAAA"}) == [thought, whole, {"type": "message"}]
    assert with_pictures(items, {"/tmp/y.png": "AAAA"}) == [{"type": "message"}]


def test_a_compaction_stands_for_everything_before_it() -> None:
    items = [{"type": "message"}, {"type": "compaction", "id": "1"}, {"type": "message"}, {"type": "compaction"}, {}]
    assert from_last_compaction(items) == items[3:]
    assert from_last_compaction(items[:1]) == items[:1]


def test_reasoning_goes_back_only_with_what_it_led_to() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "zzz"}
    cut = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{", "status": "incomplete"}
    assert replayable([thought]) == []
    assert replayable([thought, cut]) == []
    assert replayable([thought, {"type": "image_generation_call", "id": "ig"}]) == []


@given(st.text(max_size=500))
def test_an_id_is_short_and_always_the_same(value: str) -> None:
    assert short_id(value) == short_id(value)
    assert len(short_id(value)) <= MAX_ID
    if len(value) <= MAX_ID:
        assert short_id(value) == value


@given(st.text(min_size=65, max_size=200), st.text(min_size=65, max_size=200))
def test_two_long_ids_stay_two(one: str, other: str) -> None:
    assert (short_id(one) == short_id(other)) == (one == other)


@pytest.mark.parametrize("where", ["item", "added", "terminal", "not streamed"])
def test_an_answer_cannot_name_a_file_that_is_read_when_the_conversation_goes_on(where: str) -> None:
    item = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "picture": "/etc/passwd"}
    assembler = ResponseAssembler()
    if where == "not streamed":
        assembler.take_response({"id": "r", "status": "completed", "output": [item]})
    else:
        if where != "terminal":
            kind = "done" if where == "item" else "added"
            assembler.feed({"type": f"response.output_item.{kind}", "output_index": 0, "item": dict(item)})
        output = [dict(item)] if where == "terminal" else []
        assembler.feed({"type": "response.completed", "response": {"id": "r", "status": "completed", "output": output}})
    assert replayable(assembler.result().output) == []


def test_the_place_of_a_saved_image_is_kept_when_the_answer_repeats_its_item() -> None:
    item: dict[str, object] = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "iVBO"}
    for repeated in (item, dict(item)):
        assembler = ResponseAssembler()
        taken = assembler.feed({"type": "response.output_item.done", "output_index": 0, "item": item})
        assert taken is not None
        taken["picture"] = "image://fox.png"
        assembler.feed(
            {"type": "response.completed", "response": {"id": "r", "status": "completed", "output": [repeated]}}
        )
        kept = [stub["picture"] for stub in replayable(assembler.result().output)]
        assert kept == ["image://fox.png"]
