"""Calls that are cancelled, handed over or repeated at an awkward moment: nothing that was paid for is lost."""

import contextlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from mcp.types import ElicitResult, InputRequiredResult

from databricks_responses_mcp.calls import approvals, idempotency, jobs
from databricks_responses_mcp.calls.tool_call import ToolCall
from databricks_responses_mcp.errors import BridgeError
from databricks_workspace_emulator.server import RunningEmulator
from databricks_workspace_emulator.state import Hold
from harness import Connect, Host
from harness.clock import settable_clock
from harness.deadlines import DEADLINE_SECONDS
from harness.tasks_client import TaskHosts
from harness.user import Connected, User

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ASK = "ask_databricks_model"
CONTINUE = "continue_databricks_model"
SEARCH: dict[str, Any] = {"prompt": "Search.", "mcp_servers": ["tickets"]}
WORDS: dict[str, Any] = {"prompt": "[[words 20]]", "idempotency_key": "once"}
SOON = 0.05
LATE = 2.0 * DEADLINE_SECONDS
"""When nothing is handed over by itself, but only when the clock is set forward."""

AFTER_WORDS = 9
"""Events of an answer, some words among them."""


class HoldingUser(User):
    """Approves, and has the model's next answer held after its first events."""

    def __init__(self, emulator: RunningEmulator) -> None:
        super().__init__(True)
        self._emulator = emulator
        self._stack = contextlib.ExitStack()
        self.hold: Hold | None = None

    async def __call__(self, context: Any, params: Any) -> Any:
        self.hold = self._stack.enter_context(self._emulator.state.hold(2))
        return await super().__call__(context, params)

    def is_held(self) -> bool:
        """Whether the answer has reached the hold."""
        return self.hold is not None and self.hold.reached.is_set()

    def release(self) -> None:
        self._stack.close()


def requests(emulator: RunningEmulator) -> int:
    return len(emulator.state.request_log.to("/responses"))


async def cancelled_when(reached: anyio.Event, host: Host, tool: str, **arguments: Any) -> None:
    """Make a call, and cancel it as its host as soon as ``reached`` is set."""
    async with anyio.create_task_group() as calling:
        calling.start_soon(lambda: host.call(tool, **arguments))
        with anyio.fail_after(DEADLINE_SECONDS):
            await reached.wait()
        calling.cancel_scope.cancel()


async def ended(host: Host, tool: str, **arguments: Any) -> dict[str, Any]:
    """Make a call, again while it is running, until it has ended."""
    with anyio.fail_after(DEADLINE_SECONDS):
        while (facts := (await host.call(tool, **arguments))[1]).get("status") == "running":
            pass
    return facts


async def test_a_host_that_cancels_while_its_user_is_asked_leaves_the_calls_waiting(
    hosts: Connected, emulator: RunningEmulator
) -> None:
    user = User("hang", True)
    async with hosts("legacy", user) as host:
        await cancelled_when(user.was_asked, host, ASK, **SEARCH, idempotency_key="once")
        facts = await ended(host, ASK, **SEARCH, idempotency_key="once")
        assert requests(emulator) == 1
        (pending,) = facts["pending_calls"]
        output = {"approval_request_id": pending["approval_request_id"], "approve": True}
        _, later, failed = await host.call(CONTINUE, conversation_id=facts["conversation_id"], outputs=[output])
    assert not failed
    assert "mcp_call" in [item["type"] for item in later["output"]]


async def test_a_question_ends_when_the_host_s_patience_does_and_what_had_come_is_the_result(
    hosts: Connected, emulator: RunningEmulator
) -> None:
    user = User("hang")
    async with hosts("legacy", user, hand_over_seconds=LATE, approval_timeout_seconds=3600) as host:
        with settable_clock() as clock:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(clock.advance_once, user.was_asked.is_set, LATE)
                # With a key, so that there is something to store after the question has ended.
                _, facts, failed = await host.call(ASK, **SEARCH, idempotency_key="once")
    assert not failed
    assert facts["status"] == "completed"
    assert "The user did not answer within" in facts["notes"][0]
    assert [call["type"] for call in facts["pending_calls"]] == ["mcp_approval_request"]
    assert requests(emulator) == 1


async def test_a_call_that_is_repeated_while_its_user_is_asked_is_the_same_call(
    hosts: Connected, emulator: RunningEmulator
) -> None:
    user = User("wait")
    arguments = {**SEARCH, "idempotency_key": "once"}
    results: list[dict[str, Any]] = []
    async with hosts("legacy", user) as host, anyio.create_task_group() as calling:

        async def call() -> None:
            results.append(await ended(host, ASK, **arguments))

        calling.start_soon(call)
        with anyio.fail_after(DEADLINE_SECONDS):
            await user.was_asked.wait()
        calling.start_soon(call)
        with anyio.fail_after(DEADLINE_SECONDS):
            while not any("still running" in message for _, message in host.progress):
                await anyio.lowlevel.checkpoint()  # only the second call says so
        user.may_answer.set()
    assert results[0] == results[1]
    assert results[0]["notes"] == ["The user approved search of tickets."]
    assert len(user.asked) == 1
    assert requests(emulator) == 2


async def test_a_model_cannot_approve_by_a_call_that_was_handed_over_before_its_user_could_be_asked(
    hosts: Connected, emulator: RunningEmulator, era: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = HoldingUser(emulator)
    user.answers = ("cancel", True)
    waits = anyio.Event()
    waiting = approvals._waiting

    async def noted(*arguments: Any) -> Any:
        if user.is_held():
            waits.set()
        return await waiting(*arguments)

    monkeypatch.setattr(approvals, "_waiting", noted)
    async with hosts(era, user, hand_over_seconds=LATE, model_approvals="allow") as host:
        _, facts, _ = await host.call(ASK, **SEARCH)
        user.release()
        (pending,) = facts["pending_calls"]
        output = {"approval_request_id": pending["approval_request_id"], "approve": True}
        running: dict[str, str] = {}

        async def call(name: str) -> None:
            _, facts, _ = await host.call(CONTINUE, conversation_id=pending_in, outputs=[output])
            running[name] = facts["response_id"]

        pending_in = facts["conversation_id"]
        with settable_clock() as clock, anyio.fail_after(DEADLINE_SECONDS + LATE):
            async with anyio.create_task_group() as calling:
                calling.start_soon(call, "first")
                while not user.is_held():
                    await anyio.lowlevel.checkpoint()
                # The first call has the conversation: the second waits for it until its host's time is up.
                calling.start_soon(call, "second")
                await waits.wait()
                clock.advance(LATE)
        await host.call("get_response", response_id=running["first"], cancel=True)
        later = await ended(host, "get_response", response_id=running["second"])
        user.release()
    assert later["notes"] == [
        "The host did not wait until its user could be asked: nothing was approved, the calls wait in pending_calls."
    ]
    assert len(user.asked) == 2
    assert requests(emulator) == 2


async def test_the_turn_after_an_approval_can_be_handed_over_and_its_result_has_both_turns(
    hosts: Connected, emulator: RunningEmulator, era: str
) -> None:
    async with hosts(era, User(True)) as host:
        _, at_once, _ = await host.call(ASK, **SEARCH)
    user = HoldingUser(emulator)
    async with hosts(era, user, hand_over_seconds=LATE) as host:
        with settable_clock() as clock:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(clock.advance_once, user.is_held, LATE)
                _, running, failed = await host.call(ASK, **SEARCH)
            assert (failed, running["status"]) == (False, "running")
            user.release()
            facts = await ended(host, "get_response", response_id=running["response_id"])
    changing = ("conversation_id", "response_id", "output")
    assert {k: v for k, v in facts.items() if k not in changing} == {
        k: v for k, v in at_once.items() if k not in changing
    }
    assert [item["type"] for item in facts["output"]] == ["mcp_list_tools", "mcp_approval_request", "mcp_call"]


async def test_a_picture_of_the_turn_before_an_approval_is_in_the_result(
    hosts: Connected, emulator: RunningEmulator, era: str
) -> None:
    drawing = {**SEARCH, "prompt": "Draw a cat and search.", "tools": [{"type": "image_generation"}]}
    async with hosts(era, User(True)) as host:
        blocks, facts, failed = await host.call(ASK, **drawing)
    assert not failed
    assert requests(emulator) == 2
    assert {"image_generation_call", "mcp_call"} <= {item["type"] for item in facts["output"]}
    assert [Path(image["path"]).exists() for image in facts["images"]] == [True]
    assert [block.type for block in blocks] == ["text", "image", "text"]  # of which the last is the link
    assert facts["images"][0]["path"] in blocks[0].text


async def test_an_answer_that_is_given_twice_leaves_the_result_of_the_key_as_it_was(
    hosts: Connected, emulator: RunningEmulator
) -> None:
    arguments = {**SEARCH, "idempotency_key": "once"}
    yes = {"approval_1": ElicitResult(action="accept")}
    async with hosts("2026-07-28", User(True)) as host:
        asked = await host.client.session.call_tool(ASK, arguments, allow_input_required=True)
        assert isinstance(asked, InputRequiredResult)
        again = {"input_responses": yes, "request_state": asked.request_state}
        first = await host.client.session.call_tool(ASK, arguments, **again)
        second = await host.client.session.call_tool(ASK, arguments, **again)
        _, repeated, failed = await host.call(ASK, **arguments)
    assert (first.is_error, second.is_error, failed) == (False, True, False)
    assert repeated == first.structured_content
    assert requests(emulator) == 2


async def test_a_call_that_asked_and_was_not_answered_frees_its_key(
    hosts: Connected, emulator: RunningEmulator, era: str
) -> None:
    async with hosts(era, User("cancel", "cancel", True)) as host:
        _, facts, _ = await host.call(ASK, **SEARCH)
        (pending,) = facts["pending_calls"]
        output = {"approval_request_id": pending["approval_request_id"], "approve": True}
        again = {"conversation_id": facts["conversation_id"], "outputs": [output], "idempotency_key": "once"}
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(idempotency, "_VANISHED_SECONDS", 0.2)
            dismissed = await ended(host, CONTINUE, **again)
            approved = await ended(host, CONTINUE, **again)
    assert "nothing was approved" in dismissed["notes"][0]
    assert approved["notes"] == ["The user approved search of tickets."]
    assert requests(emulator) == 2


@pytest.mark.parametrize("received", ["text", "images"])
async def test_a_call_that_its_host_cancelled_after_the_model_began_is_kept_under_its_key(
    connect: Connect,
    emulator: RunningEmulator,
    tmp_path: Path,
    era: str,
    received: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "BEAT_SECONDS", 0.05)
    arguments, after_events = WORDS, AFTER_WORDS
    async with connect(era) as host:
        if received == "images":
            arguments = {**WORDS, "prompt": "Draw a cat.", "tools": [{"type": "image_generation"}]}
            await host.call(ASK, **{**arguments, "idempotency_key": "other"})
            after_events = emulator.state.request_log.to("/responses")[0].events_sent - 2
        before = requests(emulator)
        with emulator.state.hold(after_events):
            has_come = anyio.Event()
            async with anyio.create_task_group() as watching:
                watching.start_soon(set_when_stored, tmp_path, received, has_come)
                await cancelled_when(has_come, host, ASK, **arguments)
            with anyio.fail_after(DEADLINE_SECONDS):
                await emulator.state.request_log.to("/responses")[before].disconnected.wait()
        facts = await ended(host, ASK, **arguments)
    assert facts["status"] == "cancelled"
    assert facts[received]
    assert all(Path(image["path"]).exists() for image in facts.get("images", ()))
    assert requests(emulator) == before + 1


async def set_when_stored(tmp_path: Path, fact: str, event: anyio.Event) -> None:
    """Wait until the store has a running call that has received ``fact``."""
    with anyio.fail_after(DEADLINE_SECONDS):
        while not event.is_set():
            await anyio.sleep(0.01)
            with contextlib.suppress(sqlite3.OperationalError):  # the store is not there yet
                with closing(sqlite3.connect(tmp_path / "store" / "conversations.db")) as database:
                    rows = database.execute("SELECT facts FROM jobs WHERE status = 'running'").fetchall()
                if any(json.loads(facts).get(fact) for (facts,) in rows):
                    event.set()


async def test_a_task_that_was_cancelled_before_the_model_began_frees_its_key_and_later_does_not(
    task_hosts: TaskHosts, emulator: RunningEmulator
) -> None:
    async with task_hosts() as host:
        for after_events, count in ((0, 2), (AFTER_WORDS, 1)):
            before = requests(emulator)
            arguments = {**WORDS, "idempotency_key": f"after {after_events}"}
            with emulator.state.hold(after_events):
                task_id = await host.start(ASK, **arguments)
                await emulator.state.request_log.wait_for(before + 1)
                if after_events:
                    while "word" not in (await host.get(task_id)).get("statusMessage", ""):
                        pass
                await host.cancel(task_id)
                await host.until(task_id, "cancelled")
            answer = await host.call(ASK, **arguments)
            if answer["resultType"] == "task":
                answer = await host.result(answer["taskId"])
            status = answer["structuredContent"]["status"]
            assert (requests(emulator) - before, status) == (count, "completed" if count == 2 else "cancelled")


async def test_the_causes_of_a_failure_come_to_an_end(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    errors: list[BaseException | None] = []
    failure = ToolCall.failure

    def noted(call: ToolCall, error: BridgeError) -> Any:
        errors.append(error)
        return failure(call, error)

    monkeypatch.setattr(ToolCall, "failure", noted)
    async with connect() as host:
        _, facts, failed = await host.call(ASK, prompt="Hi", conversation_id="conv_0")
    assert (failed, facts["error"]["code"]) == (True, "not_found")
    # Whoever looks for the first cause must not look for ever.
    while (error := errors[-1]) is not None:
        assert error not in errors[:-1]
        errors.append(error.__cause__)
