"""Budgets and rates of a policy: a request is counted before it is sent, and what it cost after it."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from databricks_responses_mcp.calls.advice import mcp_words
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.policy.refusal import PolicyError
from databricks_responses_mcp.store.interface import StoreError
from databricks_responses_mcp.turns import request_limits
from databricks_responses_mcp.turns.ask import AskRequest, ask
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.request_limits import estimated_tokens
from databricks_workspace_emulator.server import RunningEmulator
from harness import settings_for
from harness.deadlines import DEADLINE_SECONDS
from harness.policies import policy_of

pytestmark = pytest.mark.anyio


def sent(emulator: RunningEmulator) -> list[Any]:
    return [exchange.body for exchange in emulator.state.request_log.exchanges if exchange.method == "POST"]


def bridge_with(emulator: RunningEmulator, tmp_path: Path, policy: str, **settings: Any) -> Bridge:
    return Bridge(settings_for(emulator, tmp_path, **settings), {}, policy=policy_of(policy))


async def used(bridge: Bridge) -> int:
    """Return the tokens of today that count against the budget."""
    policy = policy_of("default.tokens_per_day = 16")
    probe = Bridge(bridge.settings, {}, store=bridge.store, policy=policy)
    with pytest.raises(PolicyError) as caught:
        await ask(probe, AskRequest(prompt="x" * 4000))
    return int(caught.value.message.split()[0])


async def test_what_a_request_cost_counts_and_not_what_was_reserved_for_it(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    bridge = bridge_with(emulator, tmp_path, "default.tokens_per_day = 100000")
    outcome = await ask(bridge, AskRequest(prompt="[[say hello]]"))
    assert outcome.usage is not None
    assert await used(bridge) == outcome.usage["input_tokens"] + outcome.usage["output_tokens"]
    await bridge.aclose()


async def test_a_budget_that_is_used_up_refuses_with_its_rule_and_when_to_come_again(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    bridge = bridge_with(emulator, tmp_path, 'contact = "#ai"\ndefault.tokens_per_day = 16')
    with pytest.raises(PolicyError) as caught:
        await ask(bridge, AskRequest(prompt="Hi"))
    error = caught.value.as_dict(mcp_words)
    assert 0 < error.pop("retry_after_seconds") <= 86_400
    assert error == {
        "code": "budget_exceeded",
        "message": "0 tokens of yours are used or reserved today (UTC), so too few are left: policy rule [default] "
        "tokens_per_day = 16. Nothing was sent.",
        "retryable": True,
        "hint": "Keep to the rule, or ask #ai to change it.",
    }
    await bridge.aclose()
    assert sent(emulator) == []


async def test_the_last_answer_of_a_budget_is_as_long_as_the_budget_allows(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    bridge = bridge_with(emulator, tmp_path, "default.tokens_per_day = 300")
    await ask(bridge, AskRequest(prompt="[[say hello]]", max_output_tokens=5000))
    (body,) = sent(emulator)
    assert body["max_output_tokens"] == 300 - estimated_tokens(body)
    await bridge.aclose()


async def test_a_cancelled_answer_counts_with_all_that_was_reserved(emulator: RunningEmulator, tmp_path: Path) -> None:
    bridge = bridge_with(emulator, tmp_path, "default.tokens_per_day = 100000")
    with anyio.fail_after(DEADLINE_SECONDS):
        async with anyio.create_task_group() as tasks:
            heard = anyio.Event()
            call = CallContext.start(bridge.settings, on_text=lambda _: heard.set())
            tasks.start_soon(ask, bridge, AskRequest(prompt="[[words 3000]]", max_output_tokens=9000), call)
            await heard.wait()
            tasks.cancel_scope.cancel()
    (body,) = sent(emulator)
    assert await used(bridge) == 9000 + estimated_tokens(body)
    await bridge.aclose()


def test_a_text_that_begins_like_a_picture_is_estimated_as_text() -> None:
    text = "data:" + "x" * 400_000
    picture = {"type": "input_image", "image_url": f"data:image/png;base64,{'x' * 400_000}"}
    file = {"type": "input_file", "file_data": f"data:text/plain;base64,{'x' * 400_000}"}
    said = [text, {"type": "input_text", "text": text}, {"role": "user", "content": text}, file]
    for item in said:
        assert estimated_tokens({"input": [item]}) >= 100_000
    assert estimated_tokens({"input": text}) >= 100_000
    assert estimated_tokens({"instructions": text}) >= 100_000
    assert 1500 <= estimated_tokens({"input": [picture]}) < 2000


async def test_a_request_that_the_workspace_refuses_costs_nothing(emulator: RunningEmulator, tmp_path: Path) -> None:
    bridge = bridge_with(emulator, tmp_path, "default.tokens_per_day = 100000", max_retries=0)
    with pytest.raises(BridgeError):
        await ask(bridge, AskRequest(prompt="Hi", model="databricks-gpt-none"))
    assert await used(bridge) == 0
    await bridge.aclose()


async def test_more_requests_a_minute_than_allowed_are_refused_and_not_sent(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    bridge = bridge_with(emulator, tmp_path, "default.requests_per_minute = 2")
    for _ in range(2):
        await ask(bridge, AskRequest(prompt="[[say hello]]"))
    with pytest.raises(PolicyError) as caught:
        await ask(bridge, AskRequest(prompt="[[say hello]]"))
    assert caught.value.code is ErrorCode.RATE_LIMITED
    assert caught.value.rule == "[default] requests_per_minute = 2"
    assert 1 <= (caught.value.retry_after_seconds or 0) <= 60
    await bridge.aclose()
    assert len(sent(emulator)) == 2


async def test_nothing_is_sent_if_the_store_cannot_count(
    emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge = bridge_with(emulator, tmp_path, "total.requests_per_minute = 2")

    async def broken(*_: Any) -> None:
        raise StoreError("The disk is full.")

    monkeypatch.setattr(bridge.store, "admit_request", broken)
    with pytest.raises(BridgeError, match="cannot be checked, so nothing was sent: The disk is full") as caught:
        await ask(bridge, AskRequest(prompt="Hi"))
    assert caught.value.retryable
    await bridge.aclose()
    assert sent(emulator) == []


async def test_a_length_that_is_not_a_number_is_refused_under_a_budget(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    bridge = bridge_with(emulator, tmp_path, "default.tokens_per_day = 1000")
    for wanted in ("900", True, -5, 1.5):
        with pytest.raises(BridgeError):
            await ask(bridge, AskRequest(prompt="Hi", extra={"max_output_tokens": wanted}))
    await bridge.aclose()
    assert sent(emulator) == []


async def test_a_call_that_is_cancelled_before_its_request_is_sent_costs_nothing(
    emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge = bridge_with(emulator, tmp_path, "default = { tokens_per_day = 100000, concurrent_calls = 1 }")
    admit, asked = bridge.store.admit_request, anyio.Event()

    async def slowly(*arguments: Any) -> Any:
        asked.set()
        await anyio.sleep(0.01)
        return await admit(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(bridge.store, "admit_request", slowly)
        with anyio.fail_after(DEADLINE_SECONDS):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask, bridge, AskRequest(prompt="Hi"))
                await asked.wait()
                tasks.cancel_scope.cancel()
    assert await used(bridge) == 0
    await ask(bridge, AskRequest(prompt="[[say hello]]"))
    await bridge.aclose()
    assert len(sent(emulator)) == 1


async def test_a_running_call_is_kept_counted_while_it_runs(
    emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_limits, "_EXTEND_SECONDS", 0.01)
    bridge = bridge_with(emulator, tmp_path, "default.concurrent_calls = 1")
    extended = anyio.Event()
    extend = bridge.store.extend_requests

    async def spying(admission_ids: Any, seconds: float) -> None:
        await extend(admission_ids, seconds)
        extended.set()

    monkeypatch.setattr(bridge.store, "extend_requests", spying)
    with anyio.fail_after(DEADLINE_SECONDS):
        async with anyio.create_task_group() as tasks:
            bridge.background = tasks
            emulator.state.faults.add("delay:60")
            tasks.start_soon(ask, bridge, AskRequest(prompt="[[say hello]]"))
            await extended.wait()
            with pytest.raises(PolicyError, match="running calls of yours has reached 1"):
                await ask(bridge, AskRequest(prompt="[[say hello]]"))
            tasks.cancel_scope.cancel()
    await bridge.aclose()
