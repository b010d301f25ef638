"""Parsing a ``*** Begin Patch`` text into its operations."""

import re
from dataclasses import dataclass
from typing import Literal

from databricks_responses_mcp.patching.failure import PatchError, quote

OperationType = Literal["create_file", "update_file", "delete_file"]

_BEGIN = "*** Begin Patch"
_END = "*** End Patch"
_MOVE = "*** Move to:"
_ENVIRONMENT = "*** Environment ID:"
_FILE = re.compile(r"\*\*\* (Add|Update|Delete) File:(.*)")
_FRAME = re.compile(r"\s*(```\w*|~~~\w*|(\S+\s+)?apply_patch\b.*<<.*|['\"]?EOF['\"]?|EOT|PATCH)?\s*")

_TYPES: dict[str, OperationType] = {"Add": "create_file", "Update": "update_file", "Delete": "delete_file"}


@dataclass(frozen=True, slots=True)
class Operation:
    """The operation on one file, in the terms of the Responses API.

    Attributes:
        type: ``create_file``, ``update_file`` or ``delete_file``.
        path: as written in the patch; it is not empty, but neither resolved nor checked otherwise.
        diff: the V4A diff without the envelope; empty for a deletion and for a rename without changes.
        move_to: the new path if an updated file is renamed.
    """

    type: OperationType
    path: str
    diff: str = ""
    move_to: str | None = None


def is_envelope(text: str) -> bool:
    """Return whether a text is a patch with file headers rather than the diff of one file."""
    first = text.lstrip().split("\n", 1)[0].rstrip()
    return first == _BEGIN or _FILE.fullmatch(first) is not None


def parse_patch(text: str) -> list[Operation]:
    """Parse a ``*** Begin Patch … *** End Patch`` text into operations, in order.

    Blank lines, a code fence and a shell's here-document around the envelope are ignored. Both lines of the envelope
    may be missing; if only the end is missing, the patch was truncated. The diffs are not parsed.

    Raises:
        PatchError: no operation, text outside the operations, a header without a path, a missing end.
    """
    lines = text.split("\n")
    first, last, base = _find_envelope(lines)
    operations: list[Operation] = []
    at = first
    while at < last:
        line = lines[at].rstrip()
        header = _FILE.fullmatch(line)
        if header is None:
            if not line or line.startswith(_ENVIRONMENT):
                at += 1
                continue
            raise PatchError(
                f'line {at + 1} of the patch is {quote(line)}, where a "*** Add File: ", "*** Update File: " or '
                '"*** Delete File: " line with a path must be.',
                diff_line=at + 1,
            )
        stop = at + 1
        while stop < last and not _FILE.fullmatch(lines[stop].rstrip()):
            stop += 1
        operations.append(_make_operation(header[1], header[2], lines[at + 1 : stop], at + 1))
        at = stop
    if not operations:
        raise PatchError(f"the patch names no file to add, update or delete{base}.")
    return operations


def _find_envelope(lines: list[str]) -> tuple[int, int, str]:
    """Return the range of lines inside the envelope, and a clause about a missing one for an error message."""
    first = 0
    while first < len(lines) and lines[first].strip() != _BEGIN and _FRAME.fullmatch(lines[first]):
        first += 1
    last = len(lines)
    while last > first and lines[last - 1].strip() != _END and _FRAME.fullmatch(lines[last - 1]):
        last -= 1
    begun = first < last and lines[first].strip() == _BEGIN
    ended = first < last and lines[last - 1].strip() == _END
    if begun and not ended:
        for number in range(first, last):
            if lines[number].strip() == _END:
                raise PatchError(
                    f'nothing may follow "{_END}", but line {number + 2} of the patch is {quote(lines[number + 1])}.',
                    diff_line=number + 2,
                )
        raise PatchError(f'the patch has no "{_END}" line: it may have been cut off. Send it whole.')
    return first + begun, last - ended, "" if begun else f' (it does not begin with "{_BEGIN}")'


def _make_operation(verb: str, path: str, body: list[str], number: int) -> Operation:
    path = path.strip()
    if not path:
        raise PatchError(f"line {number} of the patch names no path.", diff_line=number)
    move_to: str | None = None
    if verb == "Update" and body and body[0].startswith(_MOVE):
        move_to = body[0].removeprefix(_MOVE).strip()
        if not move_to:
            raise PatchError(f"line {number + 1} of the patch names no path to move to.", diff_line=number + 1)
        body = body[1:]
    size = len(body)
    while size and body[size - 1] in {"", "\r"}:
        size -= 1
    body = body[:size]
    if verb == "Delete" and body:
        raise PatchError(f"line {number} of the patch deletes a file, so no lines may follow it.", diff_line=number)
    if verb == "Update" and not body and move_to is None:
        raise PatchError(f"line {number} of the patch updates {path} but gives no changes.", diff_line=number)
    return Operation(_TYPES[verb], path, "".join(f"{line}\n" for line in body), move_to)
