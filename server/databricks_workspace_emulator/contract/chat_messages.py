"""The messages of chat completions as input items of the Responses API."""

from typing import Any, Literal

from databricks_workspace_emulator.catalogue import Endpoint
from databricks_workspace_emulator.contract.items import Item
from databricks_workspace_emulator.contract.shapes import CallId, Shape, read
from databricks_workspace_emulator.replies import bad_request, invalid

CHAT_SIGNATURE = "thoughtSignature"
"""The field of a tool call that contains Gemini's signature here."""

Content = str | list[dict[str, Any]] | None


class _Called(Shape):
    name: str
    arguments: str


class _ToolCall(Shape, extra="allow"):
    id: str = CallId
    type: Literal["function"] = "function"
    function: _Called


class _Message(Shape, extra="allow"):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None


def read_messages(messages: list[dict[str, Any]], endpoint: Endpoint) -> list[Item]:
    """Return the messages as input items.

    Raises:
        ApiError: 400 for an invalid message, and for content that the endpoint's model does not accept.
    """
    items: list[Item] = []
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        checked = read(_Message, message, where)
        if endpoint.provider == "anthropic":
            _refuse_empty(checked, index)
        if checked.role == "tool":
            items.append(_output(checked, where, endpoint))
        else:
            items += _spoken(checked, where, endpoint)
    return items


def _refuse_empty(message: _Message, index: int) -> None:
    content = message.content
    texts = [part.get("text") for part in content if part.get("type") == "text"] if isinstance(content, list) else []
    if any(text == "" for text in texts) or (not content and not (content is None and message.tool_calls)):
        raise bad_request(f"messages.{index}: text content blocks must be non-empty")


def _spoken(message: _Message, where: str, endpoint: Endpoint) -> list[Item]:
    items: list[Item] = []
    content = message.content or ""
    if isinstance(content, list):
        said = [_part(part, f"{where}.content[{at}]", message.role, endpoint) for at, part in enumerate(content)]
        content = [part for part in said if part is not None]
    if content or not message.tool_calls:
        items.append({"type": "message", "role": message.role, "content": content})
    for at, call in enumerate(message.tool_calls or []):
        items.append(_call(call, f"{where}.tool_calls[{at}]", endpoint))
    return items


def _part(part: dict[str, Any], where: str, role: str, endpoint: Endpoint) -> dict[str, Any] | None:
    match part:
        case {"type": "text", "text": str(text)}:
            return {"type": "output_text" if role == "assistant" else "input_text", "text": text}
        case {"type": "image_url", "image_url": {"url": str(url)}} if role == "user":
            return {"type": "input_image", "image_url": url}
        case {"type": "file", "file": {"file_data": str(data), **rest}} if role == "user":
            if not data.startswith("data:application/pdf;base64,"):
                raise bad_request(f"{where}.file.file_data: only PDF files are supported.")
            return {"type": "input_file", "file_data": data, "filename": rest.get("filename") or "file.pdf"}
        case {"type": "audio_url" | "video_url" as kind, **named} if role == "user":
            return _recording(kind.removesuffix("_url"), named.get(kind), endpoint)
        case {"type": "reasoning", "summary": list()} if role == "assistant":
            return None  # as returned by the model; it may be sent back and contains nothing new
        case _:
            raise invalid(where, "Expected a part of type text or image_url.")


def _recording(medium: str, value: Any, endpoint: Endpoint) -> dict[str, Any]:
    """Return a sentence for a recording or a video: the model sees that it exists, not its content."""
    if endpoint.provider != "google":
        raise bad_request(f"Model {endpoint.name} does not support {medium} input.")
    url = value.get("url") if isinstance(value, dict) else None
    if not isinstance(url, str) or not url.startswith(("data:", "https://")):
        raise bad_request(f"{medium}_url.url: Expected a data URL or an https URL.")
    head, _, payload = url.partition(",")
    size = len(payload) * 3 // 4 - payload[-2:].count("=")
    words = f"{head[5:].removesuffix(';base64')}, {size} bytes" if head.startswith("data:") else url
    return {"type": "input_text", "text": f"[{medium}: {words}]"}


def _call(call: dict[str, Any], where: str, endpoint: Endpoint) -> Item:
    checked = read(_ToolCall, call, where)
    if endpoint.provider == "google" and not call.get(CHAT_SIGNATURE):
        raise bad_request(
            "Function call is missing a thought_signature in functionCall parts. This is required for tools to work "
            f"correctly. Additional data, function call `default_api:{checked.function.name}`."
        )
    name, arguments = checked.function.name, checked.function.arguments
    return {"type": "function_call", "call_id": checked.id, "name": name, "arguments": arguments}


def _output(message: _Message, where: str, endpoint: Endpoint) -> Item:
    if not message.tool_call_id:
        raise invalid(f"{where}.tool_call_id", f"Missing required parameter: '{where}.tool_call_id'.")
    content = message.content or ""
    if isinstance(content, list):
        said = [_part(part, f"{where}.content[{at}]", "tool", endpoint) for at, part in enumerate(content)]
        content = "\n".join(part["text"] for part in said if part is not None)
    return {"type": "function_call_output", "call_id": message.tool_call_id, "output": content}
