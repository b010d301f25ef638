"""Malformed upstream answers, through the real server over pipes: it keeps running and loses no content."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.raw_server import answer, raw_server
from harness.stdio_process import ASK, server

pytestmark = pytest.mark.anyio


def stream(*events: Any, end: bytes = b"") -> bytes:
    """Return server-sent events as an HTTP response; text is sent unchanged, other values as JSON with escapes."""
    lines = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    return answer(b"".join(b"data: " + line + b"\n\n" for line in lines) + end, "text/event-stream")


def message(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}], **more}


def done(item: dict[str, Any], **where: Any) -> dict[str, Any]:
    return {"type": "response.output_item.done", "item": item, **where}


def completed(*items: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "response.completed", "response": {"status": "completed", "output": list(items), **fields}}


def delta(text: str, **where: Any) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "delta": text, **where}


def nested(depth: int) -> Any:
    value: Any = "bottom"
    for _ in range(depth):
        value = [value]
    return value


CASES: dict[str, tuple[bytes, str]] = {
    "an emoji cut in two deltas": (
        stream(delta("hi \ud83d", output_index=0), delta("\ude00", output_index=0), end=b"data: [DONE]\n\n"),
        "hi 😀",
    ),
    "half an emoji for good": (stream(completed(message("half \ud83d"))), "half �"),
    "half an emoji in every field": (
        stream(
            completed(
                message("text"),
                {"type": "function_call", "call_id": "c\ud83d", "name": "f\ud83d", "arguments": '{"a": "\ud83d"}'},
                model="m\ud83d",
                id="r\ud83d",
            )
        ),
        "text",
    ),
    "a byte that is not UTF-8": (
        stream(b'{"type":"response.output_text.delta","delta":"Good \xff end"}', end=b"data: [DONE]\n\n"),
        "Good � end",
    ),
    "items that share one id": (
        stream(
            done(message("one", id="x")), done({"type": "web_search_call", "id": "x"}), done(message("two", id="x"))
        ),
        "one\n\ntwo",
    ),
    "items without ids": (stream(done(message("one")), done(message("two"))), "one\n\ntwo"),
    "deltas under another id than the item": (
        stream(delta("same", item_id="a"), done(message("same", id="b"))),
        "same",
    ),
    "content as a plain string": (
        stream(delta("plain", item_id="a"), done({"type": "message", "role": "assistant", "content": "plain"})),
        "plain",
    ),
    "an unknown event with an error field": (
        stream({"type": "databricks.trace", "error": "ignored"}, completed(message("fine"))),
        "fine",
    ),
    "nothing after the end mark is waited for": (
        stream(done(message("ended")), end=b"data: [DONE]\n\n").replace(b"\r\n0\r\n\r\n", b"\r\n"),
        "ended",
    ),
    "events labelled as JSON": (
        stream(completed(message("labelled"))).replace(b"text/event-stream", b"application/json"),
        "labelled",
    ),
    "an item that nests hundreds deep": (stream(completed(message("deep"), {"type": "x", "v": nested(400)})), "deep"),
    "a summary that is no list": (stream(completed({"type": "reasoning", "summary": "text"}, message("sum"))), "sum"),
    "a call id that is no text": (
        stream(completed({"type": "function_call", "call_id": ["c"], "name": "f", "arguments": "{}"}, message("id"))),
        "id",
    ),
    "a large result that is no picture": (
        stream(completed({"type": "program_output", "result": "A" * 70_000}, message("big"))),
        "big",
    ),
}


async def test_every_answer_arrives_and_the_server_keeps_running(tmp_path: Path) -> None:
    got: dict[str, str] = {}
    async with raw_server(b"") as (upstream, _):
        env = {
            "DATABRICKS_HOST": upstream.host,
            "DATABRICKS_TOKEN": "t",
            "RESPONSES_MCP_MODEL": "m",
            "HOME": str(tmp_path),
        }
        async with server(env) as raw:
            await raw.initialize()
            for number, (name, (sent, _)) in enumerate(CASES.items(), 1):
                upstream.answer = sent
                call = {"name": ASK, "arguments": {"prompt": "Hi"}, "_meta": {"progressToken": number}}
                result = (await raw.ask(number, "tools/call", **call))["result"]
                got[name] = result["structuredContent"].get("text", str(result["structuredContent"]))
                assert not result["isError"], (name, result["content"])
    assert got == {name: text for name, (_, text) in CASES.items()}
