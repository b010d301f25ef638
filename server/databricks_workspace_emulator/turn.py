"""The state of one answer while it is made."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any

from databricks_workspace_emulator.contract.request import ResponsesRequest
from databricks_workspace_emulator.conversation import NOTE, Conversation
from databricks_workspace_emulator.engines.base import ChatMessage, Engine, TextRequest
from databricks_workspace_emulator.writer import Event, ResponseWriter


@dataclass(frozen=True, slots=True)
class Citation:
    """A source that the answer will name."""

    url: str
    title: str


@dataclass(slots=True)
class Turn:
    """The answer to one request.

    Attributes:
        notes: what hosted tools have done in this turn, as text for the engine.
        citations: sources found in this turn, for the message to cite.
        waiting: whether a call was made that only the client can answer; then no message follows.
    """

    request: ResponsesRequest
    conversation: Conversation
    engine: Engine
    writer: ResponseWriter
    notes: list[str] = field(default_factory=list)
    citations: list[Citation] = field(default_factory=list)
    waiting: bool = False

    def text_request(self) -> TextRequest:
        """Return the request to the engine for the final message."""
        body = self.request.body
        messages = list(self.conversation.messages)
        if self.notes:
            messages.append(ChatMessage("user", "\n".join(f"{NOTE}{note}" for note in self.notes)))
        return TextRequest(
            model=self.request.endpoint.name,
            messages=messages,
            max_output_tokens=body.max_output_tokens,
            temperature=body.temperature,
            top_p=body.top_p,
            json_schema=self.request.json_schema,
            played=tuple(self.notes),
            after_outputs=bool(self.conversation.outputs),
        )


Play = Callable[[Turn, dict[str, Any]], AsyncGenerator[Event]]
"""Simulates one tool: yields the events of its items. Client-executed calls set ``turn.waiting``."""
