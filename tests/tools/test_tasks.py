"""Long calls as tasks: for hosts that declare the extension, and for nobody else."""

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from inline_snapshot import snapshot
from mcp import Client, MCPError

from databricks_responses_mcp.calls.tasks import TaskPolicy
from databricks_responses_mcp.server import build_server
from databricks_responses_mcp.turns.bridge import open_bridge
from databricks_workspace_emulator.server import RunningEmulator
from harness import Connect, settings_for
from harness.deadlines import DEADLINE_SECONDS
from harness.tasks_client import IDENTIFIER, TaskHosts, ask, shape

pytestmark = pytest.mark.anyio

ASK = "ask_databricks_model"
WEEK_MS = 7 * 86_400_000


def without_ids(result: dict[str, Any]) -> Any:
    """A result without what differs from call to call."""
    structured = result["structuredContent"]
    ids = {structured[name]: name for name in ("conversation_id", "response_id") if name in structured}
    text = json.dumps(result)
    for value, name in ids.items():
        text = text.replace(value, name)
    return json.loads(text)


async def test_a_call_that_ends_soon_is_answered_as_for_any_host(task_hosts: TaskHosts, connect: Connect) -> None:
    async with connect() as plain, task_hosts(hand_over_seconds=DEADLINE_SECONDS) as host:
        answered = await host.call(ASK, prompt="[[say soon]]")
        content, facts, failed = await plain.call(ASK, prompt="[[say soon]]")
    dumped = [block.model_dump(mode="json", by_alias=True, exclude_none=True) for block in content]
    expected = {"content": dumped, "structuredContent": facts, "isError": failed, "resultType": "complete"}
    assert without_ids(answered) == without_ids(expected)


async def test_a_call_that_takes_longer_is_a_task_until_its_result_is_there(
    task_hosts: TaskHosts, emulator: RunningEmulator
) -> None:
    async with task_hosts() as host:
        with emulator.state.hold(after_events=8):
            created = await host.call(ASK, prompt="[[words 30]]")
            working = await host.get(created["taskId"])
            while "word" not in working["statusMessage"]:
                working = await host.get(created["taskId"])
        completed = await host.until(created["taskId"], "completed")
        again = await host.get(created["taskId"])
        waited = await host.call("get_response", response_id=created["taskId"])
    assert shape(created) == snapshot(
        {
            "resultType": "task",
            "taskId": "…",
            "status": "working",
            "createdAt": "…",
            "lastUpdatedAt": "…",
            "ttlMs": 604800000,
            "pollIntervalMs": 1000,
        }
    )
    assert working["statusMessage"].startswith("ask_databricks_model is running: …")
    assert working["ttlMs"] >= WEEK_MS
    assert shape({**working, "statusMessage": "", "ttlMs": 0}) == snapshot(
        {
            "taskId": "…",
            "createdAt": "…",
            "lastUpdatedAt": "…",
            "ttlMs": 0,
            "pollIntervalMs": 1000,
            "status": "working",
            "statusMessage": "",
            "resultType": "complete",
        }
    )
    assert sorted(completed) == ["createdAt", "lastUpdatedAt", "result", "resultType", "status", "taskId", "ttlMs"]
    assert completed["createdAt"] == created["createdAt"]
    assert again == completed
    result = completed["result"]
    assert (result["isError"], result["structuredContent"]["status"]) == (False, "completed")
    assert len(result["structuredContent"]["text"].split()) == 30
    assert result["structuredContent"] == waited["structuredContent"]
    assert result["content"] == waited["content"]


CALLS: dict[str, dict[str, Any]] = {
    ASK: {"prompt": "Hello"},
    "generate_image": {"prompt": "A cat", "size": "256x256"},
    "search_web": {"question": "What is new?"},
    "edit_files": {"instruction": "Say hello."},
}


@pytest.mark.parametrize("tool", CALLS)
async def test_every_tool_that_asks_a_model_can_be_a_task_that_the_sdk_s_client_waits_for(
    task_hosts: TaskHosts, emulator: RunningEmulator, tmp_path: Path, tool: str
) -> None:
    (tmp_path / "greeting.txt").write_text("Hi.\n", encoding="utf-8")
    arguments = CALLS[tool]
    if tool == "edit_files":
        arguments = {**arguments, "paths": [str(tmp_path / "greeting.txt")]}
    results: list[Any] = []
    async with task_hosts() as host, anyio.create_task_group() as calling:

        async def call() -> None:
            results.append(await host.client.call_tool(tool, arguments))

        with emulator.state.hold() as hold:
            calling.start_soon(call)
            await hold.reached.wait()
            # Only what has become a task goes on beside this: the held call is answered before it is released.
            await host.start(ASK, prompt="[[say beside]]")
    result = results[0]
    assert (result.is_error, result.structured_content["status"]) == (False, "completed"), result.content[0]
    kinds = {block.type for block in result.content}
    assert kinds == ({"text", "image"} if tool == "generate_image" else {"text"})


async def test_continuing_and_compacting_can_be_tasks(task_hosts: TaskHosts, emulator: RunningEmulator) -> None:
    parameters = {"type": "object", "properties": {}, "additionalProperties": False}
    function = {"type": "function", "name": "look", "parameters": parameters, "strict": True}
    async with task_hosts() as host:
        with emulator.state.hold():
            asking = await host.start(ASK, prompt="Look.", tools=[function], tool_choice="required")
        facts = (await host.result(asking))["structuredContent"]
        (call,) = facts["pending_calls"]
        outputs = [{"call_id": call["call_id"], "output": "A lake."}]
        with emulator.state.hold():
            going_on = await host.start(
                "continue_databricks_model", conversation_id=facts["conversation_id"], outputs=outputs
            )
        gone_on = await host.result(going_on)
        with emulator.state.hold():
            compacting = await host.start(
                "manage_conversations", action="compact", conversation_id=facts["conversation_id"]
            )
        compacted = await host.result(compacting)
    assert (gone_on["isError"], "pending_calls" in gone_on["structuredContent"]) == (False, False)
    assert compacted["content"][0]["text"].startswith("This summary replaces the earlier turns from now on:")


async def test_a_cancelled_task_closes_the_connection_and_keeps_what_had_come(
    task_hosts: TaskHosts, emulator: RunningEmulator
) -> None:
    async with task_hosts() as host:
        with emulator.state.hold(after_events=8) as hold:
            task_id = await host.start(ASK, prompt="[[words 30]]")
            await hold.reached.wait()
            assert await host.cancel(task_id) == {"resultType": "complete"}
            await (await emulator.state.request_log.wait_for(1)).disconnected.wait()
        cancelled = await host.until(task_id, "cancelled")
        assert await host.cancel(task_id) == {"resultType": "complete"}
        kept = await host.call("get_response", response_id=task_id)
    assert (
        cancelled["statusMessage"] == f'Cancelled. get_response with response_id "{task_id}" returns what had arrived.'
    )
    assert sorted(cancelled) == [
        "createdAt",
        "lastUpdatedAt",
        "resultType",
        "status",
        "statusMessage",
        "taskId",
        "ttlMs",
    ]
    assert kept["structuredContent"]["status"] == "cancelled"


async def test_a_failed_call_is_a_completed_task_whose_result_says_so(
    task_hosts: TaskHosts, emulator: RunningEmulator
) -> None:
    async with task_hosts() as host:
        with emulator.state.hold():
            task_id = await host.start(ASK, prompt="[[fail]]")
        result = await host.result(task_id)
    assert result["isError"] is True
    assert result["structuredContent"]["error"]["code"] == "upstream_error"
    assert result["structuredContent"]["status"] == "failed"


async def test_a_call_that_its_host_gives_up_before_it_is_a_task_ends(
    task_hosts: TaskHosts, emulator: RunningEmulator
) -> None:
    async with task_hosts(hand_over_seconds=DEADLINE_SECONDS) as host:
        with emulator.state.hold(after_events=3) as hold:
            async with anyio.create_task_group() as calling:
                calling.start_soon(lambda: host.call(ASK, prompt="Hi"))
                await hold.reached.wait()
                calling.cancel_scope.cancel()
            await (await emulator.state.request_log.wait_for(1)).disconnected.wait()
        after = await host.call(ASK, prompt="[[say still here]]")
    assert after["structuredContent"]["text"] == "still here"


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_a_task_that_does_not_exist_is_an_invalid_parameter(task_hosts: TaskHosts, method: str) -> None:
    async with task_hosts() as host:
        with pytest.raises(MCPError) as refused:
            await {"tasks/get": host.get, "tasks/update": host.update, "tasks/cancel": host.cancel}[method]("job_0")
    assert refused.value.error.code == -32602
    assert refused.value.error.message.startswith("There is no running or finished call 'job_0'.")


async def test_hosts_that_do_not_declare_tasks_see_nothing_of_them(
    connect: Connect, task_hosts: TaskHosts, emulator: RunningEmulator, era: str
) -> None:
    async with connect(era, hand_over_seconds=0.05) as host, task_hosts() as declaring:
        with emulator.state.hold():
            _, facts, _ = await host.call(ASK, prompt="Hi")
        refusals = []
        for method in ("tasks/get", "tasks/update", "tasks/cancel"):
            with pytest.raises(MCPError) as refused:
                await ask(host.client.session, method, taskId=facts["response_id"], inputResponses={})
            refusals.append(refused.value.error)
        assert (await host.client.list_tools()).tools == (await declaring.client.list_tools()).tools
        # What was handed over without a task can be looked at as one by who knows tasks.
        task = await declaring.until(facts["response_id"], "completed")
        _, waited, _ = await host.call("get_response", response_id=facts["response_id"])
    assert facts["status"] == "running"
    assert task["result"]["structuredContent"] == waited
    if era == "legacy":
        assert {refusal.code for refusal in refusals} == {-32601}
    else:
        assert {refusal.code for refusal in refusals} == {-32021}
        assert refusals[0].data == {"requiredCapabilities": {"extensions": {IDENTIFIER: {}}}}


async def test_a_tool_that_takes_a_task_is_refused_to_a_host_without(
    emulator: RunningEmulator, tmp_path: Path, era: str
) -> None:
    server = build_server(lambda: open_bridge(settings_for(emulator, tmp_path), {}))
    server.tasks.policies[ASK] = TaskPolicy(required=True)
    async with Client(server, mode=era) as client:
        with pytest.raises(MCPError) as refused:
            await client.call_tool(ASK, {"prompt": "Hi"})
    assert refused.value.error.code == -32021
    assert emulator.state.request_log.to("/responses") == []
