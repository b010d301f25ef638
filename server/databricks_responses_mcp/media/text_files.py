"""Text of files, complete or a range of lines, and how it is included in a prompt."""

import codecs
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import anyio.from_thread

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.failures import in_units, shown
from databricks_responses_mcp.visible import visible

_COUNTED_BYTES = 64 * 1024 * 1024
"""A larger file is not read beyond the range only to count its lines."""
_PIECE = 64 * 1024

_RANGE = re.compile(
    r"(?P<path>.+?)(?::(?P<a>[0-9]{1,12})(?P<dash1>-(?P<b>[0-9]{1,12})?)?"
    r"|#L(?P<c>[0-9]{1,12})(?P<dash2>-(?:L?(?P<d>[0-9]{1,12}))?)?)",
    re.DOTALL,
)
# The order matters: the mark of UTF-32 little-endian begins with the one of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Any bytes are valid Windows-1252, so control codes decide; Unicode text may contain all except NUL.
_NOT_IN_TEXT = {
    "windows-1252": re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]"),
    **dict.fromkeys(("utf-8", "utf-16", "utf-32"), re.compile("\0")),
}


@dataclass(frozen=True, slots=True)
class TextFile:
    """Text of a file, or of a range of its lines.

    A line ends at a line feed; line endings are unchanged.

    Attributes:
        name: the given path, without the range.
        text: the text that was read.
        first_line: the number of the first line of a range, from 1; None for a whole file.
        last_line: the number of the last line that was read; None for a whole file.
        total_lines: the number of lines in the file; None if it was too large to count them.
        encoding: ``utf-8``, ``utf-16``, ``utf-32``, or ``windows-1252`` for a text file that is not UTF-8.
    """

    name: str
    text: str
    first_line: int | None
    last_line: int | None
    total_lines: int | None
    encoding: str


def render_files(files: Sequence[TextFile]) -> str:
    """Return the files as a part of a prompt: each with its name and lines, in a fence that its text cannot close."""
    return "\n\n".join(_rendered(file) for file in files)


def _rendered(file: TextFile) -> str:
    notes = []
    if file.first_line is not None:
        of = f" of {file.total_lines}" if file.total_lines is not None else ""
        one = file.first_line == file.last_line
        lines = f"line {file.first_line}" if one else f"lines {file.first_line}-{file.last_line}"
        notes.append(lines + of)
    elif file.total_lines is not None:
        notes.append(f"{file.total_lines} line{'' if file.total_lines == 1 else 's'}")
    if file.encoding != "utf-8":
        notes.append(f"read as {file.encoding}")
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", file.text)), default=0))
    text = file.text if not file.text or file.text.endswith("\n") else file.text + "\n"
    about = f" ({', '.join(notes)})" if notes else ""
    return f"File: {visible(file.name)}{about}\n{fence}\n{text}{fence}"


def split_range(reference: str) -> tuple[str, re.Match[str]] | None:
    """Return the path and the range of lines in a reference; `span_of` reads the range."""
    wanted = _RANGE.fullmatch(reference)
    return None if wanted is None else (wanted["path"], wanted)


def span_of(wanted: re.Match[str], reference: str) -> tuple[int, int | None]:
    """Return the first and the last line of a range, from 1; None for a range that ends with the file.

    Raises:
        BridgeError: ``invalid_argument``.
    """
    first = int(wanted["a"] or wanted["c"])
    end = wanted["b"] or wanted["d"]
    last = int(end) if end else None if (wanted["dash1"] or wanted["dash2"]) else first
    if first < 1 or (last is not None and last < first):
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"{shown(reference)} is not a range of lines: they count from 1, the first before the last.",
            "Write ranges as in notes.txt:10-20.",
        )
    return first, last


def whole_text(data: bytes, name: str) -> TextFile:
    """Return a text file whose bytes are known not to be another kind of file.

    Without a byte order mark the text is UTF-8, or Windows-1252 if it is not valid UTF-8 and has no control codes.

    Raises:
        BridgeError: ``invalid_argument`` if it is not text.
    """
    text, encoding = _decoded(data, _mark(data), name)
    total = text.count("\n") + (0 if not text or text.endswith("\n") else 1)
    return TextFile(name, text, None, None, total, encoding)


def lines_of(file: BinaryIO, name: str, size: int, span: tuple[int, int | None], max_bytes: int) -> TextFile:
    """Return a range of the lines of an open text file; it ends at the last line at the latest.

    Args:
        size: the size of the file, in bytes, without limit.
        span: a range as returned by `span_of`.
        max_bytes: the maximum size of the text, in bytes of the file.

    Raises:
        BridgeError: ``invalid_argument`` if it is not text or has no such lines; ``too_large``.
    """
    head = file.read(_PIECE)
    file.seek(0)
    mark = _mark(head)
    if mark is None:
        _decoded(head, None, name, is_cut=True)
    # Latin-1 maps each byte to one character and back, so one loop serves every encoding.
    stream = io.TextIOWrapper(io.BufferedReader(_Raw(file)), mark or "latin-1", newline="\n")
    first, last = span
    pieces, number, at_line_start = 0, 0, True
    kept: list[str] = []
    kept_bytes = 0
    total: int | None = None
    try:
        while True:
            pieces += 1
            if pieces % 64 == 0:
                anyio.from_thread.check_cancelled()
            piece = stream.readline(_PIECE)
            if not piece:
                total = number
                break
            number += at_line_start
            at_line_start = piece.endswith("\n")
            if first <= number and (last is None or number <= last):
                kept.append(piece)
                kept_bytes += len(piece) if mark is None else len(piece.encode("utf-8", "surrogatepass"))
                if kept_bytes > max_bytes:
                    raise _range_too_large(name, span, number, max_bytes)
            elif last is not None and number > last and size > _COUNTED_BYTES:
                break
    except UnicodeDecodeError as error:
        raise _binary(name) from error
    if not kept:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"{shown(name)} has {total} line{'' if total == 1 else 's'}, so it has no line {first}.",
            f"Ask for lines from 1 to {total}." if total else "The file is empty.",
        )
    text = "".join(kept)
    encoding = (mark or "").removesuffix("-sig")
    if mark is None:
        text, encoding = _decoded(text.encode("latin-1"), None, name)
    elif _NOT_IN_TEXT[encoding].search(text):
        raise _binary(name)
    read_to = last if last is not None and (total is None or last <= total) else total
    return TextFile(name, text, first, read_to, total, encoding)


class _Raw(io.RawIOBase):
    """Wraps an open file for a text stream, which would otherwise close it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
        return self._file.readinto(buffer)  # type: ignore[attr-defined,no-any-return]


def _mark(data: bytes | bytearray) -> str | None:
    return next((encoding for mark, encoding in _MARKS if data.startswith(mark)), None)


def _decoded(data: bytes, mark: str | None, name: str, *, is_cut: bool = False) -> tuple[str, str]:
    """Return text and encoding of bytes that begin with a mark, or of a part of a file without one."""
    try:
        if mark is not None:
            text, encoding = data.decode(mark), mark.removesuffix("-sig")
        else:
            text, encoding = codecs.getincrementaldecoder("utf-8")().decode(data, final=not is_cut), "utf-8"
    except UnicodeDecodeError as not_unicode:
        if mark is not None:
            raise _binary(name) from not_unicode
        try:
            text, encoding = data.decode("cp1252"), "windows-1252"
        except UnicodeDecodeError as error:
            raise _binary(name) from error
    if _NOT_IN_TEXT[encoding].search(text):
        raise _binary(name)
    return text, encoding


def _binary(name: str) -> BridgeError:
    return BridgeError(ErrorCode.INVALID_ARGUMENT, f"{shown(name)} is not a text file.", "Save it as UTF-8 text.")


def _range_too_large(name: str, span: tuple[int, int | None], reached: int, max_bytes: int) -> BridgeError:
    first, last = span
    lines = f"Line {first}" if first == last else f"Lines {first}-{last or 'end'}"
    fits = f"{first}-{reached - 1}" if reached - 1 > first else None
    return BridgeError(
        ErrorCode.TOO_LARGE,
        f"{lines} of {shown(name)} have more than {in_units(max_bytes)}, which is all that can be sent.",
        f"Lines {fits} would fit." if fits else "That line alone is too long; cut the part that matters into a file.",
    )
