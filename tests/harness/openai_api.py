"""The Responses API, as far as Codex uses it: `harness.model_api.ToolCall` names a tool ``namespace/name``."""

import json
from typing import Any

from harness.model_api import ToolCall


class OpenAiApi:
    """``POST /v1/responses``, streamed."""

    def read(self, path: str, body: dict[str, Any]) -> tuple[set[str], int]:
        return set(declarations(body)), len(tool_results(body))

    def write(self, path: str, answer: str | ToolCall, number: int) -> tuple[str, bytes]:
        item = _item(answer, number)
        usage = {"input_tokens": 1000, "output_tokens": 10, "total_tokens": 1010}
        response: dict[str, Any] = {"id": f"resp_{number}", "object": "response", "created_at": 1, "model": "stand-in"}
        done = response | {"status": "completed", "output": [item], "usage": usage}
        messages: list[dict[str, Any]] = [
            {"type": "response.created", "response": response | {"status": "in_progress", "output": []}},
            {"type": "response.output_item.added", "output_index": 0, "item": item | {"status": "in_progress"}},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": done},
        ]
        stream = "".join(f"event: {message['type']}\ndata: {json.dumps(message)}\n\n" for message in messages)
        return "text/event-stream", stream.encode()


def declarations(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the functions that a request declares; those of a namespace as ``namespace/name``."""
    found: dict[str, dict[str, Any]] = {}
    for tool in body.get("tools", []):
        if tool["type"] == "namespace":
            found |= {f"{tool['name']}/{inner['name']}": inner for inner in tool["tools"]}
        elif "name" in tool:
            found[tool["name"]] = tool
    return found


def tool_results(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the outputs of functions in a request, in order."""
    return [item for item in body.get("input", []) if item.get("type") == "function_call_output"]


def _item(answer: str | ToolCall, number: int) -> dict[str, Any]:
    if isinstance(answer, str):
        text = {"type": "output_text", "text": answer, "annotations": []}
        return {"type": "message", "id": f"msg_{number}", "role": "assistant", "status": "completed", "content": [text]}
    namespace, _, name = answer.tool.rpartition("/")
    call = {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}", "status": "completed"}
    call |= {"name": name, "arguments": json.dumps(dict(answer.arguments))}
    return call | ({"namespace": namespace} if namespace else {})
