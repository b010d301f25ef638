"""Why a patch was refused, in words that the model which wrote it can act on."""

from dataclasses import dataclass

_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place of the file that nearly fits a hunk.

    Attributes:
        line: the 1-based line of the file where the hunk would start.
        matched: how many of the hunk's context and removed lines are there.
        total: how many such lines the hunk has.
        difference: the first line that differs, as a clause.
    """

    line: int
    matched: int
    total: int
    difference: str


class PatchError(ValueError):
    """A patch that cannot be read or does not fit. ``str()`` of it may be sent to the model as it is.

    Attributes:
        hunk: the 1-based number of the hunk, when the failure is of one hunk.
        diff_line: the 1-based line of the diff (or of the patch text) where it begins, when known.
        candidates: the nearest places in the file, best first.
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


def shown(line: str) -> str:
    """A line as it is quoted in a message: its whitespace visible, its length bounded."""
    return repr(line if len(line) <= _SHOWN else line[:_SHOWN] + "…")
