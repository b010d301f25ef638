"""Chat completions, streamed and whole, as stream events of the Responses API."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from databricks_responses_mcp.responses.accumulator import ResponseAssembler
from databricks_responses_mcp.responses.chat_events import ChatEvents
from databricks_responses_mcp.responses.chat_reasoning import unsealed
from harness.translated import assembled, translated

USAGE = {
    "prompt_tokens": 12,
    "completion_tokens": 5,
    "total_tokens": 17,
    "prompt_tokens_details": {"cached_tokens": 8},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
COUNTED = {
    "input_tokens": 12,
    "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 0},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 17,
}


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    named = {"id": "chatcmpl_1", "object": "chat.completion.chunk", "created": 1789000000, "model": "llama-4"}
    return {**named, "choices": [choice], **more}


def piece(index: int | None, arguments: Any = None, call_id: str | None = None, name: str | None = None) -> Any:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    told = {"index": index, "id": call_id, "function": function}
    return {key: value for key, value in told.items() if value is not None}


def called(*pieces: Any) -> dict[str, Any]:
    return chunk({"tool_calls": list(pieces)})


def events(*chunks: Any, marked: bool = True) -> list[dict[str, Any]]:
    return translated(ChatEvents("asked-for", nonce="n"), chunks, marked=marked)


def result(*chunks: Any, marked: bool = True) -> tuple[str, list[Any], dict[str, Any]]:
    return assembled(events(*chunks, marked=marked), marked=marked)


def message(text: str, number: int = 0, status: str = "completed") -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "message", "id": f"msg_n_{number}", "role": "assistant", "status": status, "content": [part]}


def call(number: int, call_id: str, name: str, arguments: str, status: str = "completed") -> dict[str, Any]:
    named = {"call_id": call_id, "name": name, "arguments": arguments, "status": status}
    return {"type": "function_call", "id": f"fc_n_{number}", **named}


def calls_of(*chunks: Any) -> list[tuple[str, str, str]]:
    _, output, _ = result(*chunks)
    return [(item["call_id"], item["name"], item["arguments"]) for item in output if item["type"] == "function_call"]


FACTS = {"id": "chatcmpl_1", "created_at": 1789000000, "model": "llama-4"}
STOP = chunk({}, "stop")
CALLED = chunk({}, "tool_calls")


def test_a_streamed_answer_is_told_in_the_order_of_the_responses_api() -> None:
    told = events(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        STOP,
        {"choices": [], "usage": USAGE},
    )
    assert assembled(told) == ("completed", [message("Hello")], {**FACTS, "usage": COUNTED})
    assert [(event["type"], event.get("delta")) for event in told] == snapshot(
        [
            ("response.created", None),
            ("response.output_item.added", None),
            ("response.content_part.added", None),
            ("response.output_text.delta", "Hel"),
            ("response.output_text.delta", "lo"),
            ("response.output_text.done", None),
            ("response.content_part.done", None),
            ("response.output_item.done", None),
            ("response.completed", None),
        ]
    )


def test_the_answer_ends_with_its_usage_and_does_not_wait_for_the_stream_to_close() -> None:
    translator = ChatEvents("m")
    translator.feed(chunk({"content": "Hi"}))
    assert translator.feed(STOP) == []
    assert translator.feed({"choices": [], "usage": USAGE})[-1]["type"] == "response.completed"
    assert translator.feed(chunk({"content": "never told"})) + translator.finish(marked=True) == []


def test_usage_in_every_chunk_is_not_added_up() -> None:
    early = {"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 13}
    late = {"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 14, "cache_read_input_tokens": 4}
    told = events(chunk({"content": "Hi"}, usage=early), chunk({"content": "!"}, "stop", usage=late))
    assert assembled(told)[2]["usage"] == {
        "input_tokens": 12,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 14,
    }


@pytest.mark.parametrize("last", [{"usage": USAGE}, {"choices": None, "usage": USAGE}, {"choices": [], "usage": USAGE}])
def test_usage_in_a_last_chunk_without_choices_is_counted(last: dict[str, Any]) -> None:
    status, _, fields = result(chunk({"content": "Hi"}), chunk({}, "stop"), last)
    assert (status, fields["usage"]) == ("completed", COUNTED)


def test_an_empty_reason_is_no_end() -> None:
    """Servers exist that send an empty reason with every chunk."""
    status, output, _ = result(chunk({"content": "Hi"}, ""), chunk({"content": " you"}, ""), marked=False)
    assert (status, output[0]["content"][0]["text"]) == ("cut", "Hi you")


def test_a_whole_completion_is_an_answer_like_a_streamed_one() -> None:
    completion = {
        "id": "chatcmpl_1",
        "object": "chat.completion",
        "created": 1789000000,
        "model": "llama-4",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": USAGE,
    }
    told = events(completion)
    assert assembled(told) == ("completed", [message("Hello")], {**FACTS, "usage": COUNTED})


def test_claudes_reasoning_and_text_of_databricks_are_told_apart() -> None:
    def thought(**part: Any) -> dict[str, Any]:
        return chunk({"content": [{"type": "reasoning", "summary": [{"type": "summary_text", **part}]}]})

    status, output, _ = result(
        chunk({"role": "assistant", "content": ""}),
        thought(text="Hm, "),
        thought(text="right."),
        thought(text="", signature="c2ln"),
        chunk({"content": [{"type": "text", "text": "Yes"}]}),
        chunk({"content": "."}, "stop"),
    )
    sealed = output[0].pop("encrypted_content")
    assert (status, output) == (
        "completed",
        [
            {
                "type": "reasoning",
                "id": "rs_n_0",
                "status": "completed",
                "summary": [{"type": "summary_text", "text": "Hm, right."}],
            },
            message("Yes.", 1),
        ],
    )
    assert unsealed({"encrypted_content": sealed}) == [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm, right.", "signature": "c2ln"}]}
    ]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
def test_thoughts_beside_the_content_are_reasoning_whatever_their_name(name: str) -> None:
    both = {"reasoning_content": "right.", "reasoning": "right."}
    chunks = [chunk({name: "Hm, ", "content": ""}), chunk(both), chunk({"content": "Yes", name: ""}), STOP]
    assert result(*chunks)[1] == [
        {
            "type": "reasoning",
            "id": "rs_n_0",
            "status": "completed",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "Hm, right."}],
        },
        message("Yes", 1),
    ]


def test_thoughts_between_texts_part_them_into_messages() -> None:
    chunks = [chunk({"content": "One"}), chunk({"reasoning": "Hm"}), chunk({"content": "Two"}), STOP]
    assert [item["type"] for item in result(*chunks)[1]] == ["message", "reasoning", "message"]


def test_several_calls_are_put_together_by_their_index() -> None:
    told = events(
        chunk({"role": "assistant", "content": "I look."}),
        called(piece(0, "", "call_1", "look_up")),
        called(piece(1, "", "call_2", "look_up")),
        called(piece(0, '{"word":'), piece(1, '{"word":"tui"}')),
        called(piece(0, '"kea"}')),
        CALLED,
        {"choices": [], "usage": USAGE},
    )
    assert assembled(told) == (
        "completed",
        [
            message("I look."),
            call(1, "call_1", "look_up", '{"word":"kea"}'),
            call(2, "call_2", "look_up", '{"word":"tui"}'),
        ],
        {**FACTS, "usage": COUNTED},
    )
    assert [event["delta"] for event in told if event["type"] == "response.function_call_arguments.delta"] == [
        '{"word":',
        '{"word":"tui"}',
        '"kea"}',
    ]


@pytest.mark.parametrize(
    ("pieces", "calls"),
    [
        ([piece(None, "{}", "a", "f"), piece(None, "{}", "b", "g")], [("a", "f", "{}"), ("b", "g", "{}")]),
        ([piece(None, "{", "a", "f"), piece(None, "}")], [("a", "f", "{}")]),
        (
            [piece(None, "{}", None, "f"), piece(None, "{}", None, "f")],
            [("call_n_0", "f", "{}"), ("call_n_1", "f", "{}")],
        ),
        ([piece(0, "{}", "a", "f"), piece(0, "{}", "b", "g")], [("a", "f", "{}"), ("b", "g", "{}")]),
        ([piece(0, "{", "a", "f"), piece(0, "}", "other")], [("a", "f", "{}")]),
        ([piece(0, "{", "a", "f"), piece(0, "}", "a", "f")], [("a", "f", "{}")]),
        ([piece(0, "{}", "same", "f"), piece(1, "[]", "same", "f")], [("same", "f", "{}"), ("call_n_1", "f", "[]")]),
        ([piece(0, '{"a":'), piece(0, "1}", "a", "f")], [("a", "f", '{"a":1}')]),
        ([piece(0, "", "a", "get_"), piece(0, None, None, "word"), piece(0, "{}")], [("a", "get_word", "{}")]),
        ([piece(0, None, None, "f"), piece(0, "{}", "late")], [("late", "f", "{}")]),
        ([piece(0, {"word": "kea"}, "a", "f")], [("a", "f", '{"word": "kea"}')]),
        ([piece(0, "", "a", "f")], [("a", "f", "{}")]),
        ([piece(0, "{}")], [("call_n_0", "", "{}")]),
        ([piece(0, "", "a", "f"), piece(1, '{"a":'), piece(1, "1}")], [("a", "f", '{"a":1}')]),
        ([piece(0, "", "a", "f"), piece(1, "{}", "a")], [("a", "f", "{}")]),
        (
            [piece(0, "{}", "a", "f"), piece(1, "[]"), piece(1, None, "b", "g")],
            [("a", "f", "{}"), ("b", "g", "[]")],
        ),
    ],
    ids=[
        "no index",
        "no index, pieces",
        "nothing but names",
        "one index for all",
        "another id with each piece",
        "id and name repeated",
        "one id for all",
        "name last",
        "name in pieces",
        "id last",
        "arguments as an object",
        "no arguments",
        "no name",
        "arguments under another index",
        "arguments under another index, with the id",
        "the second call's name last",
    ],
)
def test_calls_are_told_apart_however_a_server_names_them(pieces: list[Any], calls: list[Any]) -> None:
    assert calls_of(*(called(one) for one in pieces), CALLED) == calls
    assert calls_of(called(*pieces), CALLED) == calls


def test_citations_on_a_part_of_the_content_count_in_the_whole_message() -> None:
    cited = {"type": "url_citation", "url_citation": {"url": "u", "title": "T", "start_index": 0, "end_index": 2}}
    parts = [{"type": "text", "text": "Yes. "}, {"type": "text", "text": "It rains.", "citations": [cited, 7]}]
    ((item,), *_) = result(chunk({"content": parts}), STOP)[1:]
    assert item["content"] == [
        {
            "type": "output_text",
            "text": "Yes. It rains.",
            "annotations": [{"url": "u", "title": "T", "start_index": 5, "end_index": 7, "type": "url_citation"}],
            "logprobs": [],
        }
    ]


def test_a_function_call_of_the_old_kind_is_a_call() -> None:
    old = [chunk({"function_call": {"name": "f", "arguments": ""}}), chunk({"function_call": {"arguments": "{}"}})]
    assert calls_of(*old, chunk({}, "function_call")) == [("call_n_0", "f", "{}")]


def test_a_call_that_was_cut_off_is_incomplete_and_one_before_it_is_not() -> None:
    status, output, fields = result(
        called(piece(0, "{}", "a", "f")), called(piece(1, '{"word":"k', "b", "f")), chunk({}, "length")
    )
    assert (status, output) == ("incomplete", [call(0, "a", "f", "{}"), call(1, "b", "f", '{"word":"k', "incomplete")])
    assert fields["incomplete_details"] == {"reason": "max_output_tokens"}


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("end_turn", "completed", None),
        ("STOP", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("MAX_TOKENS", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
        ("SAFETY", "incomplete", "content_filter"),
    ],
)
def test_why_it_stopped_is_said_in_the_words_of_the_responses_api(finish: str, status: str, reason: str | None) -> None:
    details = {} if reason is None else {"incomplete_details": {"reason": reason}}
    ended, output, fields = result(chunk({"content": "Hi"}), chunk({}, finish))
    assert (ended, output, fields) == (status, [message("Hi", status=status)], {**FACTS, **details})


def test_a_reason_that_is_not_known_is_told_as_it_is() -> None:
    last = events(chunk({"content": "Hi"}), chunk({}, "insufficient_system_resource"))[-1]
    assert (last["type"], last["response"]["incomplete_details"]) == (
        "response.incomplete",
        {"reason": "insufficient_system_resource"},
    )


def test_a_refusal_is_a_refusal() -> None:
    chunks = [chunk({"refusal": "I can"}), chunk({"refusal": "not."}), STOP]
    refusal = {"type": "refusal", "refusal": "I cannot."}
    assert result(*chunks)[1] == [{**message(""), "content": [refusal]}]


def test_citations_stay_on_the_text() -> None:
    cited = {"start_index": 0, "end_index": 2, "title": "A", "url": "https://a.example"}
    _, output, _ = result(
        chunk({"content": "Hi"}), chunk({"annotations": [{"type": "url_citation", "url_citation": cited}]}), STOP
    )
    assert output[0]["content"][0]["annotations"] == [{**cited, "type": "url_citation"}]


def test_a_picture_in_the_content_is_an_image_item() -> None:
    shown = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    picture = {"type": "image_generation_call", "status": "completed", "result": "AAAA"}
    assert result(chunk({"content": [{"type": "text", "text": "See."}, shown]}), chunk({"images": [shown]}), STOP)[
        1
    ] == [
        message("See."),
        {**picture, "id": "ig_n_1"},
        {**picture, "id": "ig_n_2"},
    ]


@pytest.mark.parametrize(
    "error",
    [
        {"error": "Internal error"},
        {"error": {"message": "Internal error", "type": "server_error", "code": 500}},
        {"error_code": "INTERNAL_ERROR", "message": "Internal error"},
        {"choices": [{"delta": {}, "finish_reason": "error", "error": {"message": "Internal error"}}]},
    ],
)
def test_an_error_in_the_stream_ends_it_and_keeps_what_was_said(error: dict[str, Any]) -> None:
    told = events(chunk({"content": "Hi"}), error, chunk({"content": "never told"}))
    assert [event["message"] for event in told if event["type"] == "error"] == ["Internal error"]
    status, output, _ = assembled(told)
    assert (status, output[0]["content"][0]["text"]) == ("failed", "Hi")


def test_a_stream_that_breaks_off_leaves_the_answer_cut() -> None:
    status, output, _ = result(chunk({"content": "Hel"}), marked=False)
    assert (status, output[0]["status"], output[0]["content"][0]["text"]) == ("cut", "incomplete", "Hel")
    assert result(called(piece(0, '{"a', "a", "f")), marked=False)[0] == "cut"


def test_a_stream_that_says_done_without_a_reason_is_complete() -> None:
    assert result(chunk({"content": "Hi"})) == ("completed", [message("Hi")], FACTS)


def test_a_stream_without_an_answer_is_no_answer() -> None:
    assert result(chunk({"role": "assistant", "content": ""}))[:2] == ("cut", [])
    assert result(STOP)[:2] == ("completed", [])


def test_a_reason_is_enough_where_the_stream_ends_without_done() -> None:
    assert result(chunk({"content": "Hi"}), STOP, marked=False) == ("completed", [message("Hi")], FACTS)


def test_a_server_that_names_nothing_answers_for_the_endpoint() -> None:
    status, output, fields = result({"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]})
    del fields["created_at"]
    assert (status, output, fields) == ("completed", [message("Hi")], {"id": "", "model": "asked-for"})


def test_what_comes_before_and_beside_the_answer_does_no_harm() -> None:
    filters = {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
    second = {"choices": [{"index": 1, "delta": {"content": "another answer"}}]}
    beside = {**chunk({"content": "Hi"}), "error": None, "custom_outputs": {"a": 1}}
    status, output, fields = result(filters, {}, None, "x", second, beside, STOP)
    assert (status, output, fields["custom_outputs"]) == ("completed", [message("Hi")], {"a": 1})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "choices",
                    "delta",
                    "message",
                    "content",
                    "index",
                    "tool_calls",
                    "function",
                    "name",
                    "arguments",
                    "type",
                    "text",
                    "summary",
                    "signature",
                    "reasoning",
                    "refusal",
                    "finish_reason",
                    "usage",
                    "prompt_tokens",
                    "completion_tokens",
                    "error",
                    "annotations",
                    "images",
                ]
            ),
            inner | st.sampled_from(["reasoning", "text", "thinking", "stop", "length", "a"]),
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(
    st.lists(JSON | JSON.map(lambda value: chunk(value if isinstance(value, dict) else {})), max_size=6), st.booleans()
)
def test_garbage_never_raises(chunks: list[Any], marked: bool) -> None:
    assembler = ResponseAssembler()
    for event in translated(ChatEvents("m"), chunks, marked=marked):
        json.dumps(event)
        assembler.feed(event)
    assembler.end_of_stream(marked=marked)
    assembler.result()


@given(st.text(min_size=1), st.data())
def test_text_is_the_same_however_it_was_cut(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert result(*(chunk({"content": one}) for one in pieces), STOP)[1] == [message(text)]


def test_what_nests_too_deep_never_raises() -> None:
    deep: Any = {}
    for _ in range(5000):
        deep = {"arguments": deep}
    events(called({"index": 0, "id": "a", "function": {"name": "f", "arguments": deep}}))
    events(chunk({"content": [{"type": "reasoning", "summary": [{"type": "other", "data": deep}]}]}), {"error": deep})
