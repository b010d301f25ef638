"""Output items that a server sent, normalised for the rest of the bridge, the store and later requests.

Citation markers are removed from texts, arguments are JSON text, ids of calls are unique and short, and a truncated
call has the status ``incomplete``, whatever the server said.
"""

import json
from typing import Any

from pydantic_core import from_json

from databricks_responses_mcp.responses.accumulator import Item
from databricks_responses_mcp.responses.answers import ANSWERED_TYPES
from databricks_responses_mcp.responses.citation_markers import without_markers
from databricks_responses_mcp.responses.edited_text import EditedText
from databricks_responses_mcp.responses.json_in_text import is_json
from databricks_responses_mcp.responses.plain_items import as_text
from databricks_responses_mcp.responses.unique_ids import unique_calls

_WITH_ARGUMENTS = frozenset({"function_call", "mcp_call", "mcp_approval_request"})


def received_items(output: list[Item], status: str) -> list[Item]:
    """Return the items of a response, normalised.

    Args:
        output: the items as received.
        status: the response's.
    """
    last = len(output) - 1
    return unique_calls(_item(item, status, is_last=number == last) for number, item in enumerate(output))


def is_cut_call(item: Item) -> bool:
    """Return whether the item is a call that its server did not finish."""
    return str(item.get("type")) in ANSWERED_TYPES and item.get("status") == "incomplete"


def _item(item: Item, status: str, *, is_last: bool) -> Item:
    kind = str(item.get("type"))
    if kind == "message":
        return _message(item)
    if kind in _WITH_ARGUMENTS:
        item = {**item, "arguments": _arguments(item.get("arguments"))}
    if kind in ANSWERED_TYPES and _is_cut(item, status, is_last=is_last):
        return {**item, "status": "incomplete"}
    return item


def _arguments(value: Any) -> str:
    """Return arguments as JSON text; servers send an empty text, null, or the object itself."""
    text = as_text(value).strip()
    return "{}" if text in ("", "null") else as_text(value)


def _is_cut(item: Item, status: str, *, is_last: bool) -> bool:
    if item.get("status") == "incomplete":
        return True
    if item["type"] in _WITH_ARGUMENTS:
        # Arguments that are JSON are complete. Others in a complete response are the model's own (the caller may still
        # read them), unless they are the beginning of JSON.
        text = item["arguments"]
        return not is_json(text) and (status != "completed" or _is_beginning(text))
    return status != "completed" and (
        item.get("status") == "in_progress" or (is_last and item.get("status") != "completed")
    )


def _is_beginning(text: str) -> bool:
    """Return whether more text could make it JSON."""
    try:
        json.JSONDecoder().raw_decode(text.lstrip())
    except (ValueError, RecursionError):
        pass
    else:
        return False  # a complete value, followed by more text
    try:
        from_json(text, allow_partial="trailing-strings")
    except ValueError:
        return False
    return True


def _message(item: Item) -> Item:
    content = item.get("content")
    if isinstance(content, str):
        return {**item, "content": without_markers(content).text}
    if not isinstance(content, list):
        return item
    return {**item, "content": [_part(part) for part in content]}


def _part(part: Any) -> Any:
    if not isinstance(part, dict) or not isinstance(part.get("text"), str):
        return part
    clean = without_markers(part["text"])
    notes = part.get("annotations")
    placed = {"annotations": [_placed(note, clean) for note in notes]} if isinstance(notes, list) else {}
    return {**part, "text": clean.text, **placed}


def _placed(note: Any, clean: EditedText) -> Any:
    if not isinstance(note, dict):
        return note
    note = flat_annotation(note)
    places = {key: note[key] for key in ("start_index", "end_index") if type(note.get(key)) is int}
    return {**note, **{key: clean.place(value) for key, value in places.items()}}


def flat_annotation(note: dict[str, Any]) -> dict[str, Any]:
    """Return an annotation in the format of the Responses API; the chat API nests its fields under the name of its
    type.
    """
    nested = note.get("url_citation")
    return {**nested, "type": "url_citation"} if isinstance(nested, dict) else note
