"""What agents stream and answer, as stream events of the Responses API."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databricks_responses_mcp.responses.accumulator import ResponseAssembler
from databricks_responses_mcp.responses.agent_events import AgentEvents
from harness.translated import assembled, translated


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}], **more}


def kept(text: str, item_id: str, **more: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    named = {"type": "message", "id": item_id, "role": "assistant", "status": "completed"}
    return {**named, "content": content, **more}


def delta(text: str, item_id: str | None = None, **more: Any) -> dict[str, Any]:
    named = {} if item_id is None else {"item_id": item_id}
    return {"type": "response.output_text.delta", "delta": text, **named, **more}


def done(item: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "response.output_item.done", "item": item, **more}


def events(*given_events: Any, marked: bool = True) -> list[dict[str, Any]]:
    return translated(AgentEvents("birds-agent", nonce="n"), given_events, marked=marked)


def result(*given_events: Any, marked: bool = True) -> tuple[str, list[Any], dict[str, Any]]:
    status, output, fields = assembled(events(*given_events, marked=marked), marked=marked)
    # Agents seldom say when.
    fields.pop("created_at", None)
    return status, output, fields


def read_along(*given_events: Any) -> str:
    deltas = [event for event in events(*given_events) if event["type"] == "response.output_text.delta"]
    return "".join(event["delta"] for event in deltas)


FACTS = {"id": "", "model": "birds-agent"}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "look_up", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "a parrot"}
CALLED = [{**CALL, "status": "completed"}, {**OUTPUT, "id": "fco_n_1", "status": "completed"}]


def test_deltas_and_the_item_that_ends_them_are_one_message() -> None:
    told = [delta("Hel", "m1"), delta("lo", "m1"), done(said("Hello", id="m1"))]
    assert result(*told) == ("completed", [kept("Hello", "m1")], FACTS)
    assert result(*told, marked=False) == ("completed", [kept("Hello", "m1")], FACTS)
    assert read_along(*told) == "Hello"


def test_text_that_comes_only_when_it_is_done_can_be_read_along_too() -> None:
    told = [done(said("One", id="m1")), done(said("Two", id="m2"))]
    assert result(*told)[1] == [kept("One", "m1"), kept("Two", "m2")]
    assert read_along(*told) == "OneTwo"


@pytest.mark.parametrize(
    "told",
    [
        [delta("Hi ", "a"), done(said("Hi you", id="b"))],
        [delta("Hi ", "a", output_index=0), delta("you", "b", output_index=0), done(said("Hi you"), output_index=0)],
        [delta("Hi "), delta("you"), done(said("Hi you"))],
        [
            delta("Hi ", "a"),
            delta("you", "a"),
            {"type": "response.completed", "response": {"output": [said("Hi you")]}},
        ],
        [delta("Hi ", "a"), delta("you", "a"), {"type": "responses.completed", "response": {}}],
        [delta("Hi ", "a"), delta("you", "a")],
        [done(said("Hi you")), {"type": "response.completed", "response": {"output": [said("Hi you", id="z")]}}],
        [done({"role": "assistant", "content": "Hi you"})],
        [{"predictions": ["Hi you"]}],
        [{"role": "assistant", "content": "Hi you"}],
    ],
    ids=[
        "another id when done",
        "another id with each event",
        "no ids",
        "only in the end",
        "deltas and supervisor's end",
        "deltas alone",
        "twice",
        "content as text",
        "a served function's text",
        "a message alone",
    ],
)
def test_a_message_is_told_once_however_an_agent_names_it(told: list[Any]) -> None:
    status, output, _ = result(*told)
    texts = [part["text"] for item in output for part in item["content"]]
    assert (status, texts, read_along(*told)) == ("completed", ["Hi you"], "Hi you")


def test_tools_of_the_agents_own_are_items_of_the_output() -> None:
    asked = {"type": "mcp_approval_request", "id": "a1", "server_label": "x", "name": "ask", "arguments": "{}"}
    assert result(done(CALL), done(OUTPUT), done(said("A parrot.", id="m1")), done(asked)) == (
        "completed",
        [*CALLED, kept("A parrot.", "m1"), asked],
        FACTS,
    )


def test_what_an_agent_says_beside_its_answer_is_kept() -> None:
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    assert result(
        {"type": "response.created", "response": {"id": "resp_1", "model": "claude", "created_at": 1.5}},
        done(said("Hi", id="m1"), custom_outputs={"score": 1}),
        {"trace_id": "tr-1"},
        {"databricks_output": {"trace": {}}},
        {"type": "response.completed", "response": {"id": "resp_1", "usage": usage}},
    ) == (
        "completed",
        [kept("Hi", "m1")],
        {
            "id": "resp_1",
            "model": "claude",
            "custom_outputs": {"score": 1},
            "trace_id": "tr-1",
            "databricks_output": {"trace": {}},
            "usage": {
                **usage,
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens_details": {"reasoning_tokens": 0},
            },
        },
    )


@pytest.mark.parametrize(
    "wrap", [lambda answer: answer, lambda answer: [answer], lambda answer: {"predictions": answer}]
)
def test_a_reply_without_id_status_model_and_usage_is_a_response(wrap: Any) -> None:
    answer = {"object": "response", "output": [CALL, OUTPUT, said("A parrot.")], "custom_outputs": {"score": 1}}
    assert result(wrap(answer)) == (
        "completed",
        [*CALLED, kept("A parrot.", "msg_n_2")],
        {**FACTS, "custom_outputs": {"score": 1}},
    )


def test_an_agent_that_repeats_the_question_is_not_quoted_with_it() -> None:
    question = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Who?"}]}
    assert result({"output": [question, said("Me", id="m1")]})[1] == [kept("Me", "m1")]


@pytest.mark.parametrize(
    "error",
    [
        {"error": "The agent broke."},
        {"error": {"message": "The agent broke.", "code": 500}},
        {"type": "error", "message": "The agent broke.", "code": "500"},
        {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "The agent broke."}}},
        {"error_code": "INTERNAL_ERROR", "message": "The agent broke."},
    ],
)
def test_an_error_ends_the_stream_and_keeps_what_was_said(error: dict[str, Any]) -> None:
    told = events(delta("Hi", "m1"), error, delta("never told", "m1"))
    assert told[-1]["message"] == "The agent broke."
    status, output, _ = assembled(told)
    assert (status, output[0]["content"][0]["text"]) == ("failed", "Hi")


def test_a_response_that_failed_without_an_error_says_so() -> None:
    failed = {"type": "response.failed", "response": {"status": "failed", "output": [], "error": None}}
    told = events(delta("Half"), failed)
    assert (told[-1]["type"], told[-1]["message"]) == ("error", "The agent failed and did not say why.")
    status, output, _ = assembled(told)
    assert (status, output[0]["content"][0]["text"]) == ("failed", "Half")


def test_an_incomplete_answer_says_why() -> None:
    cut = {"type": "response.incomplete", "response": {"incomplete_details": {"reason": "max_output_tokens"}}}
    status, output, fields = result(delta("Hi", "m1"), cut)
    assert (status, output[0]["status"], fields["incomplete_details"]) == (
        "incomplete",
        "incomplete",
        {"reason": "max_output_tokens"},
    )


def test_a_stream_that_breaks_off_in_a_message_is_cut() -> None:
    status, output, _ = result(done(CALL), done(OUTPUT), delta("A par", "m1"), marked=False)
    assert (status, [item["type"] for item in output]) == ("cut", ["function_call", "function_call_output", "message"])


@pytest.mark.parametrize("nothing", [[], [{"trace_id": "tr-1"}], [{"status": "ok"}], [done({"id": "m1"})]])
@pytest.mark.parametrize("marked", [True, False])
def test_a_stream_without_an_answer_is_no_answer(nothing: list[Any], marked: bool) -> None:
    assert result(*nothing, marked=marked)[:2] == ("cut", [])


def chat_chunk(**message: Any) -> dict[str, Any]:
    return {"delta": {"role": "assistant", **message}}


CHAT_CALL = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
CHAT_OUTPUT = [{**CALLED[0], "id": "fc_n_0"}, CALLED[1]]


def test_chunks_of_a_chat_agent_are_put_together_by_their_ids() -> None:
    status, output, fields = result(
        chat_chunk(content="", id="a", tool_calls=[CHAT_CALL]),
        chat_chunk(role="tool", content="a parrot", tool_call_id="c1", name="look_up", id="b"),
        chat_chunk(content="A ", id="c"),
        chat_chunk(content="parrot.", id="c"),
        {**chat_chunk(content="More?", id="d"), "finish_reason": "stop", "custom_outputs": {"score": 1}},
    )
    texts = [item["content"][0]["text"] for item in output[2:]]
    assert (status, output[:2], texts, fields) == (
        "completed",
        CHAT_OUTPUT,
        ["A parrot.", "More?"],
        {**FACTS, "custom_outputs": {"score": 1}},
    )


def test_a_chat_agents_whole_answer_is_a_response() -> None:
    messages = [
        {"role": "user", "content": "Look up kea."},
        {"role": "assistant", "content": "", "tool_calls": [CHAT_CALL], "id": "a"},
        {"role": "tool", "content": "a parrot", "tool_call_id": "c1", "id": "b"},
        {"role": "assistant", "content": "A parrot.", "id": "c"},
    ]
    status, output, fields = result({"messages": messages, "custom_outputs": {"score": 1}}, marked=False)
    assert (status, output[:2], output[2]["content"][0]["text"]) == ("completed", CHAT_OUTPUT, "A parrot.")
    assert fields == {**FACTS, "custom_outputs": {"score": 1}}


def test_an_agent_that_speaks_chat_completions_is_understood() -> None:
    told = [{"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}], "custom_outputs": {"score": 1}}]
    status, output, fields = result(*told)
    assert (status, output[0]["content"][0]["text"], fields) == (
        "completed",
        "Hi",
        {**FACTS, "custom_outputs": {"score": 1}},
    )


KINDS = st.sampled_from(
    [
        "response.output_text.delta",
        "response.output_item.done",
        "response.output_text.annotation.added",
        "response.completed",
        "response.created",
        "message",
        "output_text",
        "function_call_output",
    ]
)
GARBAGE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | KINDS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "item",
                    "delta",
                    "item_id",
                    "output_index",
                    "content",
                    "text",
                    "response",
                    "output",
                    "role",
                    "messages",
                    "tool_calls",
                    "predictions",
                    "annotation",
                    "custom_outputs",
                    "annotations",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@given(st.lists(GARBAGE, max_size=6), st.booleans())
def test_garbage_never_raises(given_events: list[Any], marked: bool) -> None:
    assembler = ResponseAssembler()
    for event in translated(AgentEvents("a"), given_events, marked=marked):
        json.dumps(event)
        assembler.feed(event)
    assembler.end_of_stream(marked=marked)
    assembler.result()


def nested(depth: int, key: str) -> Any:
    value: Any = []
    for _ in range(depth):
        value = {key: value} if key else [value]
    return value


@pytest.mark.parametrize("key", ["", "predictions", "output", "content", "error", "custom_outputs"])
def test_what_nests_too_deep_never_raises(key: str) -> None:
    deep = nested(5000, key)
    events(deep)
    events({"output": [{"type": "function_call", "call_id": deep}, {"type": "message", "content": [{"text": deep}]}]})
    events({"delta": {"role": "tool", "content": deep}}, {"choices": [deep]}, {"messages": [deep]})
