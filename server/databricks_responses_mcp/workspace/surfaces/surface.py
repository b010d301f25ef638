"""What every surface is."""

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
"""A Responses request as the surface takes it, and what had to be left out of it, in words.

Raises ``UntranslatableError`` for what the surface cannot do.
"""


class Reader(Protocol):
    """Makes events of the Responses API out of what a surface sends."""

    def feed(self, chunk: Any) -> list[dict[str, Any]]:
        """The events that one parsed event, or one whole JSON answer, comes to."""
        ...

    def finish(self, *, marked: bool = False) -> list[dict[str, Any]]:
        """Those that are left when the stream has ended; ``marked``: it said so (``[DONE]``)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """One way to a model.

    Attributes:
        key: what settings and results call it.
        speaks: what is spoken there, in words.
        path: where requests for a model go.
        translate: makes the request; None sends it as it is.
        reader: makes events of the answer, for a model's name; None where they are the Responses API's own.
        is_gateway: whether it takes the gateway's headers.
        has_background: whether a request may run in the background: its response is then asked for at ``path/{id}``.
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
    """The same path for every model: its name stands in the body."""
    return lambda _model: path


def invocations_of(model: str) -> str:
    """The path of one endpoint."""
    return f"/serving-endpoints/{quote(model, safe='')}/invocations"
