"""A real small model behind llama.cpp's own server, at Databricks' own paths."""

import json
from pathlib import Path

import pytest

from harness.foreign_server import ForeignServer
from harness.llama_cpp import MODEL
from harness.upstream_checks import (
    CHAT_TEXT,
    TEXT,
    answers,
    bridge_to,
    calls_a_function,
    is_cancelled,
    loses_the_connection,
    refuses_the_key,
    streams,
)

pytestmark = pytest.mark.anyio
TEXTS = {"responses": TEXT, "chat": CHAT_TEXT}


@pytest.fixture(params=list(TEXTS))
def surface(request: pytest.FixtureRequest) -> str:
    """Each of the two ways in which the server speaks with the model."""
    return str(request.param)


async def test_a_conversation_has_a_second_turn(model_server: ForeignServer, tmp_path: Path, surface: str) -> None:
    async with bridge_to(model_server, tmp_path, model=MODEL, surface=surface) as (bridge, tap):
        first = await answers(bridge, "My name is Ada. Say hello.")
        await answers(bridge, "What is my name?", conversation_id=first["conversation_id"])
    path = {"responses": "responses", "chat": "chat/completions"}[surface]
    asked = tap.posted()
    # Nothing is sent twice: a connection that the server is about to close is not used.
    assert [request.line for request in asked] == [f"POST /serving-endpoints/{path} HTTP/1.1"] * 2
    assert first["model"] == MODEL
    assert first["usage"]["output_tokens"] > 0
    said = asked[-1].body["input" if surface == "responses" else "messages"]
    assert [message["role"] for message in said] == ["user", "assistant", "user"]


async def test_the_way_to_a_model_is_found_out(model_server: ForeignServer, tmp_path: Path) -> None:
    async with bridge_to(model_server, tmp_path, model=MODEL) as (bridge, _):
        await answers(bridge)


async def test_text_is_shown_while_the_model_writes(model_server: ForeignServer, tmp_path: Path, surface: str) -> None:
    async with bridge_to(model_server, tmp_path, model=MODEL, surface=surface) as (bridge, tap):
        await streams(bridge, tap, text=TEXTS[surface])


async def test_the_model_calls_a_function_and_uses_what_it_returned(
    model_server: ForeignServer, tmp_path: Path, surface: str
) -> None:
    async with bridge_to(model_server, tmp_path, model=MODEL, surface=surface) as (bridge, _):
        call, answer = await calls_a_function(bridge)
    assert json.loads(call["arguments"]) == {"city": "Paris"}
    assert "21" in answer["text"]


async def test_a_cancelled_call_frees_the_model(model_server: ForeignServer, tmp_path: Path, surface: str) -> None:
    async with bridge_to(model_server, tmp_path, model=MODEL, surface=surface) as (bridge, tap):
        await is_cancelled(bridge, tap, text=TEXTS[surface])


async def test_what_came_before_the_connection_broke_is_kept(
    model_server: ForeignServer, tmp_path: Path, surface: str
) -> None:
    async with bridge_to(model_server, tmp_path, model=MODEL, surface=surface) as (bridge, tap):
        facts = await loses_the_connection(bridge, tap, text=TEXTS[surface])
    assert facts["error"]["code"] == "upstream_unavailable"


async def test_a_wrong_key_is_told_as_one(model_server: ForeignServer, tmp_path: Path, surface: str) -> None:
    error = await refuses_the_key(model_server, tmp_path, model=MODEL, surface=surface)
    assert (error["code"], error["retryable"]) == ("unauthenticated", False)


async def test_a_path_that_the_server_has_not_is_told_as_one(model_server: ForeignServer, tmp_path: Path) -> None:
    where = {"responses_path": "/nowhere/responses", "surface": "responses"}
    async with bridge_to(model_server, tmp_path, model=MODEL, **where) as (bridge, _):
        facts = await bridge.ask("Say hello.")
    assert facts["isError"]
    assert (facts["error"]["status"], facts["error"]["retryable"]) == (404, False)
