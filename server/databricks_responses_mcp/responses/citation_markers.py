"""Removing the citation markers that search models write into their text.

A marker is a directive between two private-use characters, such as ``U+E200 cite U+E202 turn0search0 U+E201``. Only the
vendor's own application uses it; the sources are also available as annotations.
"""

import json
import re

from databricks_responses_mcp.responses.edited_text import EditedText, edited

_OPEN, _CLOSE, _SEPARATOR = "\ue200", "\ue201", "\ue202"
_MAX_MARKER_CHARACTERS = 1000
"""In characters between the two ends of a directive; without an end within this limit, only the start is removed."""

# One space before a directive is removed with it; otherwise two spaces, or a space before a full stop, would remain.
_MARKER = re.compile(f"( ?){_OPEN}([^{_OPEN}{_CLOSE}\n]{{0,{_MAX_MARKER_CHARACTERS}}}){_CLOSE}|[\ue200-\ue206]")
_ANY = re.compile("[\ue200-\ue206]")


def without_markers(text: str) -> EditedText:
    """Return the text without markers; a directive that is incomplete at the end of the text is removed too."""
    if _ANY.search(text) is None:
        return EditedText(text)
    whole = len(text) - len(_unfinished(text))
    edits = [(found.start(), found.end(), _label(found)) for found in _MARKER.finditer(text, 0, whole)]
    if text[whole:] not in ("", " "):
        edits.append((whole, len(text), ""))
    return edited(text, edits)


class MarkerFilter:
    """Removes markers from a text that arrives in pieces, split at any place.

    The possible beginning of a marker is held back until the next piece, at most 1,001 characters.
    """

    def __init__(self) -> None:
        self._held = ""

    @property
    def space(self) -> str:
        """The space that alone is held back, if any, because a marker may follow it."""
        return self._held if self._held == " " else ""

    def feed(self, delta: str) -> str:
        """Return the next piece of the text without markers."""
        if not self._held and delta.isascii() and not delta.endswith(" "):
            return delta
        text = self._held + delta
        self._held = _unfinished(text)
        shown = text[: len(text) - len(self._held)]
        return shown if shown.isascii() else _MARKER.sub(_label, shown)

    def finish(self) -> str:
        """Return the end of the text."""
        space, self._held = self.space, ""
        return space


def _unfinished(text: str) -> str:
    """Return the end of the text that may be the beginning of a marker."""
    start = text.rfind(_OPEN)
    if start >= 0 and len(text) - start <= _MAX_MARKER_CHARACTERS + 1 and not ({_CLOSE, "\n"} & set(text[start:])):
        return text[start - 1 :] if text[start - 1 : start] == " " else text[start:]
    return " " if text.endswith(" ") else ""


def _label(found: re.Match[str]) -> str:
    """Return the part of a directive that is text for the reader: the words of a link, or the name of an entity."""
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
    """Return the name in an entity's JSON: ``["company", "Databricks", …]``."""
    try:
        fields = json.loads(entity)
    except (ValueError, RecursionError):
        return ""
    name = fields[1] if isinstance(fields, list) and len(fields) > 1 else ""
    return name if isinstance(name, str) else ""
