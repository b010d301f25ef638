"""A real small model behind vLLM's own server, on the CPU."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.foreign_server import ForeignServer
from harness.upstream_checks import (
    CHAT_PATHS,
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
from harness.vllm import MODEL

pytestmark = pytest.mark.anyio
TEXTS = {"responses": TEXT, "chat": CHAT_TEXT}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="


@pytest.fixture(params=list(TEXTS))
def surface(request: pytest.FixtureRequest) -> str:
    """Each of the two APIs by which the server takes questions to the model."""
    return str(request.param)


@pytest.fixture
def settings(surface: str) -> dict[str, Any]:
    """How the bridge is told of the server."""
    return {"model": MODEL, "responses_path": "/v1/responses", "surface": surface, "paths": CHAT_PATHS}


async def test_a_conversation_has_a_second_turn(
    vllm_server: ForeignServer, settings: dict[str, Any], tmp_path: Path
) -> None:
    async with bridge_to(vllm_server, tmp_path, **settings) as (bridge, _):
        first = await answers(bridge, "My name is Ada. Say hello.")
        second = await answers(bridge, "What is my name?", conversation_id=first["conversation_id"])
    assert (first["model"], first.get("notes"), second.get("notes")) == (MODEL, None, None)
    assert first["usage"]["output_tokens"] > 0


async def test_text_is_shown_while_the_model_writes(
    vllm_server: ForeignServer, settings: dict[str, Any], surface: str, tmp_path: Path
) -> None:
    async with bridge_to(vllm_server, tmp_path, **settings) as (bridge, tap):
        await streams(bridge, tap, text=TEXTS[surface])


async def test_the_model_calls_a_function_and_uses_what_it_returned(
    vllm_server: ForeignServer, settings: dict[str, Any], tmp_path: Path
) -> None:
    async with bridge_to(vllm_server, tmp_path, **settings) as (bridge, _):
        call, answer = await calls_a_function(bridge)
    assert json.loads(call["arguments"]) == {"city": "Paris"}
    assert "21" in answer["text"]


async def test_a_cancelled_call_frees_the_model(
    vllm_server: ForeignServer, settings: dict[str, Any], surface: str, tmp_path: Path
) -> None:
    async with bridge_to(vllm_server, tmp_path, **settings) as (bridge, tap):
        await is_cancelled(bridge, tap, text=TEXTS[surface])


async def test_what_came_before_the_connection_broke_is_kept(
    vllm_server: ForeignServer, settings: dict[str, Any], surface: str, tmp_path: Path
) -> None:
    async with bridge_to(vllm_server, tmp_path, **settings) as (bridge, tap):
        facts = await loses_the_connection(bridge, tap, text=TEXTS[surface])
    assert facts["error"]["code"] == "upstream_unavailable"


async def test_a_wrong_key_is_reported_as_one(
    vllm_server: ForeignServer, settings: dict[str, Any], tmp_path: Path
) -> None:
    error = await refuses_the_key(vllm_server, tmp_path, **settings)
    assert (error["code"], error["retryable"]) == ("unauthenticated", False)


async def test_a_picture_is_refused_by_the_model_s_limits_and_another_model_s_name_by_its_name(
    vllm_server: ForeignServer, settings: dict[str, Any], tmp_path: Path
) -> None:
    async with bridge_to(vllm_server, tmp_path, **settings) as (bridge, _):
        seen = await bridge.ask("What is this?", images=[f"data:image/png;base64,{PIXEL}"])
        named = await bridge.ask("Hi", model="nobody")
        listed = await bridge.call("list_databricks_models")
    assert (seen["error"]["code"], seen["error"]["status"]) == ("unsupported_by_model", 400)
    assert (named["error"]["code"], named["error"]["status"]) == ("model_not_found", 404)
    assert "no listing" in json.dumps(listed).lower(), listed


async def test_a_picture_that_the_server_does_not_draw_is_an_error(vllm_server: ForeignServer, tmp_path: Path) -> None:
    settings = {"model": MODEL, "responses_path": "/v1/responses", "surface": "responses"}
    async with bridge_to(vllm_server, tmp_path, **settings) as (bridge, _):
        drawn = await bridge.call("generate_image", prompt="a fox", model=MODEL)
    assert drawn["isError"]
    assert drawn["error"]["code"] == "unsupported_by_model", drawn["error"]
