"""Chunks of a chat completion as stream events of the Responses API.

Lenient by design: any field of a chunk may be missing, and invalid values are ignored. Source: ``POST
/serving-endpoints/chat/completions``, which for Claude returns ``content`` as a list of reasoning and text.
"""

from typing import Any

from databricks_responses_mcp.responses.chat_calls import CallPieces
from databricks_responses_mcp.responses.chat_content import read_content
from databricks_responses_mcp.responses.chat_usage import is_final_usage
from databricks_responses_mcp.responses.event_items import MessageItem, ReasoningItem
from databricks_responses_mcp.responses.event_writer import ChunkReader, Event
from databricks_responses_mcp.responses.received import flat_annotation

_FIELDS = ("service_tier", "custom_outputs", "databricks_output", "trace_id", "citations")

# Why a chat completion ended.
_COMPLETE = frozenset(
    {
        "stop",
        "stop_sequence",
        "end_turn",
        "pause_turn",
        "eos",
        "eos_token",
        "tool_calls",
        "tool_call",
        "tool_use",
        "function_call",
        "complete",
        "completed",
        "finished",
        "done",
        "end",
    }
)
_REASONS = {
    "length": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "model_length": "max_output_tokens",
    "model_context_window_exceeded": "max_output_tokens",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "refusal": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "spii": "content_filter",
}


class ChatEvents(ChunkReader):
    """Translates the chunks of one answer, streamed or whole."""

    def __init__(self, model: str, *, nonce: str | None = None) -> None:
        super().__init__(model, nonce=nonce)
        self._message: MessageItem | None = None
        self._reasoning: ReasoningItem | None = None
        self._calls = CallPieces(self._writer)

    def finish(self, *, marked: bool = False) -> list[Event]:
        """Return the events at the end of the stream.

        An answer without a known end keeps the status of a stream that ended early.

        Args:
            marked: whether the stream ended with ``[DONE]``, so that nothing is missing.
        """
        if not self._writer.ended and (self._finish is not None or (marked and self._writer.has_items)):
            self._end()
        return self._writer.take()

    def _take(self, chunk: dict[str, Any]) -> None:
        choices, usage = chunk.get("choices"), chunk.get("usage")
        if not isinstance(choices, list) and not isinstance(usage, dict):
            return
        self._start(chunk, _FIELDS)
        choice = _first(choices)
        whole = choice is not None and self._take_choice(choice, chunk.get("object") == "chat.completion.chunk")
        if not self._writer.ended and (whole or (self._finish is not None and is_final_usage(usage))):
            self._end()

    def _take_choice(self, choice: dict[str, Any], is_chunk: bool) -> bool:
        """Process a choice; return whether it is the whole answer."""
        delta, message = choice.get("delta"), choice.get("message")
        whole = not isinstance(delta, dict) and isinstance(message, dict) and not is_chunk
        said = delta if isinstance(delta, dict) else message
        if isinstance(said, dict):
            self._take_said(said)
        if isinstance(text := choice.get("text"), str) and text:
            self._write_text(text)
        if isinstance(reason := choice.get("finish_reason"), str) and reason:
            self._finish = reason.lower()
        if self._finish == "error" or choice.get("error"):
            self._writer.fail(choice.get("error") or {"message": "The model stopped with an error."})
        return whole

    def _take_said(self, said: dict[str, Any]) -> None:
        for name in ("reasoning_content", "reasoning", "thinking"):
            # Servers that rename the field send it under both names for a while.
            if isinstance(text := said.get(name), str) and text:
                self._think(is_summary=False).text(text)
                break
        for name in ("content", "images"):
            for kind, text, raw in read_content(said.get(name)):
                self._take_content(kind, text, raw)
        if isinstance(text := said.get("refusal"), str) and text:
            self._speak().refusal(text)
        annotations = said.get("annotations")
        for note in annotations if isinstance(annotations, list) else ():
            if (annotation := _annotation(note)) is not None:
                self._speak().annotation(annotation)
        self._take_calls(said)

    def _take_content(self, kind: str, text: str, raw: dict[str, Any]) -> None:
        if kind == "text":
            message = self._speak()
            offset = len(message.said)
            message.text(text)
            # Positions of annotations count in the part's text; the message may have more text before it.
            for name in ("annotations", "citations"):
                notes = raw.get(name)
                for note in notes if isinstance(notes, list) else ():
                    if (annotation := _annotation(note)) is not None:
                        message.annotation(_moved(annotation, offset))
        elif kind == "refusal":
            self._speak().refusal(text)
        elif kind == "picture":
            self._fall_silent()
            self._writer.whole({"type": "image_generation_call", "status": "completed", "result": text})
        elif kind == "signature":
            (self._reasoning or self._think(is_summary=True)).signature(text)
        elif kind == "closed":
            (self._reasoning or self._think(is_summary=True)).closed(raw)
        else:
            self._think(is_summary=kind == "summary").text(text)

    def _take_calls(self, said: dict[str, Any]) -> None:
        calls = said.get("tool_calls")
        pieces: list[Any] = calls if isinstance(calls, list) else []
        if isinstance(old := said.get("function_call"), dict):
            pieces = [*pieces, {"index": -1, "function": old}]
        if pieces:
            self._fall_silent()
        for piece in pieces:
            self._calls.take(piece)

    def _write_text(self, text: str) -> None:
        self._speak().text(text)

    def _speak(self) -> MessageItem:
        if self._reasoning is not None:
            self._reasoning.close()
            self._reasoning = None
        if self._message is None:
            self._message = MessageItem(self._writer)
        return self._message

    def _think(self, *, is_summary: bool) -> ReasoningItem:
        if self._reasoning is not None and self._reasoning.is_summary != is_summary:
            self._reasoning.close()
            self._reasoning = None
        if self._message is not None:
            self._message.close()
            self._message = None
        if self._reasoning is None:
            self._reasoning = ReasoningItem(self._writer, is_summary=is_summary)
        return self._reasoning

    def _fall_silent(self, status: str = "completed") -> None:
        for item in (self._reasoning, self._message):
            if item is not None:
                item.close(status)
        self._reasoning = self._message = None

    def _end(self) -> None:
        reason = incomplete_reason(self._finish or "stop")
        # If calls follow it, the text is complete whatever happened to them.
        self._fall_silent("completed" if reason is None or self._calls else "incomplete")
        self._calls.close(cut=reason is not None)
        self._writer.end(reason)


def _first(choices: Any) -> dict[str, Any] | None:
    found = [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []
    # Of several choices only the first is the answer.
    return next(
        (choice for choice in found if choice.get("index") == 0 or not isinstance(choice.get("index"), int)), None
    )


def _annotation(note: Any) -> dict[str, Any] | None:
    if not isinstance(note, dict):
        return None
    cited = flat_annotation(note)
    return cited if isinstance(cited.get("type"), str) else None


def _moved(note: dict[str, Any], offset: int) -> dict[str, Any]:
    places = {key: note[key] + offset for key in ("start_index", "end_index") if type(note.get(key)) is int}
    return {**note, **places}


def incomplete_reason(finish: str) -> str | None:
    """Return why an answer is incomplete, in the terms of the Responses API; None if it is complete.

    An unknown reason is returned unchanged.
    """
    finish = finish.lower()
    return None if finish in _COMPLETE else _REASONS.get(finish, finish)
