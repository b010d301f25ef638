"""The interface between the emulator's contract layer and whatever writes its text."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One turn of the conversation as plain text; images are described in words by the contract layer."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class TextRequest:
    """What the contract layer asks an engine for.

    Attributes:
        model: the serving endpoint that was named (an engine may ignore it).
        messages: the conversation, oldest first; the last is the user's.
        max_output_tokens: stop after about this many tokens; the contract layer enforces it on top.
        temperature: sent only if the caller gave it.
        top_p: sent only if the caller gave it.
        json_schema: the JSON Schema the text must fit, if one was asked for.
        played: sentences about the hosted tools that were played for this answer; the last message says the same. Since
            nothing was really searched or painted, a model has nothing to add: an engine writes one sentence or none.
        after_outputs: whether the text follows outputs of the client's own tools.
    """

    model: str
    messages: Sequence[ChatMessage]
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    json_schema: dict[str, object] | None = None
    played: Sequence[str] = ()
    after_outputs: bool = False


class Engine(Protocol):
    """Writes text for the emulator. Started on first need, closed with the emulator."""

    @property
    def label(self) -> str:
        """What answered, for the reply's ``model`` field, e.g. ``SmolLM2-135M-Instruct (local)``."""
        ...

    def stream(self, request: TextRequest) -> AsyncIterator[str]:
        """Text as it is written, in pieces. Raises ``BridgeError`` when the engine cannot answer."""
        ...

    async def aclose(self) -> None:
        """Stop whatever was started. Safe to call twice, and when nothing was started."""
        ...
