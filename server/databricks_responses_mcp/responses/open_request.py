"""A Responses request as Open Responses takes it: one API for the models that are not OpenAI's.

Source: ``POST /serving-endpoints/open-responses``. It takes no ``output_*`` content in what is sent back to it, no
reasoning of earlier turns, and no message of the assistant's at the end. It was seen to take function tools only; other
types are sent all the same, and the server's refusal is explained.
"""

from collections.abc import Collection, Mapping
from typing import Any

from databricks_responses_mcp.responses.accumulator import Item
from databricks_responses_mcp.responses.plain_items import plain_items
from databricks_responses_mcp.responses.surface_parameters import NATIVE_ONLY, left_out_note, take_parameters
from databricks_responses_mcp.responses.unsupported import UntranslatableError

_SURFACE = "Open Responses"
# Taken, by its documentation, and for other models than OpenAI's ignored: what is ignored need not be sent.
_KNOWN = frozenset({"max_tool_calls", "parallel_tool_calls", "stream_options", "top_logprobs"})
_HERE = frozenset({"model", "input", "stream", "tools"})
_NOT_SENT = frozenset({"id", "status", "phase"})


def to_supervisor(body: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the body for the Supervisor API, which is compatible with Open Responses and has more parameters.

    Raises:
        UntranslatableError: for an item of the conversation that neither knows.
    """
    return _opened(body, "the Supervisor API", NATIVE_ONLY - {"include"})


def to_open(body: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The Open Responses body that asks for the same, and notes of what was left out.

    What items have beyond the API's fields, such as Gemini's thought signatures on calls, stays as it came.

    Raises:
        UntranslatableError: for what Open Responses lacks.
    """
    return _opened(body, _SURFACE, _KNOWN)


def _opened(body: Mapping[str, Any], surface: str, known: Collection[str]) -> tuple[dict[str, Any], list[str]]:
    asked, left_out = take_parameters(body, surface=surface, said_otherwise=_HERE, known=known)
    items, notes = plain_items(body.get("input"), surface)
    sent = [_item(item) for item in items if item["type"] != "reasoning" and not _is_empty(item)]
    cut = 0
    while len(sent) > 1 and sent[-1]["type"] == "message" and sent[-1].get("role") == "assistant":
        sent.pop()
        cut += 1
    if cut:
        notes.append("The conversation ended with the model's own words; they were left out of the request.")
    opened: dict[str, Any] = {"model": body.get("model"), "input": sent}
    if body.get("stream") is not None:
        opened["stream"] = body["stream"]
    opened |= asked
    if tools := body.get("tools"):
        # Of other types than function too: what a model takes changes, a refusal costs nothing and names the type.
        opened["tools"] = tools
    return opened, [*notes, *left_out_note(surface, left_out)]


def _item(item: Item) -> Item:
    sent = {key: value for key, value in item.items() if key not in _NOT_SENT and value is not None}
    content = sent.get("content")
    if item["type"] == "message" and isinstance(content, list | tuple):
        sent["content"] = [made for part in content if (made := _part(part)) is not None]
    return sent


def _part(part: Any) -> Any:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind in ("audio_url", "video_url"):
        medium = str(kind).removesuffix("_url")
        raise UntranslatableError(medium, f"{_SURFACE} has no {medium} content.")
    if kind == "output_text":
        return {"type": "input_text", "text": part["text"]} if part.get("text") else None
    if kind == "refusal":
        return {"type": "input_text", "text": part["refusal"]} if part.get("refusal") else None
    return part


def _is_empty(item: Item) -> bool:
    if item["type"] != "message":
        return False
    content = item.get("content")
    return not content or (isinstance(content, list | tuple) and all(_part(part) is None for part in content))
