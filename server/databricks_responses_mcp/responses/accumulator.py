"""Collecting stream events into one response: the content so far, and the content at the end.

State is keyed by ``output_index``: Databricks gives the events of one item different item ids. The response object of
the terminal event takes precedence; without one (agents, a stream that ended early) the response is assembled from the
finished items and the deltas of the unfinished ones. Unknown events are ignored.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from databricks_responses_mcp.responses.citation_markers import MarkerFilter
from databricks_responses_mcp.responses.payloads import Payload

Item = dict[str, Any]

_TERMINAL = {
    "response.completed": "completed",
    "response.done": "completed",
    "responses.completed": "completed",  # the spelling of Databricks' multi-agent supervisor
    "response.incomplete": "incomplete",
    "response.failed": "failed",
    "response.cancelled": "cancelled",
}

_ENDED = ("completed", "incomplete", "failed", "cancelled")

_PHASES = {
    "reasoning": "thinking",
    "message": "writing",
    "function_call": "calling a function",
    "custom_tool_call": "calling a tool",
    "apply_patch_call": "writing a patch",
    "shell_call": "writing a command",
    "image_generation_call": "drawing",
    "web_search_call": "searching the web",
    "mcp_list_tools": "listing MCP tools",
    "mcp_call": "calling an MCP tool",
    "mcp_approval_request": "asking for approval",
    "compaction": "compacting the conversation",
}

COMMENTARY = "commentary"
"""The ``phase`` of a message that is not an answer: the model says what it is about to do."""

_OF_PICTURES = ("result", "picture")
_TAIL = 400
"""How much of the newest text is available for progress messages, in characters."""


@dataclass(slots=True)
class AssembledResponse:
    """One response as far as it was received.

    Attributes:
        status: ``completed``, ``incomplete``, ``failed``, ``cancelled``, or ``cut`` if the stream ended too early.
        output: the output items in order, as received (large base64 as ``Payload``).
        fields: the other fields of the response object, as received; may be empty.
        malformed: the number of events that could not be parsed.
    """

    status: str
    output: list[Item]
    fields: dict[str, Any]
    malformed: int = 0


@dataclass(slots=True)
class _Slot:
    item: Item = field(default_factory=dict)
    done: bool = False
    announced: bool = False
    parts: dict[int, list[str]] = field(default_factory=dict)
    refusals: dict[int, list[str]] = field(default_factory=dict)
    annotations: dict[int, list[Any]] = field(default_factory=dict)
    summaries: dict[int, list[str]] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    filters: dict[int, MarkerFilter] = field(default_factory=dict)


class ResponseAssembler:
    """Receives the events of one stream in order, and gives access to the content so far at any time.

    Attributes:
        phase: a description of the model's current activity.
        finished: whether a terminal event was received; later events need not be read.
        error: the payload of an ``error`` event, or of an ``{"error": …}`` chunk, if there was one.
        events: the number of events received.
        partial_images: the number of image previews received.
        malformed: the number of events that could not be parsed, and may have contained text.
    """

    def __init__(self) -> None:
        self.events = 0
        self.restart()

    def restart(self) -> None:
        """Discard the stream's content, but not the number of events: the same request is sent again."""
        self.phase = "waiting"
        self.finished = False
        self.error: dict[str, Any] | None = None
        self._characters = 0
        self._filter = MarkerFilter()
        self.partial_images = 0
        self.malformed = 0
        self._tail: list[str] = []
        self._tail_length = 0
        self._news: list[str] = []
        self._speaker: _Slot | None = None
        self._slots: dict[int | str, _Slot] = {}
        self._fields: dict[str, Any] = {}
        self._status: str | None = None
        self._final_output: list[Item] | None = None
        self._current: int | str = 0

    def feed(self, event: Any) -> Item | None:
        """Process one event; return the output item that it completed, if any.

        Never raises on invalid input: what cannot be interpreted is ignored.
        """
        if not isinstance(event, dict):
            return None
        self.events += 1
        kind = event.get("type")
        handler = self._HANDLERS.get(kind) if isinstance(kind, str) else None
        if handler is not None:
            return handler(self, event)
        if isinstance(kind, str):
            if kind in _TERMINAL:
                self._terminal(kind, event)
        elif event.get("object") == "response" or isinstance(event.get("output"), list):
            self.take_response(event)
        elif event.get("error") or event.get("error_code"):
            self._error_event(event)
        return None

    def take_response(self, response: dict[str, Any]) -> None:
        """Process a whole response object, from a server that does not stream."""
        self._finish("completed", response)

    def take_text(self) -> str:
        """Return the text of the answer since the last call, without citation markers.

        Messages are separated by a blank line, as in the whole text. Commentary is left out.
        """
        if not self._news:
            return ""
        text, self._news = "".join(self._news), []
        return text

    @property
    def characters(self) -> int:
        """The number of characters of visible text received in deltas."""
        return self._characters + len(self._filter.space)

    @property
    def tail(self) -> str:
        """The newest text, a few hundred characters at most."""
        return "".join([*self._tail, self._filter.space])[-_TAIL:]

    def result(self) -> AssembledResponse:
        """Return the response as far as it was received."""
        output = self._merged_output()
        status = self._status or ("failed" if self.error else "cut")
        return AssembledResponse(status=status, output=output, fields=self._fields, malformed=self.malformed)

    @property
    def is_empty(self) -> bool:
        """Whether the stream contained no output, no token counts, and no malformed events."""
        usage = self._fields.get("usage")
        counts = usage.values() if isinstance(usage, dict) else (usage,)
        return not (self._slots or self._final_output or self.partial_images or self.malformed or any(counts))

    @property
    def has_pictures(self) -> bool:
        """Whether an item is an ``image_generation_call``, with or without an image."""
        items = [*(slot.item for slot in self._slots.values()), *(self._final_output or ())]
        return any(item.get("type") == "image_generation_call" for item in items)

    def end_of_stream(self, *, marked: bool = False) -> None:
        """Record that the stream ended regularly without a terminal event, as agents' streams do.

        Args:
            marked: whether it ended with ``[DONE]``, so that nothing is missing. Otherwise every item must be finished.
        """
        for slot in self._slots.values():
            self._end_parts(slot)
        if self.finished or not self._slots:
            return
        whole = self._done_items()
        open_items = [_unfinished(slot) for slot in self._slots.values() if not slot.done]
        if marked or all(item is None or _said_by(item, whole) for item in open_items):
            self.finished = True
            self._status = "completed"

    def _slot(self, event: dict[str, Any]) -> _Slot:
        key = event.get("output_index")
        if not isinstance(key, int):
            item = event.get("item")
            key = event.get("item_id") or (item.get("id") if isinstance(item, dict) else None)
            if not isinstance(key, str):
                key = self._current
        self._current = key
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = _Slot()
        return slot

    def _text_delta(self, event: dict[str, Any]) -> None:
        delta = event.get("delta")
        if not isinstance(delta, str):
            delta = ""
        slot, part = self._slot(event), _index(event, "content_index")
        slot.parts.setdefault(part, []).append(delta)
        self.phase = "writing"
        if (markers := slot.filters.get(part)) is None:
            markers = slot.filters[part] = MarkerFilter()
        self._filter = markers
        self._show(slot, self._filter.feed(delta))

    def _show(self, slot: _Slot, text: str) -> None:
        """Add text as a reader sees it."""
        if not text:
            return
        self._characters += len(text)
        self._tail.append(text)
        self._tail_length += len(text)
        if self._tail_length > 4 * _TAIL:
            kept = "".join(self._tail)[-_TAIL:]
            self._tail, self._tail_length = [kept], len(kept)
        if slot.item.get("phase") != COMMENTARY:
            if self._speaker is not None and self._speaker is not slot:
                self._news.append("\n\n")
            self._speaker = slot
            self._news.append(text)

    def _end_parts(self, slot: _Slot) -> None:
        """Release the text that these parts of a message held back: nothing more follows."""
        for text in slot.filters.values():
            self._show(slot, text.finish())
        slot.filters.clear()

    def _text_done(self, event: dict[str, Any]) -> None:
        text = event.get("text")
        if isinstance(text, str) and text:
            slot = self._slot(event)
            slot.parts[_index(event, "content_index")] = [text]
            self._end_parts(slot)

    def _annotation(self, event: dict[str, Any]) -> None:
        annotation = event.get("annotation")
        if annotation is not None:
            self._slot(event).annotations.setdefault(_index(event, "content_index"), []).append(annotation)

    def _refusal_delta(self, event: dict[str, Any]) -> None:
        if isinstance(delta := event.get("delta"), str):
            self._slot(event).refusals.setdefault(_index(event, "content_index"), []).append(delta)

    def _summary_delta(self, event: dict[str, Any]) -> None:
        self.phase = "thinking"
        if isinstance(delta := event.get("delta"), str):
            self._slot(event).summaries.setdefault(_index(event, "summary_index"), []).append(delta)

    def _arguments_delta(self, event: dict[str, Any]) -> None:
        if isinstance(delta := event.get("delta"), str):
            self._slot(event).arguments.append(delta)

    def _partial_image(self, event: dict[str, Any]) -> None:
        self.partial_images += 1
        self.phase = f"drawing, preview {self.partial_images}"

    def _item_added(self, event: dict[str, Any]) -> None:
        item = event.get("item")
        slot = self._slot(event)
        if isinstance(item, dict) and not slot.done:
            slot.item = _without_place(item)
            slot.announced = True
            self.phase = _PHASES.get(str(item.get("type")), self.phase)

    def _item_done(self, event: dict[str, Any]) -> Item | None:
        item = event.get("item")
        if not isinstance(item, dict):
            return None
        slot = self._slot(event)
        if slot.done and not isinstance(event.get("output_index"), int):
            # Agents send no indexes, and use one id for several items. No item may be lost.
            slot = self._slots[f"extra-{len(self._slots)}"] = _Slot()
        self._end_parts(slot)
        slot.item, slot.done, slot.announced = _without_place(item), True, True
        return item

    def _lifecycle(self, event: dict[str, Any]) -> None:
        response = event.get("response")
        if isinstance(response, dict):
            self._take_fields(response)

    def _terminal(self, kind: str, event: dict[str, Any]) -> None:
        response = event.get("response")
        self._finish(_TERMINAL[kind], response if isinstance(response, dict) else {})

    def _finish(self, named: str, response: dict[str, Any]) -> None:
        self.finished = True
        self._status = ended_status(response, named)
        for slot in self._slots.values():
            self._end_parts(slot)
        self._take_fields(response)
        output = response.get("output")
        if isinstance(output, list):
            done = self._done_items()
            # A translated answer may have the same objects, in which the place is this program's.
            ours = {id(item) for item in done}
            received = [item for item in output if isinstance(item, dict)]
            final = [item if id(item) in ours else _without_place(item) for item in received]
            self._final_output = _with_pictures_seen(final, done)

    def _take_fields(self, response: dict[str, Any]) -> None:
        self._fields.update(response)
        self._fields.pop("output", None)

    def _error_event(self, event: dict[str, Any]) -> None:
        self.error = event
        self.finished = True
        self._status = "failed"

    def _slots_in_order(self) -> list[_Slot]:
        return [self._slots[key] for key in sorted(self._slots, key=_order)]

    def _done_items(self) -> list[Item]:
        return [slot.item for slot in self._slots_in_order() if slot.done]

    def _merged_output(self) -> list[Item]:
        whole = self._done_items()
        received: list[Item] = []
        for slot in self._slots_in_order():
            if slot.done:
                received += _with_text(slot)
            elif (item := _unfinished(slot)) is not None and not _said_by(item, whole):
                # If there is a terminal event, an unfinished item before it counts only for its text.
                received += [item] if not self._final_output or _content_text(item) else []
        if not self._final_output:
            return received
        return [*_lacking(self._final_output, received), *self._final_output]

    # Of the class: bound methods in the object would keep it in memory, with its images, until the garbage collector
    # finds the cycle.
    _HANDLERS: ClassVar[Mapping[str, "Callable[[ResponseAssembler, dict[str, Any]], Item | None]"]] = {
        "response.output_text.delta": _text_delta,
        "response.output_item.added": _item_added,
        "response.output_item.done": _item_done,
        "response.output_text.done": _text_done,
        "response.output_text.annotation.added": _annotation,
        "response.refusal.delta": _refusal_delta,
        "response.reasoning_summary_text.delta": _summary_delta,
        "response.function_call_arguments.delta": _arguments_delta,
        "response.custom_tool_call_input.delta": _arguments_delta,
        "response.mcp_call_arguments.delta": _arguments_delta,
        "response.image_generation_call.partial_image": _partial_image,
        "response.created": _lifecycle,
        "response.queued": _lifecycle,
        "response.in_progress": _lifecycle,
        "error": _error_event,
        "response.error": _error_event,
    }


def ended_status(response: dict[str, Any], named: str) -> str:
    """Return the status of a response that has ended: its own, else the one in the event's name.

    vLLM sends incomplete responses in an event named ``response.completed``.
    """
    status = response.get("status")
    return status if isinstance(status, str) and status in _ENDED else named


def _index(event: dict[str, Any], name: str) -> int:
    value = event.get(name)
    return value if isinstance(value, int) else 0


def _order(key: int | str) -> tuple[int, int]:
    # Items without an index come in the order in which they began, after those with one.
    return (0, key) if isinstance(key, int) else (1, 0)


def _without_place(item: Item) -> Item:
    """Return a received item; where its image is saved is for this program alone to say.

    Whatever is named there is read and sent when the conversation goes on.
    """
    if item.get("type") == "image_generation_call":
        item.pop("picture", None)
    return item


def _with_pictures_seen(final: list[Item], done: list[Item]) -> list[Item]:
    """Return the terminal event's items with each image from the item's own event: that one may already be on disk."""
    seen = iter([item for item in done if item.get("type") == "image_generation_call"])
    output: list[Item] = []
    for item in final:
        earlier = next(seen, None) if item.get("type") == "image_generation_call" else None
        output.append(item if earlier is None else {**item, **{k: earlier[k] for k in _OF_PICTURES if k in earlier}})
    return output


def _lacking(final: list[Item], received: list[Item]) -> list[Item]:
    """Return the received items that the terminal event leaves out: it may add to them, not remove them.

    The terminal event determines the content of items, so items are matched by their number, for each kind: only if it
    has fewer of a kind, those that it does not repeat are missing.
    """
    lacking: list[Item] = []
    for kind in dict.fromkeys(_kind(item) for item in received):
        repeated = [_mark(item) for item in final if _kind(item) == kind and (kind != "message" or _words(item))]
        of_kind = [item for item in received if _kind(item) == kind]
        missing = len(of_kind) - len(repeated)
        if missing > 0:
            marks = frozenset(repeated)
            lacking += [item for item in of_kind if _mark(item) not in marks][:missing]
    return lacking


def _kind(item: Item) -> str:
    return str(item.get("type"))


def _words(item: Item) -> str:
    """Return the text of a message, an answer or a refusal."""
    content = item.get("content")
    parts = content if isinstance(content, list) else []
    refusals = [part.get("refusal") for part in parts if isinstance(part, dict) and part.get("type") == "refusal"]
    return _content_text(item) + "".join(refusal for refusal in refusals if isinstance(refusal, str))


def _mark(item: Item) -> str:
    """Return what an item has in common with its repetition: the text of a message, the id of a call."""
    return _words(item) or str(item.get("call_id") or item.get("id"))


def _said_by(item: Item, whole: list[Item]) -> bool:
    """Return whether a finished item repeats the deltas without a usable index."""
    text = _content_text(item)
    return bool(text) and any(done.get("type") == "message" and _content_text(done) == text for done in whole)


def _content_text(item: Item) -> str:
    content = item.get("content")
    if isinstance(content, str):
        return content
    return "".join(map(part_text, content)) if isinstance(content, list) else ""


def part_text(part: Any) -> str:
    """Return the text of a part of a message's content, or ""."""
    if not isinstance(part, dict) or part.get("type") not in ("output_text", "text"):
        return ""
    text = part.get("text")
    return text if isinstance(text, str) else ""


def _with_text(slot: _Slot) -> list[Item]:
    """Return a finished item; with the text of its deltas if it has none itself."""
    if not slot.parts or _words(slot.item):
        return [slot.item]
    if slot.item.get("type") == "message":
        return [{**slot.item, "content": _content(slot)}]
    return [slot.item, {"type": "message", "role": "assistant", "status": "incomplete", "content": _content(slot)}]


def _content(slot: _Slot) -> list[dict[str, Any]]:
    """Return the parts of a message as far as its deltas arrived."""
    content: list[dict[str, Any]] = []
    for index in sorted({*slot.parts, *slot.refusals}):
        if index in slot.parts:
            annotations = slot.annotations.get(index, [])
            content.append({"type": "output_text", "text": "".join(slot.parts[index]), "annotations": annotations})
        if index in slot.refusals:
            content.append({"type": "refusal", "refusal": "".join(slot.refusals[index])})
    return content


def _unfinished(slot: _Slot) -> Item | None:
    item = dict(slot.item)
    if slot.parts or slot.refusals:
        item = {"role": "assistant", **item, "type": "message", "content": _content(slot)}
    elif slot.summaries:
        summary = [{"type": "summary_text", "text": "".join(slot.summaries[i])} for i in sorted(slot.summaries)]
        item = {"type": "reasoning", **item, "summary": summary}
    elif slot.arguments:
        key = "input" if item.get("type") == "custom_tool_call" else "arguments"
        item[key] = "".join(slot.arguments)
    elif not slot.announced:
        return None
    item["status"] = "incomplete"
    return item


def picture_base64(item: Item) -> Payload | str | None:
    """Return the image of an ``image_generation_call`` as received; None if it has none."""
    result = item.get("result")
    return result if isinstance(result, Payload | str) and len(result) else None
