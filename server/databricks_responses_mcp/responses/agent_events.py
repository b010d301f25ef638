"""Stream events of the Responses API from the stream of an agent.

Agents leave out indexes, ids, statuses, ``type`` and the last event; they send a message in deltas, or only when it is
complete, or both; supervisors write ``responses.completed``; the outputs of their tools are *output* items. Agents of
the chat kind are recognised by their chunks.
"""

from typing import Any

from databricks_responses_mcp.responses.accumulator import ended_status
from databricks_responses_mcp.responses.agent_chat_events import AgentChatEvents
from databricks_responses_mcp.responses.agent_items import agent_item, mark_of, text_of_item
from databricks_responses_mcp.responses.chat_events import ChatEvents
from databricks_responses_mcp.responses.event_items import MessageItem
from databricks_responses_mcp.responses.event_writer import Event, EventWriter

_COMPLETED = ("response.completed", "responses.completed", "response.done")
_LIFECYCLE = ("response.created", "response.in_progress", "response.queued")
_NOT_FIELDS = frozenset({"type", "output", "status", "usage", "error", "incomplete_details", "sequence_number"})
_Key = tuple[str, Any]


class AgentEvents:
    """Translates the answer of one agent, streamed or whole.

    Args:
        model: the agent's endpoint, unless the answer names another model.
        nonce: distinguishes the ids of this answer from all others; random by default.
    """

    def __init__(self, model: str, *, nonce: str | None = None) -> None:
        self._writer = EventWriter(model, nonce)
        self._chat = ChatEvents(model, nonce=nonce)
        self._messages = AgentChatEvents(model, nonce=nonce)
        self._other: ChatEvents | AgentChatEvents | None = None
        self._speaking: dict[_Key, MessageItem] = {}
        self._last: _Key = ("", None)
        self._seen: set[tuple[str, str]] = set()

    def feed(self, event: Any) -> list[Event]:
        """Return the events for this one. Never raises."""
        if isinstance(event, list):
            # A served model answers a batch, in this case of one.
            return [made for one in event if isinstance(one, dict) for made in self.feed(one)]
        if not isinstance(event, dict):
            return []
        if self._other is None and not self._writer.started and "type" not in event:
            if isinstance(event.get("choices"), list):
                self._other = self._chat
            elif isinstance(event.get("delta"), dict) or isinstance(event.get("messages"), list):
                self._other = self._messages
        if self._other is not None:
            return self._other.feed(event)
        if not self._writer.ended:
            self._take(event)
        return self._writer.take()

    def finish(self, *, marked: bool = False) -> list[Event]:
        """Return the events at the end of the stream.

        Args:
            marked: whether it ended with ``[DONE]``, so that nothing is missing. Otherwise every item must be finished.
        """
        if self._other is not None:
            return self._other.finish(marked=marked)
        if self._writer.has_items and not self._writer.ended and (marked or not self._speaking):
            self._end()
        return self._writer.take()

    def _take(self, event: dict[str, Any]) -> None:
        kind = event.get("type")
        predictions = event.get("predictions")
        if kind is None and isinstance(predictions, dict | list):
            for one in predictions if isinstance(predictions, list) else [predictions]:
                self._take_untyped(one if isinstance(one, dict) else {"content": one})
        elif kind in ("error", "response.error") or (kind is None and (event.get("error") or event.get("error_code"))):
            self._writer.fail(event.get("error") or event)
        elif kind is None or kind == "response":
            self._take_untyped(event)
        elif isinstance(kind, str):
            self._take_typed(kind, event)

    def _take_untyped(self, event: dict[str, Any]) -> None:
        if isinstance(event.get("output"), list):
            self._take_response(event, str(event.get("status") or "completed"))
        elif isinstance(event.get("content"), str | list):
            self._take_done(event, {})
        else:
            self._keep_fields(event)
            self._writer.start()
            self._writer.progress()

    def _take_typed(self, kind: str, event: dict[str, Any]) -> None:
        if event.get("custom_outputs") is not None:
            self._writer.fields["custom_outputs"] = event["custom_outputs"]
        response = event.get("response")
        response = response if isinstance(response, dict) else {}
        if kind == "response.output_text.delta":
            if isinstance(delta := event.get("delta"), str) and delta:
                self._speaker(self._key(event, event.get("item_id"))).text(delta)
        elif kind == "response.output_text.annotation.added":
            key = self._key(event, event.get("item_id"))
            if isinstance(note := event.get("annotation"), dict) and key in self._speaking:
                self._speaking[key].annotation(note)
        elif kind == "response.output_item.done":
            if isinstance(item := event.get("item"), dict):
                self._take_done(item, event)
        elif kind in _COMPLETED:
            self._take_response(response, ended_status(response, "completed"))
        elif kind in ("response.incomplete", "response.failed", "response.cancelled"):
            self._take_response(response, ended_status(response, kind.removeprefix("response.")))
        elif kind in _LIFECYCLE:
            self._keep_fields(response)
            self._writer.start()

    def _take_done(self, given: dict[str, Any], event: dict[str, Any]) -> None:
        item = agent_item(given)
        if item is None:
            return
        self._seen.add(mark_of(item))
        if item["type"] != "message":
            self._writer.whole(item)
            return
        text = text_of_item(item)
        key = self._spoken(self._key(event, item.get("id")), text)
        speaker = self._speaker(key)
        del self._speaking[key]
        # Text that was in no delta is sent as one now, for readers of the stream.
        if text.startswith(said := speaker.said) and text != said:
            speaker.text(text[len(said) :])
        speaker.close_as(item)

    def _spoken(self, key: _Key, text: str) -> _Key:
        """Return the message that arrived in deltas and is complete now, whatever its id."""
        if key in self._speaking:
            return key
        begun = (known for known, item in self._speaking.items() if text.startswith(item.said))
        return next(begun, ("done", len(self._seen)))

    def _take_response(self, response: dict[str, Any], status: str) -> None:
        self._keep_fields(response)
        output = response.get("output")
        for given in output if isinstance(output, list) else ():
            item = agent_item(given) if isinstance(given, dict) else None
            if item is not None and mark_of(item) not in self._seen:
                self._take_done(given, {})
        if status == "failed":
            self._writer.fail(response.get("error") or {"message": "The agent failed and did not say why."})
            return
        details = response.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        if isinstance(usage := response.get("usage"), dict):
            self._writer.usage = usage
        self._end(None if status == "completed" else str(reason or status))

    def _end(self, reason: str | None = None) -> None:
        for speaker in self._speaking.values():
            speaker.close("completed" if reason is None else "incomplete")
        self._speaking.clear()
        self._writer.end(reason)

    def _keep_fields(self, response: dict[str, Any]) -> None:
        self._writer.identify(response.get("id"), response.get("model"), response.get("created_at"))
        named = ("id", "model", "created_at", "object")
        self._writer.fields |= {
            key: value
            for key, value in response.items()
            if key not in _NOT_FIELDS and key not in named and value is not None
        }

    def _key(self, event: dict[str, Any], item_id: Any) -> _Key:
        index = event.get("output_index")
        if isinstance(index, int):
            return "index", index
        return ("id", item_id) if isinstance(item_id, str) and item_id else self._last

    def _speaker(self, key: _Key) -> MessageItem:
        self._last = key
        speaker = self._speaking.get(key)
        if speaker is None:
            item_id = key[1] if key[0] == "id" else None
            speaker = self._speaking[key] = MessageItem(self._writer, item_id)
        return speaker
