"""Parsing a V4A diff into hunks, and a create diff into the text of the new file."""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from databricks_responses_mcp.patching.failure import PatchError, quote

END_OF_FILE = "*** End of File"
_END_PATCH = "*** End Patch"
_NUMBERED = re.compile(r"@@ -(\d+)(?:,\d+)? \+\d+(?:,\d+)? @@")
_FILE_HEADER = re.compile(r"(diff --git |index [0-9a-f]|new file mode |--- |\+\+\+ )")


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a hunk: context (space), removed (-) or added (+). ``bare``: an empty line without a prefix."""

    kind: Literal[" ", "-", "+"]
    text: str
    bare: bool = False


@dataclass(frozen=True)
class Hunk:
    """One edit of a diff.

    Attributes:
        number: its 1-based number in the diff.
        diff_line: the 1-based line of the diff where it begins.
        anchors: the texts of its ``@@`` lines, outermost first, without empty ones.
        lines: its body.
        at_end: whether it is marked as ending at the end of the file.
        line_hint: the 0-based line in a unified diff's header, used only to choose among several places.
        final_newline: whether the new text has a final newline, according to a ``\\ No newline at end of file`` mark.
    """

    number: int
    diff_line: int
    anchors: tuple[str, ...]
    lines: tuple[DiffLine, ...]
    at_end: bool = False
    line_hint: int | None = None
    final_newline: bool | None = None

    @cached_property
    def old(self) -> tuple[str, ...]:
        """The lines of the file before the edit: context and removed lines."""
        return tuple(line.text for line in self.lines if line.kind != "+")

    @cached_property
    def new(self) -> tuple[str, ...]:
        """The lines of the file after the edit: context and added lines."""
        return tuple(line.text for line in self.lines if line.kind != "-")

    def without_bare_ends(self) -> "Hunk | None":
        """Return the hunk without blank lines that lack a prefix at both ends, which models often add between hunks.

        None if it has no such lines, or no others.
        """
        first, last = 0, len(self.lines)
        while first < last and self.lines[first].bare:
            first += 1
        while last > first and self.lines[last - 1].bare:
            last -= 1
        if first == last or last - first == len(self.lines):
            return None
        return replace(self, lines=self.lines[first:last])


def diff_lines(diff: str) -> list[str]:
    """Return the lines of a diff without their endings."""
    lines = [line.removesuffix("\r") for line in diff.split("\n")]
    return lines[:-1] if lines and not lines[-1] else lines


def parse_diff(diff: str) -> list[Hunk]:
    """Parse the diff of an ``update_file`` operation.

    Numbered headers and ``---``/``+++`` lines of a unified diff are accepted too.

    Raises:
        PatchError: a line without a valid prefix, a section without a body, lines after an end mark.
    """
    return _Reader(diff_lines(diff)).read()


def _preamble_size(lines: list[str]) -> int:
    """Return the number of a unified diff's file headers at the start; they must precede a numbered hunk."""
    size = 0
    while size < len(lines) and _FILE_HEADER.match(lines[size]):
        size += 1
    return size if size < len(lines) and _NUMBERED.match(lines[size]) else 0


class _Reader:
    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._at = 0
        self._hunks: list[Hunk] = []

    def read(self) -> list[Hunk]:
        self._at = _preamble_size(self._lines)
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line.rstrip() == _END_PATCH:
                self._expect_nothing_after_end()
                break
            if self._hunks and self._hunks[-1].at_end and not line.startswith("@@"):
                if line.strip():
                    raise self._error(f'after "{END_OF_FILE}" only a new "@@" section may follow, not {quote(line)}')
                self._at += 1
                continue
            self._read_hunk()
        return self._hunks

    def _read_hunk(self) -> None:
        begin = self._at
        anchors, hint = self._read_headers()
        lines: list[DiffLine] = []
        final_newline: bool | None = None
        at_end = False
        while self._at < len(self._lines) and not at_end:
            line = self._lines[self._at]
            if line.startswith("@@") or line.rstrip() == _END_PATCH:
                break
            if line.startswith("\\ "):
                final_newline = self._final_newline(lines, final_newline)
            elif line.rstrip() == END_OF_FILE:
                at_end = True
            else:
                lines.append(self._read_line(line))
            self._at += 1
        marked = any(line.startswith("\\ ") for line in self._lines[begin : self._at])
        if all(line.bare for line in lines):
            self._accept_blank(begin, at_end=at_end)
            return
        self._hunks.append(
            Hunk(
                number=len(self._hunks) + 1,
                diff_line=begin + 1,
                anchors=anchors,
                lines=tuple(lines),
                at_end=at_end or marked,
                line_hint=hint,
                final_newline=final_newline,
            )
        )

    def _accept_blank(self, begin: int, *, at_end: bool) -> None:
        """Ignore blank lines before the first section; refuse a section without a body."""
        if self._lines[begin].startswith("@@") or at_end:
            raise PatchError(
                f"the section at line {begin + 1} of the diff ({quote(self._lines[begin])}) has no lines: "
                'give the lines to change, each beginning with a space, "-" or "+".',
                hunk=len(self._hunks) + 1,
                diff_line=begin + 1,
            )

    def _read_headers(self) -> tuple[tuple[str, ...], int | None]:
        anchors: list[str] = []
        hint: int | None = None
        while self._at < len(self._lines) and self._lines[self._at].startswith("@@"):
            line = self._lines[self._at]
            numbered = _NUMBERED.match(line)
            if numbered:
                hint = max(int(numbered[1][:9]) - 1, 0)
            else:
                text = line[2:].removeprefix(" ").rstrip()
                if text.strip() not in {"", "@@"}:
                    anchors.append(text)
            self._at += 1
        return tuple(anchors), hint

    def _read_line(self, line: str) -> DiffLine:
        if not line:
            return DiffLine(" ", "", bare=True)
        match line[0]:
            case " " | "-" | "+" as kind:
                return DiffLine(kind, line[1:])
            case _:
                raise self._error(
                    f"it is {quote(line)}; every line of a section must begin with a space (context), "
                    '"-" (removed) or "+" (added), and every section with "@@"'
                )

    def _final_newline(self, lines: list[DiffLine], known: bool | None) -> bool | None:
        """Return whether the new text has a final newline: not after a marked added line, but after a removed one."""
        if not lines or known is False:
            return known
        return {"+": False, "-": True, " ": known}[lines[-1].kind]

    def _expect_nothing_after_end(self) -> None:
        for number in range(self._at + 1, len(self._lines)):
            if self._lines[number].strip():
                self._at = number
                raise self._error(f'nothing may follow "{_END_PATCH}", but it is {quote(self._lines[number])}')

    def _error(self, what: str) -> PatchError:
        return PatchError(
            f"line {self._at + 1} of the diff cannot be read: {what}.",
            hunk=len(self._hunks) + 1,
            diff_line=self._at + 1,
        )


def parse_created(diff: str) -> str:
    r"""Return the text of the file that a ``create_file`` diff creates.

    Every line has the ending (``\n`` or ``\r\n``) that it has in the diff, except that the last one has none if a
    ``\ No newline at end of file`` mark follows it.

    Raises:
        PatchError: a line that does not begin with ``+``.
    """
    lines = diff.split("\n")
    if not lines[-1]:
        lines.pop()
    while lines and (not lines[-1].strip() or lines[-1].rstrip() in {END_OF_FILE, _END_PATCH}):
        lines.pop()
    first = _preamble_size(lines)
    if first < len(lines) and (lines[first].rstrip() == "@@" or _NUMBERED.match(lines[first])):
        first += 1
    made: list[str] = []
    for number, line in enumerate(lines[first:], first + 1):
        if line.startswith("+"):
            made.append(line[1:] + "\n")
        elif not line.strip():
            made.append("\n")
        elif line.startswith("\\ ") and number == len(lines):
            return "".join(made).removesuffix("\n").removesuffix("\r")
        else:
            raise PatchError(
                f'line {number} of the diff is {quote(line)}, but every line of a new file must begin with "+".',
                diff_line=number,
            )
    return "".join(made)
