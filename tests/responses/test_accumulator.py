"""One response out of stream events, in order or not, whole or not."""

from typing import Any

import pytest

from databricks_responses_mcp.responses.accumulator import ResponseAssembler


def assemble(events: list[Any], *, ended: bool = True) -> tuple[str, list[dict[str, Any]], dict[str, Any]]:
    assembler = ResponseAssembler()
    for event in events:
        assembler.feed(event)
        if assembler.finished:
            break
    if ended:
        assembler.end_of_stream()
    result = assembler.result()
    return result.status, result.output, result.fields


def message(text: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
        **more,
    }


def delta(text: str, **where: Any) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "delta": text, **where}


def test_the_terminal_events_response_is_the_truth() -> None:
    final = {
        "id": "resp_1",
        "status": "completed",
        "model": "gpt",
        "output": [message("Hello", id="m", status="completed")],
    }
    events = [
        {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": {"type": "message", "id": "a" * 192}},
        delta("Hel", output_index=0, item_id="b" * 53),
        delta("lo", output_index=0, item_id="c" * 54),
        {"type": "response.output_item.done", "output_index": 0, "item": message("Hello", id="d")},
        {"type": "response.completed", "response": final},
        delta("never read", output_index=1),
    ]
    assert assemble(events) == (
        "completed",
        [message("Hello", id="m", status="completed")],
        {"id": "resp_1", "status": "completed", "model": "gpt"},
    )


def test_an_agents_stream_without_terminal_event_is_complete_when_its_items_are_done() -> None:
    events = [
        delta("Hi ", item_id="x"),
        delta("there", item_id="x"),
        {"type": "response.output_item.done", "item": message("Hi there", id="x")},
        {"trace_id": "tr-1"},
    ]
    assert assemble(events) == ("completed", [message("Hi there", id="x")], {})


def test_text_that_came_as_deltas_under_another_id_is_not_said_twice() -> None:
    events = [
        delta("Hi there", item_id="one"),
        {"type": "response.output_item.done", "item": message("Hi there", id="two")},
    ]
    assert assemble(events, ended=False) == ("cut", [message("Hi there", id="two")], {})


def test_a_cut_stream_keeps_what_had_arrived_of_every_kind() -> None:
    events = [
        {"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "id": "r"}},
        {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "Think"},
        {
            "type": "response.output_item.added",
            "output_index": 1,
            "item": {"type": "message", "id": "m", "role": "assistant"},
        },
        delta("Half a sen", output_index=1, content_index=0),
        {
            "type": "response.output_text.annotation.added",
            "output_index": 1,
            "content_index": 0,
            "annotation": {"url": "u"},
        },
        {
            "type": "response.output_item.added",
            "output_index": 2,
            "item": {"type": "function_call", "call_id": "c", "name": "f"},
        },
        {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": '{"a":'},
        {"type": "response.output_item.added", "output_index": 3, "item": {"type": "custom_tool_call", "call_id": "d"}},
        {"type": "response.custom_tool_call_input.delta", "output_index": 3, "delta": "print("},
        {"type": "response.refusal.delta", "output_index": 4, "content_index": 0, "delta": "I can"},
    ]
    assert assemble(events) == (
        "cut",
        [
            {
                "type": "reasoning",
                "id": "r",
                "summary": [{"type": "summary_text", "text": "Think"}],
                "status": "incomplete",
            },
            {
                "type": "message",
                "id": "m",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "Half a sen", "annotations": [{"url": "u"}]}],
                "status": "incomplete",
            },
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":', "status": "incomplete"},
            {"type": "custom_tool_call", "call_id": "d", "input": "print(", "status": "incomplete"},
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "refusal", "refusal": "I can"}],
                "status": "incomplete",
            },
        ],
        {},
    )


def test_unknown_items_are_kept_raw_and_unknown_events_pass() -> None:
    item = {"type": "hologram", "id": "h", "beams": [1, 2]}
    events = [
        {"type": "response.hologram.flicker", "delta": "?"},
        ["not", "an", "object"],
        None,
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {"output": [item]}},
    ]
    assert assemble(events) == ("completed", [item], {})


def test_a_terminal_event_without_output_does_not_take_the_items_away() -> None:
    events = [
        {"type": "response.output_item.done", "output_index": 0, "item": message("kept")},
        {"type": "response.completed", "response": {"status": "completed", "output": []}},
    ]
    assert assemble(events) == ("completed", [message("kept")], {"status": "completed"})


def test_items_without_index_or_id_are_all_kept() -> None:
    events = [
        {"type": "response.output_item.done", "item": message("one", id="1")},
        {"type": "response.output_item.done", "item": {"type": "function_call_output", "call_id": "c", "output": "2"}},
        {"type": "response.output_item.done", "item": message("three")},
    ]
    assert [item.get("type") for item in assemble(events)[1]] == ["message", "function_call_output", "message"]


def test_a_picture_is_taken_from_its_own_event_not_again_from_the_last() -> None:
    picture = {"type": "image_generation_call", "id": "i", "result": "AAAA", "status": "completed"}
    assembler = ResponseAssembler()
    done = assembler.feed({"type": "response.output_item.done", "output_index": 0, "item": picture})
    assert done is not None
    done["result"] = None
    assembler.feed(
        {"type": "response.completed", "response": {"output": [{**picture, "result": "AAAA", "size": "auto"}]}}
    )
    assert assembler.result().output == [{**picture, "result": None, "size": "auto"}]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "code": "server_error", "message": "broke", "param": None},
        {"error": "broke"},
        {"error": {"message": "broke"}},
    ],
)
def test_an_error_in_the_stream_ends_it_and_is_kept(event: dict[str, Any]) -> None:
    assembler = ResponseAssembler()
    assembler.feed(delta("so far", output_index=0))
    assembler.feed(event)
    assert (assembler.finished, assembler.error, assembler.result().status) == (True, event, "failed")


@pytest.mark.parametrize(
    ("response", "status"),
    [({"status": "completed"}, "completed"), ({"status": "incomplete"}, "incomplete"), ({}, "completed")],
)
def test_a_plain_json_answer_counts_as_a_whole_response(response: dict[str, Any], status: str) -> None:
    assert assemble([{"object": "response", **response, "output": [message("Hi")]}])[:2] == (status, [message("Hi")])


def test_phase_and_tail_tell_what_the_model_is_doing() -> None:
    assembler = ResponseAssembler()
    phases = [assembler.phase]
    for event in (
        {"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning"}},
        {"type": "response.output_item.added", "output_index": 1, "item": {"type": "web_search_call"}},
        {"type": "response.image_generation_call.partial_image", "output_index": 2, "partial_image_b64": "AA"},
        *(delta("word ", output_index=3) for _ in range(1000)),
    ):
        assembler.feed(event)
        if assembler.phase != phases[-1]:
            phases.append(assembler.phase)
    assert phases == ["waiting", "thinking", "searching the web", "drawing, preview 1", "writing"]
    assert (assembler.characters, assembler.tail) == (5000, "word " * 80)


def take(*events: Any) -> list[str]:
    """The answer's text as it is handed on after each event."""
    assembler = ResponseAssembler()
    pieces = []
    for event in events:
        assembler.feed(event)
        pieces.append(assembler.take_text())
    assembler.end_of_stream()
    return [*pieces, assembler.take_text()]


@pytest.mark.parametrize("kind", ["response.completed", "response.done", "response.incomplete"])
@pytest.mark.parametrize("status", ["incomplete", "failed", "completed"])
def test_the_responses_own_status_decides_not_the_events_name(kind: str, status: str) -> None:
    assert assemble([{"type": kind, "response": {"status": status, "output": []}}])[0] == status


@pytest.mark.parametrize("status", [None, "in_progress", 7, ["completed"]])
def test_the_events_name_decides_where_the_response_says_nothing(status: Any) -> None:
    assert assemble([{"type": "response.incomplete", "response": {"status": status}}])[0] == "incomplete"


def test_text_is_handed_on_without_markers_cut_by_pieces() -> None:
    pieces = ["Out ", "\ue200ci", "te\ue202turn0search0", "\ue201. Fast", " "]
    assert take(*map(delta, pieces)) == ["Out", "", "", ". Fast", "", " "]


def test_commentary_is_not_handed_on_and_messages_are_separated() -> None:
    def added(index: int, **item: Any) -> dict[str, Any]:
        return {"type": "response.output_item.added", "output_index": index, "item": {"type": "message", **item}}

    assert take(
        added(0, phase="commentary"),
        delta("I look.", output_index=0),
        added(1, phase="final_answer"),
        delta("One.", output_index=1),
        added(2),
        delta("Two.", output_index=2),
    ) == ["", "", "", "One.", "", "\n\nTwo.", ""]
