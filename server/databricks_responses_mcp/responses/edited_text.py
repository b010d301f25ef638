"""A text with parts of it replaced, and where its characters stand then."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EditedText:
    """A text after its edits.

    Attributes:
        text: as it is now.
    """

    text: str
    _ends: tuple[int, ...] = ()
    _edits: tuple[tuple[int, int, int], ...] = ()

    def place(self, index: int) -> int:
        """Where the character at ``index`` of the original stands now; inside a replaced part, about where that is.

        What was inserted at ``index`` stands before it.
        """
        number = bisect_right(self._ends, index)
        shift = self._edits[number - 1][2] if number else 0
        if number < len(self._edits):
            start, length, _ = self._edits[number]
            if index > start:
                return start + shift + min(index - start, length)
        return index + shift


def edited(text: str, edits: Iterable[tuple[int, int, str]]) -> EditedText:
    """The text with each ``(start, end, replacement)`` carried out, in order; one that overlaps an earlier is not."""
    parts: list[str] = []
    ends: list[int] = []
    done: list[tuple[int, int, int]] = []
    last = shift = 0
    for start, end, replacement in edits:
        if start < last:
            continue
        parts += text[last:start], replacement
        shift += len(replacement) - (end - start)
        ends.append(end)
        done.append((start, len(replacement), shift))
        last = end
    return EditedText("".join([*parts, text[last:]]), tuple(ends), tuple(done))
