"""JSON of any type in any field of any event: no reader raises, and text and token counts that came are kept."""

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import to_json

from databricks_responses_mcp.responses.accumulator import ResponseAssembler
from databricks_responses_mcp.responses.agent_events import AgentEvents
from databricks_responses_mcp.responses.agent_request import to_agent, to_agent_chat
from databricks_responses_mcp.responses.answers import answer_items, answer_problems
from databricks_responses_mcp.responses.chat_events import ChatEvents
from databricks_responses_mcp.responses.chat_request import to_chat
from databricks_responses_mcp.responses.open_request import to_open
from databricks_responses_mcp.responses.payloads import parse_json
from databricks_responses_mcp.responses.replay import replayable
from databricks_responses_mcp.responses.unsupported import UntranslatableError
from databricks_responses_mcp.turns.outcome import Outcome, outcome_of
from databricks_responses_mcp.turns.partial_response import PartialResponse
from databricks_responses_mcp.turns.search import read
from databricks_responses_mcp.workspace.api_errors import event_error, upstream_error

Path = tuple[str | int, ...]

TEXT = "The answer is 42."
USAGE = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 1},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 18,
}

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.just(-1),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=8),
    st.sampled_from(["", "12", "\ud83d", "x" * 300, "message", "completed", "1e400"]),
)
odd_json = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def message(**more: Any) -> dict[str, Any]:
    note = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 3}
    part = {"type": "output_text", "text": TEXT, "annotations": [note], "logprobs": []}
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part], **more}


def call(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "id": f"{kind}_1", "call_id": f"call_{kind}", "status": "completed", **more}


REASONING = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}
CALLS = [
    call("function_call", name="f", arguments="{}"),
    call("custom_tool_call", name="c", input="x"),
    call("apply_patch_call", operation={"type": "update_file", "path": "a", "diff": "@@"}),
    call("shell_call", action={"commands": ["ls"], "max_output_length": 10}),
    {"type": "mcp_approval_request", "id": "appr_1", "name": "t", "server_label": "s", "arguments": "{}"},
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"sources": [{"url": "https://a"}]}},
    {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "QUJD", "revised_prompt": "p"},
    {"type": "mcp_list_tools", "id": "ml_1", "server_label": "s", "tools": [{"name": "t"}]},
]


def native() -> list[Any]:
    final = {"id": "resp_1", "object": "response", "status": "completed", "model": "m", "created_at": 1, "usage": USAGE}
    where = {"output_index": 1, "content_index": 0, "item_id": "msg_1"}
    return [
        {"type": "response.created", "response": {**final, "output": [], "usage": None}},
        {"type": "response.output_item.added", "output_index": 0, "item": REASONING},
        {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "hm"},
        {"type": "response.output_item.done", "output_index": 0, "item": REASONING},
        {"type": "response.output_item.added", "output_index": 1, "item": message(content=[])},
        {"type": "response.output_text.delta", "delta": TEXT[:5], **where},
        {"type": "response.output_text.annotation.added", "annotation": {"type": "url_citation"}, **where},
        {"type": "response.output_text.delta", "delta": TEXT[5:], **where},
        {"type": "response.output_item.done", "output_index": 1, "item": message()},
        *(
            {"type": "response.output_item.done", "output_index": number, "item": item}
            for number, item in enumerate(CALLS, 2)
        ),
        {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": "{}"},
        {"type": "response.completed", "response": {**final, "output": [REASONING, message(), *CALLS]}},
    ]


def chat() -> list[Any]:
    counts = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    details = {"prompt_tokens_details": {"cached_tokens": 1}, "completion_tokens_details": {"reasoning_tokens": 2}}
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    tool_call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    note = {"type": "url_citation", "url_citation": {"url": "https://a", "title": "A"}}
    said = [
        {"role": "assistant", "reasoning_content": "hm", "content": TEXT[:5]},
        {"content": TEXT[5:], "annotations": [note]},
        {"tool_calls": [tool_call]},
    ]
    return [
        *({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in said),
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {**head, "choices": [], "usage": {**counts, **details}},
    ]


def agent() -> list[Any]:
    return [
        {"type": "response.output_text.delta", "item_id": "m1", "delta": TEXT},
        {"type": "response.output_item.done", "item": message(id="m1")},
        {"type": "response.output_item.done", "item": CALLS[0]},
        {"type": "response.output_item.done", "item": call("function_call_output", output="o")},
        {"type": "response.completed", "response": {"id": "r", "model": "m", "output": [message()], "usage": USAGE}},
    ]


def agent_chat() -> list[Any]:
    head = {"id": "c1", "finish_reason": None}
    tool = {"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    return [
        {**head, "delta": {"role": "assistant", "id": "m1", "content": TEXT}},
        {**head, "delta": {"role": "assistant", "id": "m2", "tool_calls": [tool]}},
        {**head, "delta": {"role": "tool", "id": "m3", "tool_call_id": "t1", "content": "o"}},
        {**head, "delta": {}, "usage": USAGE, "finish_reason": "stop"},
    ]


Reader = Callable[[], Any]
STREAMS: dict[str, tuple[list[Any], Reader | None]] = {
    "native": (native(), None),
    "chat": (chat(), lambda: ChatEvents("m", nonce="n")),
    "agent": (agent(), lambda: AgentEvents("m", nonce="n")),
    "agent of the chat kind": (agent_chat(), lambda: AgentEvents("m", nonce="n")),
}
# Names of the fields that carry the text and the counts. What holds them, and what says how they are to be read, is not
# replaced either: nothing could be kept then.
NOT_REPLACED = {"delta", "content", "text", "index", "choices", "response", "usage", "finish_reason", "role", "error"}


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths(inner, (*path, key))


def may_be_replaced(path: Path) -> bool:
    if len(path) < 2 or path[-1] in NOT_REPLACED or "usage" in path:
        return False
    # A type of an event, or of a part of text; the item of an event that has no deltas.
    return not (path[-1] == "type" and (len(path) == 2 or "content" in path)) and not (
        path[-1] in (0, "annotations") and len(path) > 1 and path[-2] in ("choices", "content")
    )


def replaced(events: list[Any], changes: list[tuple[Path, Any]]) -> list[Any]:
    changed = copy.deepcopy(events)
    for path, odd in changes:
        holder: Any = changed
        try:
            for key in path[:-1]:
                holder = holder[key]
            holder[path[-1]] = odd
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change has taken it away
    return changed


def assembled(events: list[Any], reader: Reader | None) -> Outcome:
    assembler = ResponseAssembler()
    translator = reader() if reader is not None else None
    for event in events:
        for one in [event] if translator is None else translator.feed(event):
            assembler.feed(one)
    for one in [] if translator is None else translator.finish(marked=True):
        assembler.feed(one)
    assembler.end_of_stream(marked=True)
    outcome = outcome_of(assembler.result(), "m")
    if assembler.error is not None:
        assert str(event_error(assembler.error))
    assert assembler.tail is not None
    partial = PartialResponse()
    partial.add(assembler, "m")
    to_json(partial.structured())
    return outcome


def usable(outcome: Outcome) -> None:
    """What is done with an answer: told, joined with another, searched for citations, sent again, answered."""
    assert not [note for note in outcome.notes if "could not be read" in note]
    to_json(outcome.as_dict(), inf_nan_mode="constants")
    json.dumps(outcome.as_dict(), allow_nan=False).encode()
    to_json(outcome.merge(outcome).as_dict())
    to_json(read(outcome).structured())
    again = replayable(outcome.items)
    json.dumps(again, allow_nan=False)
    assert all(isinstance(item.get("id", ""), str) for item in again)
    assert all(isinstance(item.get("call_id", ""), str) for item in again)
    for translate in (to_chat, to_open, to_agent, to_agent_chat):
        with suppress(UntranslatableError):
            json.dumps(translate({"model": "m", "input": again}), allow_nan=False)
    outputs = [
        {
            "call_id": pending.get("call_id"),
            "approval_request_id": pending.get("approval_request_id"),
            "output": "o",
            "approve": True,
            "status": "completed",
            "exit_code": 0,
        }
        for pending in outcome.pending_calls
    ]
    if not answer_problems(outcome.pending_calls, outputs):
        answer_items(outcome.pending_calls, outputs)


@pytest.mark.parametrize("name", STREAMS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_json_in_any_other_field_costs_neither_text_nor_usage(name: str, data: st.DataObject) -> None:
    events, reader = STREAMS[name]
    places = st.sampled_from([path for path in paths(events) if may_be_replaced(path)])
    changes = data.draw(st.lists(st.tuples(places, odd_json), min_size=1, max_size=4))
    outcome = assembled(replaced(events, changes), reader)
    assert TEXT in outcome.text
    assert outcome.usage is not None
    assert (outcome.usage["input_tokens"], outcome.usage["output_tokens"]) == (11, 7)
    usable(outcome)


@pytest.mark.parametrize("name", STREAMS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_json_at_any_place_raises_nothing(name: str, data: st.DataObject) -> None:
    events, reader = STREAMS[name]
    places = st.sampled_from(list(paths(events)))
    changes = data.draw(st.lists(st.tuples(places, odd_json), min_size=1, max_size=6))
    usable(assembled(replaced(events, changes), reader))


@settings(max_examples=200, deadline=None)
@given(st.lists(odd_json, max_size=5))
def test_arbitrary_events_raise_nothing(events: list[Any]) -> None:
    for reader in (None, lambda: ChatEvents("m"), lambda: AgentEvents("m")):
        usable(assembled(events, reader))


@settings(max_examples=200, deadline=None)
@given(odd_json, st.sampled_from([200, 400, 429, 500, 503]))
def test_an_error_body_of_any_json_has_a_code_and_a_hint(body: Any, status: int) -> None:
    for value in (body, {"error": body}, {"message": body, "error_code": body}, {"error": {"message": body}}):
        data = json.dumps(value).encode()
        error = upstream_error(status=status, headers={"retry-after": str(body)[:50]}, body=data, model="m", host="h")
        assert error.message
        assert error.hint
        assert event_error({"type": "error", "error": body, "message": body}).hint


@pytest.mark.parametrize(
    ("counts", "kept"),
    [
        ({"input_tokens": "11", "output_tokens": 7}, {"input_tokens": 11, "output_tokens": 7}),
        ({"input_tokens": float("inf"), "output_tokens": 7}, {"output_tokens": 7}),
        ({"input_tokens": float("nan"), "output_tokens": 7}, {"output_tokens": 7}),
        ({"input_tokens": -5, "output_tokens": 10**400}, {}),
        ({"input_tokens": [11], "output_tokens": {"x": 1}}, {"output_tokens": {"x": 1}}),
        ({"input_tokens": True, "output_tokens": 7.0, "cost": 0.25}, {"output_tokens": 7, "cost": 0.25}),
    ],
)
def test_counts_of_tokens_are_whole_numbers_or_left_out(counts: dict[str, Any], kept: dict[str, Any]) -> None:
    events = [*native()[:-1], {"type": "response.completed", "response": {"usage": counts, "output": [message()]}}]
    outcome = assembled(events, None)
    assert (outcome.text, outcome.usage or {}) == (TEXT, kept)


def test_a_number_that_no_integer_holds_does_not_cost_its_event() -> None:
    event = parse_json(b'{"delta": "text", "huge": ' + b"9" * 5000 + b', "infinite": 1e400}')
    assert (event["delta"], event["huge"]) == ("text", None)


@pytest.mark.parametrize(
    "junk",
    [
        [{}],
        [{"type": "message"}],
        [{"type": "message", "content": 17}],
        [{"type": "x"}, {"type": "y"}],
        [{"type": ["message"], "content": [{"type": "output_text", "text": "other"}]}],
        [{"type": "reasoning", "summary": []}],
    ],
)
@pytest.mark.parametrize("is_done", [True, False])
def test_junk_in_the_last_event_hides_nothing_that_came_before(junk: list[Any], is_done: bool) -> None:
    events = [event for event in native()[:-1] if is_done or event["type"] != "response.output_item.done"]
    outcome = assembled([*events, {"type": "response.completed", "response": {"output": junk, "usage": USAGE}}], None)
    assert (outcome.text, outcome.status, outcome.usage) == (TEXT, "completed", USAGE)
    assert len(outcome.pending_calls) == (5 if is_done else 0)


def test_the_last_event_decides_what_a_message_says() -> None:
    last = {"type": "response.completed", "response": {"output": [message(content="Redacted.")], "usage": USAGE}}
    assert assembled([*native()[:9], last], None).text == "Redacted."


def test_an_item_whose_ids_are_no_text_can_be_answered_and_sent_again() -> None:
    items = [
        {"type": "function_call", "id": 7, "call_id": 8, "name": "f", "arguments": {"a": 1}},
        {"type": "mcp_approval_request", "id": [9], "name": "t", "server_label": "s", "arguments": "{}"},
        {**message(), "id": {"a": 1}},
    ]
    outcome = assembled([{"type": "response.completed", "response": {"output": items}}], None)
    assert [(call.get("call_id"), call.get("approval_request_id")) for call in outcome.pending_calls] == [
        ("8", None),
        (None, "[9]"),
    ]
    assert [(item.get("id"), item.get("call_id")) for item in replayable(outcome.items)] == [
        (None, "8"),
        ("[9]", None),
        (None, None),
    ]
    assert outcome.items[0]["arguments"] == '{"a": 1}'
