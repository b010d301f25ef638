"""Citation markers that search models write into their text, and how to take them out.

A marker is a directive between two private-use characters, such as ``U+E200 cite U+E202 turn0search0 U+E201``. It means
something to the vendor's own application only; the sources themselves come as annotations.
"""

import json
import re
from bisect import bisect_right
from dataclasses import dataclass

_OPEN, _CLOSE, _SEPARATOR = "\ue200", "\ue201", "\ue202"
_LONGEST = 1000
"""Characters between the two ends of a directive; a start without an end within these is removed alone."""

# One space before a directive goes with it, else removing it would leave two spaces or a space before a full stop.
_MARKER = re.compile(f"( ?){_OPEN}([^{_OPEN}{_CLOSE}\n]{{0,{_LONGEST}}}){_CLOSE}|[\ue200-\ue206]")
_ANY = re.compile("[\ue200-\ue206]")


@dataclass(frozen=True, slots=True)
class CleanText:
    """A text without its markers.

    Attributes:
        text: what is left.
    """

    text: str
    _edits: tuple[tuple[int, int, int], ...] = ()
    _ends: tuple[int, ...] = ()

    def place(self, index: int) -> int:
        """Where the character at ``index`` of the original stands now; inside a removed part, where that was."""
        number = bisect_right(self._ends, index)
        removed = self._edits[number - 1][2] if number else 0
        if number < len(self._edits):
            start, kept, _ = self._edits[number]
            if index > start:
                return start - removed + min(index - start, kept)
        return index - removed


def without_markers(text: str) -> CleanText:
    """The text without markers; a directive that was cut off at the end of the text is removed too."""
    if _ANY.search(text) is None:
        return CleanText(text)
    whole = len(text) - len(_unfinished(text))
    parts: list[str] = []
    ends: list[int] = []
    edits: list[tuple[int, int, int]] = []
    last = removed = 0

    def edit(start: int, end: int, label: str) -> None:
        nonlocal last, removed
        parts.extend((text[last:start], label))
        removed += end - start - len(label)
        ends.append(end)
        edits.append((start, len(label), removed))
        last = end

    for found in _MARKER.finditer(text, 0, whole):
        edit(found.start(), found.end(), _label(found))
    if whole < len(text) and text[whole:] != " ":
        edit(whole, len(text), "")
    return CleanText("".join([*parts, text[last:]]), tuple(edits), tuple(ends))


class MarkerFilter:
    """Takes markers out of a text that arrives in pieces, cut anywhere.

    What may be the beginning of a marker is held back until the next piece, at most 1,001 characters of it.
    """

    def __init__(self) -> None:
        self._held = ""

    @property
    def space(self) -> str:
        """The space that is held back alone, if one is: it may stand before a marker."""
        return self._held if self._held == " " else ""

    def feed(self, delta: str) -> str:
        """The next piece of the text without markers."""
        text = self._held + delta
        self._held = _unfinished(text)
        return _MARKER.sub(_label, text[: len(text) - len(self._held)])

    def finish(self) -> str:
        """The end of the text."""
        space, self._held = self.space, ""
        return space


def _unfinished(text: str) -> str:
    """The end of the text that may be the beginning of a marker."""
    start = text.rfind(_OPEN)
    if start >= 0 and len(text) - start <= _LONGEST + 1 and not ({_CLOSE, "\n"} & set(text[start:])):
        return text[start - 1 :] if text[start - 1 : start] == " " else text[start:]
    return " " if text.endswith(" ") else ""


def _label(found: re.Match[str]) -> str:
    """What of a directive is text for the reader: the words of a link, or the name of an entity."""
    if found[2] is None:
        return ""
    kind, _, rest = found[2].partition(_SEPARATOR)
    label = ""
    if kind == "url":
        label = rest.partition(_SEPARATOR)[0]
    elif kind == "entity":
        label = _name(rest)
    return found[1] + label if label else ""


def _name(entity: str) -> str:
    """The name in an entity's JSON: ``["company", "Databricks", …]``."""
    try:
        fields = json.loads(entity)
    except (ValueError, RecursionError):
        return ""
    name = fields[1] if isinstance(fields, list) and len(fields) > 1 else ""
    return name if isinstance(name, str) else ""
