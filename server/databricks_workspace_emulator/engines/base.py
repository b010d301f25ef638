"""The interface between the emulator's contract layer and its engines."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of the conversation as plain text; images are described in words by the contract layer."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class TextRequest:
    """The contract layer's request to an engine.

    Attributes:
        model: the requested serving endpoint (an engine may ignore it).
        messages: the conversation, oldest first; the last is the user's.
        max_output_tokens: the approximate limit of the answer; the contract layer enforces it as well.
        temperature: sent only if the caller gave it.
        top_p: sent only if the caller gave it.
        json_schema: the JSON Schema that the text must match, if one was requested.
        played: sentences about the hosted tools that were simulated for this answer; the last message contains them
            too. Because nothing was really searched or drawn, a model has nothing to add: an engine writes one sentence
            or none.
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
    """Writes text for the emulator. Started at the first use, closed with the emulator."""

    @property
    def label(self) -> str:
        """The name of the model for the reply's ``model`` field, for example ``SmolLM2-135M-Instruct (local)``."""
        ...

    def stream(self, request: TextRequest) -> AsyncIterator[str]:
        """Yield text in pieces as it is written. Raises ``BridgeError`` if the engine cannot answer."""
        ...

    async def aclose(self) -> None:
        """Stop everything that was started. Safe to call twice, and when nothing was started."""
        ...
