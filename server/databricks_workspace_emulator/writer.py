"""Writing a response: its events in order, numbered, and the resulting object."""

import copy
import secrets
import time
from collections.abc import Iterator
from typing import Any

from databricks_workspace_emulator.contract.request import ResponsesRequest
from databricks_workspace_emulator.tokens import TokenBudget, split_tokens

Event = dict[str, Any]
Item = dict[str, Any]

_PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "apply_patch_call": "apc",
    "shell_call": "sh",
    "image_generation_call": "ig",
    "web_search_call": "ws",
    "mcp_list_tools": "mcpl",
    "mcp_call": "mcp",
    "mcp_approval_request": "mcpr",
}
# Lengths as others observed them on pay-per-token endpoints; the API accepts no id above 64.
_REASONING_ID = 416
_PART_ID = 192
_ITEM_ID = 54

_TOKENS_PER_DELTA = 4


class ResponseWriter:
    """Numbers events and builds the response.

    Args:
        has_long_ids: whether ids are like those of pay-per-token endpoints: an item has another id in each of its
            events, and those of calls, parts, deltas and reasoning are longer than the API accepts.

    Attributes:
        response: the response so far; its ``output`` contains the finished items.
        budget: the rest of ``max_output_tokens``.
        reasoning_tokens: how many of the spent tokens were reasoning.
        input_tokens: the size of the input, set by the code that has read it.
    """

    def __init__(self, request: ResponsesRequest, model: str, *, has_long_ids: bool) -> None:
        self.response = _new_response(request, model)
        self.budget = TokenBudget(request.body.max_output_tokens)
        self.reasoning_tokens = 0
        self.input_tokens = 0
        self._has_long_ids = has_long_ids
        self._sequence = 0
        self._items: list[Item] = []

    def event(self, kind: str, **fields: Any) -> Event:
        """Return the next event of the stream."""
        event = {"type": kind, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        return event

    def lifecycle(self, kind: str) -> Event:
        """Return an event with the current state of the response."""
        return self.event(kind, response=copy.deepcopy(self.response))

    def add(self, item: Item) -> tuple[int, Event]:
        """Begin an item: return its index and ``response.output_item.added``. The item gets its id here."""
        item["id"] = self._new_id(item["type"])
        self._items.append(item)
        index = len(self._items) - 1
        return index, self.event("response.output_item.added", output_index=index, item=self._shown(item))

    def on_item(self, kind: str, index: int, **fields: Any) -> Event:
        """Return an event about the item at ``index``."""
        item = self._items[index]
        item_id = item["id"]
        if self._has_long_ids:
            item_id = _random_id(_PREFIXES[item["type"]], _REASONING_ID if item["type"] == "reasoning" else _PART_ID)
        return self.event(kind, item_id=item_id, output_index=index, **fields)

    def done(self, index: int) -> Event:
        """End an item: return ``response.output_item.done``; it is now part of the response's output."""
        shown = self._shown(self._items[index])
        self.response["output"].append(shown)
        return self.event("response.output_item.done", output_index=index, item=copy.deepcopy(shown))

    def finish(self, status: str, *, reason: str | None = None, error: dict[str, Any] | None = None) -> Event:
        """Return the last event: ``response.completed``, ``.incomplete`` or ``.failed``."""
        self.response["status"] = status
        self.response["completed_at"] = int(time.time()) if status == "completed" else None
        self.response["incomplete_details"] = {"reason": reason} if reason else None
        self.response["error"] = error
        self.response["usage"] = self.usage()
        return self.lifecycle(f"response.{status}")

    def usage(self) -> dict[str, Any]:
        """Return ``usage``, with the API's names."""
        return {
            "input_tokens": self.input_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": self.budget.spent,
            "output_tokens_details": {"reasoning_tokens": self.reasoning_tokens},
            "total_tokens": self.input_tokens + self.budget.spent,
        }

    def _new_id(self, kind: str) -> str:
        prefix = _PREFIXES[kind]
        if not self._has_long_ids:
            return f"{prefix}_{secrets.token_hex(24)}"
        if kind == "reasoning":
            return _random_id(prefix, _REASONING_ID)
        # An approval answers the request by its id, so that one must be short enough to be accepted.
        long = kind not in ("message", "mcp_approval_request")
        return _random_id(prefix, _PART_ID if long else _ITEM_ID)

    def _shown(self, item: Item) -> Item:
        shown = copy.deepcopy(item)
        if self._has_long_ids and item["type"] != "mcp_approval_request":
            shown["id"] = self._new_id(item["type"])
        return shown


def _random_id(prefix: str, length: int) -> str:
    return f"{prefix}_{secrets.token_hex(length)}"[:length]


def _new_response(request: ResponsesRequest, model: str) -> dict[str, Any]:
    body = request.body
    text: dict[str, Any] = {"format": {"type": "text"}, "verbosity": "medium"}
    if body.text is not None:
        text |= body.text.model_dump(by_alias=True, exclude_none=True)
    reasoning: dict[str, Any] = {"effort": None, "summary": None}
    if body.reasoning is not None:
        reasoning = {"effort": body.reasoning.effort, "summary": body.reasoning.summary}
    return {
        "id": f"resp_{secrets.token_hex(24)}",
        "object": "response",
        "created_at": int(time.time()),
        "completed_at": None,
        "status": "in_progress",
        "background": False,
        "error": None,
        "frequency_penalty": 0.0,
        "incomplete_details": None,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "max_tool_calls": body.max_tool_calls,
        "metadata": body.metadata or {},
        "model": model,
        "output": copy.deepcopy(request.items) if request.echoes else [],
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "presence_penalty": 0.0,
        "previous_response_id": body.previous_response_id,
        "prompt_cache_key": body.prompt_cache_key,
        "reasoning": reasoning,
        "safety_identifier": body.safety_identifier,
        "service_tier": body.service_tier if body.service_tier not in (None, "auto") else "default",
        "store": False if request.endpoint.pay_per_token else body.store is not False,
        "temperature": 1.0 if body.temperature is None else body.temperature,
        "text": text,
        "tool_choice": request.tool_choice,
        "tools": [_shown_tool(tool) for tool in request.tools],
        "top_logprobs": body.top_logprobs or 0,
        "top_p": 1.0 if body.top_p is None else body.top_p,
        "truncation": body.truncation or "disabled",
        "usage": None,
    }


def _shown_tool(tool: dict[str, Any]) -> dict[str, Any]:
    # Secrets of a tool are never returned.
    shown = {key: value for key, value in tool.items() if key not in ("authorization", "headers")}
    if tool["type"] == "function":
        return {"description": None, "parameters": None, "strict": True} | shown
    return shown


def deltas(writer: ResponseWriter, text: str) -> Iterator[str]:
    """Yield ``text`` in pieces of a few tokens, until the token budget ends; then ``writer.budget.cut`` is true."""
    tokens = split_tokens(text)
    for start in range(0, len(tokens), _TOKENS_PER_DELTA):
        piece = writer.budget.take("".join(tokens[start : start + _TOKENS_PER_DELTA]))
        if piece:
            yield piece
        if writer.budget.cut:
            return
