"""Stream events of the Responses API from the stream of an agent of MLflow's ``ChatAgent`` kind.

Source: task ``agent/v2/chat``: chunks ``{"delta": message}``, whole answers ``{"messages": [message]}``. Pieces of one
message have the same id; a tool's output is a message of role ``tool``.
"""

from typing import Any

from databricks_responses_mcp.responses.agent_items import output_item
from databricks_responses_mcp.responses.chat_calls import CallPieces
from databricks_responses_mcp.responses.chat_events import incomplete_reason
from databricks_responses_mcp.responses.event_items import MessageItem
from databricks_responses_mcp.responses.event_writer import ChunkReader, Event

_FIELDS = ("custom_outputs", "databricks_output", "trace_id")


class AgentChatEvents(ChunkReader):
    """Translates the answer of one such agent, streamed or whole."""

    def __init__(self, model: str, *, nonce: str | None = None) -> None:
        super().__init__(model, nonce=nonce)
        self._message: MessageItem | None = None
        self._message_id: Any = None

    def finish(self, *, marked: bool = False) -> list[Event]:
        """Return the events at the end of the stream; ``marked`` if that was ``[DONE]``."""
        whole = self._finish is not None or marked or self._message is None
        if self._writer.has_items and not self._writer.ended and whole:
            self._end()
        return self._writer.take()

    def _take(self, chunk: dict[str, Any]) -> None:
        self._start(chunk, _FIELDS)
        if isinstance(reason := chunk.get("finish_reason"), str) and reason:
            self._finish = reason
        messages = chunk.get("messages")
        for message in messages if isinstance(messages, list) else [chunk.get("delta")]:
            if isinstance(message, dict):
                self._take_message(message)
        if isinstance(messages, list):
            self._end()

    def _take_message(self, message: dict[str, Any]) -> None:
        role = message.get("role") or "assistant"
        if role == "tool":
            self._fall_silent()
            self._writer.whole(output_item(message))
        elif role == "assistant":
            content = message.get("content")
            if isinstance(content, str) and content:
                self._speak(message.get("id")).text(content)
            calls = message.get("tool_calls")
            if isinstance(calls, list) and calls:
                self._fall_silent()
                pieces = CallPieces(self._writer)
                for call in calls:
                    pieces.take(call)
                pieces.close(cut=False)

    def _speak(self, message_id: Any) -> MessageItem:
        if message_id is not None and message_id != self._message_id:
            self._fall_silent()
            self._message_id = message_id
        if self._message is None:
            self._message = MessageItem(self._writer)
        return self._message

    def _fall_silent(self, status: str = "completed") -> None:
        if self._message is not None:
            self._message.close(status)
            self._message = None

    def _end(self) -> None:
        reason = incomplete_reason(self._finish or "stop")
        self._fall_silent("completed" if reason is None else "incomplete")
        self._writer.end(reason)
