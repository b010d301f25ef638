"""Truncating an engine's text after its first sentence."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing

_MAX_CHARACTERS = 300
# An end counts only if something follows it: "3.14" and "e.g" continue. Closing quotes belong to the sentence.
_END = re.compile(r"(?<![.\s][A-Za-z])[.!?\u2026]+[\"'\u201d\u2019)\]]*(?=\s)|[\u3002\uff01\uff1f]|(?<=\S)\s*\n")


async def first_sentence(pieces: AsyncGenerator[str]) -> AsyncGenerator[str]:
    """Yield the first sentence or line, at most 300 characters, without space around it; then close ``pieces``."""
    text = ""
    given = 0
    async with aclosing(pieces):
        async for piece in pieces:
            text = f"{text}{piece}" if given else f"{text}{piece}".lstrip()
            end = _END.search(text)
            if end is not None or len(text) >= _MAX_CHARACTERS:
                cut = text[: end.end() if end is not None else _MAX_CHARACTERS].rstrip()
                if len(cut) > given:
                    yield cut[given:]
                return
            # The possible space after the end is held back.
            ready = len(text.rstrip())
            if ready > given:
                yield text[given:ready]
                given = ready
