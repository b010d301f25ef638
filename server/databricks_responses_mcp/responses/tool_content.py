"""Converting a tool's result to the content of a call's output in the Responses API.

Callers pass what they have: text, the API's own parts, the content of an MCP result or a whole one, or parts of the
chat API. Anything else is data, and sent as JSON.
"""

import json
from collections.abc import Mapping
from typing import Any

from databricks_responses_mcp.responses.plain_items import as_text

Part = dict[str, Any]

_OWN = ("input_text", "input_image", "input_file")
_TEXTS = {"text": "text", "output_text": "text", "refusal": "refusal"}
_OF_RESULTS = frozenset(
    {"content", "isError", "is_error", "structuredContent", "structured_content", "_meta", "meta", "resultType", "type"}
)
_FILES = ("application/pdf",)
"""Types of documents that the API accepts as files."""


def output_content(value: Any) -> str | list[Part]:
    """Return the ``output`` of a call: text, or content parts if it contains more than text."""
    if isinstance(value, str):
        return _from_text(value)
    parts = _parts(value)
    return as_text(value) if parts is None else parts


def output_text(value: Any) -> str:
    """Return the same for an API that accepts only text; images and files are only named."""
    content = output_content(value)
    if isinstance(content, str):
        return content
    return "\n\n".join(str(part["text"]) if part["type"] == "input_text" else f"[{part['type']}]" for part in content)


def _from_text(text: str) -> str | list[Part]:
    """Return the text unchanged, unless it is a tool's result as JSON that contains an image: base64 is useless as
    text.
    """
    if not text.startswith(("[", "{")) or ('"data"' not in text and "base64," not in text):
        return text
    try:
        parts = _parts(json.loads(text))
    except (ValueError, RecursionError):
        return text
    return parts if parts and any(part["type"] != "input_text" for part in parts) else text


def _parts(value: Any) -> list[Part] | None:
    """Return the content parts of a content value; None for data."""
    if isinstance(value, Mapping):
        if isinstance(value.get("content"), list) and _OF_RESULTS.issuperset(value):
            return _result(value)
        part = _part(value)
        return None if part is None else part
    if not isinstance(value, list | tuple) or not any(isinstance(part, Mapping) for part in value):
        return None
    made: list[Part] = []
    for part in value:
        if isinstance(part, str):
            made.append(_text(part))
            continue
        known = _part(part) if isinstance(part, Mapping) else None
        if known is None:
            return None
        made += known
    return made


def _result(result: Mapping[str, Any]) -> list[Part] | None:
    """Return a whole MCP result. Its structured content repeats its content, and is used if that is empty."""
    content = result["content"]
    parts = _parts(content) if content else []
    if parts is None:
        return None
    structure = result.get("structuredContent", result.get("structured_content"))
    if structure is not None and not any(part["type"] == "input_text" for part in parts):
        parts = [*parts, _text(as_text(structure))]
    if result.get("isError") or result.get("is_error"):
        parts = [_text("The tool failed:"), *parts]
    return parts or [_text("(no output)")]


def _part(part: Mapping[str, Any]) -> list[Part] | None:
    """Return one part; None if its kind is unknown."""
    kind = part.get("type")
    if not isinstance(kind, str):
        return None
    if kind == "input_image" and isinstance(part.get("image_url"), Mapping):
        return _image_url(part)
    if kind in _OWN:
        return [dict(part)]
    if kind in _TEXTS:
        text = part.get(_TEXTS[kind])
        return [_text(text)] if isinstance(text, str) else None
    reader = _READERS.get(kind)
    return reader(part) if reader is not None else None


def _image(part: Mapping[str, Any]) -> list[Part] | None:
    source = part.get("source")
    if isinstance(source, Mapping):
        # The format of Anthropic's API.
        if isinstance(source.get("url"), str):
            return [_picture(source["url"])]
        part = {"data": source.get("data"), "mimeType": source.get("media_type")}
    data = part.get("data")
    return [_picture(_data_url(data, _mime_type(part, "image/png")))] if isinstance(data, str) and data else None


def _image_url(part: Mapping[str, Any]) -> list[Part] | None:
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, Mapping) else image
    detail = image.get("detail") if isinstance(image, Mapping) else part.get("detail")
    return [_picture(url, detail if isinstance(detail, str) else "auto")] if isinstance(url, str) and url else None


def _file(part: Mapping[str, Any]) -> list[Part] | None:
    file = part.get("file")
    if not isinstance(file, Mapping):
        return None
    known = {
        key: file[key] for key in ("file_data", "file_id", "file_url", "filename") if isinstance(file.get(key), str)
    }
    return [{"type": "input_file", **known}] if known.keys() - {"filename"} else None


def _audio(part: Mapping[str, Any]) -> list[Part] | None:
    if not isinstance(part.get("data"), str):
        return None
    return [_text(f"[audio, {_mime_type(part, 'audio/wav')}: not sent, because the API accepts no audio here]")]


def _resource(part: Mapping[str, Any]) -> list[Part] | None:
    resource = part.get("resource")
    if not isinstance(resource, Mapping):
        return None
    uri, text, blob = as_text(resource.get("uri")), resource.get("text"), resource.get("blob")
    if isinstance(text, str):
        return [_text(f"{uri}:\n{text}" if uri else text)]
    if not isinstance(blob, str):
        return None
    mime_type = _mime_type(resource, "application/octet-stream")
    if mime_type.startswith("image/"):
        return [_picture(_data_url(blob, mime_type))]
    if mime_type in _FILES:
        name = uri.rstrip("/").rpartition("/")[2] or "document"
        return [{"type": "input_file", "filename": name, "file_data": _data_url(blob, mime_type)}]
    return [_text(f"[resource {uri}, {mime_type}: not sent, because the API accepts no such files]")]


def _link(part: Mapping[str, Any]) -> list[Part] | None:
    if not isinstance(part.get("uri"), str):
        return None
    told = [part.get(key) for key in ("title", "name", "description", "mimeType")]
    about = ", ".join(text for text in dict.fromkeys(told) if isinstance(text, str) and text)
    return [_text(f"[resource {part['uri']}{f': {about}' if about else ''}]")]


_READERS = {
    "image": _image,
    "image_url": _image_url,
    "file": _file,
    "audio": _audio,
    "input_audio": _audio,
    "resource": _resource,
    "resource_link": _link,
}


def _text(text: str) -> Part:
    return {"type": "input_text", "text": text}


def _picture(url: str, detail: str = "auto") -> Part:
    return {"type": "input_image", "image_url": url, "detail": detail}


def _mime_type(part: Mapping[str, Any], otherwise: str) -> str:
    given = part.get("mimeType") or part.get("mime_type")
    return given if isinstance(given, str) else otherwise


def _data_url(data: str, mime_type: str) -> str:
    return data if data.startswith("data:") else f"data:{mime_type};base64,{''.join(data.split())}"
