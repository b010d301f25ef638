"""The error for a patch that is refused, with a message for the model that wrote it."""

from dataclasses import dataclass

_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place of the file that nearly fits a hunk.

    Attributes:
        line: the 1-based line of the file where the hunk would start.
        matched: the number of the hunk's context and removed lines that match there.
        total: the number of the hunk's context and removed lines.
        difference: the first difference, as a clause.
    """

    line: int
    matched: int
    total: int
    difference: str


class PatchError(ValueError):
    """A patch that cannot be parsed or does not fit. ``str()`` of it may be sent to the model unchanged.

    Attributes:
        hunk: the 1-based number of the hunk that failed, if it is known.
        diff_line: the 1-based line of the diff (or of the patch) where it begins, if it is known.
        candidates: the most similar places in the file, best first.
    """

    def __init__(
        self,
        reason: str,
        *,
        hunk: int | None = None,
        diff_line: int | None = None,
        candidates: tuple[Candidate, ...] = (),
    ) -> None:
        super().__init__(reason)
        self.hunk = hunk
        self.diff_line = diff_line
        self.candidates = candidates


def quote(line: str) -> str:
    """Quote a line for a message: whitespace is visible, and the length is limited."""
    return repr(line if len(line) <= _SHOWN else line[:_SHOWN] + "…")
