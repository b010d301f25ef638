"""The chat completions API, as far as opencode uses it."""

import json
from itertools import dropwhile
from typing import Any

from harness.model_api import ToolCall, events


class ChatCompletionsApi:
    """``POST /v1/chat/completions``, streamed or not."""

    def read(self, path: str, body: dict[str, Any]) -> tuple[set[str], int]:
        declared = {tool["function"]["name"] for tool in body.get("tools", [])}
        return declared, sum(message["role"] == "tool" for message in body["messages"])

    def write(self, path: str, answer: str | ToolCall, number: int) -> tuple[str, bytes]:
        message: dict[str, Any] = {"role": "assistant", "content": answer}
        reason = "stop"
        if isinstance(answer, ToolCall):
            function = {"name": answer.tool, "arguments": json.dumps(dict(answer.arguments))}
            call = {"index": 0, "id": f"call_{number}", "type": "function", "function": function}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
            reason = "tool_calls"
        frame = {"id": f"chat_{number}", "object": "chat.completion.chunk", "created": 1, "model": "stand-in"}
        usage = {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010}
        chunks = [
            {**frame, "choices": [{"index": 0, "delta": message, "finish_reason": None}]},
            {**frame, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "usage": usage},
        ]
        return "text/event-stream", events(chunks, "data: [DONE]\n\n")


def tool_results(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the messages with results of tools, and those with their media."""
    after = dropwhile(lambda message: message["role"] != "tool", body["messages"])
    return [message for message in after if message["role"] != "assistant"]
