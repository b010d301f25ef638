"""Calls that outlive their host's patience: handed over, waited for, looked at, cancelled, found again."""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from databricks_responses_mcp.calls import job_results, jobs
from databricks_responses_mcp.calls.tool_call import patience_with
from databricks_responses_mcp.hosts.limits import find_limits
from databricks_responses_mcp.store.factory import open_store
from databricks_responses_mcp.store.memory import MemoryStore
from databricks_responses_mcp.store.records import Job
from databricks_responses_mcp.turns import progress
from databricks_responses_mcp.turns.partial_response import PartialResponse
from databricks_workspace_emulator.server import RunningEmulator
from harness import Connect, Host
from harness.clock import settable_clock
from harness.deadlines import DEADLINE_SECONDS
from harness.leases import end_leases

pytestmark = pytest.mark.anyio

ASK = "ask_databricks_model"
GET = "get_response"
SOON = 0.05
LATE = 2.0 * DEADLINE_SECONDS
"""When nothing is handed over by itself, but only when the clock is set forward."""

AFTER_WORDS = 9
"""Events of an answer, some words among them."""


async def handed_over(host: Host, tool: str = ASK, **arguments: Any) -> dict[str, Any]:
    """Make a call that is handed over; its structured content."""
    if tool == ASK:
        arguments = {"prompt": "[[words 200]]", **arguments}
    _, facts, failed = await host.call(tool, **arguments)
    assert not failed
    assert facts["status"] == "running"
    return facts


async def result_of(host: Host, response_id: str, **arguments: Any) -> tuple[list[Any], dict[str, Any], bool]:
    """Ask with `get_response` until the call has ended."""
    with anyio.fail_after(DEADLINE_SECONDS):
        while True:
            blocks, facts, failed = await host.call(GET, response_id=response_id, **arguments)
            if facts.get("status") != "running":
                return blocks, facts, failed


async def words_of(host: Host, response_id: str, fact: str = "text") -> dict[str, Any]:
    """Look until the held call's words, or another fact, have arrived."""
    with anyio.fail_after(DEADLINE_SECONDS):
        while True:
            _, facts, failed = await host.call(GET, response_id=response_id, wait_seconds=0)
            assert not failed
            if facts.get(fact):
                return facts


async def test_a_long_call_comes_back_running_with_what_it_has_and_how_to_go_on(
    connect: Connect, emulator: RunningEmulator, era: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_NEWS_SECONDS", 0.01)
    # Over the older protocol the client is told meanwhile that words have come; then they must be in the result.
    async with connect(era, hand_over_seconds=LATE if era == "legacy" else SOON) as host:
        with emulator.state.hold(AFTER_WORDS), settable_clock() as clock:
            async with anyio.create_task_group() as tasks:
                if era == "legacy":
                    tasks.start_soon(
                        clock.advance_once, lambda: any("word2" in message for _, message in host.progress), LATE
                    )
                blocks, facts, failed = await host.call(ASK, prompt="[[words 200]]")
            assert not failed
            assert facts["status"] == "running"
            assert facts["response_id"].startswith("job_")
            assert "pending_calls" not in facts
            assert "error" not in facts
            assert f'get_response with response_id "{facts["response_id"]}"' in blocks[0].text
            if era == "legacy":
                assert facts["text"].startswith("word1 word2")
                assert "word1 word2" in blocks[0].text
        blocks, whole, failed = await result_of(host, facts["response_id"])
    assert not failed
    assert whole["status"] == "completed"
    assert whole["text"].endswith("word200")
    assert blocks[0].text == whole["text"]
    assert whole["conversation_id"].startswith("conv_")
    assert whole["usage"]["output_tokens"] > 0
    assert len(emulator.state.request_log.to("/responses")) == 1


async def test_the_result_is_that_of_the_same_call_answered_at_once(
    connect: Connect, emulator: RunningEmulator
) -> None:
    asked: dict[str, Any] = {"prompt": "Think. [[words 30]]", "reasoning_effort": "low"}
    async with connect() as host:
        at_once = await host.call(ASK, **asked)
    async with connect(hand_over_seconds=SOON) as host:
        with emulator.state.hold(2):
            running = await handed_over(host, **asked)
        later = await result_of(host, running["response_id"])
    changing = ("conversation_id", "response_id")
    assert {k: v for k, v in at_once[1].items() if k not in changing} == {
        k: v for k, v in later[1].items() if k not in changing
    }
    assert [block.model_dump() for block in at_once[0]] == [block.model_dump() for block in later[0]]
    assert later[1]["response_id"].startswith("resp")


async def test_waiting_tells_the_host_that_the_call_still_runs(connect: Connect, emulator: RunningEmulator) -> None:
    async with connect("legacy", hand_over_seconds=SOON) as host:
        with emulator.state.hold(AFTER_WORDS):
            running = await handed_over(host)
            await words_of(host, running["response_id"])
            host.progress.clear()
            await host.call(GET, response_id=running["response_id"])
        assert any(message.startswith("still running: …word1") for _, message in host.progress)


async def test_looking_without_waiting_says_how_far_it_has_come(
    connect: Connect, emulator: RunningEmulator, era: str
) -> None:
    async with connect(era, hand_over_seconds=SOON) as host:
        with emulator.state.hold(AFTER_WORDS):
            running = await handed_over(host)
            facts = await words_of(host, running["response_id"])
            assert (facts["status"], facts["response_id"]) == ("running", running["response_id"])
            assert facts["text"].startswith("word1")
        _, facts, _ = await result_of(host, running["response_id"])
        _, again, _ = await host.call(GET, response_id=running["response_id"], wait_seconds=0)
    assert facts["status"] == "completed"
    assert again == facts


async def test_cancelling_closes_the_connection_and_gives_what_had_come(
    connect: Connect, emulator: RunningEmulator, era: str
) -> None:
    async with connect(era, hand_over_seconds=SOON) as host:
        with emulator.state.hold(AFTER_WORDS):
            running = await handed_over(host)
            await words_of(host, running["response_id"])
            blocks, facts, failed = await host.call(GET, response_id=running["response_id"], cancel=True)
            with anyio.fail_after(DEADLINE_SECONDS):
                await emulator.state.request_log.to("/responses")[0].disconnected.wait()
        _, again, _ = await host.call(GET, response_id=running["response_id"])
        _, listed, _ = await host.call("manage_conversations", action="list")
    assert not failed
    assert facts["status"] == "cancelled"
    assert facts["text"].startswith("word1")
    assert "cancelled" in blocks[0].text
    assert again == facts
    assert listed["total"] == 0


async def test_an_id_that_nobody_has_is_not_found(connect: Connect, era: str) -> None:
    async with connect(era) as host:
        _, facts, failed = await host.call(GET, response_id="job_0000000000000000")
    assert failed
    assert facts["error"]["code"] == "not_found"


async def test_a_failure_after_the_hand_over_is_told_in_the_error_contract(
    connect: Connect, emulator: RunningEmulator
) -> None:
    async with connect(hand_over_seconds=SOON) as host:
        with emulator.state.hold(2):
            running = await handed_over(host, prompt="[[fail]]")
        _, facts, failed = await result_of(host, running["response_id"])
    async with connect() as host:
        _, again, still_failed = await host.call(GET, response_id=running["response_id"])
    assert failed
    assert still_failed
    assert facts["status"] == "failed"
    assert facts["error"]["code"] == "upstream_error"
    assert facts["text"]
    assert again == facts


async def test_pictures_come_with_their_thumbnails(connect: Connect, emulator: RunningEmulator) -> None:
    async with connect(hand_over_seconds=SOON) as host:
        with emulator.state.hold(2):
            running = await handed_over(host, "generate_image", prompt="A cat")
        blocks, facts, failed = await result_of(host, running["response_id"])
    async with connect() as host:
        later, same, _ = await host.call(GET, response_id=running["response_id"])
    assert not failed
    assert [block.type for block in blocks] == ["text", "image", "text"]
    assert Path(facts["images"][0]["path"]).exists()
    assert facts["images"][0]["path"] in blocks[0].text
    assert same == facts
    assert [block.model_dump() for block in later] == [block.model_dump() for block in blocks]


@pytest.mark.slow
async def test_a_picture_that_was_saved_is_told_of_when_the_rest_is_cancelled(
    connect: Connect, emulator: RunningEmulator
) -> None:
    asked: dict[str, Any] = {"prompt": "Draw a cat.", "tools": [{"type": "image_generation"}]}
    async with connect() as host:
        await host.call(ASK, **asked)
    events = emulator.state.request_log.to("/responses")[0].events_sent
    async with connect(hand_over_seconds=SOON) as host:
        with emulator.state.hold(events - 2):
            running = await handed_over(host, **asked)
            await words_of(host, running["response_id"], "images")
            blocks, facts, _ = await host.call(GET, response_id=running["response_id"], cancel=True)
    assert facts["status"] == "cancelled"
    assert Path(facts["images"][0]["path"]).exists()
    assert [block.type for block in blocks] == ["text", "image", "text"]


async def test_an_edit_comes_with_its_diff_and_is_applied_once(
    connect: Connect, emulator: RunningEmulator, tmp_path: Path
) -> None:
    file = tmp_path / "main.py"
    file.write_text("def f(n):\n    return n\n")
    async with connect(hand_over_seconds=SOON) as host:
        with emulator.state.hold(2):
            running = await handed_over(
                host, "edit_files", instruction="Add input validation.", paths=[str(file)], apply=True
            )
            assert file.read_text() == "def f(n):\n    return n\n"
        blocks, facts, failed = await result_of(host, running["response_id"])
    async with connect() as host:
        again = await host.call(GET, response_id=running["response_id"])
    assert not failed
    assert facts["applied"]
    assert facts["diff"] in blocks[0].text
    assert "These changes were written" in blocks[0].text
    assert file.read_text() != "def f(n):\n    return n\n"
    assert (again[0][0].text, again[1]) == (blocks[0].text, facts)


async def test_a_search_comes_with_its_citations(connect: Connect, emulator: RunningEmulator) -> None:
    async with connect(hand_over_seconds=SOON) as host:
        with emulator.state.hold(2):
            running = await handed_over(host, "search_web", question="News?")
        blocks, facts, _ = await result_of(host, running["response_id"])
    assert facts["citations"]
    assert "Sources:" in blocks[0].text


async def test_calls_that_the_model_makes_can_be_answered_after_a_hand_over(
    connect: Connect, emulator: RunningEmulator
) -> None:
    weather = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": False}
    async with connect(hand_over_seconds=SOON) as host:
        with emulator.state.hold(5):
            running = await handed_over(host, prompt="Weather?", tools=[weather])
        _, facts, _ = await result_of(host, running["response_id"])
        outputs = [{"call_id": facts["pending_calls"][0]["call_id"], "output": "22 degrees"}]
        with emulator.state.hold(2):
            running = await handed_over(
                host, "continue_databricks_model", conversation_id=facts["conversation_id"], outputs=outputs
            )
        _, facts, _ = await result_of(host, running["response_id"])
    assert "22 degrees" in facts["text"]


async def test_an_approval_that_was_asked_for_after_the_hand_over_waits_for_the_host(
    connect: Connect, emulator: RunningEmulator, era: str
) -> None:
    genie = {"type": "mcp", "server_label": "genie", "server_url": "https://mcp.example.com"}
    async with connect(era, hand_over_seconds=SOON, model_approvals="allow") as host:
        with emulator.state.hold(3):
            running = await handed_over(host, prompt="Search.", tools=[genie])
        blocks, facts, _ = await result_of(host, running["response_id"])
        approval = facts["pending_calls"][0]["approval_request_id"]
        assert approval in blocks[0].text
        with emulator.state.hold(3):
            running = await handed_over(
                host,
                "continue_databricks_model",
                conversation_id=facts["conversation_id"],
                outputs=[{"approval_request_id": approval, "approve": True}],
            )
        _, facts, _ = await result_of(host, running["response_id"])
    assert "mcp_call" in [item["type"] for item in facts["output"]]
    assert "pending_calls" not in facts


async def test_what_an_mcp_server_is_signed_in_to_with_is_not_told_on_the_way_nor_kept(
    connect: Connect, emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "BEAT_SECONDS", 0.05)
    secret = "tok-3f9c2d71e8"
    docs = {"url": "https://mcp.example.com", "authorization": secret, "require_approval": "never"}
    async with connect(hand_over_seconds=SOON, mcp_servers=json.dumps({"docs": docs})) as host, connect() as other:
        with emulator.state.hold(25):
            # As if the server had told its own secret.
            prompt = f"[[say {secret} and more and more and more and more and more]]"
            running = await handed_over(host, prompt=prompt, mcp_servers=["docs"])
            here = await words_of(host, running["response_id"])
            there = await words_of(other, running["response_id"])
        _, whole, _ = await result_of(host, running["response_id"])
    assert emulator.state.request_log.to("/responses")[0].body["tools"][0]["authorization"] == secret
    assert secret not in str((here, there, whole))
    assert there["text"].startswith("[redacted] and more")
    with closing(sqlite3.connect(tmp_path / "store" / "conversations.db")) as connection:
        kept = str([connection.execute(f"SELECT * FROM {t}").fetchall() for t in ("jobs", "states", "conversations")])
        said, items = connection.execute("SELECT said, items FROM turns").fetchone()
    assert secret not in kept.replace(f"[[say {secret}", "")
    assert secret in said
    assert secret not in items


class Arriving(PartialResponse):
    """An answer of which more arrives all the time."""

    count = 0

    @property
    def events(self) -> int:
        self.count += 1
        return self.count

    def structured(self) -> dict[str, Any]:
        return {"text": "x" * 10_000}


class CountingStore(MemoryStore):
    """Counts how often a running job is written, with and without what has come."""

    def __init__(self) -> None:
        super().__init__()
        self.beats: list[bool] = []
        self.enough = anyio.Event()

    async def beat_job(self, job_id: str, now: float, structured: Mapping[str, Any] | None) -> bool:
        self.beats.append(structured is not None)
        if len(self.beats) == 20:
            self.enough.set()
        return await super().beat_job(job_id, now, structured)


@pytest.mark.parametrize(("written_per_second", "writes"), [(1, 1), (10**12, 20)])
async def test_a_long_text_is_written_more_rarely_while_its_lease_is_renewed_as_often(
    monkeypatch: pytest.MonkeyPatch, written_per_second: int, writes: int
) -> None:
    monkeypatch.setattr(jobs, "BEAT_SECONDS", 0.001)
    monkeypatch.setattr(jobs, "_WRITTEN_PER_SECOND", written_per_second)
    store = CountingStore()
    async with anyio.create_task_group() as tasks:
        with anyio.fail_after(DEADLINE_SECONDS):
            await jobs.Jobs(lambda: store, tasks).keep(jobs.RunningJob("job-1", ASK, Arriving()))
            await store.enough.wait()
        tasks.cancel_scope.cancel()
    await store.aclose()
    assert store.beats[:20].count(True) == writes


@pytest.mark.slow
async def test_another_server_on_the_store_waits_for_a_call_and_cancels_it(
    connect: Connect, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "BEAT_SECONDS", 0.05)
    async with connect(hand_over_seconds=SOON) as host, connect() as other:
        with emulator.state.hold(AFTER_WORDS):
            first = await handed_over(host)
            _, facts, _ = await other.call(GET, response_id=first["response_id"], wait_seconds=0)
            assert facts["status"] == "running"
        _, facts, _ = await result_of(other, first["response_id"])
        assert facts["text"].endswith("word200")
        with emulator.state.hold(AFTER_WORDS):
            second = await handed_over(host)
            await words_of(host, second["response_id"])
            _, facts, _ = await other.call(GET, response_id=second["response_id"], cancel=True)
            with anyio.fail_after(DEADLINE_SECONDS):
                await emulator.state.request_log.to("/responses")[1].disconnected.wait()
    assert facts["status"] == "cancelled"
    assert facts["text"].startswith("word1")


async def test_a_call_whose_server_ended_says_interrupted_with_what_had_come(
    connect: Connect, emulator: RunningEmulator
) -> None:
    with emulator.state.hold(AFTER_WORDS):
        async with connect(hand_over_seconds=SOON) as host:
            running = await handed_over(host)
            await words_of(host, running["response_id"])
        with anyio.fail_after(DEADLINE_SECONDS):
            await emulator.state.request_log.to("/responses")[0].disconnected.wait()
    async with connect() as host:
        blocks, facts, failed = await host.call(GET, response_id=running["response_id"])
    assert not failed
    assert facts["status"] == "interrupted"
    assert facts["text"].startswith("word1")
    assert "ended before it did" in blocks[0].text
    assert len(emulator.state.request_log.to("/responses")) == 1


async def test_a_call_that_nobody_says_runs_any_more_was_interrupted(connect: Connect, tmp_path: Path) -> None:
    file = tmp_path / "store" / "conversations.db"
    store = open_store(str(file))
    facts = {"text": "So far", "status": "cut", "model": "gpt"}
    await store.put_job(
        Job(job_id="job_killed", tool=ASK, status="running", created_at=1.0, updated_at=1.0, structured=facts)
    )
    await store.aclose()
    end_leases(file)
    async with connect() as host:
        _, found, _ = await host.call(GET, response_id="job_killed")
    assert (found["status"], found["text"]) == ("interrupted", "So far")


async def test_a_host_that_cancels_before_the_hand_over_closes_the_connection_and_nothing_is_left(
    connect: Connect, emulator: RunningEmulator, tmp_path: Path, era: str
) -> None:
    with emulator.state.hold(AFTER_WORDS) as hold:
        async with connect(era) as host:
            async with anyio.create_task_group() as tasks:

                async def call() -> None:
                    await host.call(ASK, prompt="[[words 200]]")

                tasks.start_soon(call)
                with anyio.fail_after(DEADLINE_SECONDS):
                    await hold.reached.wait()
                    tasks.cancel_scope.cancel()
            with anyio.fail_after(DEADLINE_SECONDS):
                await emulator.state.request_log.to("/responses")[0].disconnected.wait()
            _, listed, _ = await host.call("manage_conversations", action="list")
            assert listed["total"] == 0


async def test_many_calls_run_at_once_and_each_gets_its_own(connect: Connect, emulator: RunningEmulator) -> None:
    count = 20
    results: dict[int, str] = {}
    async with connect(hand_over_seconds=SOON) as host:
        running: dict[int, str] = {}

        async def begin(number: int) -> None:
            running[number] = (await handed_over(host, prompt=f"[[say answer {number}]]"))["response_id"]

        async def finish(number: int) -> None:
            results[number] = (await result_of(host, running[number]))[1]["text"]

        with emulator.state.hold(2):
            async with anyio.create_task_group() as tasks:
                for number in range(count):
                    tasks.start_soon(begin, number)
        async with anyio.create_task_group() as tasks:
            for number in range(count):
                tasks.start_soon(finish, number)
    assert results == {number: f"answer {number}" for number in range(count)}


@pytest.mark.parametrize(
    ("client", "has_progress", "seconds"),
    [
        ("codex-mcp-client", False, 279.0),
        ("codex-mcp-client", True, 279.0),
        ("some-new-host", True, 50.0),
        ("claude-ai", False, 50.0),
        ("gemini-cli-mcp-client", False, 570.0),
        ("opencode", False, 50.0),
        ("opencode", True, 1800.0),
        ("claude-code", False, 1800.0),
    ],
)
def test_each_host_is_answered_a_little_before_it_gives_up(client: str, has_progress: bool, seconds: float) -> None:
    assert patience_with(find_limits(client), has_progress=has_progress) == pytest.approx(seconds)


async def test_a_finished_call_is_not_held_in_memory_for_ever(
    connect: Connect, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_MAX_WHOLE", 2)
    kept: list[str] = []
    asked: list[str] = []
    stored_job = job_results.stored_job

    async def told(app: Any, job_id: str) -> Job:
        asked.append(job_id)
        return await stored_job(app, job_id)

    monkeypatch.setattr(job_results, "stored_job", told)
    async with connect(hand_over_seconds=SOON) as host:
        for number in range(6):
            with emulator.state.hold():
                running = await handed_over(host, prompt=f"[[say {number}]]")
            await result_of(host, running["response_id"])
            kept.append(running["response_id"])
        texts = [(await host.call(GET, response_id=job_id))[1]["text"] for job_id in kept]
    assert texts == [str(number) for number in range(6)]
    assert kept[:4] == list(dict.fromkeys(asked))


async def test_what_was_shown_of_a_running_call_is_in_the_store(
    connect: Connect, emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "BEAT_SECONDS", 3600.0)
    async with connect(hand_over_seconds=SOON) as host:
        with emulator.state.hold(AFTER_WORDS):
            job_id = (await handed_over(host))["response_id"]
            shown = await words_of(host, job_id)
            with closing(sqlite3.connect(tmp_path / "store" / "conversations.db")) as database:
                (kept,) = database.execute("SELECT facts FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
    assert shown["text"]
    assert json.loads(kept)["text"] == shown["text"]
