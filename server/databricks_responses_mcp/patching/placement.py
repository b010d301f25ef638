"""Finding the place of each hunk of a diff in a document."""

from dataclasses import dataclass

from databricks_responses_mcp.patching.document import Document
from databricks_responses_mcp.patching.explanation import explain_misfit
from databricks_responses_mcp.patching.failure import PatchError, quote
from databricks_responses_mcp.patching.hunks import Hunk
from databricks_responses_mcp.patching.search import LineSearch, Match

_MAX_OTHERS = 5


@dataclass(frozen=True, slots=True)
class Placement:
    """The place of a hunk.

    Attributes:
        hunk: the hunk, possibly without blank lines at its ends.
        start: the 0-based line of the document where its context begins.
        match: the leniency of the comparison.
        others: other lines (0-based) where it fits, at most five.
        note: what was ignored in order to place it, as a clause; "" for nothing.
    """

    hunk: Hunk
    start: int
    match: Match = Match.EXACT
    others: tuple[int, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class _AnchorSearch:
    """The result of the search for a hunk's anchors.

    Attributes:
        start: the line at which the search for the context starts.
        line: the line of the last anchor found.
        inside: whether that line is above the previous hunk, which was in its block, so that ``start`` did not change.
        scope: the end of the block of the anchor before the last one; None if there is none.
        missing: the first anchor not found.
    """

    start: int
    line: int | None = None
    inside: bool = False
    scope: int | None = None
    missing: str | None = None


class Placer:
    """Finds the places of hunks in order, each below the previous one."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._search = LineSearch(document.texts)
        self._cursor = 0
        self._changed = 0

    def place(self, hunk: Hunk) -> Placement:
        """Return the place of the next hunk.

        Raises:
            PatchError: it fits nowhere, or its place is not determined.
        """
        anchored = self._search_anchors(hunk)
        placement = self._place_addition(hunk, anchored) if not hunk.old else self._place_by_context(hunk, anchored)
        body = placement.hunk
        self._cursor = placement.start + len(body.old)
        self._changed = placement.start + _changed_size(body)
        return placement

    # Anchors

    def _search_anchors(self, hunk: Hunk) -> _AnchorSearch:
        state = _AnchorSearch(self._cursor)
        floor = 0
        for anchor in hunk.anchors:
            line, inside = self._find_anchor(anchor, state, floor)
            if line is None:
                return _AnchorSearch(state.start, state.line, state.inside, state.scope, missing=anchor)
            block = self._search.block_end(state.line) if state.line is not None else 0
            state = _AnchorSearch(state.start if inside else line + 1, line, inside, block if block > line else None)
            floor = line + 1
        return state

    def _find_anchor(self, anchor: str, state: _AnchorSearch, floor: int) -> tuple[int | None, bool]:
        """Return the line of an anchor, and whether the search is already inside its block, so that it is above."""
        for text in dict.fromkeys((anchor, anchor.removesuffix("@@").rstrip())):
            for level in range(len(Match) + 2):
                below = self._find_anchor_below(text, level, state.start)
                above = self._find_anchor_above(text, level, floor) if state.start == self._cursor else -1
                if above >= 0 and self._search.block_end(above) >= self._cursor:
                    return above, True
                if below >= 0:
                    return below, False
        return None, False

    def _find_anchor_below(self, text: str, level: int, start: int) -> int:
        if level < len(Match):
            return self._search.find((text,), Match(level), start)
        return self._search.find_part(text, start, prefix=level == len(Match))

    def _find_anchor_above(self, text: str, level: int, floor: int) -> int:
        if level < len(Match):
            return self._search.find_last((text,), Match(level), floor, self._cursor)
        return self._search.find_part_before(text, floor, self._cursor, prefix=level == len(Match))

    def _describe_missing(self, anchor: str) -> str:
        return f"{quote(anchor)} was not found{f' below line {self._cursor}' if self._cursor else ''}"

    # Hunks that only add

    def _place_addition(self, hunk: Hunk, anchored: _AnchorSearch) -> Placement:
        if hunk.at_end or self._document.texts == [""]:
            note = "" if anchored.missing is None else f"the anchor {self._describe_missing(anchored.missing)}"
            return Placement(hunk, max(self._document.end, self._cursor), note=note)
        if anchored.missing is not None:
            raise explain_misfit(
                self._search, hunk, self._cursor, f"its anchor {self._describe_missing(anchored.missing)}"
            )
        if anchored.line is None:
            raise PatchError(
                f"hunk {hunk.number} (line {hunk.diff_line} of the diff) only adds lines and nothing says where: "
                "give a line of context before or after them, an anchor "
                '("@@ " and a whole line of the file), or "*** End of File" below them.',
                hunk=hunk.number,
                diff_line=hunk.diff_line,
            )
        if anchored.line + 1 < self._cursor:
            reason = f"its anchor {quote(hunk.anchors[-1])} was not found below line {self._cursor}"
            raise explain_misfit(self._search, hunk, self._cursor, reason)
        return Placement(hunk, anchored.line + 1)

    # Hunks with context

    def _place_by_context(self, hunk: Hunk, anchored: _AnchorSearch) -> Placement:
        trimmed = hunk.without_bare_ends()
        for variant in [hunk] if trimmed is None else [hunk, trimmed]:
            if not variant.old:
                return self._place_addition(variant, anchored)
            found = self._search_context(variant, anchored)
            if found is not None:
                return found
        where = ""
        if anchored.missing is None and anchored.line is not None and not anchored.inside:
            where = f" below its anchor {quote(self._search.lines[anchored.line])} (line {anchored.line + 1})"
        raise explain_misfit(self._search, hunk, self._cursor, f"its context was not found{where}")

    def _search_context(self, hunk: Hunk, anchored: _AnchorSearch) -> Placement | None:
        if hunk.at_end:
            found = self._match_at_end(hunk, anchored)
            if found is not None:
                return found
        shared = self._changed if anchored.start == self._cursor else anchored.start
        for start in dict.fromkeys((anchored.start, shared)):
            for match in Match:
                at = self._first_match(hunk, anchored, match, start)
                if at >= 0:
                    return self._make_placement(hunk, anchored, match, start, at)
        return None

    def _match_at_end(self, hunk: Hunk, anchored: _AnchorSearch) -> Placement | None:
        size = len(hunk.old)
        for match in Match:
            for at in dict.fromkeys((self._document.end - size, self._document.size - size)):
                if at >= anchored.start and self._search.matches_at(hunk.old, match, at):
                    return Placement(hunk, at, match)
        return None

    def _first_match(self, hunk: Hunk, anchored: _AnchorSearch, match: Match, start: int) -> int:
        if hunk.line_hint is not None:
            return self._nearest_match(hunk, match, start, hunk.line_hint)
        if anchored.line is not None and not anchored.inside:
            # A model often gives the anchor's line as context too: then the hunk begins at or above that line.
            low = max(self._cursor, anchored.line - len(hunk.old) + 1)
            around = self._search.find(hunk.old, match, low, anchored.line + 1)
            if around >= 0:
                return around
        return self._search.find(hunk.old, match, start)

    def _nearest_match(self, hunk: Hunk, match: Match, start: int, hint: int) -> int:
        middle = max(start, hint)
        below = self._search.find(hunk.old, match, middle)
        above = self._search.find_last(hunk.old, match, start, middle)
        if below < 0 or above < 0:
            return max(below, above)
        return below if below - hint <= hint - above else above

    def _make_placement(self, hunk: Hunk, anchored: _AnchorSearch, match: Match, start: int, at: int) -> Placement:
        others = self._other_matches(hunk, anchored, match, start, at)
        note = '"*** End of File" was given, but its context is not at the end' if hunk.at_end else ""
        if anchored.missing is not None:
            if others:
                places = ", ".join(str(line + 1) for line in sorted((at, *others)))
                absent = self._describe_missing(anchored.missing)
                reason = f"its anchor {absent}, and its context fits at several lines ({places})"
                raise explain_misfit(self._search, hunk, self._cursor, reason, nearest=False)
            note = f"the anchor {self._describe_missing(anchored.missing)}, but the context fits in one place"
        return Placement(hunk, at, match, others, note)

    def _other_matches(self, hunk: Hunk, anchored: _AnchorSearch, match: Match, start: int, at: int) -> tuple[int, ...]:
        """Return other places of the hunk: with an anchor, in its block and below the next line equal to the anchor."""
        stop = self._document.size
        again = -1
        if anchored.line is not None and anchored.missing is None:
            end = self._search.block_end(anchored.line)
            stop = end if at < end else stop
            anchor = self._search.lines[anchored.line]
            again = self._search.find((anchor,), Match.EXACT, max(stop, at + 1), anchored.scope)
        others: list[int] = []
        place = self._search.find(hunk.old, match, start, stop)
        while place >= 0 and len(others) < _MAX_OTHERS:
            if place != at:
                others.append(place)
            place = self._search.find(hunk.old, match, place + 1, stop)
        if again >= 0 and len(others) < _MAX_OTHERS:
            place = self._search.find(hunk.old, match, again)
            if place >= 0:
                others.append(place)
        return tuple(others)


def _changed_size(hunk: Hunk) -> int:
    """Return the number of a hunk's old lines up to its last change: the next hunk may share the context after that."""
    size = changed = 0
    for line in hunk.lines:
        size += line.kind != "+"
        if line.kind != " ":
            changed = size
    return changed
