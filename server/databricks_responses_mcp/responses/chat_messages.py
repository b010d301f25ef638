"""The items of a conversation as messages of the chat API.

The text and the calls of one answer become one assistant message. Their outputs follow directly, in the order of the
calls, wherever they were; images among them, which a tool message cannot contain, follow in a user message.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from databricks_responses_mcp.errors import quoted
from databricks_responses_mcp.responses.accumulator import Item
from databricks_responses_mcp.responses.chat_reasoning import unsealed
from databricks_responses_mcp.responses.plain_items import as_text, call_id_of
from databricks_responses_mcp.responses.unsupported import UntranslatableError

Message = dict[str, Any]
Part = dict[str, Any]

_NOT_ON_CALLS = frozenset(
    {"type", "id", "call_id", "name", "arguments", "status", "namespace", "caller", "created_by", "parsed_arguments"}
)
_ROLES = {"developer": "system", "system": "system", "assistant": "assistant", "user": "user"}
_TEXTS = ("input_text", "output_text", "text", "summary_text", "reasoning_text")


@dataclass(slots=True)
class _Said:
    role: str
    parts: list[Part] = field(default_factory=list)
    thinking: list[Part] = field(default_factory=list)
    calls: list[Message] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)


def chat_messages(instructions: Any, items: Sequence[Item], *, blank: str | None = None) -> list[Message]:
    """Return the messages for these items.

    Args:
        instructions: the start of the system message.
        items: items as returned by `plain_items`.
        blank: the content of an assistant message that has calls and no text; None for no ``content``.

    Raises:
        UntranslatableError: for a part of a message that the chat API does not support.
    """
    turns: list[_Said] = []
    if instructions:
        turns.append(_Said("system", [_text_part(as_text(instructions))]))
    for item in items:
        kind = item["type"]
        if kind == "message":
            _add_message(turns, item)
        elif kind == "function_call":
            _speaker(turns).calls.append(_call(item))
        elif kind == "function_call_output":
            _add_output(turns, item)
        elif thinking := unsealed(item):
            _speaker(turns).thinking += thinking
    return [message for turn in _with_one_preamble(turns) for message in _messages(turn, blank)]


def _add_message(turns: list[_Said], item: Item) -> None:
    role = _ROLES.get(str(item.get("role")), "user")
    parts = _parts(item.get("content"))
    if not parts:
        return
    if role == "assistant":
        turn = _speaker(turns)
        # Two messages of one answer are separated by a blank line, as everywhere in the bridge.
        if turn.parts:
            turn.parts.append(_text_part("\n\n"))
        turn.parts += parts
    else:
        turns.append(_Said(role, parts))


def _speaker(turns: list[_Said]) -> _Said:
    """Return the current assistant message, or a new one."""
    if not turns or turns[-1].role != "assistant" or turns[-1].outputs:
        turns.append(_Said("assistant"))
    return turns[-1]


def _add_output(turns: list[_Said], item: Item) -> None:
    name = call_id_of(item)
    for turn in reversed(turns):
        if any(call["id"] == name for call in turn.calls):
            turn.outputs[name] = item.get("output")
            return
    told = _text_part(f"Output of the call {name}:")
    turns.append(_Said("user", [told, *_output_parts(item.get("output"))]))


def _with_one_preamble(turns: list[_Said]) -> list[_Said]:
    """Return the messages with the system messages at the beginning joined: some chat templates accept only one."""
    head: list[Part] = []
    rest = list(turns)
    while rest and rest[0].role == "system":
        head += rest.pop(0).parts
    return [_Said("system", head), *rest] if head else rest


def _messages(turn: _Said, blank: str | None) -> list[Message]:
    if turn.role != "assistant":
        return [{"role": turn.role, "content": _content(turn.parts, "\n\n")}]
    text = "".join(part["text"] for part in turn.parts if part["type"] == "text")
    message: Message = {"role": "assistant"}
    if turn.thinking and turn.calls:
        # Only reasoning that led to calls must be sent again; the rest would cost tokens without effect.
        message["content"] = [*turn.thinking, *([_text_part(text)] if text.strip() else [])]
    elif text.strip():
        message["content"] = text
    elif not turn.calls:
        return []
    elif blank is not None:
        message["content"] = blank
    if not turn.calls:
        return [message]
    return [{**message, "tool_calls": turn.calls}, *_outputs(turn)]


def _outputs(turn: _Said) -> list[Message]:
    messages: list[Message] = []
    shown: list[Part] = []
    for call in turn.calls:
        parts = _output_parts(turn.outputs[call["id"]]) if call["id"] in turn.outputs else None
        texts = [part["text"] for part in parts or () if part["type"] == "text"]
        others = [part for part in parts or () if part["type"] != "text"]
        said = "\n\n".join(texts)
        if parts is None:
            said = "(this call was not answered)"
        elif not said.strip():
            said = "(shown below)" if others else "(no output)"
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": said})
        if others:
            shown += [_text_part(f"What the call {call['id']} of {call['function']['name']} gave:"), *others]
    return [*messages, {"role": "user", "content": shown}] if shown else messages


def _call(item: Item) -> Message:
    function = {**_extras(item.get("function")), "name": as_text(item.get("name"))}
    function["arguments"] = as_text(item.get("arguments")) or "{}"
    extras = {key: value for key, value in item.items() if key not in _NOT_ON_CALLS and key != "function"}
    return {**extras, "id": call_id_of(item), "type": "function", "function": function}


def _extras(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _content(parts: list[Part], between: str) -> str | list[Part]:
    if all(part["type"] == "text" for part in parts):
        return between.join(part["text"] for part in parts)
    return parts


def _output_parts(value: Any) -> list[Part]:
    if isinstance(value, list) and value and all(isinstance(part, Mapping) and part.get("type") for part in value):
        return _parts(value)
    return _parts(as_text(value))


def _parts(content: Any) -> list[Part]:
    if isinstance(content, str):
        return [_text_part(content)] if content.strip() else []
    if not isinstance(content, list | tuple):
        return []
    return [made for part in content if (made := _part(part)) is not None]


def _part(part: Any) -> Part | None:
    if isinstance(part, str):
        return _text_part(part) if part.strip() else None
    if not isinstance(part, Mapping):
        return None
    kind = part.get("type")
    if kind in _TEXTS or kind == "refusal":
        text = part.get("refusal" if kind == "refusal" else "text")
        return _text_part(text) if isinstance(text, str) and text.strip() else None
    if kind == "input_image":
        return _image(part)
    if kind == "input_file":
        return _file(part)
    if kind in ("audio_url", "video_url") and isinstance(part.get(kind), Mapping):
        return {"type": kind, kind: dict(part[kind])}
    if kind == "input_audio" and isinstance(part.get("input_audio"), Mapping):
        return dict(part)
    raise UntranslatableError(f"{kind} content", f"Chat completions have no content of type {quoted(kind)}.")


def _image(part: Mapping[str, Any]) -> Part:
    url = part.get("image_url")
    if not isinstance(url, str) or not url:
        raise UntranslatableError("images", "Chat completions accept images as data or by URL, not by file id.")
    image = {"url": url}
    detail = part.get("detail")
    if detail in ("low", "high", "original"):
        # Left out if it is the default: only OpenAI's models know the field.
        image["detail"] = "low" if detail == "low" else "high"
    return {"type": "image_url", "image_url": image}


def _file(part: Mapping[str, Any]) -> Part:
    data = part.get("file_data")
    if not isinstance(data, str) or not data:
        raise UntranslatableError("files", "Chat completions accept files as data only, neither by URL nor by file id.")
    file = {"file_data": data}
    if isinstance(part.get("filename"), str):
        file["filename"] = part["filename"]
    return {"type": "file", "file": file}


def _text_part(text: str) -> Part:
    return {"type": "text", "text": text}
