"""The interface of observers, which receive each request to a model and its answer, for telemetry."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from databricks_responses_mcp.turns.outcome import Outcome
from databricks_responses_mcp.workspace.transport import Instrumentation


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """A request that is about to be sent to a model.

    Attributes:
        model: the serving endpoint.
        surface: the key of the surface that it is sent on.
        body: in the terms of the Responses API, before it is translated for the surface.
        origin: scheme, host and port of the workspace.
        conversation_id: the conversation that it is a turn of, if it is known.
    """

    model: str
    surface: str
    body: Mapping[str, Any]
    origin: str
    conversation_id: str | None


class Observation(Protocol):
    """One request under observation."""

    def receive(self) -> None:
        """Note that a piece of the answer has arrived."""

    def complete(self, outcome: Outcome) -> None:
        """Note what the answer was."""


class Observer(Instrumentation, Protocol):
    """Observes requests to models, and the HTTP requests below them. No method may raise an error or block."""

    def observe(self, request: ModelRequest) -> AbstractContextManager[Observation]:
        """Return a context that lasts as long as the request; an exception that leaves it is the request's failure."""
