"""The result of a check with a schema, and the limits of the process that checks."""

from dataclasses import dataclass
from enum import StrEnum

CPU_SECONDS = 5
MEMORY_BYTES = 1024**3


class Verdict(StrEnum):
    """The outcome of a check."""

    MATCH = "match"
    NO_MATCH = "no_match"
    """No value matches the schema."""
    INVALID_SCHEMA = "invalid_schema"
    """The schema is not a valid JSON Schema."""
    UNUSABLE = "unusable"
    """The schema is valid, but values cannot be checked with it."""
    LIMIT_EXCEEDED = "limit_exceeded"
    """The check exceeded its limit of time or memory."""


@dataclass(frozen=True, slots=True)
class SchemaCheck:
    """The result of a check.

    Attributes:
        problem: one line that says why the first value does not match.
        number: the 0-based index of the value that matches.
    """

    verdict: Verdict
    problem: str = ""
    number: int = 0
