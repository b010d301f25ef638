"""A server that gives every call the same id."""

import json
from typing import Any

import pytest

from databricks_responses_mcp.turns.ask import Question, ask
from databricks_responses_mcp.turns.turn import answer_calls
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
        outcome = await ask(bridge, Question(prompt="Go", model="m", tools=[TOOL]))
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
