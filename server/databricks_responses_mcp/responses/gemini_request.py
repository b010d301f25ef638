"""Translating a Responses request to ``generateContent``, the API of Gemini models, for those that generate images.

Source: ``POST /ai-gateway/gemini/v1beta/models/{model}:generateContent``. Image generation is not a tool there but a
kind of answer, and of the image tool's fields only the size has an equivalent.
"""

from collections.abc import Mapping
from math import log, sqrt
from typing import Any

from databricks_responses_mcp.errors import quoted
from databricks_responses_mcp.responses.accumulator import Item
from databricks_responses_mcp.responses.plain_items import as_text, plain_items
from databricks_responses_mcp.responses.surface_parameters import left_out_note, take_parameters
from databricks_responses_mcp.responses.unsupported import UntranslatableError, tool_feature

_SURFACE = "Gemini's generateContent"
_DRAWS = "image_generation"
_SAID_OTHERWISE = frozenset(
    {
        "model",
        "input",
        "instructions",
        "stream",
        "tools",
        "tool_choice",
        "text",
        "reasoning",
        "max_output_tokens",
        "temperature",
        "top_p",
        "generationConfig",
    }
)
_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_SIZES = ((1280, "1K"), (2560, "2K"))
"""Resolutions, each with the longest side of a square of the same area that it is used for."""
_MAX_BYTES = "4K"
_EARLIER = "An image that was generated earlier in this conversation:"
_UNTOLD_FIELDS = frozenset({"type", "size", "partial_images"})


def to_gemini(body: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the equivalent ``generateContent`` body, and notes about what was left out.

    Raises:
        UntranslatableError: for what Gemini's API does not support, or this translation does not cover.
    """
    asked, left_out = take_parameters(body, surface=_SURFACE, said_otherwise=_SAID_OTHERWISE)
    tool = _image_tool(body.get("tools"))
    _check_text(body.get("text"))
    if body.get("reasoning") is not None:
        left_out.append("reasoning")
    items, notes = plain_items(_with_pictures_as_messages(body.get("input")), _SURFACE)
    system = [as_text(body["instructions"])] if body.get("instructions") else []
    contents: list[dict[str, Any]] = []
    for item in items:
        role, parts = _said(item)
        if role == "system":
            system += [part["text"] for part in parts if "text" in part]
        elif parts and contents and contents[-1]["role"] == role:
            contents[-1]["parts"] += parts
        elif parts:
            contents.append({"role": role, "parts": parts})
    sent: dict[str, Any] = {**asked, "contents": contents}
    if system:
        sent["systemInstruction"] = {"parts": [{"text": "\n\n".join(system)}]}
    sent["generationConfig"] = _configuration(body, tool)
    left_out += [f"{_DRAWS}.{name}" for name in tool or () if name not in _UNTOLD_FIELDS]
    return sent, [*notes, *left_out_note(_SURFACE, left_out)]


def _image_tool(tools: Any) -> Mapping[str, Any] | None:
    """Return the image tool of a request; None if it has none."""
    found: Mapping[str, Any] | None = None
    for tool in tools or ():
        kind = tool.get("type") if isinstance(tool, Mapping) else tool
        if kind != _DRAWS or not isinstance(tool, Mapping):
            raise UntranslatableError(tool_feature(kind), f"{_SURFACE} is used for text and images only.")
        found = {name: value for name, value in tool.items() if value is not None}
    if found is not None and "input_image_mask" in found:
        raise UntranslatableError("masks", f"{_SURFACE} accepts no mask: describe what to change.")
    return found


def _check_text(text: Any) -> None:
    wanted = text.get("format") if isinstance(text, Mapping) else None
    if isinstance(wanted, Mapping) and wanted.get("type") not in (None, "text"):
        raise UntranslatableError("structured output", f"{_SURFACE} is used for text and images only.")


def _configuration(body: Mapping[str, Any], tool: Mapping[str, Any] | None) -> dict[str, Any]:
    given = body.get("generationConfig")
    configuration: dict[str, Any] = {"responseModalities": ["TEXT"] if tool is None else ["TEXT", "IMAGE"]}
    for name, ours in (
        ("maxOutputTokens", "max_output_tokens"),
        ("temperature", "temperature"),
        ("topP", "top_p"),
    ):
        if body.get(ours) is not None:
            configuration[name] = body[ours]
    if tool is not None and (shape := _shape(tool.get("size"))):
        configuration["imageConfig"] = shape
    return {**configuration, **(given if isinstance(given, Mapping) else {})}


def _shape(size: Any) -> dict[str, str]:
    """Return the aspect ratio and the resolution closest to a size; nothing for ``auto``."""
    width, _, height = str(size or "").partition("x")
    if not (width.isdecimal() and height.isdecimal() and len(width) < 6 and len(height) < 6):
        return {}
    sides = int(width), int(height)
    if min(sides) == 0:
        return {}

    def distance(ratio: str) -> float:
        across, _, down = ratio.partition(":")
        return abs(log(sides[0] / sides[1]) - log(int(across) / int(down)))

    resolution = next((name for most, name in _SIZES if sqrt(sides[0] * sides[1]) <= most), _MAX_BYTES)
    return {"aspectRatio": min(_RATIOS, key=distance), "imageSize": resolution}


def _with_pictures_as_messages(value: Any) -> Any:
    """Return the items with earlier images as the user's: as the model's they would need its signatures."""
    if not isinstance(value, list | tuple):
        return value
    items: list[Any] = []
    for item in value:
        if isinstance(item, Mapping) and item.get("type") == "image_generation_call" and item.get("result"):
            picture = {"type": "input_image", "image_url": f"data:{_type_of(item)};base64,{item['result']}"}
            content = [{"type": "input_text", "text": _EARLIER}, picture]
            items.append({"type": "message", "role": "user", "content": content})
        else:
            items.append(item)
    return items


def _type_of(item: Mapping[str, Any]) -> str:
    """Return the media type of an image, from the beginning of its base64."""
    starts = (("iVBOR", "png"), ("/9j/", "jpeg"), ("UklGR", "webp"), ("R0lGOD", "gif"))
    return f"image/{next((kind for start, kind in starts if str(item['result'])[:6].startswith(start)), 'png')}"


def _said(item: Item) -> tuple[str, list[dict[str, Any]]]:
    """Return the role and the parts of an item."""
    kind = item["type"]
    if kind == "function_call":
        return "model", [{"text": f"[calls {as_text(item.get('name'))} with {as_text(item.get('arguments'))}]"}]
    if kind == "function_call_output":
        return "user", [{"text": f"[output of the call: {as_text(item.get('output'))}]"}]
    if kind != "message":
        return "user", []
    role = {"assistant": "model", "system": "system", "developer": "system"}.get(str(item.get("role")), "user")
    content = item.get("content")
    if isinstance(content, str):
        return role, [{"text": content}] if content else []
    parts = [_part(part) for part in content] if isinstance(content, list | tuple) else []
    return role, [part for part in parts if part]


def _part(part: Any) -> dict[str, Any]:
    if isinstance(part, str):
        return {"text": part} if part else {}
    if not isinstance(part, Mapping):
        return {}
    kind = part.get("type")
    if kind in ("input_text", "output_text", "text"):
        return {"text": part["text"]} if isinstance(part.get("text"), str) and part["text"] else {}
    if kind == "refusal":
        return {"text": as_text(part.get("refusal"))}
    if kind == "input_image":
        return _data(part.get("image_url"), "images")
    if kind == "input_file":
        return _data(part.get("file_data"), "files")
    if kind in ("audio_url", "video_url") and isinstance(part.get(kind), Mapping):
        return _data(part[kind].get("url"), str(kind).removesuffix("_url"))
    raise UntranslatableError(f"{kind} content", f"{_SURFACE} has no content of type {quoted(kind)}.")


def _data(url: Any, feature: str) -> dict[str, Any]:
    head, comma, payload = url.partition(",") if isinstance(url, str) else ("", "", "")
    if comma and head.startswith("data:") and head.endswith(";base64"):
        return {"inlineData": {"mimeType": head[5:-7], "data": payload}}
    if feature == "video" and isinstance(url, str) and url.startswith("https://"):
        return {"fileData": {"fileUri": url}}
    raise UntranslatableError(feature, f"{_SURFACE} accepts {feature} as data only.")
