"""Conversations made shorter by a summary of their own model."""

import json
from typing import Any

import anyio
import pytest

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.turns import conversation_queries
from databricks_responses_mcp.turns.ask import AskRequest, ask
from databricks_responses_mcp.turns.bridge import Bridge, open_bridge
from databricks_responses_mcp.turns.call_outputs import answer_calls
from databricks_responses_mcp.turns.compaction import compact
from databricks_responses_mcp.turns.transcript import as_markdown
from databricks_workspace_emulator.server import RunningEmulator
from harness import settings_for
from harness.deadlines import DEADLINE_SECONDS
from harness.raw_server import RawServer, answer, raw_server

pytestmark = pytest.mark.anyio

WEATHER = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": False}


def sent(emulator: RunningEmulator) -> Any:
    return emulator.state.request_log.to("/responses")[-1].body


def words(items: list[Any]) -> list[str]:
    return [item["content"][0]["text"] for item in items if item["type"] == "message"]


async def talk(bridge: Bridge, emulator: RunningEmulator) -> str:
    """A conversation with reasoning and a call."""
    request = AskRequest(prompt="Weather?", tools=[WEATHER], reasoning_effort="low", instructions="Hm.")
    first = await ask(bridge, request)
    outputs = [{"call_id": first.pending_calls[0]["call_id"], "output": "22 degrees"}]
    await answer_calls(bridge, str(first.conversation_id), outputs)
    await ask(bridge, AskRequest(prompt="Bye [[no tools]]", conversation_id=first.conversation_id))
    return str(first.conversation_id)


async def test_a_summary_stands_for_the_earlier_turns_which_stay_readable(
    bridge: Bridge, emulator: RunningEmulator, tmp_path: Any
) -> None:
    conversation_id = await talk(bridge, emulator)
    summary = await compact(bridge, conversation_id)
    body = sent(emulator)
    assert [item["type"] for item in body["input"]][:4] == [
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
    ]
    assert body["input"][-1]["content"][0]["text"].startswith("Sum this conversation up")
    assert "tools" not in body
    assert body["instructions"] == "Hm."
    async with open_bridge(settings_for(emulator, tmp_path), {}) as other:
        await ask(other, AskRequest(prompt="And now? [[no tools]]", conversation_id=conversation_id))
        stored = await conversation_queries.read(other, conversation_id)
    body = sent(emulator)
    assert [item["type"] for item in body["input"]] == ["message", "message"]
    assert summary.text in words(body["input"])[0]
    assert words(body["input"])[1] == "And now? [[no tools]]"
    assert body["tools"] == [WEATHER]
    assert len(stored.turns) == 5
    told = as_markdown(stored)
    for said in ("Weather?", "22 degrees", "Bye", "replaces everything above", "And now?"):
        assert said in told


async def test_a_summary_can_be_summed_up_again_but_not_alone(bridge: Bridge, emulator: RunningEmulator) -> None:
    conversation_id = await talk(bridge, emulator)
    await compact(bridge, conversation_id)
    with pytest.raises(BridgeError) as raised:
        await compact(bridge, conversation_id)
    assert raised.value.code is ErrorCode.INVALID_ARGUMENT
    await ask(bridge, AskRequest(prompt="On [[no tools]]", conversation_id=conversation_id))
    second = await compact(bridge, conversation_id)
    await ask(bridge, AskRequest(prompt="And on [[no tools]]", conversation_id=conversation_id))
    assert len(sent(emulator)["input"]) == 2
    assert second.text in words(sent(emulator)["input"])[0]


async def test_calls_that_wait_are_answered_first(bridge: Bridge, emulator: RunningEmulator) -> None:
    first = await ask(bridge, AskRequest(prompt="Weather?", tools=[WEATHER]))
    with pytest.raises(BridgeError) as raised:
        await compact(bridge, str(first.conversation_id))
    assert raised.value.code is ErrorCode.INVALID_ARGUMENT
    assert len(emulator.state.request_log.to("/responses")) == 1


async def test_a_summary_that_was_not_finished_changes_nothing(bridge: Bridge, emulator: RunningEmulator) -> None:
    conversation_id = await talk(bridge, emulator)
    emulator.state.faults.add("failed:6")
    with pytest.raises(BridgeError):
        await compact(bridge, conversation_id)
    with emulator.state.hold(4) as hold:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(compact, bridge, conversation_id)
            with anyio.fail_after(DEADLINE_SECONDS):
                await hold.reached.wait()
            tasks.cancel_scope.cancel()
    await ask(bridge, AskRequest(prompt="And now? [[no tools]]", conversation_id=conversation_id))
    assert "function_call" in [item["type"] for item in sent(emulator)["input"]]


TOO_LONG = b'{"error": {"message": "Your input exceeds the context window.", "code": "context_length_exceeded"}}'
REFUSED = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(TOO_LONG)


def said(text: str) -> bytes:
    part = {"type": "output_text", "text": text, "annotations": []}
    message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [part]}
    response = {"id": "r", "object": "response", "status": "completed", "model": "gpt-5", "output": [message]}
    response["usage"] = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    event = {"type": "response.completed", "response": response}
    return answer(f"event: response.completed\ndata: {json.dumps(event)}\n\n".encode(), "text/event-stream")


def requests(server: RawServer) -> list[list[str]]:
    return [words(json.loads(request)["input"]) for request in server.requests]


async def test_what_is_too_long_even_to_be_summed_up_is_summed_up_in_parts() -> None:
    async with raw_server(said("Hi")) as (server, bridge):
        first = await ask(bridge, AskRequest(prompt="One", model="gpt"))
        for prompt in ("Two", "Three", "Four"):
            await ask(bridge, AskRequest(prompt=prompt, conversation_id=first.conversation_id))
        server.requests.clear()
        server.first = [REFUSED + TOO_LONG, said("earlier"), said("all")]
        summary = await compact(bridge, str(first.conversation_id))
    assert summary.text == "all"
    assert summary.usage == {"input_tokens": 20, "output_tokens": 10, "total_tokens": 30}
    whole, earlier, later = ([text for text in request[:-1] if text != "Hi"] for request in requests(server))
    assert whole == ["One", "Two", "Three", "Four"]
    assert earlier == ["One", "Two"]
    assert later[0].endswith("earlier")
    assert later[1:] == ["Three", "Four"]


async def test_what_cannot_be_summed_up_at_all_is_tried_a_few_times_only() -> None:
    async with raw_server(said("Hi")) as (server, bridge):
        first = await ask(bridge, AskRequest(prompt="One", model="gpt"))
        for prompt in map(str, range(40)):
            await ask(bridge, AskRequest(prompt=prompt, conversation_id=first.conversation_id))
        server.requests.clear()
        server.answer = REFUSED + TOO_LONG
        with pytest.raises(BridgeError) as raised:
            await compact(bridge, str(first.conversation_id))
    assert raised.value.code is ErrorCode.TOO_LARGE
    assert len(server.requests) <= 5


async def test_an_empty_summary_changes_nothing() -> None:
    async with raw_server(said("Hi")) as (server, bridge):
        first = await ask(bridge, AskRequest(prompt="One", model="gpt"))
        server.first = [said("")]
        with pytest.raises(BridgeError, match="no whole summary") as raised:
            await compact(bridge, str(first.conversation_id))
        await ask(bridge, AskRequest(prompt="Two", conversation_id=first.conversation_id))
    assert (raised.value.code, raised.value.retryable) == (ErrorCode.UPSTREAM_ERROR, True)
    # It was paid for.
    assert raised.value.partial["usage"] == {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    assert requests(server)[-1] == ["One", "Hi", "Two"]


async def test_one_prompt_that_is_too_long_to_be_summed_up_is_refused_as_too_long() -> None:
    async with raw_server(said("Hi")) as (server, bridge):
        first = await ask(bridge, AskRequest(prompt="One", model="gpt"))
        server.requests.clear()
        server.answer = REFUSED + TOO_LONG
        with pytest.raises(BridgeError) as raised:
            await compact(bridge, str(first.conversation_id))
    assert raised.value.code is ErrorCode.TOO_LARGE
    assert len(server.requests) == 1


async def test_a_summary_in_parts_never_parts_a_call_from_its_output() -> None:
    calls = [
        {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}", "name": "f", "arguments": "{}"}
        for number in range(6)
    ]
    asked = {"id": "r", "object": "response", "status": "completed", "model": "gpt-5", "output": calls}
    event = {"type": "response.completed", "response": asked}
    stream = answer(f"event: response.completed\ndata: {json.dumps(event)}\n\n".encode(), "text/event-stream")
    async with raw_server(said("Hi")) as (server, bridge):
        server.first = [stream]
        first = await ask(bridge, AskRequest(prompt="One", model="gpt", tools=[WEATHER]))
        outputs = [{"call_id": call["call_id"], "output": "22"} for call in first.pending_calls]
        await answer_calls(bridge, str(first.conversation_id), outputs)
        await ask(bridge, AskRequest(prompt="Two", conversation_id=first.conversation_id))
        server.requests.clear()
        server.first = [REFUSED + TOO_LONG, said("earlier"), said("all")]
        await compact(bridge, str(first.conversation_id))
    kinds = [[item["type"] for item in json.loads(request)["input"]] for request in server.requests]
    conversation = ["message", *["function_call"] * 6, *["function_call_output"] * 6, "message"]
    # Each request ends with the instruction to sum up; the last one begins with the earlier summary.
    assert kinds == [[*conversation, "message", "message", "message"], [*conversation, "message"], ["message"] * 4]
