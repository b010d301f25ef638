"""Answers made in advance: the events of one response as a workspace sends them, as bytes."""

import base64
import json
import random
import re
import struct
import zlib
from typing import Any

TEXT_MODEL = "canned-text"
SMALL_PICTURE_MODEL = "canned-small-picture"
LARGE_PICTURE_MODEL = "canned-large-picture"
"""The upstream answers by the model asked for."""

SIZED_MODEL = re.compile(rb'"model": ?"canned-(deltas|citations|calls|arguments)-([0-9]+)"')
"""Such a model answers with so many of them: see `sized_model`; ``arguments`` are bytes."""

ANSWER_DELTAS = 20
"""Deltas of the text answer: a sentence or two."""

_WORDS = [
    "",
    "the",
    "lake",
    "keeps",
    "what",
    "a",
    "stream",
    "brings",
    "and",
    "a",
    "table",
    "says",
    "when",
    "each",
    "of",
    "them",
    "came",
    "to",
    "be",
    "there",
]


def response_object(output: list[dict[str, Any]], status: str = "completed") -> dict[str, Any]:
    """A response with the fields that the API gives it."""
    return {
        "id": "resp_0c8f2f8c9a7b4c1d9e5f60718293a4b5",
        "object": "response",
        "created_at": 1769900000,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": 16384,
        "model": "gpt-5-2025-08-07",
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": "medium", "summary": None},
        "service_tier": "default",
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": {
            "input_tokens": 14,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 24,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 38,
        },
        "user": None,
        "metadata": {},
    }


def text_events(deltas: int) -> list[dict[str, Any]]:
    """Every event of a text answer, in the API's order."""
    item_id = "msg_68f0c1d2e3f4a5b6c7d8e9f0a1b2c3d4"
    where = {"item_id": item_id, "output_index": 0, "content_index": 0}
    words = [f" {_WORDS[n % len(_WORDS)]}" for n in range(deltas)]
    text = "".join(words)
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
    item = {"id": item_id, "type": "message", "status": "completed", "role": "assistant", "content": [part]}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": response_object([], "in_progress")},
        {"type": "response.in_progress", "response": response_object([], "in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **where, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **where, "delta": word, "logprobs": []} for word in words),
        {"type": "response.output_text.done", **where, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **where, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": response_object([item])},
    ]
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def sized_model(kind: str, count: int) -> str:
    """The model that answers with ``count`` of a kind: deltas, citations, calls, or bytes of a call's arguments."""
    return f"canned-{kind}-{count}"


def sized_events(kind: str, count: int) -> list[dict[str, Any]]:
    """Every event of the answer of a sized model."""
    if kind == "deltas":
        return text_events(count)
    if kind == "citations":
        return citation_events(count)
    if kind == "calls":
        return call_events([json.dumps({"path": f"src/module_{n}.py", "line": n}) for n in range(count)])
    return call_events([json.dumps({"path": "src/module.py", "content": prose(count)})])


def citation_events(count: int) -> list[dict[str, Any]]:
    """Every event of a text answer in which each sentence cites a page of its own."""
    item_id = "msg_68f0c1d2e3f4a5b6c7d8e9f0a1b2c3d4"
    where = {"item_id": item_id, "output_index": 0, "content_index": 0}
    sentences = [f"The lake keeps what stream {n} brings. " for n in range(count)]
    annotations, at = [], 0
    for n, sentence in enumerate(sentences):
        cited = {"url": f"https://lakes.example/pages/{n}?from=search", "title": f"What stream {n} brings"}
        annotations.append({"type": "url_citation", "start_index": at, "end_index": at + len(sentence) - 1, **cited})
        at += len(sentence)
    text = "".join(sentences)
    part = {"type": "output_text", "annotations": annotations, "logprobs": [], "text": text}
    item = {"id": item_id, "type": "message", "status": "completed", "role": "assistant", "content": [part]}
    added = "response.output_text.annotation.added"
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": response_object([], "in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **where, "part": {**part, "text": "", "annotations": []}},
        *({"type": "response.output_text.delta", **where, "delta": text[n : n + 400]} for n in range(0, at, 400)),
        *({"type": added, **where, "annotation_index": n, "annotation": a} for n, a in enumerate(annotations)),
        {"type": "response.output_text.done", **where, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **where, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": response_object([item])},
    ]
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def call_events(arguments: list[str]) -> list[dict[str, Any]]:
    """Every event of an answer that calls a function once with each of these arguments."""
    events: list[dict[str, Any]] = [{"type": "response.created", "response": response_object([], "in_progress")}]
    items = []
    for index, text in enumerate(arguments):
        item_id = f"fc_68f0c1d2e3f4a5b6c7d8e9f0{index:08x}"
        where = {"item_id": item_id, "output_index": index}
        item = {"id": item_id, "type": "function_call", "status": "completed", "name": "write_file"}
        item |= {"call_id": f"call_{index:016x}", "arguments": text}
        added = {**item, "status": "in_progress", "arguments": ""}
        kind = "response.function_call_arguments"
        events += [
            {"type": "response.output_item.added", "output_index": index, "item": added},
            *({"type": f"{kind}.delta", **where, "delta": text[n : n + 4096]} for n in range(0, len(text), 4096)),
            {"type": f"{kind}.done", **where, "arguments": text},
            {"type": "response.output_item.done", "output_index": index, "item": item},
        ]
        items.append(item)
    events.append({"type": "response.completed", "response": response_object(items)})
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def prose(characters: int) -> str:
    """So many characters of lines of words."""
    line = " ".join(_WORDS[1:]) + "\n"
    return (line * (characters // len(line) + 1))[:characters]


def picture_events(base64_text: str) -> list[dict[str, Any]]:
    """Every event of a picture answer: the picture is in it twice, as the API sends it."""
    item_id = "ig_68f0c1d2e3f4a5b6c7d8e9f0a1b2c3d4"
    where = {"item_id": item_id, "output_index": 0}
    item = {
        "id": item_id,
        "type": "image_generation_call",
        "status": "completed",
        "background": "opaque",
        "output_format": "png",
        "quality": "high",
        "revised_prompt": "Noise, every pixel of a colour of its own.",
        "size": "1024x1024",
        "result": base64_text,
    }
    begun = {"id": item_id, "type": "image_generation_call", "status": "in_progress", "result": None}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": response_object([], "in_progress")},
        {"type": "response.in_progress", "response": response_object([], "in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": begun},
        {"type": "response.image_generation_call.in_progress", **where},
        {"type": "response.image_generation_call.generating", **where},
        {"type": "response.image_generation_call.completed", **where},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": response_object([item])},
    ]
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def server_sent(event: dict[str, Any]) -> bytes:
    """One event as it goes over the wire."""
    return f"event: {event['type']}\ndata: {json.dumps(event, separators=(',', ':'))}\n\n".encode()


def text_json(deltas: int) -> bytes:
    """The same answer as one JSON body, for a client that does not stream."""
    response = text_events(deltas)[-1]["response"]
    return json.dumps(response, separators=(",", ":")).encode()


def chat_json(deltas: int) -> bytes:
    """The same answer as one body of the Chat Completions API, which some peers use."""
    text = text_events(deltas)[-1]["response"]["output"][0]["content"][0]["text"]
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 14, "completion_tokens": 24, "total_tokens": 38}
    answer = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1769900000, "model": "gpt-5"}
    return json.dumps({**answer, "choices": [choice], "usage": usage}, separators=(",", ":")).encode()


def noise_png(width: int, height: int) -> bytes:
    """A real RGB picture of noise, so about ``3 * width * height`` bytes long; the same at every call."""
    noise = random.Random(7)
    rows = b"".join(b"\0" + noise.randbytes(3 * width) for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def as_base64(data: bytes) -> str:
    """Base64 without line breaks, as JSON carries it."""
    return base64.b64encode(data).decode("ascii")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
