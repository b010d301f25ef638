"""The content of a request for the engines: plain text, with descriptions of its images and files."""

import base64
import binascii
import json
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

import anyio.to_thread

from databricks_workspace_emulator.contract.items import Item
from databricks_workspace_emulator.engines.base import ChatMessage
from databricks_workspace_emulator.replies import model_error

NOTE = "[tool] "
"""The prefix of a line that no person wrote: the input or output of a tool."""

_MAX_PIXELS = 50_000_000
_CALLS = ("function_call", "custom_tool_call", "apply_patch_call", "shell_call", "mcp_call")
_OUTPUTS = ("function_call_output", "custom_tool_call_output", "apply_patch_call_output", "shell_call_output")


@dataclass(frozen=True, slots=True)
class Outputs:
    """The outputs of the client's own tools for the current question."""

    call_type: str
    name: str
    text: str
    failed: bool = False


@dataclass(slots=True)
class Conversation:
    """The parsed input of a request.

    Attributes:
        messages: the conversation in plain text.
        prompt: the user's last text.
        pictures: bytes of the images that belong to the last question, oldest first, including earlier generated ones.
        files: name and text of the files in the conversation.
        outputs: outputs of the client's tools since the last answer.
        open_items: the items since the last answer.
    """

    messages: list[ChatMessage] = field(default_factory=list)
    prompt: str = ""
    pictures: list[bytes] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    outputs: list[Outputs] = field(default_factory=list)
    open_items: list[Item] = field(default_factory=list)

    @property
    def is_continued(self) -> bool:
        """Whether the request continues an answer (with tool outputs or an approval) instead of asking a new
        question.
        """
        return bool(self.outputs) or any(item["type"] == "mcp_approval_response" for item in self.open_items)


async def read_conversation(items: list[Item], instructions: str | None) -> Conversation:
    """Read the input items; images are decoded in a worker thread.

    Raises:
        ApiError: 400 for an image or file that cannot be read.
    """
    return await anyio.to_thread.run_sync(_read, items, instructions)


def _read(items: list[Item], instructions: str | None) -> Conversation:
    talk = Conversation()
    if instructions:
        talk.messages.append(ChatMessage("system", instructions))
    last_answer = max((index for index, item in enumerate(items) if _is_answer(item)), default=-1)
    talk.open_items = items[last_answer + 1 :]
    names = {item["call_id"]: str(item.get("name", item["type"])) for item in items if item["type"] in _CALLS[:4]}
    for index, item in enumerate(items):
        text = _item_text(item, talk, f"input[{index}]", names)
        if not text:
            continue
        role = _role(item)
        if role == "user" and item["type"] == "message":
            talk.prompt = text
        talk.messages.append(ChatMessage(role, text))
        if index > last_answer and item["type"] in _OUTPUTS:
            talk.outputs.append(_outputs(item, names))
    return talk


def _outputs(item: Item, names: dict[str, str]) -> Outputs:
    call_type = item["type"].removesuffix("_output")
    name = names.get(item["call_id"], call_type)
    return Outputs(call_type, name, output_text(item), failed=item.get("status") == "failed")


def _is_answer(item: Item) -> bool:
    return item["type"] == "message" and item["role"] == "assistant" and item.get("phase") != "commentary"


def _role(item: Item) -> Any:
    if item["type"] == "message":
        return {"developer": "system"}.get(item["role"], item["role"])
    return "assistant" if item["type"] in _CALLS else "user"


def _item_text(item: Item, talk: Conversation, where: str, names: dict[str, str]) -> str:
    kind = item["type"]
    if kind == "message":
        return _content_text(item["content"], talk, where)
    if kind in _CALLS:
        said = item.get("arguments") or item.get("input") or json.dumps(item.get("operation") or item.get("action"))
        return f"{NOTE}calls {item.get('name', kind)} with {said}"
    if kind in _OUTPUTS:
        if isinstance(item.get("output"), list) and kind != "shell_call_output":
            _content_text(item["output"], talk, where, "output")
        return f"{NOTE}{names.get(item['call_id'], kind)} gave: {output_text(item)}"
    if kind == "image_generation_call" and item.get("result"):
        data = _decode(item["result"], f"{where}.result")
        if data[:4] == b"<svg" or _format_and_size(data)[3]:
            return ""  # not painted on: an edit of it begins again
        _describe_picture(data, f"{where}.result")
        talk.pictures.append(data)
    return ""


def output_text(item: Item) -> str:
    """Return the content of a tool's output item as text."""
    output = item.get("output")
    if item["type"] == "shell_call_output":
        return "\n".join(f"{part['stdout']}{part['stderr']}".strip() for part in output or [])
    if isinstance(output, list):
        return " ".join(part.get("text", f"[{part['type']}]") for part in output)
    return output or item.get("status") or ""


def _content_text(content: str | list[Item], talk: Conversation, where: str, field: str = "content") -> str:
    if isinstance(content, str):
        return content
    texts: list[str] = []
    for index, part in enumerate(content):
        path = f"{where}.{field}[{index}]"
        match part["type"]:
            case "input_image":
                texts.append(_picture_words(part["image_url"], talk, f"{path}.image_url"))
            case "input_file":
                texts.append(_file_words(part, talk, f"{path}.file_data"))
            case "refusal":
                texts.append(part["refusal"])
            case _:
                texts.append(part["text"])
    return "\n".join(texts)


def _picture_words(url: str, talk: Conversation, where: str) -> str:
    if not url.startswith("data:"):
        if not url.startswith(("http://", "https://")):
            raise model_error(f"Invalid '{where}'. Expected a URL or a data URL.", param=where, code="invalid_value")
        return f"[image at {url}]"
    data = _data_url(url, where)
    talk.pictures.append(data)
    return f"[image: {_describe_picture(data, where)}]"


async def read_picture(url: str | None, where: str) -> bytes | None:
    """Return the bytes of a data URL with an image; None without one, and for one that is elsewhere.

    Raises:
        ApiError: 400 if it is not an image.
    """
    if url is None or not url.startswith("data:"):
        return None
    data = _data_url(url, where)
    await anyio.to_thread.run_sync(_describe_picture, data, where)
    return data


def _format_and_size(data: bytes) -> tuple[str | None, int, int, bool]:
    """Return an image's format, width, height and whether it is animated. The format of anything else is None."""
    # Imported here: Pillow is not needed before the first image.
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(BytesIO(data)) as image:
            return image.format, image.width, image.height, bool(getattr(image, "is_animated", False))
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return None, 0, 0, False


def _describe_picture(data: bytes, where: str) -> str:
    kind, width, height, animated = _format_and_size(data)
    if width * height > _MAX_PIXELS:
        raise model_error("The image has too many pixels.", param=where, code="image_too_large")
    if kind not in ("PNG", "JPEG", "WEBP", "GIF") or animated:
        raise model_error(
            "The image data you provided does not represent a valid image. Supported are PNG, JPEG, WEBP and "
            "GIF without animation.",
            param=where,
            code="invalid_image_format" if kind else "image_parse_error",
        )
    return f"{kind}, {width} x {height} pixels"


def _file_words(part: Item, talk: Conversation, where: str) -> str:
    name = part.get("filename") or "file"
    data = part.get("file_data")
    if not data:
        return f"[file at {part['file_url']}]"
    raw = _data_url(data, where) if data.startswith("data:") else _decode(data, where)
    if raw.startswith(b"%PDF-"):
        return f"[file {name}: PDF, {len(raw)} bytes]"
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return f"[file {name}: {len(raw)} bytes]"
    talk.files[name] = text
    return f"[file {name}]\n{text}"


def _data_url(url: str, where: str) -> bytes:
    header, comma, payload = url.partition(",")
    if not comma:
        raise model_error(f"Invalid '{where}'. Expected a data URL.", param=where, code="invalid_value")
    return _decode(payload, where) if header.endswith(";base64") else unquote_to_bytes(payload)


def _decode(payload: str, where: str) -> bytes:
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        raise model_error(f"Invalid '{where}'. Expected base64 data.", param=where, code="invalid_base64") from None
