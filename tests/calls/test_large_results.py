"""A large result is made in a thread, so that other calls do not wait for it; a small one is not."""

import threading
from typing import Any

import pytest

from databricks_responses_mcp.calls import results, tool_call
from databricks_responses_mcp.calls.results import answer_result
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
