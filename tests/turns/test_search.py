"""Citations as marks in the text and as data."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from databricks_responses_mcp.responses.accumulator import AssembledResponse
from databricks_responses_mcp.turns.outcome import outcome_of
from databricks_responses_mcp.turns.search import Found, Search, read, search
from harness.raw_server import answer, raw_server


def found(text: str, *annotations: dict[str, Any], items: tuple[dict[str, Any], ...] = ()) -> Found:
    message = {
        "type": "message",
        "content": [{"type": "output_text", "text": text, "annotations": list(annotations)}],
    }
    return read(outcome_of(AssembledResponse("completed", [*items, message], {}), "m"))


def cite(start: int, end: int, url: str, title: str = "") -> dict[str, Any]:
    return {"type": "url_citation", "start_index": start, "end_index": end, "url": url, "title": title}


def test_each_cited_part_is_followed_by_its_number_and_found_again_by_its_place() -> None:
    got = found(
        "Paris is big. It rains. Often.",
        cite(0, 13, "https://a", "A"),
        cite(14, 23, "https://b"),
        cite(24, 30, "https://a", "A"),
        items=({"type": "web_search_call", "action": {"type": "search", "sources": [{"url": "https://c"}]}},),
    )
    assert got.text == "Paris is big.[1] It rains.[2] Often.[1]"
    assert (got.citations, got.sources, got.searched) == snapshot(
        (
            [
                {"number": 1, "url": "https://a", "title": "A", "start": 0, "end": 13, "quote": "Paris is big."},
                {"number": 2, "url": "https://b", "start": 17, "end": 26, "quote": "It rains."},
                {"number": 1, "url": "https://a", "title": "A", "start": 30, "end": 36, "quote": "Often."},
            ],
            ["https://c"],
            True,
        )
    )


def test_two_sources_for_one_part_stand_side_by_side_and_one_said_twice_once() -> None:
    got = found("Fact.", cite(0, 5, "https://a"), cite(0, 5, "https://b"), cite(0, 5, "https://a"))
    assert got.text == "Fact.[1][2]"


def test_links_in_brackets_of_their_own_become_marks_alone() -> None:
    first, second = "([Result 1](https://a))", "([Result 2](https://b))"
    text = f"Three things {first} {second}. More."
    got = found(
        text,
        *(
            cite(text.index(link), text.index(link) + len(link), url)
            for link, url in ((first, "https://a"), (second, "https://b"))
        ),
    )
    assert got.text == "Three things[1][2]. More."
    assert [citation["quote"] for citation in got.citations] == ["Three things", "Three things"]


def test_a_citation_whose_place_is_impossible_is_kept_without_a_mark() -> None:
    got = found("Fact.", cite(3, 99, "https://a", "A"), {"type": "url_citation", "url": "https://b"})
    assert got.text == "Fact."
    assert got.citations == [{"number": 1, "url": "https://a", "title": "A"}, {"number": 2, "url": "https://b"}]


def test_an_answer_without_a_search_says_that_nothing_backs_it() -> None:
    assert found("I guess.").structured()["notes"] == ["The model answered without searching: nothing backs this."]


@pytest.mark.anyio
async def test_an_endpoint_that_refuses_the_list_of_sources_still_answers() -> None:
    body = b'{"error_code":"INVALID_PARAMETER_VALUE","message":"Unsupported value in parameter include"}'
    refusal = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Found."}]}
    event = {"type": "response.completed", "response": {"output": [{"type": "web_search_call"}, message]}}
    stream = answer(b"data: " + json.dumps(event).encode() + b"\n\n", "text/event-stream")
    async with raw_server(stream) as (server, bridge):
        server.first = [refusal + body]
        got = await search(bridge, Search(question="Who won?", model="m"))
    assert (got.text, got.searched) == ("Found.", True)
    assert ["include" in json.loads(request) for request in server.requests if request] == [True, False]


@given(
    st.text(min_size=1, max_size=80),
    st.lists(st.tuples(st.integers(0, 80), st.integers(0, 80), st.sampled_from("abc")), max_size=6),
)
def test_every_placed_citation_quotes_what_stands_at_its_place_but_for_marks(
    text: str, spans: list[tuple[int, int, str]]
) -> None:
    got = found(text, *(cite(start, end, url) for start, end, url in spans))
    unmarked = got.text
    for number in range(1, 4):
        unmarked = unmarked.replace(f"[{number}]", "")
    if "[" not in text:
        assert unmarked == text
        for citation in got.citations:
            if "quote" in citation:
                part = got.text[citation["start"] : citation["end"]]
                for number in range(1, 4):
                    part = part.replace(f"[{number}]", "")
                assert part == citation["quote"]
