"""Finding lines in a document with increasingly lenient comparison, in nearly linear time."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import cached_property

from databricks_responses_mcp.patching.failure import PatchError

_MAX_DISTINCT = 0x110000
# Limits of the search for parts of lines: occurrences inside words that are skipped, and texts that are not found.
_MAX_PARTIAL = 1000
_MAX_ABSENT = 500


class Match(IntEnum):
    """The leniency of a comparison of lines; a lower value is stricter."""

    EXACT = 0
    TRAILING_WHITESPACE = 1
    SURROUNDING_WHITESPACE = 2
    PUNCTUATION = 3


_PUNCTUATION = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d", "-")
    | dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u02bc", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"')
    | dict.fromkeys("\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\t", " ")
    | dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad", "")
    | {"\u2026": "..."}
)


def normalize(line: str) -> str:
    """Return a line with typographic quotes, dashes and spaces as ASCII, without whitespace at its ends."""
    return line.translate(_PUNCTUATION).strip()


def _identity(line: str) -> str:
    return line


_KEYS: dict[Match, Callable[[str], str]] = {
    Match.EXACT: _identity,
    Match.TRAILING_WHITESPACE: str.rstrip,
    Match.SURROUNDING_WHITESPACE: str.strip,
    Match.PUNCTUATION: normalize,
}


class _Level:
    """The lines under one comparison, encoded as one character for each distinct line, so that ``str.find`` works."""

    def __init__(self, lines: Sequence[str], match: Match) -> None:
        self._key = _KEYS[match]
        self._codes: dict[str, str] = {}
        codes: list[str] = []
        for line in lines:
            key = self._key(line)
            code = self._codes.get(key)
            if code is None:
                if len(self._codes) >= _MAX_DISTINCT:
                    raise PatchError(f"the file has more than {_MAX_DISTINCT} distinct lines, which is too many.")
                code = self._codes[key] = chr(len(self._codes))
            codes.append(code)
        self.text = "".join(codes)

    def encode(self, lines: Sequence[str]) -> str | None:
        """Encode lines as characters of this level; None if one of them does not occur in the document."""
        codes: list[str] = []
        for line in lines:
            code = self._codes.get(self._key(line))
            if code is None:
                return None
            codes.append(code)
        return "".join(codes)


class LineSearch:
    """A document's lines, indexed when needed. All positions are 0-based lines; -1 means not found."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = lines
        self._levels: dict[Match, _Level] = {}
        self._absent: set[str] = set()

    def level(self, match: Match) -> _Level:
        """Return the index for one comparison."""
        if match not in self._levels:
            self._levels[match] = _Level(self.lines, match)
        return self._levels[match]

    def find(self, wanted: Sequence[str], match: Match, start: int, stop: int | None = None) -> int:
        """Return the first position of the lines at or after ``start``; with ``stop`` they must begin before it."""
        level = self.level(match)
        needle = level.encode(wanted)
        if needle is None:
            return -1
        return level.text.find(needle, start, len(level.text) if stop is None else stop + len(needle) - 1)

    def find_last(self, wanted: Sequence[str], match: Match, start: int, stop: int) -> int:
        """Return the last position of the lines that is not before ``start`` and before ``stop``."""
        level = self.level(match)
        needle = level.encode(wanted)
        return -1 if needle is None or stop <= start else level.text.rfind(needle, start, stop + len(needle) - 1)

    def matches_at(self, wanted: Sequence[str], match: Match, at: int) -> bool:
        """Return whether the lines match at a position."""
        return at >= 0 and self.find(wanted, match, at, at + 1) == at

    @cached_property
    def _joined(self) -> tuple[str, list[int]]:
        """All lines in `normalize` form in one text, each after a newline, and the start of each."""
        starts: list[int] = []
        position = 1
        pieces: list[str] = []
        for line in self.lines:
            piece = normalize(line)
            starts.append(position)
            pieces.append(piece)
            position += len(piece) + 1
        return "\n" + "\n".join(pieces), starts

    def find_part(self, wanted: str, start: int, *, prefix: bool) -> int:
        """Return the first line at or after ``start`` that begins with (or contains) the text as whole words."""
        return self._find_part(wanted, start, len(self.lines), prefix=prefix, last=False)

    def find_part_before(self, wanted: str, start: int, stop: int, *, prefix: bool) -> int:
        """Return the last line from ``start`` and before ``stop`` that begins with (or contains) the text."""
        return self._find_part(wanted, start, stop, prefix=prefix, last=True)

    def _find_part(self, wanted: str, start: int, stop: int, *, prefix: bool, last: bool) -> int:
        text, starts = self._joined
        words = normalize(wanted)
        if not words or start >= stop or words in self._absent or len(self._absent) >= _MAX_ABSENT:
            return -1
        if words not in text:
            self._absent.add(words)
            return -1
        needle = "\n" + words if prefix else words
        low = starts[start] - 1
        high = starts[stop] - 1 if stop < len(starts) else len(text)
        for _ in range(_MAX_PARTIAL):
            at = text.rfind(needle, low, high) if last else text.find(needle, low, high)
            if at < 0:
                return -1
            begin = at + prefix
            if _is_whole(text, begin, begin + len(words)):
                return bisect_right(starts, begin) - 1
            if last:
                high = at + len(needle) - 1
            else:
                low = at + 1
        return -1

    @cached_property
    def _block_ends(self) -> list[int]:
        """For each line, the first later line that is neither blank nor indented more deeply; else the end."""
        ends = [len(self.lines)] * len(self.lines)
        waiting: list[tuple[int, int]] = []
        for at, line in enumerate(self.lines):
            body = line.lstrip()
            if not body:
                continue
            depth = len(line) - len(body)
            while waiting and waiting[-1][0] >= depth:
                ends[waiting.pop()[1]] = at
            waiting.append((depth, at))
        return ends

    def block_end(self, at: int) -> int:
        """Return the end of the lines that are indented more deeply than the line ``at``."""
        return self._block_ends[at]

    def positions_of(self, line: str, match: Match, most: int) -> list[int]:
        """Return the first positions of one line, at most ``most``."""
        found: list[int] = []
        at = self.find((line,), match, 0)
        while at >= 0 and len(found) < most:
            found.append(at)
            at = self.find((line,), match, at + 1)
        return found


def _is_whole(text: str, begin: int, end: int) -> bool:
    """Return whether a part of the text begins and ends at the boundary of a word."""
    before, first, last, after = text[begin - 1 : begin], text[begin], text[end - 1], text[end : end + 1]
    return not (_is_word(before) and _is_word(first)) and not (_is_word(last) and _is_word(after))


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"
