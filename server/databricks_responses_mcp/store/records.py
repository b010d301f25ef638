"""What is kept, as values. Times are seconds since the epoch (UTC)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Item = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One exchange with a model.

    Attributes:
        number: 1 for the first of its conversation.
        endpoint: the serving endpoint that was asked; encrypted reasoning is good for it alone.
        model: who answered, as the API names it.
        said: what the caller said, as input items.
        items: what came back, as the API gave it, but for pictures: they have a path (``picture``) and no base64.
        response_id: the API's id of the response, if it gave one.
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
    """What the next turn takes over.

    Attributes:
        endpoint: the serving endpoint that answers next.
        parameters: the request's other parameters (instructions, tools, …).
        mcp_servers: names of the MCP servers that the model may use; never their secrets.
        output_schema: the JSON Schema that answers must fit, if any.
        pending: calls that wait for the caller.
        replay_from: the number of the first turn that is sent again; a summary stands for those before it.
    """

    endpoint: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    mcp_servers: Sequence[str] = ()
    output_schema: Mapping[str, Any] | None = None
    pending: Sequence[Mapping[str, Any]] = ()
    replay_from: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredConversation:
    """A conversation with its turns in order, or with those after the number that was asked for."""

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
        model: who answered last.
        turns: how many.
        input_tokens: of all its turns; so ``output_tokens``.
        waiting: how many calls wait for the caller.
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


JobStatus = Literal["running", "completed", "failed", "cancelled", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A call of a tool that may outlive its request.

    Attributes:
        job_id: how callers name it (``response_id`` of a running result).
        tool: the tool that was called.
        status: ``running`` until its process says otherwise; one whose ``updated_at`` is old was interrupted, as was
            one whose process had the time to say so.
        conversation_id: the conversation that it is a turn of, once known.
        facts: what had arrived at ``updated_at``; of an ended one, the whole result's facts.
        lead: of an ended one, what is said before the model's own words.
        cancel_requested: whether somebody asked for its end.
    """

    job_id: str
    tool: str
    status: JobStatus
    created_at: float
    updated_at: float
    conversation_id: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    lead: str = ""
    cancel_requested: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyClaim:
    """Who holds an idempotency key.

    Attributes:
        job_id: the job of the first call with this key.
        fingerprint: of the first call's tool and arguments.
        mine: whether this claim is the first.
    """

    job_id: str
    fingerprint: str
    mine: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one request cost.

    Attributes:
        tool: the tool, or command, that it was spent for.
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
    """What all requests of a group cost together.

    Attributes:
        key: the day (``YYYY-MM-DD``, UTC), model, conversation id (``""``: none) or tool.
    """

    key: str
    requests: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
