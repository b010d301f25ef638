"""Servers of the Responses API that no list of ours names: leniency is by principle, so they have to work as well."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.foreign_server import ForeignServer
from harness.llama_cpp import MODEL
from harness.upstream_checks import (
    answers,
    bridge_to,
    calls_a_function,
    is_cancelled,
    loses_the_connection,
    refuses_the_key,
    streams,
)

pytestmark = pytest.mark.anyio
SETTINGS = {"model": MODEL, "responses_path": "/v1/responses", "surface": "responses"}
OPEN_PATHS = {"/serving-endpoints/open-responses": "/v1/responses"}
UNSTORED = {"extra": {"store": False}}
"""For a server that stores conversations and takes no item twice: the bridge sends all that was said."""


@pytest.fixture(params=["agentic_api", "codex_relay", "pydantic_agent"])
def server(request: pytest.FixtureRequest) -> ForeignServer:
    """Each of them, before a real small model."""
    found = request.getfixturevalue(str(request.param))
    assert isinstance(found, ForeignServer)
    return found


@pytest.fixture
def arguments(request: pytest.FixtureRequest, server: ForeignServer) -> dict[str, Any]:
    """What calls need besides, that go on with a conversation."""
    return UNSTORED if server is request.getfixturevalue("agentic_api") else {}


async def test_a_question_is_answered_and_gone_on_with(
    server: ForeignServer, arguments: dict[str, Any], tmp_path: Path
) -> None:
    async with bridge_to(server, tmp_path, **SETTINGS) as (bridge, _):
        first = await answers(bridge, "My name is Ada. Say hello.", **arguments)
        await answers(bridge, "What is my name?", conversation_id=first["conversation_id"])


async def test_text_is_shown_while_the_model_writes(server: ForeignServer, tmp_path: Path) -> None:
    async with bridge_to(server, tmp_path, **SETTINGS) as (bridge, tap):
        await streams(bridge, tap)


async def test_the_model_calls_a_function_and_uses_what_it_returned(
    server: ForeignServer, arguments: dict[str, Any], tmp_path: Path
) -> None:
    async with bridge_to(server, tmp_path, **SETTINGS) as (bridge, _):
        call, answer = await calls_a_function(bridge, **arguments)
    assert json.loads(call["arguments"]) == {"city": "Paris"}
    assert "21" in answer["text"]


async def test_a_cancelled_call_leaves_the_server(server: ForeignServer, tmp_path: Path) -> None:
    async with bridge_to(server, tmp_path, **SETTINGS) as (bridge, tap):
        await is_cancelled(bridge, tap)


async def test_what_came_before_the_connection_broke_is_kept(server: ForeignServer, tmp_path: Path) -> None:
    async with bridge_to(server, tmp_path, **SETTINGS) as (bridge, tap):
        facts = await loses_the_connection(bridge, tap)
    assert facts["error"]["code"] == "upstream_unavailable"


async def test_an_agent_is_asked_as_open_responses_has_it(pydantic_agent: ForeignServer, tmp_path: Path) -> None:
    settings = {"model": MODEL, "surface": "open-responses"}
    async with bridge_to(pydantic_agent, tmp_path, paths=OPEN_PATHS, **settings) as (bridge, tap):
        first = await answers(bridge, "My name is Ada. Say hello.", instructions="Be kind.")
        await answers(bridge, "What is my name?", conversation_id=first["conversation_id"])
        call, _ = await calls_a_function(bridge)
        await streams(bridge, tap)
    assert first["surface"] == "open-responses"
    assert json.loads(call["arguments"]) == {"city": "Paris"}


@pytest.mark.parametrize("name", ["agentic_api", "pydantic_agent"])
async def test_a_wrong_key_is_told_as_one(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    error = await refuses_the_key(request.getfixturevalue(name), tmp_path, **SETTINGS)
    assert (error["code"], error["retryable"]) == ("unauthenticated", False)
