"""What comes of checking with a schema, and what checking may take."""

from dataclasses import dataclass
from enum import StrEnum

CPU_SECONDS = 5
MEMORY_BYTES = 1024**3


class Verdict(StrEnum):
    """What comes of a check."""

    FITS = "fits"
    MISFIT = "misfit"
    """No value fits the schema."""
    NO_SCHEMA = "no_schema"
    """It is no JSON Schema."""
    UNUSABLE = "unusable"
    """It is one, but nothing can be checked with it."""
    LIMIT = "limit"
    """The check took more than it may."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of a check.

    Attributes:
        problem: in one line why it did not fit, of the first value.
        number: which of several values fits, from 0.
    """

    verdict: Verdict
    problem: str = ""
    number: int = 0
