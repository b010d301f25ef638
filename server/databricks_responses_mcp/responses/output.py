"""Reading a response's output items: text, refusal, citations, pending calls, all other items.

Source: the ``Response`` object of the Responses API. Any field of an item may be missing; invalid values are ignored.
"""

from collections.abc import Mapping
from typing import Any

from databricks_responses_mcp.responses.accumulator import COMMENTARY, Item, part_text
from databricks_responses_mcp.responses.answers import ANSWERED_TYPES, answer_shape
from databricks_responses_mcp.responses.chat_usage import token_count
from databricks_responses_mcp.responses.citations import cited_span, without_links
from databricks_responses_mcp.responses.replay import MAX_ID

_OF_CALLS = (
    "type",
    "call_id",
    "name",
    "arguments",
    "input",
    "operation",
    "action",
    "actions",
    "pending_safety_checks",
    "server_label",
)


def answer_of(output: list[Item], *, is_whole: bool) -> list[Item]:
    """Return the messages that are the answer: all except commentary, which a model writes while it works.

    Args:
        is_whole: whether nothing more follows. Then commentary is the answer if there is no other message and no
            pending call.
    """
    messages = [item for item in output if item.get("type") == "message"]
    answer = [item for item in messages if item.get("phase") != COMMENTARY]
    if answer or not is_whole or _waiting(output):
        return answer
    return messages


def text_of(output: list[Item]) -> str:
    """Return the text of all messages, separated by a blank line."""
    return "\n\n".join(text for text in map(_message_text, output) if text)


def refusal_of(output: list[Item]) -> str:
    """Return the text of a refusal, or ""."""
    return "\n\n".join(
        part["refusal"]
        for item in output
        for part in _parts(item)
        if part.get("type") == "refusal" and isinstance(part.get("refusal"), str)
    )


def citations_of(output: list[Item]) -> list[dict[str, Any]]:
    """Return the annotations of all texts, with ``start_index`` and ``end_index`` counted in ``text_of``'s text.

    Each is the API's annotation, at the cited text instead of the link after it; ``quote`` is that text.
    """
    citations: list[dict[str, Any]] = []
    offset = 0
    for item in output:
        if not _message_text(item):
            continue
        for part in _parts(item):
            text = part_text(part)
            citations.extend(_citation(note, text, offset) for note in _notes(part))
            offset += len(text)
        offset += 2
    return citations


def pending_calls_of(output: list[Item]) -> list[dict[str, Any]]:
    """Return the calls that wait for the caller, each with the format of the input item that answers it."""
    pending: list[dict[str, Any]] = []
    for item in _waiting(output):
        call = {key: item[key] for key in _OF_CALLS if item.get(key) is not None}
        if item["type"] == "mcp_approval_request":
            call["approval_request_id"] = item.get("id")
        call["answer_with"] = answer_shape(item)
        pending.append(call)
    return pending


def other_items_of(output: list[Item], answer: list[Item] | None = None) -> list[Item]:
    """Return all items except plain messages, without data that a reader cannot use.

    This data is base64, encrypted reasoning, ids of more than 64 characters and the schemas of listed MCP tools, whose
    names are kept. A reasoning item without readable text is left out.

    Args:
        answer: the messages whose text is the answer; commentary among them is not listed again.
    """
    told = {id(item) for item in answer or () if not _has_more_than_text(item)}
    items: list[Item] = []
    for item in output:
        if _is_plain_answer(item) or id(item) in told:
            continue
        if item.get("type") == "reasoning" and not item.get("summary") and not item.get("content"):
            continue
        slim = {key: value for key, value in item.items() if not _is_bulk(item, key)}
        if item.get("type") == "mcp_list_tools" and isinstance(item.get("tools"), list):
            slim["tools"] = [_tool_name(tool) for tool in item["tools"]]
        items.append(slim)
    return items


def without_pending(items: list[Item], pending: list[dict[str, Any]]) -> list[Item]:
    """Return the items without those that ``pending`` repeats."""
    waiting = {(str(call.get("type")), str(call.get("approval_request_id") or call.get("call_id"))) for call in pending}

    def name(item: Item) -> tuple[str, str]:
        return str(item.get("type")), str(item.get("id" if item.get("type") == "mcp_approval_request" else "call_id"))

    return [item for item in items if name(item) not in waiting] if waiting else items


def pictures_of(output: list[Item]) -> list[Item]:
    """Return the ``image_generation_call`` items, with or without an image."""
    return [item for item in output if item.get("type") == "image_generation_call"]


def usage_of(fields: dict[str, Any]) -> dict[str, Any] | None:
    """Return token counts with the Responses API's names, or None; the chat API's names are translated.

    Counts are whole numbers of at least 0: one in text form is parsed, and invalid ones are left out.
    """
    usage = fields.get("usage")
    if not isinstance(usage, dict):
        return None
    usage = _counts(usage)
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


def _counts(usage: Mapping[str, Any]) -> dict[str, Any]:
    counts: dict[str, Any] = {}
    for name, value in usage.items():
        if type(value) is not int and isinstance(value, Mapping):
            counts[name] = _counts(value)
        elif name.endswith("tokens"):
            if (count := token_count(value)) is not None:
                counts[name] = count
        else:
            counts[name] = value
    return counts


def incomplete_reason_of(fields: dict[str, Any]) -> str | None:
    """Return why an incomplete response ended, for example ``max_output_tokens`` or ``content_filter``."""
    details = fields.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    return reason if isinstance(reason, str) else None


def _waiting(output: list[Item]) -> list[Item]:
    """Return the calls that wait for the caller: complete, and not answered by the server itself."""
    answered = {str(item.get("call_id")) for item in output if str(item.get("type", "")).endswith("_output")}
    return [
        item
        for item in output
        if str(item.get("type")) in ANSWERED_TYPES
        and item.get("output") is None
        and item.get("status") != "incomplete"
        and (item.get("call_id") is None or str(item["call_id"]) not in answered)
    ]


def _tool_name(tool: Any) -> Any:
    return tool["name"] if isinstance(tool, dict) and isinstance(tool.get("name"), str) else tool


def _is_plain_answer(item: Item) -> bool:
    """Return whether the item is a message that contains only text; commentary is listed separately."""
    return (
        item.get("type") == "message" and item.get("phase") in (None, "final_answer") and not _has_more_than_text(item)
    )


def _has_more_than_text(item: Item) -> bool:
    return not all(part.get("type") == "output_text" for part in _parts(item))


def _parts(item: Item) -> list[dict[str, Any]]:
    if item.get("type") != "message":
        return []
    content = item.get("content")
    if isinstance(content, str):
        return [{"type": "output_text", "text": content}]
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def _message_text(item: Item) -> str:
    return "".join(map(part_text, _parts(item)))


def _notes(part: dict[str, Any]) -> list[dict[str, Any]]:
    notes = part.get("annotations")
    return [note for note in notes if isinstance(note, dict)] if isinstance(notes, list) else []


def _citation(note: dict[str, Any], text: str, offset: int) -> dict[str, Any]:
    places = {key: note[key] for key in ("start_index", "end_index") if type(note.get(key)) is int}
    citation = {**note, **{key: place + offset for key, place in places.items()}}
    if len(places) == 2 and 0 <= places["start_index"] < places["end_index"] <= len(text):
        start, end = cited_span(text, places["start_index"], places["end_index"])
        if start < end:
            quote = without_links(text[start:end])
            citation |= {"start_index": start + offset, "end_index": end + offset, "quote": quote}
    return citation


def _is_bulk(item: Item, key: str) -> bool:
    """Return whether a value is base64, ciphertext or a long id, which a reader cannot use."""
    if item.get("type") == "image_generation_call" and key in ("result", "picture"):
        return True
    if key == "id":
        return isinstance(item[key], str) and len(item[key]) > MAX_ID
    return key == "encrypted_content"
