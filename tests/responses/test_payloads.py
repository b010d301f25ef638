"""JSON with pictures in it."""

import base64
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databricks_responses_mcp.responses.payloads import Payload, parse_json

PICTURE = bytes(range(256)) * 400
BASE64 = base64.b64encode(PICTURE).decode()


def event(**item: Any) -> bytes:
    return json.dumps({"type": "response.output_item.done", "item": item}).encode()


def test_a_large_picture_stays_base64_until_it_is_decoded() -> None:
    parsed = parse_json(event(id="ig_1", result=BASE64, size="1024x1024"))
    payload = parsed["item"].pop("result")
    assert parsed == {"type": "response.output_item.done", "item": {"id": "ig_1", "size": "1024x1024"}}
    assert isinstance(payload, Payload)
    assert payload.decode() == PICTURE


def test_every_picture_of_a_response_is_found_wherever_it_stands() -> None:
    body = {
        "output": [{"result": BASE64}, {"x": {"partial_image_b64": BASE64}}, {"result": "small"}],
        "b64_json": BASE64,
    }
    parsed = parse_json(json.dumps(body, indent=2).encode())
    assert parsed["output"][0]["result"].decode() == PICTURE
    assert parsed["output"][1]["x"]["partial_image_b64"].decode() == PICTURE
    assert parsed["output"][2]["result"] == "small"
    assert parsed["b64_json"].decode() == PICTURE


def test_a_large_string_with_escapes_is_left_to_the_parser() -> None:
    text = 'a "quoted" line\n' * 8000
    assert parse_json(event(result=text)) == {"type": "response.output_item.done", "item": {"result": text}}


def test_a_key_that_only_looks_like_a_pictures_is_left_alone() -> None:
    body = {"text": '"result": "' + "A" * 100_000, "result": 5, "more": {"result": None}}
    assert parse_json(json.dumps(body).encode()) == body


def test_text_that_imitates_our_placeholder_stays_text() -> None:
    imitation = "\ue000payload:7"
    assert parse_json(event(result=BASE64, note=imitation))["item"]["note"] == imitation


def test_half_a_surrogate_pair_does_not_lose_the_event() -> None:
    assert parse_json(b'{"delta": "\\ud83d"}') == {"delta": "\ud83d"}


@pytest.mark.parametrize("data", [b"", b"{", b"<html>", b'{"result": "' + b"A" * 100_000])
def test_what_is_not_json_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_json(data)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
        lambda s: st.lists(s) | st.dictionaries(st.text(), s),
    )
)
def test_small_json_reads_as_the_standard_library_reads_it(value: Any) -> None:
    encoded = json.dumps(value).encode()
    assert parse_json(encoded) == json.loads(encoded)


def test_parsing_a_picture_takes_no_second_copy_of_it() -> None:
    data = bytearray(event(result="A" * 20_000_000))
    tracemalloc.start()
    try:
        parsed = parse_json(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(parsed["item"]["result"]) == 20_000_000
    assert peak < 1_000_000


def test_json_that_would_take_many_times_its_size_is_not_read() -> None:
    dense = b"[" + b"[]," * 3_500_000 + b"[]]"
    with pytest.raises(ValueError, match="more than 4000000 values"):
        parse_json(dense)
    text = b'{"text": "' + b"x" * 12_000_000 + b'"}'
    assert len(parse_json(text)["text"]) == 12_000_000
