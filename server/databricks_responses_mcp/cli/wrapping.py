"""Wrapping text at words for a terminal: ids, names, addresses and code are not broken."""

import os
import re
from typing import TextIO

_FALLBACK_COLUMNS = 80
_LEAST_COLUMNS = 20
_MAX_WORD = 4096
_PARTS = re.compile(r"\n|[ \t]+|[^ \t\n]+")
_FENCE = re.compile(r"(`{3,}|~{3,})")
_BULLET = re.compile(r"[-*+]|\d{1,3}[.)]")


def columns_of(stream: TextIO | None) -> int | None:
    """Return the number of characters in a line of this stream; None unless it is a terminal."""
    if stream is None or not stream.isatty():
        return None
    given = os.environ.get("COLUMNS", "")
    columns = int(given) if given.isascii() and given.isdecimal() and len(given) < 6 else 0
    if not columns:
        try:
            columns = os.get_terminal_size(stream.fileno()).columns
        except (OSError, ValueError):
            columns = 0
    return max(columns or _FALLBACK_COLUMNS, _LEAST_COLUMNS)


def wrapped(text: str, stream: TextIO | None) -> str:
    """Return ``text`` wrapped at words if the stream is a terminal; else unchanged."""
    columns = columns_of(stream)
    if columns is None:
        return text
    wrapper = Wrapper(columns)
    return wrapper.feed(text) + wrapper.finish()


class Wrapper:
    """Wraps text at words while it arrives.

    The last word is held back until its end is known. A continuation line has the indentation of its first line. Fenced
    blocks, tables and text indented by four spaces are not wrapped.

    Args:
        columns: the number of characters in a line.
    """

    def __init__(self, columns: int) -> None:
        # The last column stays empty: some terminals go to the next line once it is written.
        self._columns = columns - 1
        self._pending = ""
        self._space = ""
        self._column = 0
        self._line_start = True
        self._verbatim = False
        self._fence = ""
        self._indent = 0
        self._after_bullet = False

    def feed(self, text: str) -> str:
        """Add a piece of text; return what can be written."""
        text = self._pending + text
        end = max(text.rfind(" "), text.rfind("\n"), text.rfind("\t")) + 1
        if len(text) - end > _MAX_WORD:
            end = len(text)
        self._pending = text[end:]
        return "".join(self._placed(part) for part in _PARTS.findall(text[:end]))

    def finish(self) -> str:
        """Return what was held back, at the end of the text."""
        rest, self._pending = self._pending, ""
        return "".join(self._placed(part) for part in _PARTS.findall(rest))

    def _placed(self, part: str) -> str:
        if part == "\n":
            # Space at the end of a line is part of the text: two spaces are a line break in Markdown.
            ended, self._space = f"{self._space}\n", ""
            self._column, self._line_start, self._verbatim, self._indent = 0, True, bool(self._fence), 0
            return ended
        if part.isspace():
            self._space += part
            return ""
        return self._word(part)

    def _word(self, word: str) -> str:
        space, self._space = self._space, ""
        width, gap = cells(word), cells(space.expandtabs(4))
        if self._line_start:
            self._begin_line(word, gap)
        elif self._after_bullet:
            self._indent += gap
            self._after_bullet = False
        elif gap and not self._verbatim and self._column + gap + width > self._columns and self._column > self._indent:
            self._column = self._indent + width
            return f"\n{' ' * self._indent}{word}"
        self._line_start = False
        self._column += gap + width
        return f"{space}{word}"

    def _begin_line(self, word: str, gap: int) -> None:
        fence = _FENCE.match(word)
        if fence is not None and not self._fence:
            self._fence, self._verbatim = fence[1], True
        elif fence is not None and word.startswith(self._fence):
            self._fence = ""
        self._verbatim = self._verbatim or gap >= 4 or word.startswith("|")
        self._indent = min(gap, self._columns // 2)
        self._after_bullet = _BULLET.fullmatch(word) is not None
        if self._after_bullet:
            self._indent += len(word)


def cells(text: str) -> int:
    """Return the number of columns that a terminal needs for ``text``."""
    if text.isascii():
        return len(text)
    # Imported here: most text is ASCII, and piped output needs no width at all.
    from rich.cells import cell_len

    return cell_len(text)
