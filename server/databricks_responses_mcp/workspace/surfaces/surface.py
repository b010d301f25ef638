"""The type of a surface."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from urllib.parse import quote

SurfaceKey = Literal[
    "responses",
    "open-responses",
    "chat",
    "invocations",
    "agent",
    "agent-invocations",
    "agent-chat",
    "app",
    "gateway",
    "gateway-chat",
    "gemini",
    "supervisor",
]

Body = dict[str, Any]
Translate = Callable[[Mapping[str, Any]], tuple[Body, list[str]]]
"""Converts a Responses request to the surface's format; returns it with notes for the caller about what was left out.

Raises ``UntranslatableError`` for what the surface does not support.
"""


class Reader(Protocol):
    """Converts what a surface sends to events of the Responses API."""

    def feed(self, chunk: Any) -> list[dict[str, Any]]:
        """Return the events for one parsed event, or for one whole JSON answer."""
        ...

    def finish(self, *, marked: bool = False) -> list[dict[str, Any]]:
        """Return the remaining events when the stream has ended; ``marked``: it contained ``[DONE]``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """An API through which a model can be reached.

    Attributes:
        key: its name in settings and results.
        speaks: the name of the API, for messages.
        path: returns the path of requests for a model.
        translate: makes the request; None sends it unchanged.
        reader: makes the events of the answer, for a model's name; None for the Responses API's own events.
        is_gateway: whether it accepts the gateway's headers.
        has_background: whether a request may run in the background; its response is then available at ``path/{id}``.
        echoes: whether its output begins with the request's input.
    """

    key: SurfaceKey
    speaks: str
    path: Callable[[str], str]
    translate: Translate | None = None
    reader: Callable[[str], Reader] | None = None
    is_gateway: bool = False
    has_background: bool = False
    echoes: bool = False


def at(path: str) -> Callable[[str], str]:
    """Return a function for a path that is the same for every model, whose name is in the body."""
    return lambda _model: path


def invocations_of(model: str) -> str:
    """Return the path of one endpoint."""
    return f"/serving-endpoints/{quote(model, safe='')}/invocations"
