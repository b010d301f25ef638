"""The records of a store. Times are seconds since the epoch (UTC)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Item = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One exchange with a model.

    Attributes:
        number: 1 for the first of its conversation.
        endpoint: the serving endpoint of the request; only it can read the encrypted reasoning.
        model: the model that answered, as the API names it.
        said: the caller's input items.
        items: the output items as the API returned them, except that images have a path (``picture``) and no base64.
        response_id: the API's id of the response, if it has one.
        status: the API's: ``completed`` or ``incomplete``.
        usage: token counts under the API's own names.
    """

    number: int
    endpoint: str
    model: str
    said: Sequence[Item]
    items: Sequence[Item]
    status: str
    created_at: float
    response_id: str | None = None
    usage: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationState:
    """The state of a conversation for its next turn.

    Attributes:
        endpoint: the serving endpoint of the next request.
        parameters: the request's other parameters (instructions, tools, …).
        mcp_servers: names of the MCP servers that the model may use; never their secrets.
        output_schema: the JSON Schema that answers must match, if any.
        pending: tool calls whose output or approval the caller must send.
        replay_from: the number of the first turn that is sent again; a summary replaces those before it.
    """

    endpoint: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    mcp_servers: Sequence[str] = ()
    output_schema: Mapping[str, Any] | None = None
    pending: Sequence[Mapping[str, Any]] = ()
    replay_from: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredConversation:
    """A conversation with its turns in order: all, or those after the requested number."""

    conversation_id: str
    title: str
    created_at: float
    updated_at: float
    state: ConversationState
    turns: Sequence[Turn]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationSummary:
    """A conversation in a list.

    Attributes:
        model: the model that answered last.
        turns: the number of turns.
        input_tokens: of all its turns, as is ``output_tokens``.
        waiting: the number of pending tool calls.
    """

    conversation_id: str
    title: str
    endpoint: str
    model: str
    turns: int
    input_tokens: int
    output_tokens: int
    waiting: int
    created_at: float
    updated_at: float


JOB_LEASE_SECONDS = 30.0
"""How long a running job counts as running after it was last written, by the clock of the database.

Its process renews the lease with `Store.beat_job`, so a job that is read as interrupted has lost its process, or its
process has lost the database for this long.
"""

JobStatus = Literal["running", "completed", "failed", "cancelled", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A call of a tool that may outlive its request.

    Attributes:
        job_id: its id for callers (``response_id`` of a running result).
        tool: the tool that was called.
        status: ``running`` until its process records another one, or its lease has ended: then it is read as
            ``interrupted``, with what was received until then.
        conversation_id: the conversation of its turn, once known.
        structured: the fields received until ``updated_at``; of an ended job, those of the whole result.
        preamble: of an ended job, the text before the model's own text.
        cancel_requested: whether its cancellation was requested.
        questions: what its host must ask its user, by key, while the job waits for that.
    """

    job_id: str
    tool: str
    status: JobStatus
    created_at: float
    updated_at: float
    conversation_id: str | None = None
    structured: Mapping[str, Any] = field(default_factory=dict)
    preamble: str = ""
    cancel_requested: bool = False
    questions: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyClaim:
    """The claim of an idempotency key.

    Attributes:
        job_id: the job of the first call with this key.
        fingerprint: of the first call's tool and arguments.
        mine: whether the caller's claim is the first.
    """

    job_id: str
    fingerprint: str
    mine: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The token usage of one request.

    Attributes:
        tool: the tool, or command, that sent it.
    """

    created_at: float
    tool: str
    endpoint: str
    model: str
    conversation_id: str | None
    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0


Grouping = Literal["day", "model", "conversation", "tool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageTotal:
    """The token usage of all requests of a group.

    Attributes:
        key: the day (``YYYY-MM-DD``, UTC), model, conversation id (``""``: none) or tool.
    """

    key: str
    requests: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int


LimitName = Literal["tokens_per_day", "requests_per_minute", "concurrent_calls"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """Limits of one owner, or of all together; None where there is none. False if there is none at all."""

    tokens_per_day: int | None = None
    requests_per_minute: int | None = None
    concurrent_calls: int | None = None

    def __bool__(self) -> bool:
        return self != RequestLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionRequest:
    """A request that is to be sent.

    Attributes:
        admission_id: its own id.
        call_id: of the call that it is part of; the requests of one call count once as a running call.
        least_tokens: without that many left it is not worth sending.
        wanted_tokens: the most that it may use, as far as that is known.
        lease_seconds: how long it counts as running unless it is settled or extended.
    """

    admission_id: str
    call_id: str
    least_tokens: int
    wanted_tokens: int
    lease_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A request that was admitted.

    Attributes:
        day: when its tokens count (UTC, ``YYYY-MM-DD``).
        tokens: the reserved tokens: at most what it wanted, at least what it needs.
        scopes: whose tokens they are.
    """

    admission_id: str
    day: str
    tokens: int
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """Why a request was not admitted; it is not counted.

    Attributes:
        limit: the limit that is reached.
        is_of_all: whether that is the limit of all owners together.
        retry_after_seconds: when the request may be admitted.
        used: what counts against the limit: tokens used and reserved, or requests, or calls.
    """

    limit: LimitName
    is_of_all: bool
    retry_after_seconds: float
    used: int
