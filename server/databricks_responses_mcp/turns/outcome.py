"""The outcome of one turn, with the fields of the result contract."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.responses.accumulator import AssembledResponse, Item
from databricks_responses_mcp.responses.output import (
    answer_of,
    citations_of,
    incomplete_reason_of,
    other_items_of,
    pending_calls_of,
    refusal_of,
    text_of,
    usage_of,
    without_pending,
)
from databricks_responses_mcp.responses.received import is_cut_call, received_items
from databricks_responses_mcp.responses.replay import MAX_ID
from databricks_responses_mcp.responses.sanitize import sanitize, sanitize_item

logger = logging.getLogger(__name__)

Given = TypeVar("Given")
Read = TypeVar("Read")

_BETWEEN_TEXTS = "\n\n"

INTERRUPTED = "interrupted"
"""The ``incomplete_reason`` of an answer that the caller stopped."""

_OF_AGENTS = ("custom_outputs", "trace_id", "databricks_output")
_FIELDS = ("id", "model", "usage", "incomplete_details", *_OF_AGENTS)
"""The fields of a response that an outcome is made of, besides its output items."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One answer, complete or as far as it arrived.

    Attributes:
        text: everything the model said, and nothing else.
        status: as in the API: ``completed``, ``incomplete``, ``failed``, ``cancelled``; ``cut`` if the stream ended
            early.
        model: the model that answered, as the API names it; else the requested endpoint.
        endpoint: the requested serving endpoint.
        limited_by: the setting of this server whose limit ended the answer, if one did.
        pending_calls: calls that wait for the caller.
        output: items other than plain messages, as received, without base64.
        surface: the surface that answered, if that was not the native Responses API.
        usage: token counts under the API's own names.
        extras: additional fields of an agent's answer: ``custom_outputs``, ``trace_id``, ``databricks_output``.
        items: all output items, raw.
        conversation_id: the id to continue the conversation with.
        notes: remarks of the bridge.
        parsed: the JSON value of an answer that matches its schema, in a tuple of one; empty if there is none.
    """

    text: str
    status: str
    model: str
    endpoint: str
    response_id: str | None = None
    surface: str | None = None
    incomplete_reason: str | None = None
    limited_by: str | None = None
    refusal: str = ""
    pending_calls: list[dict[str, Any]] = field(default_factory=list)
    citations: list[dict[str, Any]] = field(default_factory=list)
    output: list[Item] = field(default_factory=list)
    usage: dict[str, Any] | None = None
    extras: dict[str, Any] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    conversation_id: str | None = None
    parsed: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def approval_requests(self) -> list[dict[str, Any]]:
        """The MCP calls that wait for the user's approval; empty if other calls wait too, because all are answered at
        once.
        """
        only = all(call.get("type") == "mcp_approval_request" for call in self.pending_calls)
        return self.pending_calls if only else []

    def merge(self, later: "Outcome") -> "Outcome":
        """Return one outcome of two turns: the state of ``later``; the text, items and token counts of both."""
        text = _BETWEEN_TEXTS.join(part for part in (self.text, later.text) if part)
        shift = len(text) - len(later.text)
        return replace(
            later,
            text=text,
            citations=[*self.citations, *(_moved(citation, shift) for citation in later.citations)],
            output=[*self.output, *later.output],
            items=[*self.items, *later.items],
            usage=add_usage(self.usage, later.usage),
            notes=(*self.notes, *later.notes),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the fields of the result; unknown or empty ones are left out, except ``text``."""
        structured: dict[str, Any] = {
            "text": self.text,
            "status": self.status,
            "model": self.model,
            "endpoint": self.endpoint,
            "surface": self.surface,
            "conversation_id": self.conversation_id,
            "response_id": self.response_id if self.response_id and len(self.response_id) <= MAX_ID else None,
            "incomplete_reason": self.incomplete_reason,
            "limited_by": self.limited_by,
            "refusal": self.refusal,
            "pending_calls": self.pending_calls,
            "citations": self.citations,
            "output": without_pending(self.output, self.pending_calls),
            "usage": nonzero_counts(self.usage),
            "notes": list(dict.fromkeys(self.notes)),
            **self.extras,
        }
        known = {key: value for key, value in structured.items() if value or key == "text"}
        return {**known, "parsed": self.parsed[0]} if self.parsed else known


def nonzero_counts(usage: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return token counts as results show them, without those that are zero."""
    counts: dict[str, Any] = {}
    for name, value in (usage or {}).items():
        shown = nonzero_counts(value) if type(value) is not int and isinstance(value, Mapping) else value
        if shown:
            counts[name] = shown
    return counts


def add_usage(first: Mapping[str, Any] | None, second: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the sum of two token counts, their details included; None if there are none."""
    if first is None or second is None:
        return dict(first or second or {}) or None
    total: dict[str, Any] = {**first, **second}
    for key in first.keys() & second.keys():
        one, other = first[key], second[key]
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            total[key] = add_usage(one, other)
        elif isinstance(one, int | float) and isinstance(other, int | float):
            total[key] = one + other
    return total


def keep_before(error: BridgeError, before: Outcome) -> BridgeError:
    """Return ``error`` with an earlier answer of the same call in its partial result.

    The calls that were pending in that answer are still pending.
    """
    earlier = {key: value for key, value in before.as_dict().items() if key != "status"}
    text = _BETWEEN_TEXTS.join(part for part in (before.text, error.partial.get("text")) if part)
    output = [*before.output, *error.partial.get("output", [])]
    partial = {**earlier, **error.partial, "text": text, **({"output": output} if output else {})}
    if before.pending_calls:
        partial["pending_calls"] = before.pending_calls
    return error.with_partial(partial)


def _moved(citation: dict[str, Any], shift: int) -> dict[str, Any]:
    places = {key: citation[key] + shift for key in ("start_index", "end_index") if isinstance(citation.get(key), int)}
    return {**citation, **places}


def outcome_of(response: AssembledResponse, endpoint: str) -> Outcome:
    """Read an assembled response. Never raises: a part that cannot be read is left out, and a note says so."""
    reading = _Reading()
    sound: list[Item] = reading.part("items", _sound, response.output, [])
    output = reading.part("order of items", lambda items: received_items(items, response.status), sound, sound)
    read = {name: response.fields[name] for name in _FIELDS if name in response.fields}
    fields: dict[str, Any] = reading.part("fields", sanitize, read, {})
    model = fields.get("model")
    response_id = fields.get("id")
    usage = reading.part("usage", usage_of, fields, None)
    said = _said_in(output, response.status, reading)
    return Outcome(
        status=response.status,
        model=model if isinstance(model, str) and model else endpoint,
        endpoint=endpoint,
        response_id=response_id if isinstance(response_id, str) else None,
        incomplete_reason=incomplete_reason_of(fields),
        usage=usage,
        extras={name: fields[name] for name in _OF_AGENTS if fields.get(name)},
        notes=(*_notes(response, output), *reading.notes),
        **said,
    )


def with_items(outcome: Outcome, items: list[Item]) -> Outcome:
    """Return the outcome with these output items, and with their text."""
    return replace(outcome, **_said_in(items, outcome.status, _Reading()))


def _said_in(items: list[Item], status: str, reading: "_Reading") -> dict[str, Any]:
    """Return the fields of an outcome with this status that follow from its output items."""
    is_whole = status == "completed"
    answer: list[Item] = reading.part("answer", lambda read: answer_of(read, is_whole=is_whole), items, items)
    # Calls of a failed or unfinished response cannot be answered: they are not part of the conversation.
    is_answerable = status in ("completed", "incomplete")
    pending: list[Item] = reading.part("calls", pending_calls_of, items, []) if is_answerable else []
    citations: list[Item] = reading.part("citations", citations_of, answer, [])
    output: list[Item] = reading.part("other items", lambda read: other_items_of(read, answer), items, [])
    return {
        "text": reading.part("text", text_of, answer, ""),
        "refusal": reading.part("refusal", refusal_of, items, ""),
        "pending_calls": pending,
        "citations": citations,
        "output": output,
        "items": items,
    }


class _Reading:
    """Reads the parts of one answer separately: a defect in one must not affect the others.

    Attributes:
        notes: one for each part that could not be read.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []

    def part(self, name: str, read: Callable[[Given], Read], given: Given, otherwise: Read) -> Read:
        """Return the result of ``read`` for ``given``, or ``otherwise`` if it raises."""
        try:
            return read(given)
        except Exception:
            logger.exception("reading the %s of an answer failed", name)
            self.notes.append(f"The {name} of this answer could not be read; the server's log has the details.")
            return otherwise


def _sound(output: list[Item]) -> list[Item]:
    return [sanitize_item(item) for item in sanitize(output)]


def interrupted(outcome: Outcome) -> Outcome:
    """Return an answer that the caller stopped: the text so far, without calls, which cannot be answered any more.

    Raises:
        BridgeError: ``cancelled`` if there is no text yet, so that nothing can be continued.
    """
    said = [item for item in outcome.items if text_of([item]) or _is_drawn(item)]
    if not said:
        raise BridgeError(
            ErrorCode.CANCELLED,
            "The answer was interrupted before any text arrived; the question is not stored.",
            "Ask again. What the workspace charges for it is not known here.",
            partial={"usage": outcome.usage} if outcome.usage else {},
        )
    items = [_ended_early(item) if item.get("type") == "message" else item for item in said]
    ended = replace(outcome, status="incomplete", incomplete_reason=INTERRUPTED)
    return replace(with_items(ended, items), pending_calls=[])


def _ended_early(message: Item) -> Item:
    """Return a message that can be sent again: the API requires fields that only a finished part has."""
    content = message.get("content")
    if isinstance(content, list):
        content = [
            {"annotations": [], "logprobs": [], **part}
            if isinstance(part, dict) and part.get("type") == "output_text"
            else part
            for part in content
        ]
    return {**message, "status": "incomplete", "content": content}


def _is_drawn(item: Item) -> bool:
    return item.get("type") == "image_generation_call" and bool(item.get("picture") or item.get("result"))


def _notes(response: AssembledResponse, output: list[Item]) -> tuple[str, ...]:
    notes: list[str] = []
    if response.malformed and response.status == "completed":
        notes.append(f"{response.malformed} events of the stream could not be read; the text may lack something.")
    if cut := [str(item.get("name") or item.get("type")) for item in output if is_cut_call(item)]:
        notes.append(f"Do not carry out {', '.join(cut)}: the answer ended in the middle of the call.")
    return tuple(notes)
