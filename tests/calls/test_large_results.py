"""A large result is made in a thread, so that other calls do not wait for it; a small one is not."""

import threading
from typing import Any

import pytest

from databricks_responses_mcp.calls import results, tool_call
from databricks_responses_mcp.calls.job_results import ended_result
from databricks_responses_mcp.calls.jobs import ResultRecord
from databricks_responses_mcp.calls.results import answer_result
from databricks_responses_mcp.calls.state import App
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.hosts.limits import find_limits
from databricks_responses_mcp.turns.bridge import Bridge
from harness import Connect

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("characters", "in_a_thread"), [(10, False), (3_000, True)])
async def test_only_a_large_result_is_made_beside_the_event_loop(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, characters: int, in_a_thread: bool
) -> None:
    threads: list[threading.Thread] = []

    def recorded(*args: Any, **kwargs: Any) -> Any:
        threads.append(threading.current_thread())
        return answer_result(*args, **kwargs)

    monkeypatch.setattr(results, "_LARGE_CHARACTERS", 2_000)
    monkeypatch.setattr(tool_call, "answer_result", recorded)
    async with connect() as host:
        await host.call("ask_databricks_model", prompt=f"[[say {'x' * characters}]]")
    assert [thread is not threading.current_thread() for thread in threads] == [in_a_thread]


@pytest.mark.parametrize(("characters", "in_a_thread"), [(10, False), (3_000, True)])
@pytest.mark.parametrize("fails", [False, True])
async def test_only_a_large_result_of_an_ended_call_is_made_beside_the_event_loop(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch, fails: bool, characters: int, in_a_thread: bool
) -> None:
    made_in: list[threading.Thread] = []
    fitted = results.fitted

    def recorded(*args: Any) -> Any:
        made_in.append(threading.current_thread())
        return fitted(*args)

    monkeypatch.setattr(results, "_LARGE_CHARACTERS", 2_000)
    monkeypatch.setattr(results, "fitted", recorded)
    received = {"text": "x" * characters}
    error = BridgeError(ErrorCode.INTERNAL, "It failed.", "Try again.", partial=received) if fails else None
    record = ResultRecord(received, error=error)

    result = await ended_result(
        App(bridge), find_limits(""), "ask_databricks_model", "failed" if fails else "completed", record
    )

    assert (result.is_error or False) is fails
    assert [thread is not threading.current_thread() for thread in made_in] == [in_a_thread]
