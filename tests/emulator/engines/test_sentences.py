"""The first sentence of an engine's text, and nothing after it."""

from collections.abc import AsyncGenerator

import pytest

from databricks_workspace_emulator.engines.sentences import first_sentence

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("A fox. And another one. And", "A fox."),
        ("  \n\nPi is 3.14, e.g. here. More", "Pi is 3.14, e.g. here."),
        ('He said "Stop!" Then he left.', 'He said "Stop!"'),
        ("One line\nanother", "One line"),
        ("\u72d0\u72f8\u3002\u96ea", "\u72d0\u72f8\u3002"),
        ("no end", "no end"),
        ("", ""),
        ("x" * 5000, "x" * 300),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 10_000])
async def test_text_ends_after_its_first_sentence_however_it_arrives(text: str, first: str, size: int) -> None:
    closed = False

    async def pieces() -> AsyncGenerator[str]:
        nonlocal closed
        try:
            for start in range(0, len(text), size):
                yield text[start : start + size]
        finally:
            closed = True

    assert ("".join([piece async for piece in first_sentence(pieces())]), closed) == (first, True)
