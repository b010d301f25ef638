"""Counting tokens approximately: the emulator has no tokenizer."""

import re

_TOKEN = re.compile(r"\s*(?:\w{1,6}|[^\w\s])|\s+$")


def split_tokens(text: str) -> list[str]:
    """Return the text in pieces of about a token each; joined they are the text."""
    pieces: list[str] = []
    at = 0
    for match in _TOKEN.finditer(text):
        pieces.append(text[at : match.end()])
        at = match.end()
    if at < len(text):
        pieces.append(text[at:])
    return pieces


def count_tokens(text: str) -> int:
    """Return the approximate number of tokens in the text."""
    return len(split_tokens(text))


class TokenBudget:
    """The rest of ``max_output_tokens``.

    Attributes:
        spent: tokens written so far.
        cut: whether something was left out.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self.spent = 0
        self.cut = False

    def take(self, text: str) -> str:
        """Return as much of ``text`` as may still be written; ``cut`` is set if that is less than all."""
        if self.cut:
            return ""
        pieces = split_tokens(text)
        if self._limit is not None and self.spent + len(pieces) > self._limit:
            self.cut = True
            pieces = pieces[: self._limit - self.spent]
        self.spent += len(pieces)
        return "".join(pieces)
