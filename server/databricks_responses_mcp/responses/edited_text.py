"""A text with replaced parts, and the new positions of its characters."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EditedText:
    """A text after its edits.

    Attributes:
        text: the edited text.
    """

    text: str
    _ends: tuple[int, ...] = ()
    _edits: tuple[tuple[int, int, int], ...] = ()

    def place(self, index: int) -> int:
        """Return the new position of the character at ``index`` of the original; approximate inside a replaced part.

        Text inserted at ``index`` precedes it.
        """
        number = bisect_right(self._ends, index)
        shift = self._edits[number - 1][2] if number else 0
        if number < len(self._edits):
            start, length, _ = self._edits[number]
            if index > start:
                return start + shift + min(index - start, length)
        return index + shift


def edited(text: str, edits: Iterable[tuple[int, int, str]]) -> EditedText:
    """Return the text with each ``(start, end, replacement)`` applied, in order; overlapping ones are skipped."""
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
