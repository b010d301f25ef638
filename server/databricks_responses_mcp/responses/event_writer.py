"""Writing stream events of the Responses API for one response, from the stream of another API.

The sequence is the same for every API: created, then each item added and done, then completed, incomplete, failed or an
error.
"""

import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from databricks_responses_mcp.responses.accumulator import Item
from databricks_responses_mcp.responses.chat_usage import response_usage
from databricks_responses_mcp.responses.plain_items import as_text

Event = dict[str, Any]

_PREFIXES = {"function_call": "fc", "function_call_output": "fco", "image_generation_call": "ig", "reasoning": "rs"}


class EventWriter:
    """Writes the events of one response, in order; ``take`` returns what was written.

    Attributes:
        nonce: distinguishes the ids of this response from all others.
        started: whether the response was created.
        ended: whether the last event was written.
        fields: the response object's other fields; may be extended at any time.
        usage: the newest token counts, under any names.
    """

    def __init__(self, model: str, nonce: str | None = None) -> None:
        self.nonce = nonce or secrets.token_hex(12)
        self.started = False
        self.ended = False
        self.usage: Any = None
        self.fields: dict[str, Any] = {
            "id": "",  # Empty if the server has none: a generated id could not be looked up.
            "object": "response",
            "created_at": None,
            "model": model,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        }
        self._events: list[Event] = []
        self._sequence = 0
        self._items: list[Item] = []
        self._done: set[int] = set()

    @property
    def has_items(self) -> bool:
        """Whether any item has begun."""
        return bool(self._items)

    def take(self) -> list[Event]:
        """Return the events written since the last call."""
        events, self._events = self._events, []
        return events

    def write(self, kind: str, **fields: Any) -> None:
        """Write one event."""
        self._events.append({"type": kind, "sequence_number": self._sequence, **fields})
        self._sequence += 1

    def start(self) -> None:
        """Write that the response was created, once."""
        if not self.started:
            self.started = True
            if self.fields["created_at"] is None:
                self.fields["created_at"] = int(time.time())
            self.write("response.created", response=self._response("in_progress"))

    def identify(self, response_id: Any, model: Any, created_at: Any) -> None:
        """Copy the server's ids and names of its answer; missing ones are unchanged."""
        if self.started:
            return
        if isinstance(response_id, str) and response_id:
            self.fields["id"] = response_id
        if isinstance(model, str) and model:
            self.fields["model"] = model
        if isinstance(created_at, int | float):
            self.fields["created_at"] = created_at

    def item_id(self, prefix: str) -> str:
        """Return an id for the next item."""
        return f"{prefix}_{self.nonce}_{len(self._items)}"

    def add(self, item: Item) -> int:
        """Write that an item has begun; return its ``output_index``."""
        self.start()
        index = len(self._items)
        self._items.append(item)
        self.write("response.output_item.added", output_index=index, item=item)
        return index

    def done(self, index: int, item: Item) -> None:
        """Write that an item is complete."""
        self._items[index] = item
        self._done.add(index)
        self.write("response.output_item.done", output_index=index, item=item)

    def whole(self, item: Item) -> None:
        """Write an item that arrived at once."""
        if not isinstance(item.get("id"), str):
            item = {**item, "id": self.item_id(_PREFIXES.get(str(item.get("type")), "item"))}
        self.done(self.add(item), item)

    def progress(self) -> None:
        """Write the state of the response."""
        self.write("response.in_progress", response=self._response("in_progress"))

    def end(self, reason: str | None = None) -> None:
        """Write the last event: completed, or incomplete for ``reason``."""
        if self.ended:
            return
        self.start()
        self.ended = True
        status = "completed" if reason is None else "incomplete"
        details = {} if reason is None else {"incomplete_details": {"reason": reason}}
        self.write(f"response.{status}", response={**self._response(status), **details, **self._counts()})

    def fail(self, error: Any) -> None:
        """Write an error as the last event, with what the server said in it verbatim under ``error``."""
        if self.ended:
            return
        self.ended = True
        told = error if isinstance(error, dict) else {"message": as_text(error)}
        message = told.get("message")
        code = told.get("code") if told.get("code") is not None else told.get("error_code")
        param = told.get("param")
        self.write(
            "error",
            code=None if code is None else as_text(code),
            message=message if isinstance(message, str) else as_text(error),
            param=param if isinstance(param, str) else None,
            error=error,
        )

    def _counts(self) -> dict[str, Any]:
        usage = response_usage(self.usage)
        return {} if usage is None else {"usage": usage}

    def _response(self, status: str) -> dict[str, Any]:
        return {**self.fields, "status": status, "output": [self._items[index] for index in sorted(self._done)]}


class ChunkReader(ABC):
    """Translates the chunks of one answer, streamed or whole, of an API of the chat kind.

    Args:
        model: the requested model, until the server names it.
        nonce: distinguishes the ids of this answer from all others; random by default.
    """

    def __init__(self, model: str, *, nonce: str | None = None) -> None:
        self._writer = EventWriter(model, nonce)
        self._finish: str | None = None
        """Why the answer ended, in the server's terms; None until it is known."""

    def feed(self, chunk: Any) -> list[Event]:
        """Return the events for this chunk's JSON. Never raises."""
        if isinstance(chunk, dict) and not self._writer.ended:
            if error := chunk.get("error") or (chunk if chunk.get("error_code") else None):
                self._writer.fail(error)
            else:
                self._take(chunk)
        return self._writer.take()

    @abstractmethod
    def _take(self, chunk: dict[str, Any]) -> None:
        """Write the events of a chunk that is not an error."""

    def _start(self, chunk: dict[str, Any], fields: Iterable[str]) -> None:
        """Process a chunk's fields about the response as a whole; ``fields`` are copied unchanged."""
        writer = self._writer
        writer.identify(chunk.get("id"), chunk.get("model"), chunk.get("created"))
        writer.fields |= {name: chunk[name] for name in fields if chunk.get(name) is not None}
        writer.start()
        if isinstance(usage := chunk.get("usage"), dict):
            writer.usage = usage
