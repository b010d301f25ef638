"""No secret of the process is in anything that a host gets, or in what is kept."""

import json
from pathlib import Path
from typing import Any

import pytest

from databricks_workspace_emulator.server import RunningEmulator
from harness import Connect
from harness.raw_server import answer, raw_server

pytestmark = pytest.mark.anyio

ASK = "ask_databricks_model"


def stream(token: str) -> bytes:
    """An answer that repeats the token wherever an answer can say anything."""
    text = {"type": "output_text", "text": f"Your token is {token}.", "annotations": []}
    items: list[dict[str, Any]] = [
        {"type": "message", "id": "m", "role": "assistant", "content": [text]},
        {"type": "function_call", "call_id": "c", "name": f"f-{token}", "arguments": json.dumps({"a": token})},
        {"type": "odd", "id": "x", token: [token]},
    ]
    events = [{"type": "response.output_item.done", "output_index": n, "item": item} for n, item in enumerate(items)]
    response = {"id": f"resp-{token}", "status": "completed", "model": token, "output": items}
    events.append({"type": "response.completed", "response": response})
    return answer("".join(f"data: {json.dumps(event)}\n\n" for event in events).encode(), "text/event-stream")


async def test_a_token_that_a_model_repeats_is_in_no_result_and_not_kept(
    connect: Connect, emulator: RunningEmulator, tmp_path: Path
) -> None:
    async with raw_server(stream(emulator.token)) as (server, _), connect(host=server.host) as host:
        content, facts, failed = await host.call(ASK, prompt="hi", surface="responses")
        assert not failed
        assert facts["text"] == "Your token is [redacted]."
        assert facts["pending_calls"][0]["arguments"] == '{"a": "[redacted]"}'
        resource = await host.client.read_resource(f"conversation://{facts['conversation_id']}")
    seen = f"{content} {facts} {resource} {host.progress}"
    assert emulator.token not in seen
    kept = b"".join(path.read_bytes() for path in (tmp_path / "store").iterdir())
    assert emulator.token.encode() not in kept


async def test_a_token_in_an_error_or_a_listing_is_in_no_result(connect: Connect, emulator: RunningEmulator) -> None:
    token = emulator.token
    body = json.dumps({"error_code": "BAD_REQUEST", "message": f"no: {token}"}).encode()
    refusal = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with raw_server(refusal + body) as (server, _), connect(host=server.host) as host:
        content, facts, failed = await host.call(ASK, prompt="hi", surface="responses")
        listed = await host.call("list_databricks_models")
    assert failed
    assert "[redacted]" in facts["error"]["message"]
    assert token not in f"{content} {facts} {listed} {host.progress}"
