"""What a check of the doctor comes to."""

from dataclasses import dataclass
from typing import Any, Literal

from databricks_responses_mcp.errors import ErrorCode

Status = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check came to.

    Attributes:
        detail: what was found, or why it could not be looked for.
        hint: what to do, of a check that failed.
        code: the error contract's code, of a check that failed.
    """

    name: str
    status: Status
    detail: str
    hint: str = ""
    code: ErrorCode | None = None

    def as_dict(self) -> dict[str, Any]:
        """For machines; what there is not is absent."""
        facts = {"name": self.name, "status": self.status, "detail": self.detail, "hint": self.hint}
        if self.code is not None:
            facts["code"] = self.code.value
        return {key: value for key, value in facts.items() if value}


class NotApplicableError(Exception):
    """The check has nothing to look at, and that is no fault."""
