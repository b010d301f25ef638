"""The error contract: the exception of every part of the bridge for a call that fails.

Every other package may import this module: media, workspace and tools describe failures with the same closed sets of
codes, reasons and actions.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from databricks_responses_mcp.visible import LINES, visible

logger = logging.getLogger(__name__)

_MAX_QUOTED_CHARACTERS = 120
_MAX_MESSAGE_CHARACTERS = 4000
"""The limit of a message and of a hint; a longer text is truncated."""

_PAID_FIELDS = ("text", "output", "refusal", "pending_calls", "usage", "images", "operations", "diff")


class Reason(StrEnum):
    """The reason of a failure, if code decides by it about a retry, a fallback or advice."""

    CONTEXT_TOO_LONG = "context_too_long"
    REASONING_UNREADABLE = "reasoning_unreadable"
    """The encrypted reasoning of an earlier turn could not be read."""
    ENCRYPTED_REASONING_REFUSED = "encrypted_reasoning_refused"
    """The endpoint does not return encrypted reasoning."""
    INCLUDE_REFUSED = "include_refused"
    STRICT_REFUSED = "strict_refused"
    """A JSON Schema was refused; strict schemas support only a subset of the language."""
    OUTPUT_CAP_REFUSED = "output_cap_refused"
    PARAMETER_REFUSED = "parameter_refused"
    """Another parameter of the request, or its value."""
    FEATURE_MISSING = "feature_missing"
    """`BridgeError.feature` says which, where that is known."""
    SURFACE_MISMATCH = "surface_mismatch"
    """The path of the request does not serve the model."""
    NAME_RETIRED = "name_retired"
    """The workspace no longer serves models under the name in the request."""
    NAME_UNKNOWN = "name_unknown"
    """A name in the request does not exist."""
    OBJECT_UNKNOWN = "object_unknown"
    """An object in the request other than a model does not exist: a response, a file, a space."""
    NO_LISTING = "no_listing"
    """The host has no list of serving endpoints: it is not a Databricks workspace."""
    MODEL_FAILED = "model_failed"
    """The endpoint reported an internal error."""
    SIGN_IN_PAGE = "sign_in_page"
    """The response was a redirect to a sign-in page, or the page itself."""


class Action(StrEnum):
    """What a caller can do after a failure.

    Each has a sentence for MCP, where a host's model has tools and arguments, and one for a terminal, where a person
    has commands and options. The comment says what `Advice.subject` is.
    """

    LIST_MODELS = "list_models"
    USE_NAME = "use_name"  # the names of models that were probably meant
    USE_NEW_NAME = "use_new_name"  # the name that the model is served under now
    USE_MODEL = "use_model"  # a model of the workspace that has the missing feature
    LIST_CONVERSATIONS = "list_conversations"
    CONTINUE_CONVERSATION = "continue_conversation"  # its id
    START_CONVERSATION = "start_conversation"
    COMPACT = "compact"  # the id of the conversation
    CONTINUE_CALL = "continue_call"  # the id of the conversation whose calls wait for their outputs
    ASK = "ask"  # what asking can do that the failed call cannot
    EDIT_AGAIN = "edit_again"
    LEAVE_OUT = "leave_out"  # the argument
    RAISE = "raise"  # the argument
    LOWER = "lower"  # the argument
    UNSET_LIMITS = "unset_limits"
    SIGN_IN = "sign_in"  # the options of the Databricks CLI for the workspace, such as ``--profile dev``; may be empty
    TRY_EMBEDDED = "try_embedded"
    RUN_DOCTOR = "run_doctor"


@dataclass(frozen=True, slots=True)
class Advice:
    """One action after a failure, without a text.

    Attributes:
        subject: the object of the action, as the comments of `Action` say; empty for an action without one.
    """

    action: Action
    subject: str = ""


AdviceWords = Callable[[Advice], str]
"""Returns the sentence for an advice: for MCP, or for a terminal."""


class Feature(StrEnum):
    """A feature that a model or its surface may lack; the value is its name in messages."""

    CUSTOM_TOOLS = "custom tools"
    WEB_SEARCH = "web search"
    IMAGE_GENERATION = "image generation"
    IMAGES = "images"
    FILES = "files"
    AUDIO = "audio"
    VIDEO = "video"
    STRUCTURED_OUTPUT = "structured output"
    APPLY_PATCH = "apply_patch"
    SHELL = "shell"
    MCP = "mcp"
    SERVICE_TIER = "service_tier"


class ErrorCode(StrEnum):
    """The kind of a failure. A closed set, so that hosts and scripts can branch on it."""

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
    """A failure that is reported to the caller.

    Attributes:
        code: one of the closed set.
        message: one sentence of what happened. Never a secret, never upstream HTML.
        hint: what to do about it, if that is the same for everybody: it names no tool and no command.
        retryable: whether the same call may succeed later without a change.
        retry_after_seconds: how long to wait before that, if known.
        status: the HTTP status of the upstream answer, if there was one.
        request_id: the workspace's own id of the failed request, if it gave one.
        partial: what was received before the failure, in the field names of the tool's result
            (``text``, ``response_id``, ``output``, ``images`` …): it may have been paid for.
        reason: what exactly failed, if the bridge can act on it; not shown.
        feature: what is missing, with `Reason.FEATURE_MISSING`.
        advice: what else to do about it, the most specific first.
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
    advice: tuple[Advice, ...] = ()

    def __str__(self) -> str:
        return self._shown(self.hint)

    def text(self, words: AdviceWords) -> str:
        """Return what happened and all that can be done about it."""
        return self._shown(self.full_hint(words))

    def full_hint(self, words: AdviceWords) -> str:
        """Return the hint and the advice, in these words."""
        return " ".join(part for part in (self.hint, *map(words, self.advice)) if part)

    def _shown(self, hint: str) -> str:
        return visible(f"{_truncate(self.message)} {_truncate(hint)}".strip(), keep=LINES)

    @property
    def is_paid(self) -> bool:
        """Whether a model produced something before the failure, so that the call is billed."""
        return is_paid(self.partial)

    @property
    def may_be_paid(self) -> bool:
        """Whether an answer had begun, so that the call may be billed, even if no content has arrived."""
        return bool(self.partial)

    @property
    def is_refusal(self) -> bool:
        """Whether the request was refused before anything was billed, so that a corrected one may be sent."""
        return self.status in (400, 422, None) and not self.is_paid

    def with_advice(self, *advice: Advice) -> "BridgeError":
        """Return the same failure with more advice, before that which it has."""
        return replace(self, advice=tuple(dict.fromkeys((*advice, *self.advice))))

    def with_partial(self, partial: Mapping[str, Any]) -> "BridgeError":
        """Return the same failure with other content that was received before it."""
        return replace(self, partial=dict(partial))

    def as_dict(self, words: AdviceWords) -> dict[str, Any]:
        """Return the ``error`` object of a structured result; fields that are not known are absent."""
        error: dict[str, Any] = {
            "code": self.code.value,
            "message": visible(_truncate(self.message), keep=LINES),
            "retryable": self.retryable,
            "hint": visible(_truncate(self.full_hint(words)), keep=LINES),
        }
        if self.retry_after_seconds is not None:
            error["retry_after_seconds"] = self.retry_after_seconds
        if self.status is not None:
            error["status"] = self.status
        if self.request_id:
            error["request_id"] = self.request_id
        return error


def is_paid(structured: Mapping[str, Any]) -> bool:
    """Return whether received content, with the result's field names, shows that a model has produced something."""
    return any(structured.get(name) for name in _PAID_FIELDS)


@contextmanager
def convert_exceptions(
    doing: str, *, passing: tuple[type[Exception], ...] = (), log_fields: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Convert exceptions in the context into errors of the contract: an unexpected exception becomes ``internal``.

    Args:
        doing: the operation, as the subject of a sentence: a tool's name, ``Reading the answer of gpt``.
        passing: exceptions that are not converted.
        log_fields: what the line of the log about an unexpected one has besides.

    Raises:
        BridgeError: for every other exception.
    """
    try:
        yield
    except BridgeError:
        raise
    except passing:
        raise
    except Exception as error:
        raise as_bridge_error(error, doing, log_fields) from error


def as_bridge_error(error: Exception, doing: str, log_fields: Mapping[str, str] | None = None) -> BridgeError:
    """Return an exception as an error of the contract, as `convert_exceptions` does; the details are only logged."""
    cause: BaseException = error
    while isinstance(cause, BaseExceptionGroup) and len(cause.exceptions) == 1:
        cause = cause.exceptions[0]
    if isinstance(cause, BridgeError):
        return cause
    logger.error("%s failed", doing, exc_info=cause, extra={"fields": log_fields or {}})
    return BridgeError(
        ErrorCode.INTERNAL,
        f"{doing} failed inside the bridge ({type(cause).__name__}).",
        "This is a defect of the bridge: the server's log on stderr has the details; please report it.",
    )


def forget_origin(error: BaseException) -> None:
    """Remove the traceback of an exception that is not raised any more, and what it was made of.

    The frames of a traceback hold what a call was given and has received, megabytes perhaps, and often the exception
    itself: only the garbage collector would free them.
    """
    left: list[BaseException | None] = [error]
    while left:
        if (one := left.pop()) is None:
            continue
        left += (one.__cause__, one.__context__)
        if isinstance(one, BaseExceptionGroup):
            left += one.exceptions
        one.__traceback__ = one.__cause__ = one.__context__ = None


def _truncate(text: str) -> str:
    most = _MAX_MESSAGE_CHARACTERS
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"


def quoted(value: object, most: int = _MAX_QUOTED_CHARACTERS) -> str:
    """Return a value for an error message: in quotation marks, on one line, truncated.

    Args:
        most: the maximum number of characters; the length of a longer text is added.
    """
    text = value if isinstance(value, str) else repr(value)
    shown = repr(text[:most]) if isinstance(value, str) else text[:most]
    return shown if len(text) <= most else f"{shown}… ({len(text)} characters)"
