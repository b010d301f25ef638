"""The Gemini API, as far as Gemini CLI uses it."""

import json
from typing import Any

from harness.model_api import ToolCall, events


class GeminiApi:
    """``POST /v1beta/models/NAME:generateContent`` and ``:streamGenerateContent``."""

    def read(self, path: str, body: dict[str, Any]) -> tuple[set[str], int]:
        declared = {declaration["name"] for declaration in declarations(body)}
        return declared, len(tool_results(body))

    def write(self, path: str, answer: str | ToolCall, number: int) -> tuple[str, bytes]:
        if ":countTokens" in path:
            return "application/json", b'{"totalTokens": 1000}'
        part: dict[str, Any] = (
            {"text": answer}
            if isinstance(answer, str)
            else {"functionCall": {"id": f"call_{number}", "name": answer.tool, "args": dict(answer.arguments)}}
        )
        message = {
            "candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 10, "totalTokenCount": 1010},
            "modelVersion": "stand-in",
        }
        if ":streamGenerateContent" in path:
            return "text/event-stream", events([message])
        return "application/json", json.dumps(message).encode()


def declarations(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the functions that a request declares."""
    return [one for tool in body.get("tools", []) for one in tool.get("functionDeclarations", [])]


def tool_results(body: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Return the messages with results of functions: all parts of each, since images are beside the result."""
    return [
        content["parts"]
        for content in body.get("contents", [])
        if any("functionResponse" in part for part in content.get("parts", []))
    ]
