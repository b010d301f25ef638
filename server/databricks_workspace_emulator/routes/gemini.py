"""``POST /ai-gateway/gemini/v1beta/models/{model}:generateContent``: Gemini's own API, text and images."""

from math import sqrt
from typing import Any, Literal

from pydantic import Field

from databricks_workspace_emulator.catalogue import GEMINI_API, Endpoint
from databricks_workspace_emulator.contract.items import Item, read_items
from databricks_workspace_emulator.contract.request import ResponsesRequest, parse_json
from databricks_workspace_emulator.contract.shapes import Body, Shape, read
from databricks_workspace_emulator.exchange import Aborted, Incoming, Reply, json_reply
from databricks_workspace_emulator.fault_injection import play_before
from databricks_workspace_emulator.faults import first
from databricks_workspace_emulator.replies import bad_request, wrong_path
from databricks_workspace_emulator.responder import answer, begin
from databricks_workspace_emulator.routes.gateway import find_service
from databricks_workspace_emulator.writer import Event

_METHOD = ":generateContent"
_SIDES = {"1K": 1024, "2K": 2048, "4K": 3072}
_FINISH = {"max_output_tokens": "MAX_TOKENS", "content_filter": "SAFETY"}


class _Content(Shape):
    role: Literal["user", "model"] | None = None
    parts: list[dict[str, Any]] = Field(min_length=1)


class _ImageConfig(Shape):
    aspectRatio: (  # noqa: N815 - the API's own name
        Literal["1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"] | None
    ) = None
    imageSize: Literal["1K", "2K", "4K"] | None = None  # noqa: N815


class _Config(Shape):
    responseModalities: list[Literal["TEXT", "IMAGE"]] | None = None  # noqa: N815
    maxOutputTokens: int | None = Field(default=None, ge=1)  # noqa: N815
    temperature: float | int | None = Field(default=None, ge=0, le=2)
    topP: float | int | None = Field(default=None, ge=0, le=1)  # noqa: N815
    imageConfig: _ImageConfig | None = None  # noqa: N815


class _GeminiBody(Shape):
    contents: list[_Content] = Field(min_length=1)
    systemInstruction: _Content | None = None  # noqa: N815
    generationConfig: _Config | None = None  # noqa: N815


async def generate(incoming: Incoming) -> Reply:
    """Answer with the model that the path names."""
    instead = await play_before(incoming)
    if instead is not None:
        return instead
    name, method, rest = str(incoming.path_params["call"]).rpartition(_METHOD)
    if not method or rest:
        raise wrong_path(incoming.exchange.path)
    endpoint = find_service({"model": name}, incoming, GEMINI_API)
    request = _read(parse_json(incoming.raw), endpoint)
    if incoming.state.current_hold is not None:
        await incoming.state.current_hold.wait(0)
    if first(incoming.faults, "cut", "no_terminal", "close"):
        raise Aborted
    last: Event = {}
    async for event in answer(await begin(request, incoming.state)):
        last = event
    return json_reply(_written(last["response"]))


def _read(value: dict[str, Any], endpoint: Endpoint) -> ResponsesRequest:
    body = read(_GeminiBody, value)
    config = body.generationConfig or _Config()
    items = read_items([_item(content, f"contents[{at}]") for at, content in enumerate(body.contents)])
    draws = "IMAGE" in (config.responseModalities or ())
    if draws and "image" not in endpoint.model:
        raise bad_request(f"Model {endpoint.name} does not support the requested response modalities: image,text")
    system = body.systemInstruction.parts if body.systemInstruction else []
    native = Body.model_construct(
        model=endpoint.name,
        input=items,
        instructions="\n".join(str(part.get("text", "")) for part in system) or None,
        max_output_tokens=config.maxOutputTokens,
        temperature=config.temperature,
        top_p=config.topP,
    )
    tools = [{"type": "image_generation", "size": _size(config.imageConfig)}] if draws else []
    return ResponsesRequest(native, endpoint, items, tools, {"type": "image_generation"} if draws else "auto")


def _item(content: _Content, where: str) -> Item:
    is_model = content.role == "model"
    parts = [_part(part, f"{where}.parts[{at}]", is_model=is_model) for at, part in enumerate(content.parts)]
    return {"type": "message", "role": "assistant" if is_model else "user", "content": parts}


def _part(part: dict[str, Any], where: str, *, is_model: bool) -> dict[str, Any]:
    match part:
        case {"text": str(text)}:
            return {"type": "output_text" if is_model else "input_text", "text": text}
        case {"inlineData": {"mimeType": str(mime_type), "data": str(data)}}:
            if is_model:
                # One with a signature would be accepted; this workspace sends none.
                raise bad_request(f"Image part is missing a thought_signature in {where}.")
            url = f"data:{mime_type};base64,{data}"
            if mime_type.startswith("image/"):
                return {"type": "input_image", "image_url": url}
            if mime_type == "application/pdf":
                return {"type": "input_file", "file_data": url, "filename": "file.pdf"}
            return {"type": "input_text", "text": f"[{mime_type}: {len(data) * 3 // 4} bytes]"}
        case {"fileData": {"fileUri": str(uri)}} if not is_model:
            return {"type": "input_text", "text": f"[file at {uri}]"}
        case _:
            raise bad_request(f"Invalid value at '{where}': oneof field 'data' is not set.")


def _size(shape: _ImageConfig | None) -> str:
    across, _, down = ((shape.aspectRatio if shape else None) or "1:1").partition(":")
    side = _SIDES[(shape.imageSize if shape else None) or "1K"]
    ratio = sqrt(int(across) / int(down))
    return f"{round(side * ratio / 16) * 16}x{round(side / ratio / 16) * 16}"


def _written(response: dict[str, Any]) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    for item in response["output"]:
        if item["type"] == "message":
            parts += [{"text": part.get("text") or part.get("refusal") or ""} for part in item["content"]]
        elif item["type"] == "image_generation_call" and item.get("result"):
            parts.append({"inlineData": {"mimeType": "image/png", "data": item["result"]}})
    reason = (response.get("incomplete_details") or {}).get("reason")
    usage = response.get("usage") or {}
    return {
        "candidates": [
            {
                "content": {"role": "model", "parts": parts},
                "finishReason": _FINISH.get(str(reason), "STOP"),
                "index": 0,
            }
        ],
        "usageMetadata": {
            "promptTokenCount": usage.get("input_tokens", 0),
            "candidatesTokenCount": usage.get("output_tokens", 0),
            "totalTokenCount": usage.get("total_tokens", 0),
        },
        "modelVersion": response["model"],
        "responseId": response["id"][:22],
    }
