"""Work on large values is done in worker threads, so that other calls go on meanwhile."""

import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from databricks_responses_mcp.policy.access import AccessPolicy
from databricks_responses_mcp.store import conversation_queries
from databricks_responses_mcp.turns.ask import AskRequest, ask
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.workspace import http
from harness.policies import policy_of

pytestmark = pytest.mark.anyio
LARGE = 1_000_000


def recording(written: list[tuple[str, bool]], monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> None:
    """Record of each large value that the module writes as JSON whether the event loop's thread does it."""
    to_json: Callable[[Any], Any] = module.to_json
    loop = threading.current_thread()

    def recorded(value: Any) -> Any:
        text = to_json(value)
        if len(text) >= LARGE:
            written.append((module.__name__.rpartition(".")[2], threading.current_thread() is loop))
        return text

    monkeypatch.setattr(module, "to_json", recorded)


async def test_a_large_prompt_is_written_as_json_once_for_each_use_and_beside_the_event_loop(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[str, bool]] = []
    for module in (http, conversation_queries):
        recording(written, monkeypatch, module)

    await ask(bridge, AskRequest(prompt="x" * LARGE))

    assert written == [("http", False), ("conversation_queries", False)]


@pytest.mark.parametrize("check", ["hold", "check_defined_servers"])
async def test_the_tools_of_a_request_are_compared_with_the_policy_beside_the_event_loop(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch, check: str
) -> None:
    loop, threads = threading.current_thread(), []
    really_check: Callable[..., None] = getattr(AccessPolicy, check)

    def recorded(policy: AccessPolicy, tools: Any) -> None:
        threads.append(threading.current_thread())
        really_check(policy, tools)

    monkeypatch.setattr(AccessPolicy, check, recorded)
    bridge.policy = policy_of('default.model_tools.allow = ["function"]')
    await ask(bridge, AskRequest(prompt="Hi"))

    assert len(threads) == 1
    assert loop not in threads
