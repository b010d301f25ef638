"""Changing spans of a text, and how the text around them is laid out."""

import re
from collections.abc import Iterable
from typing import NamedTuple

_INDENTED = re.compile(r"^([ \t]+)[^\s]", re.MULTILINE)


class Splice(NamedTuple):
    """``text[start:end]`` becomes ``new``."""

    start: int
    end: int
    new: str


def splice(text: str, changes: Iterable[Splice]) -> str:
    """The text with all changes made; they may not overlap."""
    for change in sorted(changes, reverse=True):
        text = text[: change.start] + change.new + text[change.end :]
    return text


def newline_of(text: str) -> str:
    """What ends the text's first line: CRLF, else LF."""
    end = text.find("\n")
    return "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"


def line_start(text: str, index: int) -> int:
    """Where the line of a character starts."""
    return text.rfind("\n", 0, index) + 1


def line_end(text: str, index: int) -> int:
    """Where the line of a character ends, before its line ending."""
    end = text.find("\n", index)
    if end < 0:
        return len(text)
    return end - 1 if end > index and text[end - 1] == "\r" else end


def next_line(text: str, index: int) -> int:
    """Where the line after that of a character starts; the text's end if there is none."""
    end = text.find("\n", index)
    return len(text) if end < 0 else end + 1


def starts_line(text: str, index: int) -> bool:
    """Whether only blanks stand before a character on its line."""
    return not text[line_start(text, index) : index].strip(" \t")


def indentation(text: str, index: int) -> str:
    """The blanks that the line of a character starts with."""
    start = line_start(text, index)
    line = text[start : line_end(text, start)]
    return line[: len(line) - len(line.lstrip(" \t"))]


def first_indentation(text: str) -> str:
    """The blanks of the first line that has some; "" if none has."""
    found = _INDENTED.search(text)
    return found[1] if found else ""
