"""What a response says, read from its output items: text, refusal, citations, calls that wait, everything else.

Source: the ``Response`` object of the Responses API. No field of an item is certain; what is odd is passed over, not
raised.
"""

from typing import Any

from databricks_responses_mcp.responses.answers import answer_shape
from databricks_responses_mcp.responses.assembly import Item

_WAITING = frozenset({"function_call", "custom_tool_call", "apply_patch_call", "shell_call", "mcp_approval_request"})


def text_of(output: list[Item]) -> str:
    """The text of all messages; messages are parted by a blank line."""
    return "\n\n".join(text for text in map(_message_text, output) if text)


def refusal_of(output: list[Item]) -> str:
    """What the model said in refusing, or ""."""
    return "\n\n".join(
        part["refusal"]
        for item in output
        for part in _parts(item)
        if part.get("type") == "refusal" and isinstance(part.get("refusal"), str)
    )


def citations_of(output: list[Item]) -> list[dict[str, Any]]:
    """The annotations of all texts, with ``start_index`` and ``end_index`` counted in ``text_of``'s text.

    Each is the API's annotation, with ``quote`` added: the words that it stands on.
    """
    citations: list[dict[str, Any]] = []
    offset = 0
    for item in output:
        if not _message_text(item):
            continue
        for part in _parts(item):
            text = _part_text(part)
            citations.extend(_citation(note, text, offset) for note in _notes(part))
            offset += len(text)
        offset += 2
    return citations


def pending_calls_of(output: list[Item]) -> list[dict[str, Any]]:
    """The calls that wait for the caller, each with the shape of the input item that answers it."""
    pending: list[dict[str, Any]] = []
    for item in output:
        kind = item.get("type")
        if kind not in _WAITING or item.get("output") is not None or item.get("status") == "incomplete":
            continue
        call = {
            key: item[key]
            for key in ("type", "call_id", "name", "arguments", "input", "operation", "action", "server_label")
            if item.get(key) is not None
        }
        if kind == "mcp_approval_request":
            call["approval_request_id"] = item.get("id")
        call["answer_with"] = answer_shape(item)
        pending.append(call)
    answered = {str(item.get("call_id")) for item in output if str(item.get("type", "")).endswith("_output")}
    return [call for call in pending if call.get("call_id") is None or str(call["call_id"]) not in answered]


def other_items_of(output: list[Item]) -> list[Item]:
    """All items but plain messages, as the API gave them, without base64 and without encrypted reasoning.

    A reasoning item with nothing to read is left out.
    """
    items: list[Item] = []
    for item in output:
        if _is_plain_answer(item):
            continue
        slim = {key: value for key, value in item.items() if not _is_bulk(item, key)}
        if item.get("type") == "reasoning" and not item.get("summary") and not item.get("content"):
            continue
        items.append(slim)
    return items


def pictures_of(output: list[Item]) -> list[Item]:
    """The ``image_generation_call`` items, with or without a picture."""
    return [item for item in output if item.get("type") == "image_generation_call"]


def usage_of(fields: dict[str, Any]) -> dict[str, Any] | None:
    """Token counts under the Responses API's names; the chat API's names are translated."""
    usage = fields.get("usage")
    if not isinstance(usage, dict):
        return None
    if "input_tokens" in usage or "prompt_tokens" not in usage:
        return usage
    translated: dict[str, Any] = {"input_tokens": usage["prompt_tokens"]}
    if "completion_tokens" in usage:
        translated["output_tokens"] = usage["completion_tokens"]
    if "total_tokens" in usage:
        translated["total_tokens"] = usage["total_tokens"]
    if isinstance(usage.get("reasoning_tokens"), int):
        translated["output_tokens_details"] = {"reasoning_tokens": usage["reasoning_tokens"]}
    return translated


def incomplete_reason_of(fields: dict[str, Any]) -> str | None:
    """Why an incomplete response stopped; open-ended, e.g. ``max_output_tokens`` or ``content_filter``."""
    details = fields.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    return reason if isinstance(reason, str) else None


def _is_plain_answer(item: Item) -> bool:
    """A message that is text and nothing else; what is not the answer proper, such as commentary, is told apart."""
    return (
        item.get("type") == "message"
        and item.get("phase") in (None, "final_answer")
        and all(part.get("type") == "output_text" for part in _parts(item))
    )


def _parts(item: Item) -> list[dict[str, Any]]:
    if item.get("type") != "message":
        return []
    content = item.get("content")
    if isinstance(content, str):
        return [{"type": "output_text", "text": content}]
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def _part_text(part: dict[str, Any]) -> str:
    text = part.get("text")
    return text if part.get("type") in ("output_text", "text") and isinstance(text, str) else ""


def _message_text(item: Item) -> str:
    return "".join(map(_part_text, _parts(item)))


def _notes(part: dict[str, Any]) -> list[dict[str, Any]]:
    notes = part.get("annotations")
    return [note for note in notes if isinstance(note, dict)] if isinstance(notes, list) else []


def _citation(note: dict[str, Any], text: str, offset: int) -> dict[str, Any]:
    start, end = note.get("start_index"), note.get("end_index")
    if not isinstance(start, int) or not isinstance(end, int):
        return dict(note)
    citation = {**note, "start_index": start + offset, "end_index": end + offset}
    if 0 <= start < end <= len(text):
        citation["quote"] = text[start:end]
    return citation


def _is_bulk(item: Item, key: str) -> bool:
    """Base64 and ciphertext: long, and nothing that a reader could use."""
    if item.get("type") == "image_generation_call":
        return key in ("result", "picture")
    return key == "encrypted_content"
