"""The context of one call: what every step of the pipeline needs besides the request itself."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio

from databricks_responses_mcp.responses.accumulator import Item
from databricks_responses_mcp.turns.background_response import ResumableJob
from databricks_responses_mcp.turns.call_record import CallRecord
from databricks_responses_mcp.turns.deadline import Deadline
from databricks_responses_mcp.turns.partial_response import PartialResponse
from databricks_responses_mcp.turns.progress import Reporter
from databricks_responses_mcp.workspace.secret_values import SecretValues
from databricks_responses_mcp.workspace.settings import Settings

TakeImage = Callable[[Item], Awaitable[None]]
"""Receives an ``image_generation_call`` whose image has arrived completely; removes the base64 from ``item["result"]``.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    """One call of a tool or a command. It is passed as an argument to every function that works for the call.

    Attributes:
        deadline: when the call ends, all its requests and retries included.
        usage_label: the tool or command that the call's token usage is recorded for.
        conversation_id: the conversation that its next request is a turn of, for an observer.
        reporter: receives progress; None if nobody asked for it.
        progress_label: names a request in progress messages; the endpoint's name if empty.
        on_text: receives each piece of text as it arrives; several messages are separated by a blank line.
        on_events: is called whenever a piece of an answer has arrived.
        take_image: receives each image as soon as it is complete.
        stop: once it is set, reading ends; the answer so far is stored as incomplete.
        partial: what has arrived so far, for code outside of the call that reports on it.
        job: stores a response that runs in the background of the workspace; None if no later process can read it.
        secrets: values that must not be shown or stored.
        record: collects what the call does, without any text.
    """

    deadline: Deadline
    usage_label: str = ""
    conversation_id: str | None = None
    reporter: Reporter | None = None
    progress_label: str = ""
    on_text: Callable[[str], None] | None = None
    on_events: Callable[[], None] | None = None
    take_image: TakeImage | None = None
    stop: anyio.Event | None = None
    partial: PartialResponse = field(default_factory=PartialResponse)
    job: ResumableJob | None = None
    secrets: SecretValues = field(default_factory=SecretValues)
    record: CallRecord = field(default_factory=CallRecord)

    @classmethod
    def start(
        cls,
        settings: Settings,
        usage_label: str = "",
        *,
        seconds: float | None = None,
        reporter: Reporter | None = None,
        on_text: Callable[[str], None] | None = None,
        take_image: TakeImage | None = None,
        stop: anyio.Event | None = None,
        partial: PartialResponse | None = None,
    ) -> "CallContext":
        """Return the context of a call that starts now.

        Args:
            settings: the source of the secrets, and of the time limit unless ``seconds`` is given.
            seconds: how long the call may take.
            partial: collects what arrives, if the caller already has such an object.
        """
        return cls(
            deadline=Deadline(settings.timeout_seconds if seconds is None else seconds),
            usage_label=usage_label,
            reporter=reporter,
            on_text=on_text,
            take_image=take_image,
            stop=stop,
            partial=PartialResponse(settings.secrets) if partial is None else partial,
            secrets=settings.secrets,
        )
