"""The ``max_output_tokens`` that the bridge adds is left out where an endpoint takes none; a caller's never is."""

import json
from typing import Any

import pytest

from databricks_responses_mcp.calls.advice import mcp_words
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.turns.ask import AskRequest, ask
from databricks_responses_mcp.turns.compaction import compact
from harness.raw_server import RawServer, answer, raw_server

pytestmark = pytest.mark.anyio

FINE = answer(
    b'data: {"type":"response.completed","response":{"status":"completed","output":[{"type":"message",'
    b'"role":"assistant","content":[{"type":"output_text","text":"fine"}]}]}}\n\n',
    "text/event-stream",
)


def refusal(detail: str, status: str = "400 Bad Request") -> bytes:
    body = json.dumps({"detail": detail}).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


NO_CAP = refusal("Unsupported parameter: max_output_tokens")


def caps(server: RawServer) -> list[Any]:
    """The ``max_output_tokens`` of each request to a model."""
    return [json.loads(body).get("max_output_tokens") for body in server.requests if body]


async def test_a_default_that_is_refused_is_left_out_and_that_is_remembered() -> None:
    async with raw_server(FINE) as (server, bridge):
        server.first = [NO_CAP]
        first = await ask(bridge, AskRequest(prompt="Hi", model="capless"))
        await ask(bridge, AskRequest(prompt="On", conversation_id=first.conversation_id))
        await ask(bridge, AskRequest(prompt="Hi", model="capless"))
        await ask(bridge, AskRequest(prompt="Hi", model="another"))
        assert (first.text, caps(server)) == ("fine", [16384, None, None, None, 16384])


async def test_a_summary_leaves_a_refused_default_out_as_a_turn_does() -> None:
    async with raw_server(FINE) as (server, bridge):
        first = await ask(bridge, AskRequest(prompt="Hi", model="capless"))
        server.first = [NO_CAP]
        summary = await compact(bridge, str(first.conversation_id))
        await ask(bridge, AskRequest(prompt="On", conversation_id=first.conversation_id))
        assert (summary.text, caps(server)) == ("fine", [16384, 16384, None, None])


async def test_a_maximum_that_the_caller_gave_is_never_left_out() -> None:
    async with raw_server(NO_CAP) as (server, bridge):
        with pytest.raises(BridgeError):
            await ask(bridge, AskRequest(prompt="Hi", model="capless", max_output_tokens=16384))
        assert caps(server) == [16384]


@pytest.mark.parametrize("setting", ["max_output_tokens", "daily_token_budget"])
async def test_a_limit_of_the_administrator_is_not_given_up(setting: str) -> None:
    async with raw_server(NO_CAP, **{setting: 1000}) as (server, bridge):
        with pytest.raises(BridgeError) as caught:
            await ask(bridge, AskRequest(prompt="Hi", model="capless"))
        assert caps(server) == [1000]
    assert f"RESPONSES_MCP_{setting.upper()}" in caught.value.full_hint(mcp_words)


@pytest.mark.parametrize(
    "other", [refusal("The prompt is empty"), refusal("max_output_tokens", "500 Internal Server Error")]
)
async def test_another_failure_is_no_reason_to_leave_it_out(other: bytes) -> None:
    async with raw_server(other) as (server, bridge):
        with pytest.raises(BridgeError):
            await ask(bridge, AskRequest(prompt="Hi", model="capless"))
        assert set(caps(server)) == {16384}


@pytest.mark.parametrize(
    ("predictions", "text"),
    [(["forty-two", "43"], "forty-two\n43"), ([{"score": 0.5}], '[{"score": 0.5}]'), (None, "null")],
)
@pytest.mark.parametrize("surface", ["invocations", "responses"])
async def test_a_custom_model_that_predicts_is_told_as_one_with_what_it_predicted(
    predictions: Any, text: str, surface: str
) -> None:
    body = answer(json.dumps({"predictions": predictions}).encode(), "application/json")
    async with raw_server(body) as (server, bridge):
        with pytest.raises(BridgeError) as caught:
            await ask(bridge, AskRequest(prompt="Hi", model="my-pyfunc", surface=surface))
        assert len(caps(server)) == 1
    error = caught.value
    assert (error.code, error.retryable, error.partial["text"]) == (ErrorCode.UNSUPPORTED_BY_MODEL, False, text)
    assert "predictions" in error.message
