"""aimock: scripted answers, and every kind of trouble, over the Responses API."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from harness.deadlines import DEADLINE_SECONDS
from harness.foreign_server import ForeignServer
from harness.upstream_checks import (
    CHAT_PATHS,
    CHAT_TEXT,
    WEATHER,
    answers,
    bridge_to,
    calls_a_function,
    is_cancelled,
    loses_the_connection,
    refuses_the_key,
    streams,
)

pytestmark = pytest.mark.anyio
SETTINGS = {"model": "gpt-5", "responses_path": "/v1/responses", "surface": "responses"}
CHAT = {"model": "gpt-5", "surface": "chat"}
HELLO = "Hello from aimock, and a good day to you all."


def journal(server: ForeignServer) -> list[dict[str, Any]]:
    """What the server says that it was asked."""
    request = urllib.request.Request(
        f"{server.origin}/__aimock/journal", headers={"authorization": f"Bearer {server.key}"}
    )
    with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as response:
        entries: list[dict[str, Any]] = json.load(response)
    return entries


async def test_a_question_is_answered_and_the_server_saw_it(aimock: ForeignServer, tmp_path: Path) -> None:
    async with bridge_to(aimock, tmp_path, **SETTINGS) as (bridge, _):
        facts = await answers(bridge)
    assert (facts["text"], facts["status"]) == (HELLO, "completed")
    last = journal(aimock)[-1]
    assert (last["method"], last["path"], last["body"]["model"]) == ("POST", "/v1/responses", "gpt-5")


async def test_text_is_shown_while_it_comes(aimock: ForeignServer, tmp_path: Path) -> None:
    async with bridge_to(aimock, tmp_path, **SETTINGS) as (bridge, tap):
        assert (await streams(bridge, tap)).endswith("characters: …Hello")


async def test_a_function_is_called_and_answered(aimock: ForeignServer, tmp_path: Path) -> None:
    async with bridge_to(aimock, tmp_path, **SETTINGS) as (bridge, _):
        call, answer = await calls_a_function(bridge)
    assert (call["call_id"], json.loads(call["arguments"])) == ("call_weather", {"city": "Paris"})
    assert answer["text"] == "It is 21 degrees in Paris, said the function."


async def test_calls_before_and_behind_text_all_wait(aimock: ForeignServer, tmp_path: Path) -> None:
    async with bridge_to(aimock, tmp_path, **SETTINGS) as (bridge, _):
        facts = await bridge.ask("Call first.", tools=[WEATHER])
    assert [call["call_id"] for call in facts["pending_calls"]] == ["call_first", "call_second"]
    assert facts["text"] == "I am asking about Rome."


async def test_reasoning_and_searches_are_in_the_result(aimock: ForeignServer, tmp_path: Path) -> None:
    async with bridge_to(aimock, tmp_path, **SETTINGS) as (bridge, _):
        thought = await answers(bridge, "Think.")
        found = await answers(bridge, "Search.")
    assert thought["text"] == "Forty-two."
    assert "Six times seven" in json.dumps(thought["output"])
    assert found["text"] == "Found it."
    assert [item["type"] for item in found["output"]] == ["web_search_call"]


async def test_a_rate_limit_is_waited_for(aimock: ForeignServer, tmp_path: Path) -> None:
    async with bridge_to(aimock, tmp_path, **SETTINGS) as (bridge, tap):
        facts = await answers(bridge, "Too much?")
    assert facts["text"] == "Now it works."
    assert len(tap.posted()) == 2
    assert any("rate limited, trying again" in message for message in bridge.progress)


async def test_a_rate_limit_that_stays_says_when_to_come_back(aimock: ForeignServer, tmp_path: Path) -> None:
    async with bridge_to(aimock, tmp_path, **SETTINGS, max_retries="0") as (bridge, _):
        facts = await bridge.ask("Always too much.")
    error = facts["error"]
    assert (error["code"], error["retryable"], error["retry_after_seconds"]) == ("rate_limited", True, 1)
    assert "Slow down." in error["message"]


@pytest.mark.parametrize("trouble", ["Break off.", "Garbage.", "Drop.", "Hang up."])
async def test_trouble_is_a_failure_that_can_be_tried_again(
    aimock: ForeignServer, tmp_path: Path, trouble: str
) -> None:
    async with bridge_to(aimock, tmp_path, **SETTINGS, max_retries="0") as (bridge, _):
        facts = await bridge.ask(trouble)
        assert facts["isError"], facts
        assert facts["error"]["code"] in ("upstream_error", "upstream_unavailable"), facts
        if trouble == "Break off.":
            assert facts.get("text", "").startswith("This is a"), facts
        await answers(bridge)


async def test_a_cancelled_call_leaves_the_server(aimock: ForeignServer, tmp_path: Path) -> None:
    async with bridge_to(aimock, tmp_path, **SETTINGS) as (bridge, tap):
        await is_cancelled(bridge, tap)


async def test_what_came_before_the_connection_broke_is_kept(aimock: ForeignServer, tmp_path: Path) -> None:
    async with bridge_to(aimock, tmp_path, **SETTINGS) as (bridge, tap):
        facts = await loses_the_connection(bridge, tap)
    assert (facts["error"]["code"], facts["text"]) == ("upstream_unavailable", "Hello ")


async def test_a_wrong_key_is_told_as_one(aimock: ForeignServer, tmp_path: Path) -> None:
    error = await refuses_the_key(aimock, tmp_path, **SETTINGS)
    assert (error["code"], error["retryable"]) == ("unauthenticated", False)


async def test_a_question_without_an_answer_is_a_failure(aimock: ForeignServer, tmp_path: Path) -> None:
    async with bridge_to(aimock, tmp_path, **SETTINGS, max_retries="0") as (bridge, _):
        facts = await bridge.ask("Nobody wrote this into the script.")
    assert facts["isError"], facts


async def test_chat_completions_answer_stream_and_call(aimock: ForeignServer, tmp_path: Path) -> None:
    async with bridge_to(aimock, tmp_path, paths=CHAT_PATHS, **CHAT) as (bridge, tap):
        facts = await answers(bridge)
        assert (await streams(bridge, tap, text=CHAT_TEXT)).endswith("…Hello")
        call, answer = await calls_a_function(bridge)
        both = await bridge.ask("Call first.", tools=[WEATHER])
        thought = await answers(bridge, "Think.")
    assert (facts["text"], facts["status"], facts["surface"]) == (HELLO, "completed", "chat")
    assert (call["call_id"], answer["text"]) == ("call_weather", "It is 21 degrees in Paris, said the function.")
    assert [call["call_id"] for call in both["pending_calls"]] == ["call_first", "call_second"]
    assert thought["text"] == "Forty-two."
    assert "Six times seven" in json.dumps(thought["output"])
    assert journal(aimock)[-1]["path"] == "/v1/chat/completions"


async def test_chat_completions_are_cancelled_and_cut(aimock: ForeignServer, tmp_path: Path) -> None:
    async with bridge_to(aimock, tmp_path, paths=CHAT_PATHS, **CHAT, max_retries="0") as (bridge, tap):
        await is_cancelled(bridge, tap, text=CHAT_TEXT)
        await loses_the_connection(bridge, tap, text=CHAT_TEXT)
        for trouble in ("Break off.", "Garbage.", "Drop.", "Hang up."):
            facts = await bridge.ask(trouble)
            assert facts["isError"], (trouble, facts)
        limited = await bridge.ask("Always too much.")
        await answers(bridge)
    assert (limited["error"]["code"], limited["error"]["retry_after_seconds"]) == ("rate_limited", 1)
    error = await refuses_the_key(aimock, tmp_path, paths=CHAT_PATHS, **CHAT)
    assert (error["code"], error["retryable"]) == ("unauthenticated", False)
