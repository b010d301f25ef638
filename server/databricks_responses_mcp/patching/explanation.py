"""Explaining why a hunk does not fit: what is missing, which places are similar, what the mistake probably is."""

from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches

from databricks_responses_mcp.patching.failure import Candidate, PatchError, quote
from databricks_responses_mcp.patching.hunks import Hunk
from databricks_responses_mcp.patching.search import LineSearch, Match, normalize

_MAX_CANDIDATES = 3
_MAX_VOTING_LINES = 200
_MAX_VOTES_A_LINE = 50
_MAX_COMPARED = 600
_MAX_COMPARED_CHARACTERS = 160


def explain_misfit(search: LineSearch, hunk: Hunk, cursor: int, reason: str, *, nearest: bool = True) -> PatchError:
    """Return the error for a hunk that fits nowhere at or after the line ``cursor`` (0-based)."""
    candidates = _candidates(search, hunk.old) if nearest and hunk.old else ()
    parts = [f"hunk {hunk.number} (line {hunk.diff_line} of the diff) does not fit: {reason}."]
    hint = _likely_mistake(search, hunk, cursor) if nearest else ""
    if hint:
        parts.append(hint)
    parts += [
        f"Near: line {candidate.line} of the file has {candidate.matched} of its {candidate.total} lines; "
        f"{candidate.difference}."
        for candidate in candidates
    ]
    if nearest and not candidates and not hint:
        parts += _most_similar_line(search, hunk)
    if not hint:
        parts.append(
            "Copy context lines from the file as it is now, and add an anchor or more context where lines repeat."
        )
    return PatchError(" ".join(parts), hunk=hunk.number, diff_line=hunk.diff_line, candidates=candidates)


def _likely_mistake(search: LineSearch, hunk: Hunk, cursor: int) -> str:
    if not hunk.old:
        return _anchor_above(search, hunk, cursor)
    for match in Match:
        earlier = search.find(hunk.old, match, 0, cursor) if cursor else -1
        if earlier >= 0:
            return (
                f"It would fit at line {earlier + 1}, above the end of the hunk before it (line {cursor}): "
                "hunks must be in the order of the file and must not overlap."
            )
    if hunk.new and hunk.new != hunk.old and any(line.strip() for line in hunk.new):
        done = search.find(hunk.new, Match.TRAILING_WHITESPACE, 0)
        if done >= 0:
            return f"The file already has the new lines at line {done + 1}: this change may have been made before."
    first = search.find(hunk.old, Match.PUNCTUATION, 0)
    if first >= 0:
        return f"It would fit at line {first + 1}, which is not below the anchor: correct the anchor or leave it out."
    return ""


def _anchor_above(search: LineSearch, hunk: Hunk, cursor: int) -> str:
    for anchor in hunk.anchors[-1:]:
        above = search.find((anchor,), Match.PUNCTUATION, 0, cursor)
        if above >= 0:
            return (
                f"{quote(anchor)} is at line {above + 1}, above the end of the hunk before it (line {cursor}): "
                "hunks must be in the order of the file."
            )
    return ""


def _candidates(search: LineSearch, old: Sequence[str]) -> tuple[Candidate, ...]:
    """Return the places with most of the lines: each occurrence of a line votes for the start that it implies."""
    votes: Counter[int] = Counter()
    for offset, line in enumerate(old[:_MAX_VOTING_LINES]):
        if line.strip():
            for at in search.positions_of(line, Match.PUNCTUATION, _MAX_VOTES_A_LINE):
                votes[at - offset] += 1
    best = sorted(votes.items(), key=lambda vote: (vote[0] < 0, -vote[1], vote[0]))[: 4 * _MAX_CANDIDATES]
    found = [candidate for start, _ in best if (candidate := _candidate(search.lines, old, start)) is not None]
    return tuple(sorted(found, key=lambda candidate: -candidate.matched)[:_MAX_CANDIDATES])


def _candidate(lines: Sequence[str], old: Sequence[str], start: int) -> Candidate | None:
    matched = 0
    difference = ""
    for offset, wanted in enumerate(old):
        at = start + offset
        present = lines[at] if 0 <= at < len(lines) else None
        if present is not None and normalize(present) == normalize(wanted):
            matched += 1
        elif not difference:
            has = "the file has no line" if present is None else f"the file has {quote(present)}"
            difference = (
                f"where the diff expects {quote(wanted)}, {has} (line {at + 1})"
                if at >= 0
                else (f"the diff expects {quote(wanted)} before the first line")
            )
    if not difference:
        return None
    return Candidate(line=max(start, 0) + 1, matched=matched, total=len(old), difference=difference)


def _most_similar_line(search: LineSearch, hunk: Hunk) -> list[str]:
    """Return a sentence with the line most similar to the first wanted one, among a bounded number of short lines."""
    wanted = next((line for line in (*hunk.old, *hunk.anchors) if line.strip()), "")
    if not wanted or len(wanted) > _MAX_COMPARED_CHARACTERS:
        return []
    short = [
        line for line in dict.fromkeys(search.lines[: _MAX_COMPARED * 4]) if 0 < len(line) <= _MAX_COMPARED_CHARACTERS
    ]
    alike = get_close_matches(wanted, short[:_MAX_COMPARED], n=1)
    missing = f"No line of the file is {quote(wanted)}"
    if not alike:
        return [f"{missing}."]
    at = search.find((alike[0],), Match.EXACT, 0)
    return [f"{missing}; the most similar is line {at + 1}, {quote(alike[0])}."]
