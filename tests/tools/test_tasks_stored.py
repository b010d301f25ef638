"""Tasks after restarts, in other processes, with idempotency keys, and as this host takes them."""

import json
from pathlib import Path

import pytest
from mcp import MCPError

from databricks_responses_mcp.calls import jobs, running_task
from databricks_responses_mcp.store.records import Job
from databricks_responses_mcp.turns.bridge import open_bridge
from databricks_workspace_emulator.server import RunningEmulator
from harness import settings_for
from harness.leases import end_leases
from harness.tasks_client import OVER, TaskHosts

pytestmark = pytest.mark.anyio

ASK = "ask_databricks_model"


async def test_a_finished_task_survives_a_restart(task_hosts: TaskHosts, emulator: RunningEmulator) -> None:
    async with task_hosts() as host:
        with emulator.state.hold():
            asked = await host.start(ASK, prompt="[[say kept]]")
            drawn = await host.start("generate_image", prompt="A cat", size="256x256")
            failed = await host.start(ASK, prompt="[[fail]]")
        before = [await host.until(task_id, "completed") for task_id in (asked, drawn, failed)]
    async with task_hosts() as host:
        after = [await host.get(task_id) for task_id in (asked, drawn, failed)]
        assert await host.cancel(asked) == {"resultType": "complete"}
        assert await host.update(asked, approval_1={"action": "accept"}) == {"resultType": "complete"}
        assert await host.get(asked) == after[0]
    assert after == before


async def test_a_cancelled_task_survives_a_restart(task_hosts: TaskHosts, emulator: RunningEmulator) -> None:
    async with task_hosts() as host:
        with emulator.state.hold():
            task_id = await host.start(ASK, prompt="Hi")
            await host.cancel(task_id)
            before = await host.until(task_id, "cancelled")
    async with task_hosts() as host:
        assert await host.get(task_id) == before


async def test_a_task_whose_server_ended_gives_what_had_come(task_hosts: TaskHosts, emulator: RunningEmulator) -> None:
    with emulator.state.hold(after_events=8):
        async with task_hosts() as host:
            task_id = await host.start(ASK, prompt="[[words 30]]")
            task = await host.get(task_id)
            while "word" not in task["statusMessage"]:
                task = await host.get(task_id)
    async with task_hosts() as host:
        result = await host.result(task_id)
    assert result["isError"] is True
    facts = result["structuredContent"]
    assert facts["status"] == "interrupted"
    assert facts["text"].startswith("word")
    assert facts["text"] in result["content"][0]["text"]
    assert "No request was repeated." in facts["notes"][-1]


async def test_a_task_whose_server_was_killed_is_seen_to_have_been_interrupted(
    task_hosts: TaskHosts, emulator: RunningEmulator, tmp_path: Path
) -> None:
    async with open_bridge(settings_for(emulator, tmp_path), {}) as bridge:
        facts = {"status": "in_progress", "text": "Once upon"}
        times = {"created_at": 1, "updated_at": 2}
        killed = Job(job_id="job_0123456789abcdef", tool=ASK, status="running", structured=facts, **times)
        await bridge.store.put_job(killed)
    end_leases(tmp_path / "store" / "conversations.db")
    async with task_hosts() as host:
        task = await host.get(killed.job_id)
    assert (task["status"], task["createdAt"], task["lastUpdatedAt"]) == (
        "completed",
        "1970-01-01T00:00:01.000Z",
        "1970-01-01T00:00:02.000Z",
    )
    assert (task["result"]["isError"], task["result"]["structuredContent"]["text"]) == (True, "Once upon")


async def test_a_task_of_another_process_can_be_seen_and_cancelled_and_takes_no_answer_without_a_question(
    task_hosts: TaskHosts, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "BEAT_SECONDS", 0.02)
    async with task_hosts() as host, task_hosts() as other:
        with emulator.state.hold(after_events=8) as hold:
            task_id = await host.start(ASK, prompt="[[words 30]]")
            await hold.reached.wait()
            seen = await other.get(task_id)
            while "word" not in seen["statusMessage"]:
                seen = await other.get(task_id)
            assert await other.update(task_id, approval_1={"action": "accept"}) == {"resultType": "complete"}
            assert (await host.get(task_id))["status"] == "working"
            assert await other.cancel(task_id) == {"resultType": "complete"}
            await host.until(task_id, "cancelled")
            assert (await other.get(task_id))["status"] == "cancelled"
    assert seen["status"] == "working"


async def test_a_task_asks_its_user_through_another_process(
    task_hosts: TaskHosts, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running_task, "_LOOK_SECONDS", 0.02)
    async with task_hosts() as host, task_hosts() as other:
        with emulator.state.hold():
            task_id = await host.start(ASK, prompt="Search for the outage.", mcp_servers=["sql"])
        waiting = await other.until(task_id, "input_required")
        with pytest.raises(MCPError) as refused:
            await other.update(task_id, approval_1="yes")
        await other.update(task_id, unheard_of={"action": "accept"}, approval_1={"action": "accept"})
        result = await other.result(task_id)
    assert list(waiting["inputRequests"]) == ["approval_1"]
    assert refused.value.error.code == -32602
    assert result["structuredContent"]["notes"][0].startswith("The user approved")


async def test_the_same_key_is_the_same_call_task_or_not(task_hosts: TaskHosts, emulator: RunningEmulator) -> None:
    call = {"prompt": "[[say once]]", "idempotency_key": "k-1"}
    async with task_hosts() as host:
        with emulator.state.hold() as hold:
            first = await host.start(ASK, **call)
            await hold.reached.wait()
            second = await host.start(ASK, **call)
        results = [await host.result(task_id) for task_id in (first, second)]
        third = await host.call(ASK, **call)
        if third.get("resultType") == "task":  # on a busy machine
            third = await host.result(third["taskId"])
        with pytest.raises(AssertionError, match="other arguments"):
            await host.start(ASK, **{**call, "prompt": "Else"})
    assert first != second
    texts = [result["structuredContent"]["text"] for result in (*results, third)]
    assert texts == ["once"] * 3
    assert len(emulator.state.request_log.to("/responses")) == 1


async def test_a_task_that_failed_for_nothing_gives_its_key_back(
    task_hosts: TaskHosts, emulator: RunningEmulator
) -> None:
    call = {"prompt": "[[say once]]", "idempotency_key": "k-1"}
    async with task_hosts(max_retries=0) as host:
        emulator.state.faults.add("delay:0.6+400")
        task_id = await host.start(ASK, **call)
        failed = await host.result(task_id)
        with emulator.state.hold():
            next_id = await host.start(ASK, **call)
        again = await host.result(next_id)
        assert (await host.get(task_id))["result"] == failed
    assert failed["isError"] is True
    assert again["structuredContent"]["text"] == "once"


async def test_the_result_is_cut_to_what_the_host_takes_after_a_restart_too(
    task_hosts: TaskHosts, emulator: RunningEmulator
) -> None:
    async with task_hosts("codex-mcp-client") as host:
        with emulator.state.hold():
            task_id = await host.start(ASK, prompt="[[words 20000]]")
        cut = await host.result(task_id)
    async with task_hosts("codex-mcp-client") as host:
        cut_again = await host.result(task_id)
    async with task_hosts("claude-code") as host:
        longer = await host.result(task_id)
    sizes = [len(json.dumps(result["structuredContent"])) for result in (cut, cut_again, longer)]
    assert sizes[0] == sizes[1] < 11_500 < sizes[2]


async def test_a_store_that_cannot_be_used_is_said_and_the_task_can_still_be_had(
    task_hosts: TaskHosts, emulator: RunningEmulator, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    async with task_hosts(store=str(tmp_path / "file" / "conversations.db")) as host:
        with emulator.state.hold():
            created = await host.call(ASK, prompt="[[say here]]")
        result = await host.result(created["taskId"])
        with pytest.raises(MCPError) as failed:
            await host.get("job_unknown")
    assert created["statusMessage"].startswith("This call could not be stored: ")
    assert result["structuredContent"]["text"] == "here"
    assert failed.value.error.code == -32603


async def test_tasks_are_kept_as_long_as_is_said(task_hosts: TaskHosts, emulator: RunningEmulator) -> None:
    async with task_hosts(store_days=2) as host:
        with emulator.state.hold():
            created = await host.call(ASK, prompt="Hi")
        over = await host.until(created["taskId"], *OVER)
    assert created["ttlMs"] == 2 * 86_400_000
    assert over["ttlMs"] >= created["ttlMs"]
