"""Calls with an idempotency key: made once, whoever asks again, and however the first one ended."""

import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client import ClientRequestContext
from mcp.types import ElicitRequestParams, ElicitResult

from databricks_responses_mcp.calls import idempotency, jobs
from databricks_responses_mcp.server import build_server
from databricks_responses_mcp.store.factory import open_store
from databricks_responses_mcp.store.memory import MemoryStore
from databricks_responses_mcp.store.records import Job
from databricks_responses_mcp.turns.bridge import open_bridge
from databricks_workspace_emulator.server import RunningEmulator
from harness import Connect, Host, settings_for
from harness.clock import settable_clock
from harness.deadlines import DEADLINE_SECONDS

pytestmark = pytest.mark.anyio

ASK = "ask_databricks_model"
KEYED: dict[str, Any] = {"prompt": "[[words 20]]", "idempotency_key": "once"}
SOON = 0.05


def requests(emulator: RunningEmulator) -> int:
    return len(emulator.state.request_log.to("/responses"))


async def ended(host: Host, **arguments: Any) -> tuple[list[Any], dict[str, Any], bool]:
    """Call again with the same key until it has ended."""
    with anyio.fail_after(DEADLINE_SECONDS):
        while True:
            result = await host.call(ASK, **arguments)
            if result[1].get("status") != "running":
                return result


async def test_the_same_call_gives_the_first_result_and_asks_nothing(
    connect: Connect, emulator: RunningEmulator, era: str
) -> None:
    async with connect(era) as host:
        blocks, facts, failed = await host.call(ASK, **KEYED)
        again = await host.call(ASK, **KEYED)
    async with connect(era) as host:
        after_restart = await host.call(ASK, **KEYED)
    assert not failed
    assert facts["text"].endswith("word20")
    for result in (again, after_restart):
        assert (result[0][0].text, result[1], result[2]) == (blocks[0].text, facts, False)
    assert requests(emulator) == 1


async def test_the_order_of_the_arguments_makes_no_other_call(connect: Connect, emulator: RunningEmulator) -> None:
    extra = {"metadata": {"a": "1", "b": "2"}, "top_p": 0.5}
    turned = {"top_p": 0.5, "metadata": {"b": "2", "a": "1"}}
    async with connect() as host:
        _, first, _ = await host.call(ASK, **KEYED, extra=extra)
        _, again, failed = await host.call(ASK, extra=turned, **dict(reversed(KEYED.items())))
    assert (failed, again) == (False, first)
    assert requests(emulator) == 1


async def test_a_picture_is_drawn_once_and_shown_again(connect: Connect, emulator: RunningEmulator) -> None:
    async with connect() as host:
        first = await host.call("generate_image", prompt="A cat", idempotency_key="cat")
    async with connect() as host:
        second = await host.call("generate_image", prompt="A cat", idempotency_key="cat")
    assert [block.type for block in second[0]] == ["text", "image", "text"]
    assert [block.model_dump() for block in second[0]] == [block.model_dump() for block in first[0]]
    assert second[1] == first[1]
    assert requests(emulator) == 1


async def test_an_edit_is_applied_once(connect: Connect, emulator: RunningEmulator, tmp_path: Path) -> None:
    file = tmp_path / "main.py"
    file.write_text("def f(n):\n    return n\n")
    edit = {"instruction": "Validate.", "paths": [str(file)], "apply": True, "idempotency_key": "edit"}
    async with connect() as host:
        first = await host.call("edit_files", **edit)
        file.write_text("mine\n")
        second = await host.call("edit_files", **edit)
    assert first[1]["applied"]
    assert (second[0][0].text, second[1]) == (first[0][0].text, first[1])
    assert file.read_text() == "mine\n"


async def test_other_arguments_or_another_tool_are_refused(
    connect: Connect, emulator: RunningEmulator, era: str
) -> None:
    async with connect(era) as host:
        await host.call(ASK, **KEYED)
        _, other, _ = await host.call(ASK, **{**KEYED, "prompt": "Else"})
        _, tool, _ = await host.call("generate_image", **KEYED)
    for facts in (other, tool):
        assert facts["error"]["code"] == "invalid_argument"
        assert "idempotency_key 'once'" in facts["error"]["message"]
    assert requests(emulator) == 1


async def test_two_at_once_are_one_in_one_process_and_in_two(connect: Connect, emulator: RunningEmulator) -> None:
    results: list[Any] = []
    async with connect() as host, connect() as other:

        async def call(whom: Host) -> None:
            results.append((await ended(whom, **KEYED))[1])

        async with anyio.create_task_group() as tasks:
            for whom in (host, other, host, other, host):
                tasks.start_soon(call, whom)
    assert len(results) == 5
    assert all(result == results[0] for result in results)
    assert results[0]["text"].endswith("word20")
    assert requests(emulator) == 1


async def test_a_call_that_was_handed_over_is_found_by_its_key(connect: Connect, emulator: RunningEmulator) -> None:
    async with connect(hand_over_seconds=SOON) as host:
        with emulator.state.hold(3):
            _, running, _ = await host.call(ASK, **KEYED)
            _, again, _ = await host.call(ASK, **KEYED)
        assert running["status"] == again["status"] == "running"
        assert again["response_id"] == running["response_id"]
        _, facts, _ = await ended(host, **KEYED)
    assert facts["text"].endswith("word20")
    assert requests(emulator) == 1


async def test_a_call_that_was_interrupted_is_not_made_again(connect: Connect, emulator: RunningEmulator) -> None:
    with emulator.state.hold(9):
        async with connect(hand_over_seconds=SOON) as host:
            _, running, _ = await host.call(ASK, **KEYED)
            text = ""
            while not text:
                text = (await host.call("get_response", response_id=running["response_id"]))[1]["text"]
    async with connect() as host:
        _, facts, failed = await host.call(ASK, **KEYED)
    assert not failed
    assert facts["status"] == "interrupted"
    assert facts["text"].startswith("word1")
    assert requests(emulator) == 1


async def test_a_failure_that_was_paid_for_is_kept(connect: Connect, emulator: RunningEmulator) -> None:
    failing = {**KEYED, "prompt": "[[fail]]"}
    async with connect() as host:
        _, facts, failed = await host.call(ASK, **failing)
        _, again, still = await host.call(ASK, **failing)
    assert failed
    assert still
    assert again == facts
    assert requests(emulator) == 1


@pytest.mark.parametrize(
    "wrong",
    [{"prompt": ""}, {"prompt": "Hi", "extra": {"input": []}}, {"prompt": "Hi", "conversation_id": "conv_0"}],
    ids=["by its schema", "by the bridge", "by the store"],
)
async def test_a_call_refused_before_it_costs_anything_frees_its_key(
    connect: Connect, emulator: RunningEmulator, wrong: dict[str, Any]
) -> None:
    async with connect() as host:
        _, refused, failed = await host.call(ASK, **wrong, idempotency_key="once")
        _, facts, _ = await host.call(ASK, **KEYED)
    assert failed
    assert refused["error"]["code"] in ("invalid_argument", "not_found")
    assert facts["text"].endswith("word20")
    assert requests(emulator) == 1


async def test_a_call_that_the_workspace_refused_frees_its_key_also_after_a_hand_over(
    connect: Connect, emulator: RunningEmulator
) -> None:
    emulator.state.faults.add("400")
    async with connect() as host:
        _, _, failed = await host.call(ASK, **KEYED)
        assert failed
        _, facts, failed = await host.call(ASK, **KEYED)
        assert not failed
        late = {**KEYED, "idempotency_key": "late"}
    emulator.state.faults.add(f"delay:{DEADLINE_SECONDS}+400")
    async with connect(hand_over_seconds=SOON) as host:
        with settable_clock() as clock:
            _, running, _ = await host.call(ASK, **late)
            assert running["status"] == "running"
            await emulator.state.request_log.wait_for(3)
            clock.advance(DEADLINE_SECONDS)
            # Under the clock set forward: outside of it the delay would last as long as it says.
            with anyio.fail_after(DEADLINE_SECONDS):
                while True:
                    _, told, failed = await host.call("get_response", response_id=running["response_id"])
                    if told["status"] != "running":
                        break
        assert failed
        _, facts, failed = await ended(host, **late)
        assert not failed
    assert facts["text"].endswith("word20")


async def test_a_call_that_its_host_cancelled_before_the_model_began_frees_its_key(
    connect: Connect, emulator: RunningEmulator
) -> None:
    async with connect() as host:
        with emulator.state.hold(0) as hold:
            async with anyio.create_task_group() as tasks:

                async def call() -> None:
                    await host.call(ASK, **KEYED)

                tasks.start_soon(call)
                with anyio.fail_after(DEADLINE_SECONDS):
                    await hold.reached.wait()
                tasks.cancel_scope.cancel()
            with anyio.fail_after(DEADLINE_SECONDS):
                await emulator.state.request_log.to("/responses")[0].disconnected.wait()
        _, facts, failed = await ended(host, **KEYED)
    assert not failed
    assert facts["text"].endswith("word20")


async def test_a_key_whose_process_died_before_it_put_the_call_down_is_free_again(
    connect: Connect, emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "_VANISHED_SECONDS", 0.2)
    async with connect() as host:
        await host.call(ASK, **{**KEYED, "idempotency_key": "other"})
        store = open_store(str(tmp_path / "store" / "conversations.db"))
        # The claim of a process that was killed in the next moment.
        fingerprint = idempotency.fingerprint_of(ASK, KEYED)
        await store.claim_key("once", fingerprint, "job_gone", time.time())
        await store.aclose()
        _, facts, failed = await host.call(ASK, **KEYED)
    assert not failed
    assert facts["text"].endswith("word20")
    assert requests(emulator) == 2


async def test_nothing_is_sent_if_the_call_cannot_be_put_down(
    connect: Connect, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from databricks_responses_mcp.store.interface import StoreError

    async def full(store: MemoryStore, job: Job) -> None:
        raise StoreError("The disk is full.")

    async with connect(store="off") as host:
        with monkeypatch.context() as patched:
            patched.setattr(MemoryStore, "put_job", full)
            _, facts, failed = await host.call(ASK, **KEYED)
            assert requests(emulator) == 0
        _, again, _ = await host.call(ASK, **KEYED)
    assert failed
    assert facts["error"]["code"] == "internal"
    assert "disk is full" in facts["error"]["message"]
    assert again["text"].endswith("word20")


async def test_a_call_that_lost_its_key_meanwhile_does_not_begin(
    connect: Connect, emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = jobs.Jobs.keep

    async def slowly(self: jobs.Jobs, job: jobs.RunningJob) -> str:
        problem = await keep(self, job)
        store = open_store(str(tmp_path / "store" / "conversations.db"))
        await store.release_key("once", job.job_id)
        await store.claim_key("once", idempotency.fingerprint_of(ASK, KEYED), "job_faster", time.time())
        await store.aclose()
        return problem

    monkeypatch.setattr(jobs.Jobs, "keep", slowly)
    async with connect() as host:
        _, facts, failed = await host.call(ASK, **KEYED)
    assert failed
    assert facts["error"]["retryable"]
    assert requests(emulator) == 0


async def test_a_call_whose_user_was_asked_is_one_call_to_its_end(
    emulator: RunningEmulator, tmp_path: Path, era: str
) -> None:
    asked: list[str] = []

    async def approve(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={"approve": True})

    genie = {"type": "mcp", "server_label": "genie", "server_url": "https://mcp.example.com"}
    call: dict[str, Any] = {"prompt": "Search.", "tools": [genie], "idempotency_key": "once"}
    settings = settings_for(emulator, tmp_path)
    results = []
    for _ in range(2):
        server = build_server(lambda: open_bridge(settings, {}))
        with anyio.fail_after(DEADLINE_SECONDS):
            async with Client(server, mode=era, elicitation_callback=approve) as client:
                results += [await Host(client).call(ASK, **call), await Host(client).call(ASK, **call)]
    first = results[0]
    assert "mcp_call" in [item["type"] for item in first[1]["output"]]
    assert [(blocks[0].text, facts) for blocks, facts, _ in results] == [(first[0][0].text, first[1])] * 4
    assert len(asked) == 1
    assert requests(emulator) == 2
