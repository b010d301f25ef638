"""What a server keeps in memory of answers that were too long for a result."""

import pytest

from databricks_responses_mcp.calls.long_texts import LongTexts

pytestmark = pytest.mark.anyio

BOUND = 32_000_000


def key_of(uri: str) -> str:
    return uri.removeprefix("answer://")


async def test_long_answers_are_kept_up_to_their_bound_and_then_the_oldest_goes() -> None:
    texts = LongTexts()
    kept = [key_of(texts.keep(letter * (BOUND // 2))) for letter in "ab"]
    assert [len(await texts.read(key) or "") for key in kept] == [BOUND // 2, BOUND // 2]
    kept.append(key_of(texts.keep("c")))
    assert [len(await texts.read(key) or "") for key in kept] == [0, BOUND // 2, 1]
    # What was freed can be used again.
    kept.append(key_of(texts.keep("d" * (BOUND // 2 - 1))))
    assert [len(await texts.read(key) or "") for key in kept] == [0, BOUND // 2, 1, BOUND // 2 - 1]


async def test_an_answer_longer_than_the_bound_is_kept_until_the_next_comes() -> None:
    texts = LongTexts()
    longer = key_of(texts.keep("a" * (BOUND + 1)))
    assert len(await texts.read(longer) or "") == BOUND + 1
    following = key_of(texts.keep("b"))
    assert (await texts.read(longer), await texts.read(following)) == (None, "b")


def test_the_same_answer_is_kept_once() -> None:
    texts = LongTexts()
    assert texts.keep("one") == texts.keep("one")
    assert texts.keep("one") != texts.keep("two")
