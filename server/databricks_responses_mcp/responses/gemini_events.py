"""Answers of ``generateContent`` as events of the Responses API: text, and the images in ``inlineData``."""

from typing import Any

from databricks_responses_mcp.responses.chat_events import incomplete_reason
from databricks_responses_mcp.responses.chat_usage import token_count
from databricks_responses_mcp.responses.event_items import MessageItem
from databricks_responses_mcp.responses.event_writer import Event, EventWriter

_WITHOUT_PICTURE = frozenset({"NO_IMAGE", "IMAGE_OTHER", "OTHER"})
"""Reasons for ending without an image that do not explain it; the missing image shows it."""


class GeminiEvents:
    """Translates the chunks of one answer, or a whole answer.

    Args:
        model: the requested model, unless the answer names it.
    """

    def __init__(self, model: str) -> None:
        self._writer = EventWriter(model)
        self._message: MessageItem | None = None
        self._reason: str | None = None

    def feed(self, chunk: Any) -> list[Event]:
        """Return the events for a chunk; what cannot be read is left out."""
        if isinstance(chunk, list):
            for part in chunk:
                self._take(part)
        else:
            self._take(chunk)
        return self._writer.take()

    def finish(self, *, marked: bool = False) -> list[Event]:
        """Return the events at the end of the answer; it is incomplete if no chunk said that it ended."""
        self._close()
        if self._reason is not None or marked:
            reason = (self._reason or "STOP").upper().removeprefix("IMAGE_")
            self._writer.end(None if self._reason in _WITHOUT_PICTURE else incomplete_reason(reason))
        return self._writer.take()

    def _take(self, chunk: Any) -> None:
        writer = self._writer
        if not isinstance(chunk, dict) or writer.ended:
            return
        if chunk.get("error") or "error_code" in chunk:
            writer.fail(chunk.get("error") or chunk)
            return
        writer.identify(chunk.get("responseId"), chunk.get("modelVersion"), None)
        writer.start()
        if isinstance(usage := chunk.get("usageMetadata"), dict):
            writer.usage = _usage(usage)
        feedback = chunk.get("promptFeedback")
        if isinstance(feedback, dict) and feedback.get("blockReason"):
            self._reason = "PROHIBITED_CONTENT"
        candidates = chunk.get("candidates")
        candidate = candidates[0] if isinstance(candidates, list) and candidates else None
        if not isinstance(candidate, dict):
            return
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        for part in parts if isinstance(parts, list) else ():
            # Thoughts, also in images, are not part of the answer.
            if isinstance(part, dict) and part.get("thought") is not True:
                self._take_part(part)
        if isinstance(reason := candidate.get("finishReason"), str) and reason:
            self._reason = reason

    def _take_part(self, part: dict[str, Any]) -> None:
        if isinstance(text := part.get("text"), str) and text:
            if self._message is None:
                self._message = MessageItem(self._writer)
            self._message.text(text)
        inline = part.get("inlineData") or part.get("inline_data")
        data = inline.get("data") if isinstance(inline, dict) else None
        if isinstance(data, str) and data:
            self._close()
            self._writer.whole({"type": "image_generation_call", "status": "completed", "result": data})

    def _close(self) -> None:
        if self._message is not None:
            self._message.close()
            self._message = None


def _usage(counts: dict[str, Any]) -> dict[str, Any]:
    """Return the counts of Gemini's API with names that `chat_usage.response_usage` reads."""
    thought = token_count(counts.get("thoughtsTokenCount")) or 0
    return {
        "input_tokens": counts.get("promptTokenCount"),
        "output_tokens": (token_count(counts.get("candidatesTokenCount")) or 0) + thought,
        "total_tokens": counts.get("totalTokenCount"),
        "reasoning_tokens": thought,
        "cache_read_input_tokens": counts.get("cachedContentTokenCount"),
    }
