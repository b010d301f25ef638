"""Server-sent events, however they are cut and ended."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databricks_responses_mcp.responses.sse import EventTooLargeError, ServerSentEvent, SSEDecoder


def decode(stream: bytes, cuts: list[int] | None = None) -> list[tuple[str, bytes]]:
    decoder = SSEDecoder()
    events: list[ServerSentEvent] = []
    edges = [0, *sorted(cuts or []), len(stream)]
    for start, end in itertools.pairwise(edges):
        events += decoder.feed(stream[start:end])
    events += decoder.finish()
    return [(event.event, bytes(event.data)) for event in events]


STREAM = (
    b"\xef\xbb\xbf: comment\n"
    b'event: response.created\ndata: {"a": 1}\n\n'
    b'data:{"b":"\xc3\xa9\xf0\x9f\x98\x80"}\r\n\r\n'
    b"id: 7\nretry: 10\ndata: one\ndata: two\r\r"
    b"event: nothing\n\n"
    b"data: last without its blank line"
)
EVENTS = [
    ("response.created", b'{"a": 1}'),
    ("", '{"b":"é😀"}'.encode()),
    ("", b"one\ntwo"),
    ("", b"last without its blank line"),
]


def test_every_line_ending_comment_and_missing_end_is_understood() -> None:
    assert decode(STREAM) == EVENTS


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\r", b"\n\n"])
def test_the_last_event_counts_with_and_without_its_line_ends(end: bytes) -> None:
    assert decode(b'event: e\ndata: {"a": 1}' + end) == [("e", b'{"a": 1}')]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_it_does_not_matter_where_the_stream_is_cut(cuts: list[int]) -> None:
    assert decode(STREAM, cuts) == EVENTS


def test_a_stream_cut_after_every_byte_gives_the_same_events() -> None:
    assert decode(STREAM, list(range(len(STREAM)))) == EVENTS


def test_an_event_of_many_megabytes_comes_out_whole_and_the_next_one_after_it() -> None:
    large = b"x" * 3_000_000
    stream = b"data: " + large + b"\n\ndata: small\n\n"
    assert decode(stream, list(range(0, len(stream), 65_536))) == [("", large), ("", b"small")]


def test_an_event_beyond_the_limit_is_refused_instead_of_filling_the_memory() -> None:
    decoder = SSEDecoder(max_event_bytes=1000)
    with pytest.raises(EventTooLargeError, match="larger than 1000 bytes"):
        list(decoder.feed(b"data: " + b"x" * 2000))
