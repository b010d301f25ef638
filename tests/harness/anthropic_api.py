"""The Anthropic Messages API, as far as Claude Code uses it."""

import json
import re
from typing import Any

from harness.model_api import ToolCall


class AnthropicApi:
    """``POST /v1/messages``, streamed, and counting tokens."""

    def read(self, path: str, body: dict[str, Any]) -> tuple[set[str], int]:
        declared = {tool["name"] for tool in body.get("tools", [])}
        if "ToolSearch" in declared:
            declared |= _deferred(body)
        return declared, len(tool_results(body))

    def write(self, path: str, answer: str | ToolCall, number: int) -> tuple[str, bytes]:
        if "/count_tokens" in path:
            return "application/json", b'{"input_tokens": 1000}'
        block, delta = _block(answer, number)
        usage = {"input_tokens": 1000, "output_tokens": 10}
        head: dict[str, Any] = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": "stand-in"}
        head |= {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
        reason = "tool_use" if isinstance(answer, ToolCall) else "end_turn"
        messages: list[dict[str, Any]] = [
            {"type": "message_start", "message": head},
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage},
            {"type": "message_stop"},
        ]
        stream = "".join(f"event: {message['type']}\ndata: {json.dumps(message)}\n\n" for message in messages)
        return "text/event-stream", stream.encode()


def tool_results(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the ``tool_result`` blocks of a request, in order."""
    return [
        block
        for message in body.get("messages", [])
        if isinstance(message["content"], list)
        for block in message["content"]
        if block["type"] == "tool_result"
    ]


def texts(body: dict[str, Any]) -> str:
    """Return all text of a request's conversation."""
    contents = [message["content"] for message in body.get("messages", [])]
    return "\n".join(
        content if isinstance(content, str) else "\n".join(block.get("text", "") for block in content)
        for content in contents
    )


def _deferred(body: dict[str, Any]) -> set[str]:
    """Return the MCP tools that the request only names, for ToolSearch."""
    return set(re.findall(r"^mcp__\S+$", texts(body), re.MULTILINE))


def _block(answer: str | ToolCall, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    if isinstance(answer, str):
        return {"type": "text", "text": ""}, {"type": "text_delta", "text": answer}
    block = {"type": "tool_use", "id": f"toolu_{number}", "name": answer.tool, "input": {}}
    return block, {"type": "input_json_delta", "partial_json": json.dumps(dict(answer.arguments))}
