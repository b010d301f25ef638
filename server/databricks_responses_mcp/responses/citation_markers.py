"""Citation markers that search models write into their text, and how to take them out.

A marker is a directive between two private-use characters, such as ``U+E200 cite U+E202 turn0search0 U+E201``. It means
something to the vendor's own application only; the sources themselves come as annotations.
"""

import json
import re

from databricks_responses_mcp.responses.edited_text import EditedText, edited

_OPEN, _CLOSE, _SEPARATOR = "\ue200", "\ue201", "\ue202"
_MAX_MARKER_CHARACTERS = 1000
"""Characters between the two ends of a directive; a start without an end within these is removed alone."""

# One space before a directive goes with it, else removing it would leave two spaces or a space before a full stop.
_MARKER = re.compile(f"( ?){_OPEN}([^{_OPEN}{_CLOSE}\n]{{0,{_MAX_MARKER_CHARACTERS}}}){_CLOSE}|[\ue200-\ue206]")
_ANY = re.compile("[\ue200-\ue206]")


def without_markers(text: str) -> EditedText:
    """The text without markers; a directive that was cut off at the end of the text is removed too."""
    if _ANY.search(text) is None:
        return EditedText(text)
    whole = len(text) - len(_unfinished(text))
    edits = [(found.start(), found.end(), _label(found)) for found in _MARKER.finditer(text, 0, whole)]
    if text[whole:] not in ("", " "):
        edits.append((whole, len(text), ""))
    return edited(text, edits)


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
        shown = text[: len(text) - len(self._held)]
        return shown if shown.isascii() else _MARKER.sub(_label, shown)

    def finish(self) -> str:
        """The end of the text."""
        space, self._held = self.space, ""
        return space


def _unfinished(text: str) -> str:
    """The end of the text that may be the beginning of a marker."""
    start = text.rfind(_OPEN)
    if start >= 0 and len(text) - start <= _MAX_MARKER_CHARACTERS + 1 and not ({_CLOSE, "\n"} & set(text[start:])):
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
