"""Which words a citation is about."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databricks_responses_mcp.responses.citations import cited_span, link_edits, without_links
from databricks_responses_mcp.responses.edited_text import edited

A, B = "https://a.com/x?utm_source=openai", "https://b.org/w_(film)"
LINK_A, LINK_B = f"[a.com]({A})", f"[b.org]({B})"


@pytest.mark.parametrize(
    ("text", "cited", "words"),
    [
        (f"Old news. Version 3 came out in May ({LINK_A}). Fast.", f"({LINK_A})", "Version 3 came out in May"),
        (f"Version 3 came out in May ({LINK_A}).", LINK_A, "Version 3 came out in May"),
        (f"One.\nIt is fast. ({LINK_A})", f"({LINK_A})", "It is fast."),
        (f"It is fast ({LINK_A})({LINK_B}).", f"({LINK_B})", "It is fast"),
        (f"It is fast ({LINK_A}, {LINK_B}).", LINK_B, "It is fast"),
        (f"A is 1 ({LINK_A}) and B is 2 ({LINK_B}).", f"({LINK_B})", "and B is 2"),
        (f"See [the release notes]({A}) for more.", f"[the release notes]({A})", "the release notes"),
        (f"Three things ([Result 1]({A})) ([Result 2]({B}))", f"[Result 2]({B})", "Three things"),
        (f"Three things ([Result 1]({A}), [Result 2]({B})).", f"[Result 1]({A})", "Three things"),
        (f"It is out (see [the notes]({A})).", f"[the notes]({A})", "the notes"),
        (f"Paris is big ({LINK_A}).", f"Paris is big ({LINK_A})", "Paris is big"),
        ("Paris is (very) big.", "Paris is (very) big.", "Paris is (very) big."),
        (f"({LINK_A}) begins.", f"({LINK_A})", ""),
        (f"{LINK_A}" * 50, LINK_A, ""),
    ],
)
def test_a_citation_is_about_words_not_about_the_link_after_them(text: str, cited: str, words: str) -> None:
    at = text.rindex(cited)
    start, end = cited_span(text, at, at + len(cited))
    assert text[start:end] == words


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"In May ({LINK_A}). Fast.", "In May. Fast."),
        (f"In May ({LINK_A}, {LINK_B}).", "In May (, [b.org](https://b.org/w_(film)))."),
        (f"In May {LINK_A}.", "In May."),
        (f"See [the notes]({A}).", "See the notes."),
        (f"Three things ([Result 1]({A})) ([Result 2]({A})).", "Three things."),
        (f"Three things ([Result 1]({A}), [Result 2]({A})).", "Three things."),
        (f"It is out (see [the notes]({A})).", "It is out (see the notes)."),
        (f"See [the notes]({B}).", f"See [the notes]({B})."),
        ("No [link] (https://a.com).", "No [link] (https://a.com)."),
    ],
)
def test_only_links_to_what_is_cited_are_taken_out(text: str, left: str) -> None:
    assert edited(text, link_edits(text, {A})).text == left


def test_the_words_of_links_stay() -> None:
    assert without_links(f"See [the notes]({B}) now.") == "See the notes now."


@given(
    st.lists(st.sampled_from(["[a.com](https://a.com)", "(", ")", "[", " ", "x", ". ", "\n", ","]), max_size=20).map(
        "".join
    )
)
def test_no_text_is_too_odd(text: str) -> None:
    for start in range(len(text)):
        first, last = cited_span(text, start, len(text))
        assert 0 <= first <= last <= len(text)
    edited(text, link_edits(text, {"https://a.com"}))
