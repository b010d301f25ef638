"""Applying a V4A diff to a text."""

from dataclasses import dataclass
from typing import Literal

from databricks_responses_mcp.patching.document import BOM, Change, Document
from databricks_responses_mcp.patching.envelope import is_envelope, parse_patch
from databricks_responses_mcp.patching.failure import PatchError
from databricks_responses_mcp.patching.hunks import parse_created, parse_diff
from databricks_responses_mcp.patching.placement import Placement, Placer
from databricks_responses_mcp.patching.search import Match

Mode = Literal["update", "create"]

_LENIENCY_NOTES = {
    Match.TRAILING_WHITESPACE: "by ignoring whitespace at the ends of lines",
    Match.SURROUNDING_WHITESPACE: "by ignoring indentation",
    Match.PUNCTUATION: "by ignoring typographic punctuation and spaces",
}


@dataclass(frozen=True, slots=True)
class AppliedHunk:
    """The place at which a hunk was applied.

    Attributes:
        number: its 1-based number in the diff.
        line: the 1-based line of the original text where its context begins.
        match: the leniency of the comparison with its context.
        others: other 1-based lines where it fits, at most five; the first place was used.
        note: what was ignored in order to place it; "" for nothing.
    """

    number: int
    line: int
    match: Match = Match.EXACT
    others: tuple[int, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class PatchResult:
    """A text with a diff applied.

    Attributes:
        text: the new text.
        hunks: the place of each hunk, in order; empty for a new file.
    """

    text: str
    hunks: tuple[AppliedHunk, ...] = ()

    @property
    def fuzz(self) -> Match:
        """The most lenient comparison that was needed."""
        return max((hunk.match for hunk in self.hunks), default=Match.EXACT)

    @property
    def notes(self) -> list[str]:
        """One sentence for each ambiguity; empty if every hunk matched exactly and in one place."""
        notes: list[str] = []
        for hunk in self.hunks:
            place = f"Hunk {hunk.number} was applied at line {hunk.line}"
            if hunk.match in _LENIENCY_NOTES:
                notes.append(f"{place} {_LENIENCY_NOTES[hunk.match]}.")
            if hunk.others:
                others = ", ".join(str(line) for line in hunk.others)
                notes.append(f"{place}; its context also fits at line{'s' * (len(hunk.others) > 1)} {others}.")
            if hunk.note:
                notes.append(f"{place}: {hunk.note}.")
        return notes


def apply_diff(original: str, diff: str, mode: Mode = "update") -> PatchResult:
    """Apply a V4A diff, as an ``apply_patch_call`` operation carries it, to a file's text.

    Pass the decoded text without newline translation: line endings, a byte order mark and a missing final newline are
    preserved. With ``create`` the result is the text of a new file, and ``original`` is ignored. An envelope around the
    diff of one file is removed. The running time is nearly linear in the sizes. No state is shared, so it may run in a
    worker thread.

    Raises:
        PatchError: the diff cannot be parsed or does not fit; its message tells the model what to correct.
    """
    diff = _unwrap(diff, mode)
    if mode == "create":
        return PatchResult(parse_created(diff))
    hunks = parse_diff(diff)
    if not hunks:
        return PatchResult(original)
    diff_has_bom = any(line.startswith(BOM) for hunk in hunks for line in hunk.old)
    document = Document.of(original, keep_bom=diff_has_bom)
    placer = Placer(document)
    changes: list[Change] = []
    placements: list[Placement] = []
    final_newline: bool | None = None
    for hunk in hunks:
        placement = placer.place(hunk)
        placements.append(placement)
        made = _collect_changes(placement)
        changes += made
        final_newline = _final_newline(document, placement, made, final_newline)
    return PatchResult(
        document.apply_changes(changes, final_newline), tuple(_applied_hunk(placement) for placement in placements)
    )


def _unwrap(diff: str, mode: Mode) -> str:
    if not is_envelope(diff):
        return diff
    operations = parse_patch(diff)
    if len(operations) > 1:
        paths = ", ".join(operation.path for operation in operations[:5])
        raise PatchError(f"the diff of one operation must be of one file, but it names {len(operations)} ({paths}).")
    wanted = f"{mode}_file"
    if operations[0].type != wanted:
        raise PatchError(f"the operation is {wanted}, but its diff holds {operations[0].type}.")
    if operations[0].move_to is not None:
        raise PatchError('the diff of one operation cannot rename the file: leave the "*** Move to:" line out.')
    return operations[0].diff


def _collect_changes(placement: Placement) -> list[Change]:
    """Return the changes of a placed hunk, with the document's line numbers."""
    changes: list[Change] = []
    at = start = placement.start
    added: list[str] = []
    for line in placement.hunk.lines:
        if line.kind == "+":
            added.append(line.text)
            continue
        if line.kind == " ":
            if added or at > start:
                changes.append(Change(start, at, tuple(added)))
                added = []
            start = at + 1
        at += 1
    if added or at > start:
        changes.append(Change(start, at, tuple(added)))
    return changes


def _final_newline(document: Document, placement: Placement, changes: list[Change], known: bool | None) -> bool | None:
    """Return whether the new text has a final newline, by a mark or an addition at the end, else ``known``."""
    hunk = placement.hunk
    if hunk.final_newline is not None and placement.start + len(hunk.old) >= document.end:
        return hunk.final_newline
    below = any(change.start == document.size and change.added for change in changes)
    return True if below and document.ends_with_newline else known


def _applied_hunk(placement: Placement) -> AppliedHunk:
    return AppliedHunk(
        number=placement.hunk.number,
        line=placement.start + 1,
        match=placement.match,
        others=tuple(line + 1 for line in placement.others),
        note=placement.note,
    )
