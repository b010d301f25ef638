"""Citation markers in private-use characters never reach a reader."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databricks_responses_mcp.responses.citation_markers import MarkerFilter, without_markers

CITE = "\ue200cite\ue202turn0search0\ue202turn0search3\ue201"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"Version 3 is out {CITE}. It is fast.", "Version 3 is out. It is fast."),
        (f"One{CITE} two {CITE}{CITE}", "One two"),
        ("See \ue200url\ue202the docs\ue202turn0search1\ue201.", "See the docs."),
        ('In \ue200entity\ue202["city","Paris","capital"]\ue201 it rains.', "In Paris it rains."),
        ("\ue200entity\ue202{}\ue201\ue200entity\ue202[\ue201ok", "ok"),
        ("\ue203Cited words\ue204 stay.", "Cited words stay."),
        ("Cut off \ue200cite\ue202turn0se", "Cut off"),
        ("A lone \ue200 mark\nand text.", "A lone  mark\nand text."),
        ("Ends with a space ", "Ends with a space "),
        ("An icon \uf8ff of a font stays.", "An icon \uf8ff of a font stays."),
        ("\ue200" + "x" * 1001 + "\ue201", "x" * 1001),
    ],
)
def test_markers_are_removed_and_the_words_for_readers_stay(text: str, clean: str) -> None:
    assert without_markers(text).text == clean


TEXTS = st.text(st.sampled_from("ab \n\ue200\ue201\ue202\ue203"), max_size=60)


@given(TEXTS, st.lists(st.integers(0, 60), max_size=10))
def test_a_text_in_pieces_is_cleaned_as_the_whole_is(text: str, cuts: list[int]) -> None:
    filtered = MarkerFilter()
    places = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    pieces = [filtered.feed(text[start:end]) for start, end in pairwise(places)]
    assert "".join([*pieces, filtered.finish()]) == without_markers(text).text


@given(TEXTS)
def test_every_character_that_stays_is_found_again_by_its_place(text: str) -> None:
    clean = without_markers(text)
    places = [clean.place(index) for index in range(len(text) + 1)]
    assert places == sorted(places)
    assert (places[0], places[-1]) == (0, len(clean.text))
    kept = [index for index in range(len(text)) if places[index + 1] > places[index]]
    assert "".join(text[index] for index in kept) == clean.text


def test_a_long_run_of_starts_or_spaces_takes_no_time() -> None:
    for text in ("\ue200" * 100_000, " " * 100_000 + "\ue200", ("\ue200" + "a" * 999) * 200):
        without_markers(text)
