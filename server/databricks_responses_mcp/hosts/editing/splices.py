"""Replacing spans of a text, and the lines and indentation around them."""

import re
from collections.abc import Iterable
from typing import NamedTuple

_INDENTED = re.compile(r"^([ \t]+)[^\s]", re.MULTILINE)


class Splice(NamedTuple):
    """The replacement of ``text[start:end]`` by ``new``."""

    start: int
    end: int
    new: str


def splice(text: str, changes: Iterable[Splice]) -> str:
    """Return the text with all changes made; they must not overlap."""
    for change in sorted(changes, reverse=True):
        text = text[: change.start] + change.new + text[change.end :]
    return text


def newline_of(text: str) -> str:
    """Return the ending of the text's first line: CRLF, else LF."""
    end = text.find("\n")
    return "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"


def line_start(text: str, index: int) -> int:
    """Return the start of the line that contains a character."""
    return text.rfind("\n", 0, index) + 1


def line_end(text: str, index: int) -> int:
    """Return the end of the line that contains a character, before the line ending."""
    end = text.find("\n", index)
    if end < 0:
        return len(text)
    return end - 1 if end > index and text[end - 1] == "\r" else end


def next_line(text: str, index: int) -> int:
    """Return the start of the next line after a character; the text's end if there is none."""
    end = text.find("\n", index)
    return len(text) if end < 0 else end + 1


def starts_line(text: str, index: int) -> bool:
    """Return whether only spaces and tabs precede a character on its line."""
    return not text[line_start(text, index) : index].strip(" \t")


def indentation(text: str, index: int) -> str:
    """Return the indentation of the line that contains a character."""
    start = line_start(text, index)
    line = text[start : line_end(text, start)]
    return line[: len(line) - len(line.lstrip(" \t"))]


def first_indentation(text: str) -> str:
    """Return the indentation of the first indented line; "" if there is none."""
    found = _INDENTED.search(text)
    return found[1] if found else ""
