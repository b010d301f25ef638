"""LiteLLM's proxy before a real small model: a gateway that makes Responses of chat completions."""

import json
from pathlib import Path

import pytest

from harness.foreign_server import ForeignServer
from harness.llama_cpp import MODEL
from harness.upstream_checks import (
    CHAT_PATHS,
    CHAT_TEXT,
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
CHAT = {"model": MODEL, "surface": "chat"}


async def test_a_question_is_answered_and_gone_on_with(litellm_proxy: ForeignServer, tmp_path: Path) -> None:
    async with bridge_to(litellm_proxy, tmp_path, **SETTINGS) as (bridge, tap):
        first = await answers(bridge, "My name is Ada. Say hello.")
        await answers(bridge, "What is my name?", conversation_id=first["conversation_id"])
    # Its ids are longer than what the API takes for one: none is shown, and none is sent back.
    assert "response_id" not in first
    sent = [item.get("id", "") for item in tap.posted()[-1].body["input"]]
    assert len(sent) == 3
    assert max(map(len, sent)) <= 64


async def test_text_is_shown_while_the_model_writes(litellm_proxy: ForeignServer, tmp_path: Path) -> None:
    async with bridge_to(litellm_proxy, tmp_path, **SETTINGS) as (bridge, tap):
        await streams(bridge, tap)


async def test_the_model_calls_a_function_and_uses_what_it_returned(
    litellm_proxy: ForeignServer, tmp_path: Path
) -> None:
    async with bridge_to(litellm_proxy, tmp_path, **SETTINGS) as (bridge, _):
        call, answer = await calls_a_function(bridge)
    assert json.loads(call["arguments"]) == {"city": "Paris"}
    assert "21" in answer["text"]


async def test_an_answer_fits_the_schema_that_was_asked_for(litellm_proxy: ForeignServer, tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "sunny": {"type": "boolean"}},
        "required": ["city", "sunny"],
        "additionalProperties": False,
    }
    async with bridge_to(litellm_proxy, tmp_path, **SETTINGS) as (bridge, _):
        facts = await answers(bridge, "Is Paris sunny?", output_schema=schema, max_output_tokens=200)
    assert sorted(facts["parsed"]) == ["city", "sunny"]


async def test_an_answer_that_was_cut_short_says_so(litellm_proxy: ForeignServer, tmp_path: Path) -> None:
    async with bridge_to(litellm_proxy, tmp_path, **SETTINGS) as (bridge, _):
        facts = await answers(bridge, "Tell me a long story about a ship.", max_output_tokens=16)
    assert (facts["status"], facts["incomplete_reason"]) == ("incomplete", "max_output_tokens")


async def test_a_cancelled_call_frees_the_model(litellm_proxy: ForeignServer, tmp_path: Path) -> None:
    async with bridge_to(litellm_proxy, tmp_path, **SETTINGS) as (bridge, tap):
        await is_cancelled(bridge, tap)


async def test_what_came_before_the_connection_broke_is_kept(litellm_proxy: ForeignServer, tmp_path: Path) -> None:
    async with bridge_to(litellm_proxy, tmp_path, **SETTINGS) as (bridge, tap):
        facts = await loses_the_connection(bridge, tap)
    assert facts["error"]["code"] == "upstream_unavailable"


async def test_a_wrong_key_is_a_refusal_in_the_proxys_own_words(litellm_proxy: ForeignServer, tmp_path: Path) -> None:
    # Without a database to look it up in, it is a 400 there, not a 401.
    error = await refuses_the_key(litellm_proxy, tmp_path, **SETTINGS)
    assert (error["status"], error["retryable"]) == (400, False)
    assert "No connected db" in error["message"]


async def test_an_unknown_model_is_told_as_one(litellm_proxy: ForeignServer, tmp_path: Path) -> None:
    async with bridge_to(litellm_proxy, tmp_path, **SETTINGS) as (bridge, _):
        facts = await bridge.ask("Say hello.", model="nobody")
    assert facts["isError"], facts
    assert not facts["error"]["retryable"]
    assert "nobody" in facts["error"]["message"]


async def test_chat_completions_answer_stream_and_call(litellm_proxy: ForeignServer, tmp_path: Path) -> None:
    async with bridge_to(litellm_proxy, tmp_path, paths=CHAT_PATHS, **CHAT) as (bridge, tap):
        first = await answers(bridge, "My name is Ada. Say hello.", instructions="Be kind.")
        await answers(bridge, "What is my name?", conversation_id=first["conversation_id"])
        await streams(bridge, tap, text=CHAT_TEXT)
        call, answer = await calls_a_function(bridge)
    assert first["surface"] == "chat"
    assert first["usage"]["output_tokens"] > 0
    assert json.loads(call["arguments"]) == {"city": "Paris"}
    assert "21" in answer["text"]


async def test_chat_completions_are_cancelled_cut_and_refused(litellm_proxy: ForeignServer, tmp_path: Path) -> None:
    async with bridge_to(litellm_proxy, tmp_path, paths=CHAT_PATHS, **CHAT) as (bridge, tap):
        await is_cancelled(bridge, tap, text=CHAT_TEXT)
        await loses_the_connection(bridge, tap, text=CHAT_TEXT)
        unknown = await bridge.ask("Say hello.", model="nobody")
    assert "nobody" in unknown["error"]["message"]
    error = await refuses_the_key(litellm_proxy, tmp_path, paths=CHAT_PATHS, **CHAT)
    assert not error["retryable"]
