"""The result of a check of the doctor."""

from dataclasses import dataclass
from typing import Any, Literal

from databricks_responses_mcp.errors import ErrorCode

Status = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        detail: what was found, or why it could not be checked.
        hint: what to do after a failed check.
        code: the error contract's code of a failed check.
    """

    name: str
    status: Status
    detail: str
    hint: str = ""
    code: ErrorCode | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the result for machines; empty fields are left out."""
        facts = {"name": self.name, "status": self.status, "detail": self.detail, "hint": self.hint}
        if self.code is not None:
            facts["code"] = self.code.value
        return {key: value for key, value in facts.items() if value}


class NotApplicableError(Exception):
    """The check does not apply, which is not a failure."""
