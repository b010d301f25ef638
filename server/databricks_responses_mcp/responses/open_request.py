"""Translating a Responses request to Open Responses, one API for models of other vendors than OpenAI.

Source: ``POST /serving-endpoints/open-responses``. It accepts no ``output_*`` content in earlier items, no reasoning of
earlier turns, and no assistant message at the end. It was seen to accept function tools only; other types are sent all
the same, and the server's refusal is explained.
"""

from collections.abc import Collection, Mapping
from typing import Any

from databricks_responses_mcp.responses.accumulator import Item
from databricks_responses_mcp.responses.plain_items import plain_items
from databricks_responses_mcp.responses.surface_parameters import NATIVE_ONLY, left_out_note, take_parameters
from databricks_responses_mcp.responses.unsupported import UntranslatableError

_SURFACE = "Open Responses"
# Its documentation says that these are accepted, and ignored for models of other vendors: they are not sent.
_KNOWN = frozenset({"max_tool_calls", "parallel_tool_calls", "stream_options", "top_logprobs"})
_HERE = frozenset({"model", "input", "stream", "tools"})
_NOT_SENT = frozenset({"id", "status", "phase"})
_APPROVALS = frozenset({"mcp_approval_request", "mcp_approval_response"})
"""Items of the Supervisor API: it asks before it calls an MCP server, which is a ``uc_connection`` or an ``app``."""


def to_supervisor(body: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the body for the Supervisor API, which is compatible with Open Responses and has more parameters.

    Raises:
        UntranslatableError: for an item of the conversation that neither API supports.
    """
    return _opened(body, "the Supervisor API", NATIVE_ONLY - {"include"}, _APPROVALS)


def to_open(body: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the equivalent Open Responses body, and notes about what was left out.

    Additional fields of items, such as Gemini's thought signatures on calls, are unchanged.

    Raises:
        UntranslatableError: for what Open Responses does not support.
    """
    return _opened(body, _SURFACE, _KNOWN)


def _opened(
    body: Mapping[str, Any], surface: str, known: Collection[str], items_known: Collection[str] = ()
) -> tuple[dict[str, Any], list[str]]:
    asked, left_out = take_parameters(body, surface=surface, said_otherwise=_HERE, known=known)
    items, notes = plain_items(body.get("input"), surface, also=items_known)
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
        # Other types than function too: what a model accepts changes, and a refusal costs nothing and names the type.
        opened["tools"] = tools
    return opened, [*notes, *left_out_note(surface, left_out)]


def _item(item: Item) -> Item:
    if item["type"] in _APPROVALS:  # the id of one is named by the other
        return {key: value for key, value in item.items() if key != "status" and value is not None}
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
