"""The error contract: what any part of the bridge raises when a call cannot be answered.

This module sits below every room, so that media, workspace and tools speak of failures in the same closed set of codes.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from databricks_responses_mcp.visible import LINES, visible

logger = logging.getLogger(__name__)

_QUOTED_CHARACTERS = 120
_TOLD_CHARACTERS = 4000
"""Of a message, and of a hint: what lists many things is cut, whoever wrote it."""

SEE_DOCTOR = "`databricks-responses-mcp doctor` shows which check fails."
"""The sentence of a hint that sends its reader to ``doctor``; always this one, so that ``doctor`` can leave it out."""


_PAID_FIELDS = ("text", "output", "refusal", "pending_calls", "usage", "images", "operations", "diff")


class Reason(StrEnum):
    """What exactly a request failed for, where the bridge decides by it: to send it again, elsewhere, or to advise."""

    CONTEXT_TOO_LONG = "context_too_long"
    REASONING_UNREADABLE = "reasoning_unreadable"
    """The encrypted reasoning of an earlier turn could not be read."""
    ENCRYPTED_REASONING_REFUSED = "encrypted_reasoning_refused"
    """The endpoint gives no encrypted reasoning."""
    INCLUDE_REFUSED = "include_refused"
    STRICT_REFUSED = "strict_refused"
    """A JSON Schema was refused; strict schemas take only a part of the language."""
    OUTPUT_CAP_REFUSED = "output_cap_refused"
    PARAMETER_REFUSED = "parameter_refused"
    """Another parameter of the request, or its value."""
    FEATURE_MISSING = "feature_missing"
    """`BridgeError.feature` says which, where that is known."""
    SURFACE_MISMATCH = "surface_mismatch"
    """The path that was asked does not serve the model."""
    NAME_RETIRED = "name_retired"
    """The workspace no longer serves models by the name that the request uses."""
    NAME_UNKNOWN = "name_unknown"
    """Something that the request names does not exist."""
    OBJECT_UNKNOWN = "object_unknown"
    """Something that the request names, and that is no model, does not exist: a response, a file, a space."""
    NO_LISTING = "no_listing"
    """The host has no listing of serving endpoints: it is no Databricks workspace."""
    MODEL_FAILED = "model_failed"
    """The endpoint reported an internal error."""
    SIGN_IN_PAGE = "sign_in_page"
    """The answer led to a page on which people sign in."""


class Feature(StrEnum):
    """What a model, or the surface that reaches it, may lack; the value is how messages name it."""

    CUSTOM_TOOLS = "custom tools"
    WEB_SEARCH = "web search"
    IMAGE_GENERATION = "image generation"
    IMAGES = "images"
    STRUCTURED_OUTPUT = "structured output"
    APPLY_PATCH = "apply_patch"
    SHELL = "shell"
    MCP = "mcp"
    SERVICE_TIER = "service_tier"


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
        reason: what exactly failed, where the bridge has an answer to it; not shown.
        feature: what is missing, with `Reason.FEATURE_MISSING`.
    """

    code: ErrorCode
    message: str
    hint: str
    retryable: bool = False
    retry_after_seconds: float | None = None
    status: int | None = None
    request_id: str | None = None
    partial: dict[str, Any] = field(default_factory=dict)
    reason: Reason | None = None
    feature: Feature | None = None

    def __str__(self) -> str:
        return visible(f"{_short(self.message)} {_short(self.hint)}".strip(), keep=LINES)

    @property
    def is_paid(self) -> bool:
        """Whether a model had worked before the failure, so that the call is billed."""
        return is_paid(self.partial)

    @property
    def may_be_paid(self) -> bool:
        """Whether an answer had begun, so that the call may be billed, even if nothing of it has arrived."""
        return bool(self.partial)

    @property
    def is_refusal(self) -> bool:
        """Whether the request was refused before anything was billed: a corrected one may be sent again."""
        return self.status in (400, 422, None) and not self.is_paid

    def with_hint(self, hint: str) -> "BridgeError":
        """Return the same failure with other advice."""
        return replace(self, hint=hint)

    def with_partial(self, partial: Mapping[str, Any]) -> "BridgeError":
        """Return the same failure with what was received before it."""
        return replace(self, partial=dict(partial))

    def as_dict(self) -> dict[str, Any]:
        """The ``error`` object of a structured result; fields that are not known are absent."""
        error: dict[str, Any] = {
            "code": self.code.value,
            "message": visible(_short(self.message), keep=LINES),
            "retryable": self.retryable,
            "hint": visible(_short(self.hint), keep=LINES),
        }
        if self.retry_after_seconds is not None:
            error["retry_after_seconds"] = self.retry_after_seconds
        if self.status is not None:
            error["status"] = self.status
        if self.request_id:
            error["request_id"] = self.request_id
        return error


def is_paid(facts: Mapping[str, Any]) -> bool:
    """Return whether what was received of a call, in the result's field names, shows that a model has worked."""
    return any(facts.get(name) for name in _PAID_FIELDS)


@contextmanager
def coding(doing: str, *, passing: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Let whatever fails in the context fail by the error contract: an exception that nothing expected is ``internal``.

    Args:
        doing: what failed, as the subject of a sentence: a tool's name, ``Reading the answer of gpt``.
        passing: exceptions that leave the context as they are.

    Raises:
        BridgeError: for every exception but those.
    """
    try:
        yield
    except BridgeError:
        raise
    except passing:
        raise
    except Exception as error:
        raise coded(error, doing) from error


def coded(error: Exception, doing: str) -> BridgeError:
    """Return an exception as an error of the contract, as `coding` raises it; what is logged is not shown."""
    cause: BaseException = error
    while isinstance(cause, BaseExceptionGroup) and len(cause.exceptions) == 1:
        cause = cause.exceptions[0]
    if isinstance(cause, BridgeError):
        return cause
    logger.error("%s failed", doing, exc_info=cause)
    return BridgeError(
        ErrorCode.INTERNAL,
        f"{doing} failed inside the bridge ({type(cause).__name__}).",
        "This is a defect of the bridge: the server's log on stderr has the details; please report it.",
    )


def _short(text: str) -> str:
    return text if len(text) <= _TOLD_CHARACTERS else f"{text[:_TOLD_CHARACTERS]}… ({len(text)} characters)"


def quoted(value: object, most: int = _QUOTED_CHARACTERS) -> str:
    """Return a caller's or a model's value as an error message quotes it: between quotation marks, on one line, short.

    Args:
        most: how many characters are shown; the length of a longer text is told.
    """
    text = value if isinstance(value, str) else repr(value)
    shown = repr(text[:most]) if isinstance(value, str) else text[:most]
    return shown if len(text) <= most else f"{shown}… ({len(text)} characters)"
