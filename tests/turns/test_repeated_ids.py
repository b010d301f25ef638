"""A server that gives every call the same id."""

import json
from typing import Any

import pytest

from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.store.records import ConversationState, Turn
from databricks_responses_mcp.turns.ask import AskRequest, ask
from databricks_responses_mcp.turns.call_outputs import answer_calls
from harness.raw_server import answer, raw_server

pytestmark = pytest.mark.anyio

TOOL = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}


def called(*arguments: str) -> bytes:
    output = [{"type": "function_call", "call_id": "call_0", "name": "f", "arguments": given} for given in arguments]
    event = {"type": "response.completed", "response": {"status": "completed", "output": output}}
    return answer(f"data: {json.dumps(event)}\n\n".encode(), "text/event-stream")


def sent(body: bytes) -> list[tuple[Any, ...]]:
    items = json.loads(body)["input"]
    return [(item["call_id"], item.get("arguments", item.get("output"))) for item in items if "call_id" in item]


async def test_calls_with_one_id_are_answered_each_by_itself_in_one_answer_and_in_later_turns() -> None:
    async with raw_server(called("[1]", "[2]")) as (server, bridge):
        outcome = await ask(bridge, AskRequest(prompt="Go", model="m", tools=[TOOL]))
        assert [call["call_id"] for call in outcome.pending_calls] == ["call_0", "call_0_2"]
        first = [{"call_id": "call_0_2", "output": "two"}, {"call_id": "call_0", "output": "one"}]
        outcome = await answer_calls(bridge, str(outcome.conversation_id), first)
        assert [call["call_id"] for call in outcome.pending_calls] == ["call_0_3", "call_0_2_2"]
        second = [{"call_id": call["call_id"], "output": "again"} for call in outcome.pending_calls]
        await answer_calls(bridge, str(outcome.conversation_id), second)
        requests = [request for request in server.requests if request]
    assert sent(requests[-1]) == [
        ("call_0", "[1]"),
        ("call_0_2", "[2]"),
        ("call_0", "one"),
        ("call_0_2", "two"),
        ("call_0_3", "[1]"),
        ("call_0_2_2", "[2]"),
        ("call_0_3", "again"),
        ("call_0_2_2", "again"),
    ]


async def test_items_of_one_id_in_later_turns_are_told_apart() -> None:
    said = {"type": "message", "id": "msg_0", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}
    event = {"type": "response.completed", "response": {"status": "completed", "output": [said]}}
    async with raw_server(answer(f"data: {json.dumps(event)}\n\n".encode(), "text/event-stream")) as (server, bridge):
        conversation: str | None = None
        for _ in range(3):
            outcome = await ask(bridge, AskRequest(prompt="Go", model="m", conversation_id=conversation))
            conversation = outcome.conversation_id
    items = json.loads(server.requests[-1])["input"]
    assert [item["id"] for item in items if "id" in item] == ["msg_0", "msg_0_2"]


async def test_pending_calls_of_one_id_that_an_earlier_version_kept_can_be_answered() -> None:
    def call(arguments: str) -> dict[str, Any]:
        return {"type": "function_call", "call_id": "c", "name": "f", "arguments": arguments}

    turns = [
        kept(1, [{"type": "message", "role": "user", "content": "Go"}], [call("[0]")]),
        kept(2, [{"type": "function_call_output", "call_id": "c", "output": "zero"}], [call("[1]"), call("[2]")]),
    ]
    waiting = [{**call(given), "answer_with": {"call_id": "c"}} for given in ("[1]", "[2]")]
    async with raw_server(called()) as (server, bridge):
        for turn in turns:
            await bridge.store.add_turn("conv_old", turn, ConversationState(endpoint="m", pending=waiting), title="Go")
        with pytest.raises(BridgeError) as caught:
            await ask(bridge, AskRequest(prompt="And?", conversation_id="conv_old"))
        assert "waits for the outputs of c_2, c_3" in caught.value.message
        outputs = [{"call_id": "c_3", "output": "two"}, {"call_id": "c_2", "output": "one"}]
        await answer_calls(bridge, "conv_old", outputs)
    assert sent(server.requests[-1]) == [
        ("c", "[0]"),
        ("c", "zero"),
        ("c_2", "[1]"),
        ("c_3", "[2]"),
        ("c_2", "one"),
        ("c_3", "two"),
    ]


def kept(number: int, said: list[dict[str, Any]], items: list[dict[str, Any]]) -> Turn:
    return Turn(
        number=number,
        endpoint="m",
        model="m",
        said=said,
        items=items,
        status="completed",
        created_at=1.0,
        response_id=None,
        usage=None,
    )
