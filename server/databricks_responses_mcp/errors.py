"""The error contract: what any part of the bridge raises when a call cannot be answered.

This module sits below every room, so that media, workspace and tools speak of failures in the same closed set of codes.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from databricks_responses_mcp.visible import LINES, visible

SEE_DOCTOR = "`databricks-responses-mcp doctor` shows which check fails."
"""The sentence of a hint that sends its reader to ``doctor``; always this one, so that ``doctor`` can leave it out."""


class ErrorCode(StrEnum):
    """Why a call failed. A closed set: hosts and scripts may branch on it."""

    INVALID_ARGUMENT = "invalid_argument"
    NOT_CONFIGURED = "not_configured"
    UNAUTHENTICATED = "unauthenticated"
    PERMISSION_DENIED = "permission_denied"
    MODEL_NOT_FOUND = "model_not_found"
    UNSUPPORTED_BY_MODEL = "unsupported_by_model"
    RATE_LIMITED = "rate_limited"
    CONTENT_FILTERED = "content_filtered"
    TOO_LARGE = "too_large"
    UPSTREAM_UNAVAILABLE = "upstream_unavailable"
    UPSTREAM_ERROR = "upstream_error"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    BUDGET_EXCEEDED = "budget_exceeded"
    NOT_FOUND = "not_found"
    INTERNAL = "internal"


@dataclass(eq=False)
class BridgeError(Exception):
    """A failure told to the caller.

    Attributes:
        code: one of the closed set.
        message: one sentence of what happened. Never a secret, never upstream HTML.
        hint: one sentence of what to do about it.
        retryable: whether the same call may succeed later without a change.
        retry_after_seconds: how long to wait before that, when known.
        status: the HTTP status of the upstream answer, when there was one.
        request_id: the workspace's own id of the failed request, when it gave one.
        partial: what was received before the failure, in the field names of the tool's result
            (``text``, ``response_id``, ``output``, ``images`` …): it may have been paid for.
        marks: codes and words of the upstream's error that tell what kind it is; for the bridge, never shown.
    """

    code: ErrorCode
    message: str
    hint: str
    retryable: bool = False
    retry_after_seconds: float | None = None
    status: int | None = None
    request_id: str | None = None
    partial: dict[str, Any] = field(default_factory=dict)
    marks: str = field(default="", repr=False)

    def __str__(self) -> str:
        return visible(f"{self.message} {self.hint}".strip(), keep=LINES)

    def as_dict(self) -> dict[str, Any]:
        """The ``error`` object of a structured result; fields that are not known are absent."""
        error: dict[str, Any] = {
            "code": self.code.value,
            "message": visible(self.message, keep=LINES),
            "retryable": self.retryable,
            "hint": visible(self.hint, keep=LINES),
        }
        if self.retry_after_seconds is not None:
            error["retry_after_seconds"] = self.retry_after_seconds
        if self.status is not None:
            error["status"] = self.status
        if self.request_id:
            error["request_id"] = self.request_id
        return error
