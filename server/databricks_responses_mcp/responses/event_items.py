"""Output items that are written in pieces: a message, reasoning, a function call."""

from typing import Any

from databricks_responses_mcp.responses.accumulator import Item
from databricks_responses_mcp.responses.chat_reasoning import sealed
from databricks_responses_mcp.responses.event_writer import EventWriter


class MessageItem:
    """A message of the model: parts of text and of refusal; a part ends when another begins."""

    def __init__(self, writer: EventWriter, item_id: str | None = None) -> None:
        self._writer = writer
        self._item: Item = {"type": "message", "id": item_id or writer.item_id("msg"), "role": "assistant"}
        self._parts: list[Item] = []
        self._pieces: list[str] = []
        self._index = writer.add({**self._item, "status": "in_progress", "content": []})

    @property
    def said(self) -> str:
        """The text so far."""
        texts = [part["text"] for part in self._parts[:-1] if part["type"] == "output_text"]
        if self._parts and self._parts[-1]["type"] == "output_text":
            texts += self._pieces
        return "".join(texts)

    def text(self, delta: str) -> None:
        """Add the next piece of the answer."""
        self._part("output_text")
        self._pieces.append(delta)
        self._write("response.output_text.delta", delta=delta, logprobs=[])

    def refusal(self, delta: str) -> None:
        """Add the next piece of a refusal."""
        self._part("refusal")
        self._pieces.append(delta)
        self._write("response.refusal.delta", delta=delta)

    def annotation(self, annotation: dict[str, Any]) -> None:
        """Add an annotation to the text so far."""
        self._part("output_text")
        notes = self._parts[-1]["annotations"]
        self._write("response.output_text.annotation.added", annotation=annotation, annotation_index=len(notes))
        notes.append(annotation)

    def close(self, status: str = "completed") -> None:
        """End the message; it is complete, or no more will follow."""
        self._close_part()
        self._writer.done(self._index, {**self._item, "status": status, "content": self._parts})

    def close_as(self, item: Item) -> None:
        """End the message with this complete item."""
        self._close_part()
        self._writer.done(self._index, {**self._item, **item})

    def _part(self, kind: str) -> None:
        if self._parts and self._parts[-1]["type"] == kind:
            return
        self._close_part()
        self._parts.append(
            {"type": kind, "refusal": ""}
            if kind == "refusal"
            else {"type": kind, "text": "", "annotations": [], "logprobs": []}
        )
        self._write("response.content_part.added", part={**self._parts[-1], **_no_notes(kind)})

    def _close_part(self) -> None:
        if not self._parts:
            return
        part, text = self._parts[-1], "".join(self._pieces)
        self._pieces = []
        if part["type"] == "refusal":
            part["refusal"] = text
            self._write("response.refusal.done", refusal=text)
        else:
            part["text"] = text
            self._write("response.output_text.done", text=text, logprobs=[])
        self._write("response.content_part.done", part=part)

    def _write(self, kind: str, **fields: Any) -> None:
        where = {"item_id": self._item["id"], "output_index": self._index, "content_index": len(self._parts) - 1}
        self._writer.write(kind, **where, **fields)


class ReasoningItem:
    """The model's reasoning: a summary, or the reasoning itself.

    Attributes:
        is_summary: whether it is a summary.
    """

    def __init__(self, writer: EventWriter, *, is_summary: bool) -> None:
        self.is_summary = is_summary
        self._writer = writer
        self._item: Item = {"type": "reasoning", "id": writer.item_id("rs"), "summary": []}
        self._pieces: list[str] = []
        self._signature = ""
        self._closed_parts: list[dict[str, Any]] = []
        self._index = writer.add({**self._item, "status": "in_progress"})

    def text(self, delta: str) -> None:
        """Add the next piece of text."""
        if not self._pieces and self.is_summary:
            self._write("response.reasoning_summary_part.added", part={"type": "summary_text", "text": ""})
        self._pieces.append(delta)
        kind = "reasoning_summary_text" if self.is_summary else "reasoning_text"
        self._write(f"response.{kind}.delta", delta=delta)

    def signature(self, signature: str) -> None:
        """Add the model's signature of its reasoning, which it requires later."""
        self._signature += signature

    def closed(self, part: dict[str, Any]) -> None:
        """Add a part that only the model can read."""
        self._closed_parts.append(part)

    def close(self, status: str = "completed") -> None:
        """End the reasoning; it is complete, or no more will follow."""
        text = "".join(self._pieces)
        item: Item = {**self._item, "status": status}
        if text and self.is_summary:
            part = {"type": "summary_text", "text": text}
            self._write("response.reasoning_summary_text.done", text=text)
            self._write("response.reasoning_summary_part.done", part=part)
            item["summary"] = [part]
        elif text:
            self._write("response.reasoning_text.done", text=text)
            item["content"] = [{"type": "reasoning_text", "text": text}]
        if sealed_parts := self._sealed(text):
            item["encrypted_content"] = sealed(sealed_parts)
        self._writer.done(self._index, item)

    def _sealed(self, text: str) -> list[dict[str, Any]]:
        summary = list(self._closed_parts)
        if self._signature:
            summary.insert(0, {"type": "summary_text", "text": text, "signature": self._signature})
        return [{"type": "reasoning", "summary": summary}] if summary else []

    def _write(self, kind: str, **fields: Any) -> None:
        place = "summary_index" if self.is_summary else "content_index"
        self._writer.write(kind, item_id=self._item["id"], output_index=self._index, **{place: 0}, **fields)


class CallItem:
    """A function call, written once its function is known.

    Attributes:
        call_id: the server's id; a generated one until it is known.
        name: the function's.
        extras: other fields from the server, to be sent back with the call.
    """

    def __init__(self, writer: EventWriter, call_id: str) -> None:
        self._writer = writer
        self.call_id = call_id
        self.name = ""
        self.extras: dict[str, Any] = {}
        self._pieces: list[str] = []
        self._id = ""
        self._index = -1

    @property
    def has_arguments(self) -> bool:
        """Whether any arguments have arrived."""
        return bool(self._pieces)

    @property
    def arguments_so_far(self) -> str:
        """The arguments so far."""
        return "".join(self._pieces)

    def open(self) -> None:
        """Write that the call has begun, once, with the arguments that arrived before the name."""
        if self._index >= 0:
            return
        self._id = self._writer.item_id("fc")
        self._index = self._writer.add(self._item("in_progress", ""))
        for piece in self._pieces:
            self._write("response.function_call_arguments.delta", delta=piece)

    def arguments(self, delta: str) -> None:
        """Add the next piece of the arguments."""
        self._pieces.append(delta)
        if self._index >= 0:
            self._write("response.function_call_arguments.delta", delta=delta)

    def close(self, status: str = "completed") -> None:
        """End the call; it is complete, or no more will follow."""
        self.open()
        # Some models call a function without parameters with an empty text, which is not JSON.
        arguments = "".join(self._pieces) or "{}"
        self._write("response.function_call_arguments.done", arguments=arguments, name=self.name)
        self._writer.done(self._index, self._item(status, arguments))

    def _item(self, status: str, arguments: str) -> Item:
        called = {"call_id": self.call_id, "name": self.name, "arguments": arguments, "status": status}
        return {**self.extras, "type": "function_call", "id": self._id, **called}

    def _write(self, kind: str, **fields: Any) -> None:
        self._writer.write(kind, item_id=self._id, output_index=self._index, **fields)


def _no_notes(kind: str) -> dict[str, Any]:
    return {} if kind == "refusal" else {"annotations": []}
