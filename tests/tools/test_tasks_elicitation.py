"""Tasks that ask something: their user, or their host."""

import json
from typing import Any

import pytest
from mcp import MCPError
from mcp.server.mcpserver import Context
from mcp.types import (
    CallToolResult,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
    SamplingMessage,
    TextContent,
)

from databricks_responses_mcp.calls.running_task import hand_over
from databricks_responses_mcp.calls.state import AppSource
from databricks_responses_mcp.calls.tasks import TaskPolicy
from databricks_responses_mcp.server import BridgeServer
from databricks_workspace_emulator.server import RunningEmulator
from harness.deadlines import DEADLINE_SECONDS
from harness.tasks_client import OVER, TaskHost, TaskHosts

pytestmark = pytest.mark.anyio

ASK = "ask_databricks_model"


async def approval_task(host: TaskHost, emulator: RunningEmulator) -> tuple[str, dict[str, Any]]:
    """A task that waits for its user, and how it looks."""
    with emulator.state.hold():
        task_id = await host.start(ASK, prompt="Search for the outage.", mcp_servers=["sql"])
    return task_id, await host.until(task_id, "input_required")


@pytest.mark.parametrize("approve", [True, False])
async def test_a_task_asks_the_user_and_goes_on_with_the_answer(
    task_hosts: TaskHosts, emulator: RunningEmulator, approve: bool
) -> None:
    async with task_hosts() as host:
        task_id, waiting = await approval_task(host, emulator)
        (key,) = waiting["inputRequests"]
        assert await host.update(task_id, unheard_of={"ignored": True}) == {"resultType": "complete"}
        assert (await host.get(task_id))["inputRequests"] == waiting["inputRequests"]
        with emulator.state.hold() as hold:
            answer = {"action": "accept" if approve else "decline"}
            assert await host.update(task_id, **{key: answer}) == {"resultType": "complete"}
            await hold.reached.wait()
            resumed = await host.get(task_id)
            assert await host.update(task_id, **{key: answer}) == {"resultType": "complete"}
        result = await host.result(task_id)
    request = waiting["inputRequests"][key]
    assert (key, request["method"]) == ("approval_1", "elicitation/create")
    assert request["params"]["message"].startswith("databricks-gpt-5 wants to call the tool ")
    assert request["params"]["requestedSchema"] == {"type": "object", "properties": {}}
    assert waiting["statusMessage"] == "Waiting for the user."
    assert "requestState" not in waiting
    assert (resumed["status"], "inputRequests" in resumed) == ("working", False)
    facts = result["structuredContent"]
    assert "pending_calls" not in facts
    kinds = [item["type"] for item in facts["output"]]
    assert ("mcp_call" in kinds) is approve
    assert facts["notes"][0].startswith("The user approved" if approve else "The user declined")
    decided = [
        item["approve"]
        for exchange in emulator.state.request_log.to("/responses")
        for item in exchange.body["input"]
        if item["type"] == "mcp_approval_response"
    ]
    assert decided == [approve]


async def test_a_question_that_nobody_answers_approves_nothing_and_the_calls_wait(
    task_hosts: TaskHosts, emulator: RunningEmulator
) -> None:
    async with task_hosts(approval_timeout_seconds=0.1) as host:
        with emulator.state.hold():
            task_id = await host.start(ASK, prompt="Search for the outage.", mcp_servers=["sql"])
        while (task := await host.get(task_id))["status"] not in OVER:
            pass
        result = task["result"]
    facts = result["structuredContent"]
    assert [call["type"] for call in facts["pending_calls"]] == ["mcp_approval_request"]
    assert facts["notes"] == [
        "The question was dismissed, or nobody could be asked: nothing was approved, the calls wait in pending_calls."
    ]
    assert len(emulator.state.request_log.to("/responses")) == 1


async def test_an_answer_that_is_none_is_refused_and_the_question_stays(
    task_hosts: TaskHosts, emulator: RunningEmulator
) -> None:
    async with task_hosts() as host:
        task_id, waiting = await approval_task(host, emulator)
        with pytest.raises(MCPError) as refused:
            await host.update(task_id, approval_1="yes")
        assert (await host.get(task_id))["inputRequests"] == waiting["inputRequests"]
        await host.cancel(task_id)
        await host.until(task_id, "cancelled")
    assert refused.value.error.code == -32602


async def test_a_user_who_is_asked_soon_is_asked_without_a_task(task_hosts: TaskHosts) -> None:
    async with task_hosts(hand_over_seconds=DEADLINE_SECONDS) as host:
        asked = await host.call(ASK, prompt="Search.", mcp_servers=["sql"])
    assert asked["resultType"] == "input_required"
    assert list(asked["inputRequests"]) == ["approval_1"]


def interview(server: BridgeServer) -> None:
    """A tool of somebody else that asks twice under the same name; or for a model, which nobody has."""

    async def interview(ctx: Context[AppSource, Any], by_model: bool = False) -> CallToolResult | InputRequiredResult:
        await hand_over(ctx)
        if by_model:
            asked = SamplingMessage(role="user", content=TextContent(text="Who?"))
            sample = CreateMessageRequest(params=CreateMessageRequestParams(messages=[asked], max_tokens=1))
            return InputRequiredResult(input_requests={"model": sample})
        answer = (ctx.input_responses or {}).get("name")
        heard = json.loads(ctx.request_state or "[]")
        if isinstance(answer, ElicitResult):
            heard.append((answer.content or {}).get("name"))
        if len(heard) == 2:
            return CallToolResult(content=[TextContent(text=" and ".join(heard))])
        schema = {"type": "object", "properties": {"name": {"type": "string"}}}
        form = ElicitRequest(params=ElicitRequestFormParams(message="Your name?", requested_schema=schema))
        return InputRequiredResult(input_requests={"name": form}, request_state=json.dumps(heard))

    server.tool(structured_output=False)(interview)
    server.tasks.policies["interview"] = TaskPolicy(after_seconds=15)


def named(name: str) -> dict[str, Any]:
    return {"action": "accept", "content": {"name": name}}


async def test_the_questions_of_a_task_have_keys_that_are_used_once_and_its_result_is_kept_as_it_is(
    task_hosts: TaskHosts,
) -> None:
    async with task_hosts(add=interview, hand_over_seconds=None) as host:
        task_id = await host.start("interview")
        keys = []
        for name in ("Ada", "Bob"):
            (key,) = (await host.until(task_id, "input_required"))["inputRequests"]
            keys.append(key)
            await host.update(task_id, **{key: named(name)})
        result = await host.result(task_id)
    async with task_hosts() as host:
        assert await host.result(task_id) == result
        told = await host.call("get_response", response_id=task_id)
    assert keys == ["name", "name.2"]
    assert result == {"content": [{"type": "text", "text": "Ada and Bob"}], "isError": False, "resultType": "complete"}
    assert told["content"] == result["content"]


async def test_a_task_that_asks_what_nobody_answers_fails_and_is_kept_as_failed(task_hosts: TaskHosts) -> None:
    async with task_hosts(add=interview, hand_over_seconds=None, approval_timeout_seconds=0.1) as host:
        task_id = await host.start("interview", by_model=True)
        while (failed := await host.get(task_id))["status"] not in OVER:
            pass
    async with task_hosts() as host:
        assert await host.get(task_id) == failed
    assert failed["status"] == "failed"
    assert failed["error"] == {
        "code": -32603,
        "message": "Nobody answered sampling/createMessage 'model' in time",
    }
    assert "result" not in failed
