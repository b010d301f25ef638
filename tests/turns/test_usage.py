"""What requests may cost: limits refuse before anything is sent, and what was spent is kept, whoever spent it."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.responses.accumulator import Item
from databricks_responses_mcp.store.interface import StoreError
from databricks_responses_mcp.store.sqlite import SqliteStore, SqliteWork
from databricks_responses_mcp.turns import conversation_queries
from databricks_responses_mcp.turns.ask import AskRequest, ask
from databricks_responses_mcp.turns.bridge import Bridge, open_bridge
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.compaction import compact
from databricks_responses_mcp.turns.image_generation import Drawing, draw
from databricks_responses_mcp.turns.outcome import Outcome
from databricks_responses_mcp.turns.usage import request_usage
from databricks_workspace_emulator.server import RunningEmulator
from harness import Connect, settings_for
from harness.deadlines import DEADLINE_SECONDS

pytestmark = pytest.mark.anyio

ASK = "ask_databricks_model"


def sent(emulator: RunningEmulator) -> list[Any]:
    return [exchange.body for exchange in emulator.state.request_log.to("/responses")]


def cost(usage: dict[str, Any]) -> int:
    return int(usage["input_tokens"]) + int(usage["output_tokens"])


async def test_more_output_than_the_limit_is_refused_before_the_request(
    connect: Connect, emulator: RunningEmulator, era: str
) -> None:
    async with connect(era, max_output_tokens=1000) as host:
        _, facts, failed = await host.call(ASK, prompt="Hi", max_output_tokens=1001)
    assert failed
    assert facts["error"]["code"] == "budget_exceeded"
    assert "RESPONSES_MCP_MAX_OUTPUT_TOKENS" in facts["error"]["hint"]
    assert sent(emulator) == []


async def test_every_request_has_a_limit_where_there_is_one(connect: Connect, emulator: RunningEmulator) -> None:
    async with connect(max_output_tokens=1000) as host:
        for tool, arguments in (
            (ASK, {"prompt": "Hi"}),
            ("search_web", {"question": "News?"}),
            ("generate_image", {"prompt": "A cat"}),
        ):
            _, facts, failed = await host.call(tool, **arguments)
            assert not failed, facts
    assert [body["max_output_tokens"] for body in sent(emulator)] == [1000, 1000, 1000]


async def test_a_budget_that_is_spent_refuses_before_anything_is_sent(
    connect: Connect, emulator: RunningEmulator, era: str
) -> None:
    async with connect(era, daily_token_budget=100) as host:
        _, first, _ = await host.call(ASK, prompt="[[words 200]]")
        assert first["status"] == "incomplete"
        assert sent(emulator)[0]["max_output_tokens"] == 100
        for tool, arguments in (
            (ASK, {"prompt": "Hi"}),
            ("search_web", {"question": "News?"}),
            ("generate_image", {"prompt": "A cat"}),
            ("edit_files", {"instruction": "Write."}),
            ("manage_conversations", {"action": "compact", "conversation_id": first["conversation_id"]}),
        ):
            _, facts, failed = await host.call(tool, **arguments)
            assert failed
            assert facts["error"]["code"] == "budget_exceeded"
            assert facts["error"]["retryable"]
            assert 0 < facts["error"]["retry_after_seconds"] <= 86_400
    assert len(sent(emulator)) == 1


async def test_what_is_left_of_the_budget_is_all_that_an_answer_may_use(
    connect: Connect, emulator: RunningEmulator
) -> None:
    async with connect(daily_token_budget=2000) as host:
        _, first, _ = await host.call(ASK, prompt="[[words 20]]")
        left = 2000 - cost(first["usage"])
        _, second, _ = await host.call(ASK, prompt="[[words 5000]]")
        assert sent(emulator)[1]["max_output_tokens"] == left
    assert second["status"] == "incomplete"
    assert any("RESPONSES_MCP_DAILY_TOKEN_BUDGET" in note for note in second["notes"])


async def test_what_other_processes_spend_counts(emulator: RunningEmulator, tmp_path: Path) -> None:
    settings = settings_for(emulator, tmp_path, daily_token_budget=300)
    async with open_bridge(settings, {}) as one, open_bridge(settings, {}) as other:
        await ask(one, AskRequest(prompt="[[words 1000]]"))
        with pytest.raises(BridgeError) as raised:
            await ask(other, AskRequest(prompt="Hi"))
    assert raised.value.code is ErrorCode.BUDGET_EXCEEDED
    assert len(sent(emulator)) == 1


async def test_concurrent_calls_share_the_remaining_budget(emulator: RunningEmulator, tmp_path: Path) -> None:
    settings = settings_for(emulator, tmp_path, daily_token_budget=1000)
    refused: list[BridgeError] = []
    one_was_refused = anyio.Event()
    async with open_bridge(settings, {}) as bridge:
        with emulator.state.hold(2):
            async with anyio.create_task_group() as tasks:

                async def call() -> None:
                    try:
                        await ask(bridge, AskRequest(prompt="Hi", max_output_tokens=400))
                    except BridgeError as error:
                        refused.append(error)
                        one_was_refused.set()

                for _ in range(4):
                    tasks.start_soon(call)
                with anyio.fail_after(DEADLINE_SECONDS):
                    await emulator.state.request_log.wait_for(3)
                    await one_was_refused.wait()
                hold = emulator.state.current_hold
                assert hold is not None
                hold.release()
    assert sorted(body["max_output_tokens"] for body in sent(emulator)) == [200, 400, 400]
    assert [error.code for error in refused] == [ErrorCode.BUDGET_EXCEEDED]


async def test_what_was_reserved_is_free_again_when_a_call_ends_however(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    settings = settings_for(emulator, tmp_path, daily_token_budget=100_000)
    async with open_bridge(settings, {}) as bridge:
        emulator.state.faults.add("400")
        with pytest.raises(BridgeError):
            await ask(bridge, AskRequest(prompt="Hi"))
        with emulator.state.hold(2) as hold:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask, bridge, AskRequest(prompt="Hi"))
                with anyio.fail_after(DEADLINE_SECONDS):
                    await hold.reached.wait()
                tasks.cancel_scope.cancel()
        await ask(bridge, AskRequest(prompt="Hi", max_output_tokens=90_000))
    assert sent(emulator)[-1]["max_output_tokens"] == 90_000


async def test_a_store_that_cannot_tell_what_was_spent_lets_nothing_more_be_spent(
    emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: SqliteStore, at: float) -> int:
        raise StoreError("The disk is gone.")

    monkeypatch.setattr(SqliteStore, "tokens_on_day", broken)
    async with open_bridge(settings_for(emulator, tmp_path, daily_token_budget=1000), {}) as bridge:
        with pytest.raises(BridgeError) as raised:
            await ask(bridge, AskRequest(prompt="Hi"))
    assert raised.value.code is ErrorCode.BUDGET_EXCEEDED
    assert "disk is gone" in raised.value.message
    assert sent(emulator) == []


async def test_every_request_is_counted_under_its_tool_and_its_conversation(
    connect: Connect, emulator: RunningEmulator, bridge: Bridge, tmp_path: Path
) -> None:
    file = tmp_path / "main.py"
    file.write_text("def f(n):\n    return n\n")
    spent: dict[str, int] = {}
    async with connect() as host:
        for tool, arguments in (
            (ASK, {"prompt": "Hi"}),
            (ASK, {"prompt": "[[fail]]"}),
            ("search_web", {"question": "News?"}),
            ("generate_image", {"prompt": "A cat", "n": 2}),
            ("edit_files", {"instruction": "Add input validation.", "paths": [str(file)]}),
        ):
            _, facts, _ = await host.call(tool, **arguments)
            spent[tool] = spent.get(tool, 0) + (cost(facts["usage"]) if facts.get("usage") else 0)
            if tool == ASK and "error" not in facts:
                conversation_id = facts["conversation_id"]
        _, summary, _ = await host.call("manage_conversations", action="compact", conversation_id=conversation_id)
        spent["manage_conversations"] = cost(summary["usage"])
    totals = {total.key: total for total in await conversation_queries.usage(bridge, "tool")}
    assert {tool: total.input_tokens + total.output_tokens for tool, total in totals.items()} == spent
    assert totals["generate_image"].requests == 2
    assert totals["edit_files"].requests == len(sent(emulator)) - 6
    assert await conversation_queries.tokens_today(bridge) == sum(spent.values())
    by_conversation = {total.key: total.requests for total in await conversation_queries.usage(bridge, "conversation")}
    assert by_conversation[conversation_id] == 2


async def test_a_store_that_cannot_keep_what_was_spent_costs_no_answer(
    emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: SqliteStore, usage: object) -> None:
        raise StoreError("The disk is full.")

    monkeypatch.setattr(SqliteStore, "add_usage", broken)
    async with open_bridge(settings_for(emulator, tmp_path), {}) as bridge:
        outcome = await ask(bridge, AskRequest(prompt="Hi"))
    assert outcome.text


@pytest.fixture
def transactions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How each transaction of a store began, from now on."""
    begun: list[str] = []
    transaction = SqliteWork.transaction

    def counted(self: SqliteWork, begin: str, steps: Any) -> Any:
        begun.append(begin)
        return transaction(self, begin, steps)

    monkeypatch.setattr(SqliteWork, "transaction", counted)
    return begun


async def picture_of(bridge: Bridge, drawing: Drawing) -> Outcome:
    async def take(item: Item) -> None:
        item |= {"result": None, "picture": "cat.png"}

    drawn = await draw(bridge, drawing, CallContext.start(bridge.settings, take_image=take))
    return drawn.outcomes[0]


async def test_a_turn_and_what_it_cost_are_one_transaction(bridge: Bridge, transactions: list[str]) -> None:
    asked = await ask(bridge, AskRequest(prompt="Hi"))
    assert transactions == ["BEGIN IMMEDIATE"]
    drawn = await picture_of(bridge, Drawing(prompt="A cat"))
    assert transactions == ["BEGIN IMMEDIATE"] * 2
    summary = await compact(bridge, str(asked.conversation_id))
    assert transactions == ["BEGIN IMMEDIATE"] * 2 + ["BEGIN", "BEGIN IMMEDIATE"]

    totals = {total.key: total for total in await conversation_queries.usage(bridge, "conversation")}
    assert {key: (total.requests, total.input_tokens + total.output_tokens) for key, total in totals.items()} == {
        asked.conversation_id: (2, cost(dict(asked.usage or {})) + cost(dict(summary.usage or {}))),
        drawn.conversation_id: (1, cost(dict(drawn.usage or {}))),
    }


async def test_what_a_request_cost_is_counted_although_no_turn_comes_of_it(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    async with open_bridge(settings_for(emulator, tmp_path, daily_token_budget=100_000), {}) as bridge:
        with pytest.raises(BridgeError) as raised:
            await picture_of(bridge, Drawing(prompt="A cat [[no tools]]"))
        spent = cost(raised.value.partial["usage"])
        assert await conversation_queries.tokens_today(bridge) == spent
        # It is in the total, and no longer reserved beside it.
        await ask(bridge, AskRequest(prompt="Hi", max_output_tokens=100_000))
    assert sent(emulator)[-1]["max_output_tokens"] == 100_000 - spent


@pytest.mark.parametrize("is_committed", [False, True])
async def test_what_a_turn_cost_is_counted_once_when_its_turn_seems_not_to_be_stored(
    emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_committed: bool
) -> None:
    add_turn = SqliteStore.add_turn

    async def failing(self: SqliteStore, *args: Any, **more: Any) -> None:
        if is_committed:
            await add_turn(self, *args, **more)
        raise StoreError("The disk is gone.")

    async with open_bridge(settings_for(emulator, tmp_path), {}) as bridge:
        with monkeypatch.context() as patched:
            patched.setattr(SqliteStore, "add_turn", failing)
            first = await ask(bridge, AskRequest(prompt="Hi"))
        second = await ask(bridge, AskRequest(prompt="On", conversation_id=first.conversation_id))
        (total,) = await conversation_queries.usage(bridge, "conversation")
    assert first.notes
    assert (total.key, total.requests) == (first.conversation_id, 2)
    assert total.input_tokens + total.output_tokens == sum(cost(dict(x.usage or {})) for x in (first, second))


def test_every_kind_of_token_is_recorded() -> None:
    usage = {
        "input_tokens": 12,
        "input_tokens_details": {"cached_tokens": 8},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 17,
    }
    cost = request_usage(usage, label="ask", endpoint="e", model="m", conversation_id="conv_1")
    assert cost is not None
    assert (cost.input_tokens, cost.cached_tokens, cost.output_tokens, cost.reasoning_tokens) == (12, 8, 5, 3)
    assert (cost.tool, cost.endpoint, cost.model, cost.conversation_id) == ("ask", "e", "m", "conv_1")
    odd = {"input_tokens": "many", "output_tokens": 5, "output_tokens_details": 7}
    cost = request_usage(odd, label="ask", endpoint="e", model="m", conversation_id=None)
    assert cost is not None
    assert (cost.input_tokens, cost.cached_tokens, cost.output_tokens, cost.reasoning_tokens) == (0, 0, 5, 0)
