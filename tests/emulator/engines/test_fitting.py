"""Long conversations for a model that reads little at once."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from databricks_workspace_emulator.engines.base import ChatMessage
from databricks_workspace_emulator.engines.fitting import Fitted, fit

pytestmark = pytest.mark.anyio


async def one_a_letter(text: str) -> int:
    return len(text)


async def test_what_fits_is_untouched_and_not_counted() -> None:
    async def never(_: str) -> int:
        raise AssertionError("counted")

    messages = (ChatMessage("system", "Be brief."), ChatMessage("user", "Hi"))
    fitted = await fit(messages, 200, never)
    assert fitted == Fitted(messages)
    assert fitted.note is None


async def test_the_oldest_messages_go_first_and_an_answer_does_not_stay_without_its_question() -> None:
    messages = [
        ChatMessage("system", "Be brief."),
        ChatMessage("user", "a" * 100),
        ChatMessage("assistant", "b" * 20),
        ChatMessage("user", "c" * 20),
        ChatMessage("assistant", "d" * 20),
        ChatMessage("user", "e" * 20),
    ]
    fitted = await fit(messages, 200, one_a_letter)
    assert fitted == snapshot(
        Fitted(
            messages=(
                ChatMessage(role="system", content="Be brief."),
                ChatMessage(role="user", content="cccccccccccccccccccc"),
                ChatMessage(role="assistant", content="dddddddddddddddddddd"),
                ChatMessage(role="user", content="eeeeeeeeeeeeeeeeeeee"),
            ),
            dropped=2,
        )
    )
    assert fitted.note == snapshot(
        "[This small model cannot read that much at once: it was not shown the 2 oldest messages.]"
    )


async def test_a_long_prompt_is_cut_in_the_middle_and_says_so() -> None:
    fitted = await fit([ChatMessage("user", "a" * 500 + "b" * 500)], 250, one_a_letter)
    text = fitted.messages[0].content
    assert (text[:20], text[-20:]) == ("a" * 20, "b" * 20)
    assert f"\n[… {fitted.cut} characters were left out here …]\n" in text
    assert fitted.note is not None
    assert f"it was not shown {fitted.cut} characters from the middle of the prompt." in fitted.note


_messages = st.lists(
    st.builds(
        ChatMessage, st.sampled_from(["system", "user", "assistant"]), st.text(max_size=40) | st.text(min_size=300)
    ),
    min_size=1,
    max_size=30,
)


@settings(deadline=None, max_examples=60)
@given(messages=_messages, budget=st.integers(min_value=250, max_value=2000))
async def test_the_budget_is_kept_and_the_last_message_stays(messages: list[ChatMessage], budget: int) -> None:
    async def one_a_byte(text: str) -> int:
        return len(text.encode())

    fitted = await fit(messages, budget, one_a_byte)
    assert sum([len(m.content.encode()) + 8 for m in fitted.messages]) <= budget
    assert fitted.messages[-1].role == messages[-1].role
    kept_whole = fitted.dropped == 0 and fitted.cut == 0
    assert kept_whole == (fitted.note is None)
