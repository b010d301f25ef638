"""The stored record of a response in the background of the workspace, with which a later process can read it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from pydantic import TypeAdapter, ValidationError

from databricks_responses_mcp.store.records import ConversationState, Item
from databricks_responses_mcp.workspace.surfaces.surface import SurfaceKey

_ID = re.compile(r"[A-Za-z0-9_-]{1,512}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundTurn:
    """The turn of a conversation that a response answers.

    Attributes:
        conversation_id: also of a new conversation, which the store does not have yet.
        number: of the turn.
        said: the caller's input items.
        state: of the conversation when the turn was asked.
    """

    conversation_id: str
    number: int
    said: Sequence[Item]
    state: ConversationState


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundResponse:
    """A response that runs in the background.

    Attributes:
        response_id: the workspace's id of it.
        surface: the key of the surface on which it was begun.
        model: the serving endpoint that was asked.
        input_marks: of the request's input, which the output repeats; see `responses.echoed_input`.
        turn: what it answers; None if it is not part of a conversation, or too large to be stored with a job.
    """

    response_id: str
    surface: SurfaceKey
    model: str
    input_marks: Sequence[str] = ()
    turn: BackgroundTurn | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        value: dict[str, Any] = _adapter().dump_python(self, mode="json")
        return value

    @classmethod
    def from_json(cls, value: Any) -> "BackgroundResponse | None":
        """Return what `to_json` made the value of; None for any other value."""
        try:
            read = _adapter().validate_python(value)
        except ValidationError:
            return None
        return read if is_response_id(read.response_id) else None


class ResumableJob(Protocol):
    """The job of a call, as far as a response in the background needs it."""

    async def keep_background(self, response: BackgroundResponse) -> None:
        """Store the response with the job, so that a later process can read it."""

    def is_left_to_others(self) -> bool:
        """Return whether the server is ending, and a later process can read the response: it is not cancelled then."""


def is_response_id(value: Any) -> bool:
    """Return whether a value is an id that is safe in a path."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


@cache
def _adapter() -> TypeAdapter[BackgroundResponse]:
    return TypeAdapter(BackgroundResponse)
