"""Messages as clients send them, well made or not: each with an id is read, or refused with exactly that id."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.types import JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

from databricks_responses_mcp.transport.messages import (
    MAX_MESSAGE_BYTES,
    Received,
    escape_line_breaks,
    json_line,
    read_message,
    refuse_oversized,
)

PARSE, INVALID = -32700, -32600


def answers(received: Received) -> list[tuple[Any, int]]:
    assert received.message is None
    return [(refusal["id"], refusal["error"]["code"]) for refusal in received.refusals]


def request(params: str = "{}", identifier: str = "7") -> bytes:
    return f'{{"jsonrpc":"2.0","id":{identifier},"method":"ping","params":{params}}}'.encode()


REFUSED: dict[str, tuple[bytes, list[tuple[Any, int]]]] = {
    "nesting over 200": (request('{"a":' + "[" * 300 + "]" * 300 + "}"), [(7, PARSE)]),
    "nesting over 200, id last": (
        b'{"jsonrpc":"2.0","method":"ping","params":{"a":' + b"[" * 300 + b"]" * 300 + b'},"id":"last"}',
        [("last", PARSE)],
    ),
    "a number of 5,000 digits": (request('{"a":' + "1" * 5000 + "}"), [(7, PARSE)]),
    "an id of 5,000 digits": (request(identifier="1" * 5000), [(None, PARSE)]),
    "params as text": (request('"oops"'), [(7, INVALID)]),
    "params as a list": (request("[1]"), [(7, INVALID)]),
    "no jsonrpc": (b'{"id":7,"method":"ping"}', [(7, INVALID)]),
    "jsonrpc 1.0": (b'{"jsonrpc":"1.0","id":7,"method":"ping"}', [(7, INVALID)]),
    "a number as method": (b'{"jsonrpc":"2.0","id":7,"method":123}', [(7, INVALID)]),
    "no method": (b'{"jsonrpc":"2.0","id":"x"}', [("x", INVALID)]),
    "no method, no id": (b"{}", [(None, INVALID)]),
    "an object as id": (b'{"jsonrpc":"2.0","id":{},"method":"ping"}', [(None, INVALID)]),
    "null as id": (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', [(None, INVALID)]),
    "true as id": (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', [(None, INVALID)]),
    "a fraction as id": (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', [(1.5, INVALID)]),
    "a batch": (
        b'[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"n"},{"jsonrpc":"2.0","id":"b","method":"p"}]',
        [(1, INVALID), ("b", INVALID)],
    ),
    "an empty batch": (b"[]", [(None, INVALID)]),
    "a batch of 10,000": (b"[" + b",".join([b'{"id":1,"method":"p"}'] * 10_000) + b"]", [(None, INVALID)]),
    "a text": (b'"text"', [(None, INVALID)]),
    "no JSON": (b"not json", [(None, PARSE)]),
    "a line that was cut": (b'{"jsonrpc":"2.0","id":"cut","method":"tools/li', [("cut", PARSE)]),
    "a line that was cut in its id": (b'{"jsonrpc":"2.0","method":"ping","id":12', [(None, PARSE)]),
    "a line that was cut in a text that holds an id": (b'{"jsonrpc":"2.0","method":"a {\\"id\\":9, ', [(None, PARSE)]),
    "an id that is not the message's": (b'{"jsonrpc":"2.0","params":{"id":9},"method":"ping"', [(None, PARSE)]),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_request_that_cannot_be_read_is_refused_once_with_its_id(kind: str) -> None:
    data, expected = REFUSED[kind]
    assert answers(read_message(data)) == expected


REPAIRED = {
    "half a pair at the end": (r'"cut \ud83d"', "cut \ufffd"),
    "the second half alone": (r'"\ude00 rest"', "\ufffd rest"),
    "two first halves": (r'"\ud83d\ud83d\ude00"', "\ufffd\U0001f600"),
    "upper case": (r'"\uD83D!"', "\ufffd!"),
    "a whole pair": (r'"\ud83d\ude00"', "\U0001f600"),
    "a backslash before the letters": (r'"\\ud83d\ud83d"', "\\ud83d\ufffd"),
}


@pytest.mark.parametrize("kind", REPAIRED)
def test_lone_surrogates_become_the_replacement_character(kind: str) -> None:
    written, meant = REPAIRED[kind]
    received = read_message(request('{"a":' + written + "}"))
    assert isinstance(received.message, JSONRPCRequest)
    assert received.message.params == {"a": meant}
    assert json.loads(received.body)["params"] == {"a": meant}


def test_bytes_that_are_not_utf8_and_a_byte_order_mark_are_read() -> None:
    received = read_message(b"\xef\xbb\xbf" + request('{"a":"\xff"}').replace(b"\xc3\xbf", b"\xff"))
    assert isinstance(received.message, JSONRPCRequest)
    assert received.message.params == {"a": "\ufffd"}


def test_what_needs_no_answer_gets_none() -> None:
    notification = read_message(b'{"jsonrpc":"2.0","method":"n","params":{"id":4}}')
    assert (type(notification.message), notification.refusals) == (JSONRPCNotification, ())
    response = read_message(b'{"jsonrpc":"2.0","id":4,"result":{"a":"\\ud83d"}}')
    assert isinstance(response.message, JSONRPCResponse)
    for line in (
        b"\r\n",
        b'{"id":4,"result":{}}',
        b'{"id":4,"error":{"code":1}}',
        b'{"jsonrpc":"2.0","id":4,"result":{"a":' + b"[" * 300,
    ):
        assert read_message(line) == Received()


def test_our_own_refusals_are_no_requests() -> None:
    (refusal,) = read_message(b"not json").refusals
    assert read_message(json_line(refusal).encode()).refusals == ()


@pytest.mark.parametrize("position", ["first", "last"])
def test_an_oversized_message_is_refused_with_its_id(position: str) -> None:
    start = b'{"jsonrpc":"2.0",' + (b'"id":5,' if position == "first" else b"") + b'"method":"ping","params":{"a":"xxx'
    end = b'xxx"}}\n' if position == "first" else b'xxx"},"id":5}\n'
    assert answers(refuse_oversized(start, end)) == [(5, INVALID)]
    assert str(MAX_MESSAGE_BYTES) in refuse_oversized(start, end).refusals[0]["error"]["message"]


def test_written_lines_contain_no_line_break_and_no_lone_surrogate() -> None:
    text = "a\u2028b\u2029c\u0085d\r\ne\ud83d"
    for said in (text, text[:-1]):
        line = json_line(JSONRPCResponse(jsonrpc="2.0", id=1, result={"text": said}))
        assert line.splitlines() == [line]
        assert json.loads(line)["result"]["text"] == said.replace("\ud83d", "\ufffd")
    assert escape_line_breaks("a\u2028b\u2029c\u0085".encode()) == b"a\\u2028b\\u2029c\\u0085"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.fixed_dictionaries(
        {"id": st.integers() | st.text()},
        optional={"jsonrpc": st.just("2.0") | JSON, "method": st.just("ping") | JSON, "params": JSON},
    ),
    st.integers(min_value=0, max_value=30),
)
def test_each_object_with_an_id_is_a_request_or_is_refused_with_that_id(message: dict[str, Any], cut: int) -> None:
    received = read_message(json.dumps(message).encode())
    if received.message is not None:
        assert isinstance(received.message, JSONRPCRequest)
        assert received.message.id == message["id"]
    else:
        assert [refusal["id"] for refusal in received.refusals] == [message["id"]]
    whole = json.dumps(message, ensure_ascii=False).encode("utf-8", "replace")
    (refusal,) = read_message(whole[: len(whole) - 1 - cut] or b"{").refusals
    assert refusal["id"] in (None, message["id"])


@given(st.binary(max_size=60))
def test_any_bytes_are_read_refused_or_skipped(data: bytes) -> None:
    received = read_message(data)
    assert received.message is None or received.refusals == ()
