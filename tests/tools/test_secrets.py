"""No secret of the process is in anything that a host gets, or in what is kept."""

import json
from pathlib import Path
from typing import Any

import pytest

from databricks_responses_mcp.turns.ask import AskRequest, ask
from databricks_responses_mcp.turns.bridge import open_bridge
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_workspace_emulator.server import RunningEmulator
from harness import Connect, settings_for
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


async def test_a_token_that_a_model_repeats_is_in_no_result_and_not_stored(
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


@pytest.mark.parametrize("place", ["authorization", "headers"])
@pytest.mark.parametrize("argument", ["tools", "extra"])
async def test_a_callers_secret_for_an_mcp_server_is_in_no_result_and_not_stored(
    connect: Connect, tmp_path: Path, place: str, argument: str
) -> None:
    secret = "odd+shaped/secret"
    given = {"authorization": secret} if place == "authorization" else {"headers": {"X-Key": secret}}
    tools = [{"type": "mcp", "server_label": "own", "server_url": "https://mcp.example.com", **given}]
    arguments = {"tools": tools} if argument == "tools" else {"extra": {"tools": tools}}
    async with raw_server(stream(secret)) as (server, _), connect(host=server.host) as host:
        content, facts, failed = await host.call(ASK, prompt="hi", surface="responses", **arguments)
        assert (failed, facts["text"]) == (False, "Your token is [redacted].")
        resource = await host.client.read_resource(f"conversation://{facts['conversation_id']}")
    assert secret not in f"{content} {facts} {resource} {host.progress}"
    kept = b"".join(path.read_bytes() for path in (tmp_path / "store").iterdir())
    assert secret.encode() not in kept


async def test_a_secret_that_a_caller_gave_is_not_shown_of_an_answer_in_flight(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    """What has arrived is shown, and stored, while the call still runs."""
    secret = "odd+shaped/secret"
    tool = {
        "type": "mcp",
        "server_label": "own",
        "server_url": "https://mcp.example.com",
        "headers": {"X-Key": secret},
    }
    async with raw_server(stream(secret)) as (server, _):
        settings = settings_for(emulator, tmp_path, host=server.host)
        async with open_bridge(settings, {}) as bridge:
            call = CallContext.start(settings)
            await ask(
                bridge, AskRequest(prompt="hi", model="databricks-gpt-5", surface="responses", tools=[tool]), call
            )
    assert call.partial.structured()["text"] == "Your token is [redacted]."
    assert secret not in json.dumps(call.partial.structured())


async def test_a_callers_secrets_do_not_displace_the_workspaces(connect: Connect, emulator: RunningEmulator) -> None:
    many = {f"X-{number}": f"value-{number:06}" for number in range(600)}
    tools = [{"type": "mcp", "server_label": "own", "server_url": "https://mcp.example.com", "headers": many}]
    async with raw_server(stream(emulator.token)) as (server, _), connect(host=server.host) as host:
        _, facts, _ = await host.call(ASK, prompt="hi", surface="responses", tools=tools)
    assert facts["text"] == "Your token is [redacted]."


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
