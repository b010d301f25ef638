"""An agent by MLflow, in both servers that MLflow has for it: what Databricks' agent endpoints and Apps speak."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.foreign_server import ForeignServer
from harness.upstream_checks import (
    WEATHER,
    answers,
    bridge_to,
    calls_a_function,
    is_cancelled,
    loses_the_connection,
    streams,
)

pytestmark = pytest.mark.anyio
HELLO = "Hello from an agent, and a good day to you all."
WAYS: Mapping[str, Mapping[str, str]] = {
    # The agents' dialect, where the server has it; at the endpoint's own path; and told nothing of an agent.
    "agent": {"surface": "agent", "responses_path": "/responses"},
    "agent-invocations": {"surface": "agent-invocations"},
    "responses": {"surface": "responses", "responses_path": "/responses"},
}
PATHS = {"/serving-endpoints/agent/invocations": "/invocations"}


@pytest.fixture(params=list(WAYS))
def way(request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings for each way to the agent."""
    return {"model": "agent", **WAYS[str(request.param)]}


async def test_a_question_is_answered_and_gone_on_with(
    mlflow_agent: ForeignServer, tmp_path: Path, way: dict[str, str]
) -> None:
    async with bridge_to(mlflow_agent, tmp_path, paths=PATHS, **way) as (bridge, tap):
        first = await answers(bridge, instructions="Be kind.")
        again = await answers(bridge, "And again.", conversation_id=first["conversation_id"])
    assert (first["text"], first["status"], first["model"]) == (HELLO, "completed", "agent")
    assert again["text"] == HELLO
    assert [item["role"] for item in tap.posted()[1].body["input"]][-3:] == ["user", "assistant", "user"]


async def test_text_is_shown_while_it_comes(mlflow_agent: ForeignServer, tmp_path: Path, way: dict[str, str]) -> None:
    async with bridge_to(mlflow_agent, tmp_path, paths=PATHS, **way) as (bridge, tap):
        assert (await streams(bridge, tap)).endswith("characters: …Hello")


async def test_what_the_agent_called_itself_does_not_wait_for_anybody(
    mlflow_agent: ForeignServer, tmp_path: Path, way: dict[str, str]
) -> None:
    async with bridge_to(mlflow_agent, tmp_path, paths=PATHS, **way) as (bridge, tap):
        facts = await answers(bridge, "How is the weather?")
        again = await answers(bridge, "Say hello.", conversation_id=facts["conversation_id"])
    assert facts["text"] == "I asked: it is 21 degrees in Paris."
    assert "pending_calls" not in facts
    assert [item["type"] for item in facts["output"]] == ["function_call", "function_call_output"]
    assert facts["output"][1]["output"] == "21 degrees"
    # The agent gets back what it did.
    sent = [item["type"] for item in tap.posted()[1].body["input"]]
    assert sent == ["message", "function_call", "function_call_output", "message", "message"]
    assert again["text"] == HELLO


async def test_a_function_of_the_caller_is_called_and_answered(
    mlflow_agent: ForeignServer, tmp_path: Path, way: dict[str, str]
) -> None:
    async with bridge_to(mlflow_agent, tmp_path, paths=PATHS, **way) as (bridge, _):
        call, answer = await calls_a_function(bridge)
    assert (call["call_id"], json.loads(call["arguments"])) == ("call_1", {"city": "Paris"})
    assert answer["text"] == "It said: It is 21 degrees and sunny."


async def test_an_agent_that_fails_says_why(mlflow_agent: ForeignServer, tmp_path: Path, way: dict[str, str]) -> None:
    async with bridge_to(mlflow_agent, tmp_path, paths=PATHS, **way) as (bridge, _):
        facts = await bridge.ask("Fail, please.")
        await answers(bridge)
    assert facts["isError"], facts
    assert "no legs to stand on" in facts["error"]["message"]


async def test_a_cancelled_call_leaves_the_agent(
    mlflow_agent: ForeignServer, tmp_path: Path, way: dict[str, str]
) -> None:
    async with bridge_to(mlflow_agent, tmp_path, paths=PATHS, **way) as (bridge, tap):
        await is_cancelled(bridge, tap)


async def test_what_came_before_the_connection_broke_is_kept(
    mlflow_agent: ForeignServer, tmp_path: Path, way: dict[str, str]
) -> None:
    async with bridge_to(mlflow_agent, tmp_path, paths=PATHS, **way) as (bridge, tap):
        facts = await loses_the_connection(bridge, tap)
    assert (facts["error"]["code"], facts["text"]) == ("upstream_unavailable", "Hello")


async def test_an_app_that_the_workspace_does_not_list_is_sent_nothing(
    mlflow_agent: ForeignServer, tmp_path: Path
) -> None:
    async with bridge_to(mlflow_agent, tmp_path) as (bridge, tap):
        facts = await bridge.ask("Say hello.", model=tap.origin)
    assert (facts["isError"], facts["error"]["code"]) == (True, "invalid_argument")
    assert tap.posted() == []


SAVED = {"model": "agent", "surface": "agent-invocations"}


async def test_a_saved_model_answers_at_once_to_a_call_that_asked_for_a_stream(
    mlflow_model: ForeignServer, tmp_path: Path
) -> None:
    async with bridge_to(mlflow_model, tmp_path, paths=PATHS, **SAVED) as (bridge, tap):
        facts = await answers(bridge)
        weather = await answers(bridge, "How is the weather?")
        again = await answers(bridge, "Say hello.", conversation_id=weather["conversation_id"])
    assert (facts["text"], facts["status"]) == (HELLO, "completed")
    assert tap.posted()[0].body["stream"] is True
    assert [item["type"] for item in weather["output"]] == ["function_call", "function_call_output"]
    assert again["text"] == HELLO


async def test_a_saved_model_refuses_functions_of_the_caller_and_that_is_told(
    mlflow_model: ForeignServer, tmp_path: Path
) -> None:
    # MLflow saves a schema with the agent, which has no more of a tool than its type.
    async with bridge_to(mlflow_model, tmp_path, paths=PATHS, **SAVED) as (bridge, _):
        facts = await bridge.ask("What is the weather in Paris?", tools=[WEATHER])
        await answers(bridge)
    error = facts["error"]
    assert (error["code"], error["retryable"]) == ("unsupported_by_model", False)
    assert "not defined in the schema" in error["message"]
    assert "parameters" in error["message"]


async def test_a_saved_model_that_fails_tells_nobody_where_it_is_kept(
    mlflow_model: ForeignServer, tmp_path: Path
) -> None:
    async with bridge_to(mlflow_model, tmp_path, paths=PATHS, **SAVED) as (bridge, _):
        facts = await bridge.ask("Fail, please.")
    assert facts["isError"], facts
    assert not facts["error"]["retryable"]
    assert "Traceback" not in json.dumps(facts)
