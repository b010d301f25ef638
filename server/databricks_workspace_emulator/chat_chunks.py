"""Answers of chat completions: converting events of the Responses API to chunks, and chunks to a whole answer."""

import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from databricks_workspace_emulator.contract.chat_messages import CHAT_SIGNATURE
from databricks_workspace_emulator.contract.model_limits import SIGNATURE
from databricks_workspace_emulator.replies import workspace_error
from databricks_workspace_emulator.responder import answer
from databricks_workspace_emulator.turn import Turn
from databricks_workspace_emulator.writer import Event

Chunk = dict[str, Any]

_CUT = {"max_output_tokens": "length", "content_filter": "content_filter"}


async def chat_chunks(turn: Turn, *, wants_usage: bool = True) -> AsyncGenerator[Chunk]:
    """Yield the chunks of the answer.

    As in recordings of real workspaces: with pay-per-token models every chunk has the usage so far, and the chunk with
    ``finish_reason`` is the last. Claude counts only its input until then. External models stream as OpenAI does: the
    usage follows in a chunk without choices, if it was requested.

    Args:
        wants_usage: whether the client requested the usage from an external model.

    Raises:
        ApiError: 500 if the engine fails.
    """
    translation = _Translation(turn)
    begun = False
    async with aclosing(answer(turn)) as events:
        async for event in events:
            is_end = event["type"] in ("response.completed", "response.incomplete")
            for delta in translation.deltas(event):
                # A first delta with a call contains the role itself, and no content that clients would send back as
                # empty.
                role = {"role": "assistant"} if not begun else {}
                if role and "tool_calls" not in delta:
                    yield translation.chunk(role | {"content": ""})
                    role = {}
                begun = True
                yield translation.chunk(role | delta)
            if is_end:
                if not begun:
                    yield translation.chunk({"role": "assistant", "content": ""})
                yield translation.chunk({}, translation.finish(event["response"]))
            elif event["type"] == "response.failed":
                raise workspace_error(500, "INTERNAL_ERROR", event["response"]["error"]["message"])
    if wants_usage and not turn.request.endpoint.pay_per_token:
        yield {**translation.base, "choices": [], "usage": _usage(turn)}


class _Translation:
    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self.base = {
            "id": f"chatcmpl_{secrets.token_hex(16)}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": turn.engine.label,
        }
        # Claude names the kind of each piece once it reasons; the others name only the kind of reasoning.
        config = turn.request.body.reasoning
        self._text_in_parts = turn.request.endpoint.provider == "anthropic" and config is not None
        self._calls: dict[int, int] = {}

    def chunk(self, delta: dict[str, Any], finish: str | None = None) -> Chunk:
        chunk = {**self.base, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
        endpoint = self._turn.request.endpoint
        if not endpoint.pay_per_token:
            return chunk
        usage = _usage(self._turn)
        if endpoint.provider == "anthropic" and finish is None:
            usage = {"prompt_tokens": usage["prompt_tokens"], "completion_tokens": None, "total_tokens": None}
        return {**chunk, "usage": usage}

    def finish(self, response: dict[str, Any]) -> str:
        if details := response["incomplete_details"]:
            return _CUT[details["reason"]]
        return "tool_calls" if self._calls else "stop"

    def deltas(self, event: Event) -> list[dict[str, Any]]:
        match event["type"]:
            case "response.output_text.delta":
                text = event["delta"]
                return [{"content": [{"type": "text", "text": text}] if self._text_in_parts else text}]
            case "response.refusal.delta":
                return [{"refusal": event["delta"]}]
            case "response.reasoning_summary_text.delta":
                return [_thought(text=event["delta"])]
            case "response.output_item.done" if event["item"]["type"] == "reasoning" and self._text_in_parts:
                return [_thought(text="", signature=secrets.token_urlsafe(48))]
            case "response.output_item.added" if event["item"]["type"] == "function_call":
                return [self._call(event)]
            case "response.function_call_arguments.delta":
                index = self._calls[event["output_index"]]
                return [{"tool_calls": [{"index": index, "function": {"arguments": event["delta"]}}]}]
            case _:
                return []

    def _call(self, event: Event) -> dict[str, Any]:
        item = event["item"]
        index = self._calls[event["output_index"]] = len(self._calls)
        function = {"name": item["name"], "arguments": ""}
        call = {"index": index, "id": item["call_id"], "type": "function", "function": function}
        if SIGNATURE in item:
            call[CHAT_SIGNATURE] = item[SIGNATURE]
        return {"content": None, "tool_calls": [call]}


def _thought(**summary: str) -> dict[str, Any]:
    return {"content": [{"type": "reasoning", "summary": [{"type": "summary_text", **summary}]}]}


def _usage(turn: Turn) -> dict[str, Any]:
    usage = turn.writer.usage()
    counted: dict[str, Any] = {
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": usage["output_tokens"],
        "total_tokens": usage["total_tokens"],
    }
    if turn.writer.reasoning_tokens:
        counted["completion_tokens_details"] = {"reasoning_tokens": turn.writer.reasoning_tokens}
    return counted


def whole(chunks: Sequence[Chunk]) -> dict[str, Any]:
    """Return the whole chat completion of the chunks."""
    message: dict[str, Any] = {"role": "assistant", "content": "", "refusal": None}
    thought, signature, finish = "", "", None
    calls: list[dict[str, Any]] = []
    for choice in (choice for chunk in chunks for choice in chunk["choices"]):
        delta, finish = choice["delta"], choice["finish_reason"] or finish
        for part in _parts(delta.get("content")):
            if part["type"] == "text":
                message["content"] += part["text"]
            else:
                thought += part["summary"][0]["text"]
                signature = part["summary"][0].get("signature", "")
        if "refusal" in delta:
            message["refusal"] = (message["refusal"] or "") + delta["refusal"]
        for piece in delta.get("tool_calls", ()):
            if "id" in piece:
                calls.append({**piece, "function": dict(piece["function"])})
            else:
                calls[piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]
    if thought:
        summary = {"type": "summary_text", "text": thought} | ({"signature": signature} if signature else {})
        text = {"type": "text", "text": message["content"]}
        message["content"] = [{"type": "reasoning", "summary": [summary]}, *([text] if text["text"] else [])]
    if calls:
        message["content"] = message["content"] or None
        message["tool_calls"] = [{key: value for key, value in call.items() if key != "index"} for call in calls]
    choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
    return {**chunks[-1], "object": "chat.completion", "choices": [choice]}


def _parts(content: str | list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if content else []
