from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from databricks_responses_mcp.errors import BridgeError, ErrorCode, Reason
from databricks_responses_mcp.workspace.endpoint_directory import EndpointDirectory
from harness.deadlines import DEADLINE_SECONDS

pytestmark = pytest.mark.anyio


def entry(name: str, *, ready: bool = True, provider: str | None = None, task: str = "llm/v1/chat") -> dict[str, Any]:
    entity = {"external_model": {"provider": provider}} if provider else {"foundation_model": {"name": name}}
    state = {"ready": "READY" if ready else "NOT_READY"}
    return {"name": name, "task": task, "state": state, "config": {"served_entities": [entity]}}


class Workspace:
    """Answers with a listing, counts how often, and fails or waits when told to."""

    def __init__(self, *entries: dict[str, Any]) -> None:
        self.payload: Any = {"endpoints": list(entries)}
        self.asked = 0
        self.error: BridgeError | None = None
        self.gate: anyio.Event | None = None

    async def fetch(self) -> Mapping[str, Any]:
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        payload: Mapping[str, Any] = self.payload
        return payload


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def failure() -> BridgeError:
    return BridgeError(ErrorCode.UPSTREAM_UNAVAILABLE, "Down.", "Wait.", retryable=True)


async def test_a_listing_is_remembered_until_its_time_is_up() -> None:
    workspace, clock = Workspace(entry("b"), entry("a")), Clock()
    directory = EndpointDirectory(workspace.fetch, 300, clock=clock)
    assert [e.name for e in await directory.list()] == ["a", "b"]
    clock.now += 299
    await directory.list()
    assert workspace.asked == 1
    clock.now += 2
    await directory.list()
    assert workspace.asked == 2
    await directory.list(refresh=True)
    assert workspace.asked == 3


async def test_a_lifetime_of_zero_asks_every_time() -> None:
    workspace = Workspace(entry("a"))
    directory = EndpointDirectory(workspace.fetch, 0, clock=Clock())
    await directory.list()
    await directory.list()
    assert workspace.asked == 2


async def test_many_calls_at_once_ask_the_workspace_once() -> None:
    workspace = Workspace(entry("a"))
    directory = EndpointDirectory(workspace.fetch)
    workspace.gate = anyio.Event()
    with anyio.fail_after(DEADLINE_SECONDS):
        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(directory.list)
            await anyio.wait_all_tasks_blocked()
            workspace.gate.set()
    assert workspace.asked == 1


async def test_a_cancelled_question_leaves_the_others_to_ask_again() -> None:
    workspace = Workspace(entry("a"))
    directory = EndpointDirectory(workspace.fetch)
    workspace.gate = anyio.Event()
    with anyio.fail_after(DEADLINE_SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(directory.list)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        workspace.gate.set()
        assert [e.name for e in await directory.list()] == ["a"]
    assert workspace.asked == 2


async def test_an_endpoint_is_found_by_its_exact_name() -> None:
    directory = EndpointDirectory(Workspace(entry("databricks-gpt-5")).fetch)
    found = await directory.get("databricks-gpt-5")
    assert found is not None
    assert found.kind == "pay_per_token"
    assert await directory.get("databricks-gpt") is None


async def test_a_failed_listing_is_told_by_list_and_kept_from_calls_that_can_do_without() -> None:
    workspace, clock = Workspace(), Clock()
    workspace.error = failure()
    directory = EndpointDirectory(workspace.fetch, clock=clock)
    with pytest.raises(BridgeError, match="Down"):
        await directory.list()
    assert await directory.get("databricks-gpt-5") is None
    for default in (directory.default_text_model, directory.default_image_model):
        with pytest.raises(BridgeError, match="Down") as caught:
            await default()
        assert caught.value.code is ErrorCode.UPSTREAM_UNAVAILABLE
    assert workspace.asked == 1
    clock.now += 60
    workspace.error = None
    workspace.payload = {"endpoints": [entry("databricks-gpt-7")]}
    assert await directory.default_text_model() == "databricks-gpt-7"


async def test_after_a_failure_the_last_listing_still_serves() -> None:
    workspace, clock = Workspace(entry("databricks-gpt-7")), Clock()
    directory = EndpointDirectory(workspace.fetch, 300, clock=clock)
    await directory.list()
    clock.now += 1000
    workspace.error = failure()
    assert await directory.default_text_model() == "databricks-gpt-7"
    with pytest.raises(BridgeError):
        await directory.list()


@pytest.mark.parametrize("status", [None, 404, 405, 501, 200])
async def test_a_host_without_a_listing_is_named_as_one_and_not_asked_each_time(status: int | None) -> None:
    workspace, clock = Workspace(), Clock()
    workspace.payload = ["not", "a", "listing"]
    workspace.error = None if status is None else BridgeError(ErrorCode.MODEL_NOT_FOUND, "No.", "", status=status)
    directory = EndpointDirectory(workspace.fetch, 300, clock=clock)
    for _ in range(2):
        with pytest.raises(BridgeError, match="not a Databricks workspace") as caught:
            await directory.list()
        assert (caught.value.code, caught.value.reason) == (ErrorCode.NOT_CONFIGURED, Reason.NO_LISTING)
        assert "list_databricks_models" not in caught.value.hint
        assert await directory.get("m") is None
        with pytest.raises(BridgeError, match="could not be listed"):
            await directory.default_text_model()
        clock.now += 100
    assert (workspace.asked, directory.has_no_listing) == (1, True)
    clock.now += 200
    with pytest.raises(BridgeError):
        await directory.list()
    assert workspace.asked == 2


GPT_5 = entry("databricks-gpt-5")


@pytest.mark.parametrize(
    ("entries", "text", "image"),
    [
        ([GPT_5, entry("databricks-gpt-5-2"), entry("databricks-gpt-5-1")], "databricks-gpt-5-2", "databricks-gpt-5-2"),
        (
            [GPT_5, entry("databricks-gpt-6-mini"), entry("databricks-gpt-6-nano")],
            "databricks-gpt-5",
            "databricks-gpt-5",
        ),
        (
            [entry("databricks-gpt-6-nano"), entry("databricks-gpt-6-mini")],
            "databricks-gpt-6-mini",
            "databricks-gpt-6-mini",
        ),
        ([entry("databricks-gpt-5-3-codex"), GPT_5], "databricks-gpt-5", "databricks-gpt-5"),
        ([entry("databricks-gpt-5-3-codex")], "databricks-gpt-5-3-codex", None),
        ([entry("databricks-gpt-5-5-pro"), entry("databricks-gpt-5-4")], "databricks-gpt-5-4", "databricks-gpt-5-4"),
        (
            [entry("databricks-gpt-6-1-sol"), entry("databricks-gpt-6-luna")],
            "databricks-gpt-6-1-sol",
            "databricks-gpt-6-1-sol",
        ),
        ([entry("databricks-gpt-7", ready=False), GPT_5], "databricks-gpt-5", "databricks-gpt-5"),
        ([entry("my-gpt-9", provider="openai"), GPT_5], "databricks-gpt-5", "databricks-gpt-5"),
        ([entry("my-openai", provider="openai"), entry("my-gpt-4", provider="openai")], "my-gpt-4", "my-gpt-4"),
        (
            [entry("databricks-claude-opus-5"), entry("databricks-gpt-5"), entry("my-claude", provider="anthropic")],
            "databricks-gpt-5",
            "databricks-gpt-5",
        ),
    ],
)
async def test_the_default_is_the_newest_plain_gpt_that_is_ready(
    entries: list[dict[str, Any]], text: str, image: str | None
) -> None:
    directory = EndpointDirectory(Workspace(*entries).fetch)
    assert await directory.default_text_model() == text
    if image is not None:
        assert await directory.default_image_model() == image
        return
    with pytest.raises(BridgeError) as caught:
        await directory.default_image_model()
    assert "RESPONSES_MCP_IMAGE_MODEL" in caught.value.hint


@pytest.mark.parametrize(
    ("entries", "error", "told"),
    [
        ([], None, "the workspace lists none that serves the Responses API."),
        ([entry("main-agent", task="agent/v1/responses")], None, "It lists main-agent."),
        ([entry("databricks-claude-opus-5")], None, "It lists databricks-claude-opus-5."),
        ([], BridgeError(ErrorCode.PERMISSION_DENIED, "Not for you.", ""), "could not be listed: Not for you."),
    ],
)
async def test_where_no_default_is_listed_it_is_told_what_to_set(
    entries: list[dict[str, Any]], error: BridgeError | None, told: str
) -> None:
    workspace = Workspace(*entries)
    workspace.error = error
    with pytest.raises(BridgeError) as caught:
        await EndpointDirectory(workspace.fetch).default_text_model()
    assert caught.value.code is ErrorCode.NOT_CONFIGURED
    assert told in caught.value.message
    assert "Set RESPONSES_MCP_MODEL" in caught.value.hint


def service(name: str, *kinds: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "endpoint_type": "MODEL_SERVICE", "api_types": list(kinds), "via_gateway": True, **more}


async def test_a_service_that_no_listing_has_is_asked_for_once() -> None:
    asked: list[str] = []
    clock = Clock()

    async def fetch_service(name: str) -> dict[str, Any] | None:
        asked.append(name)
        return service(name, "openai/v1/responses") if name == "a.b.c" else None

    workspace = Workspace()
    workspace.payload = {"endpoints": [], "services": [service("system.ai.gpt-5", "openai/v1/responses")]}
    directory = EndpointDirectory(workspace.fetch, 300, fetch_service=fetch_service, clock=clock)
    for _ in range(2):
        found = [await directory.get(name) for name in ("a.b.c", "a.b.none", "databricks-gpt-9", "system.ai.gpt-5")]
        assert [one and one.profile.surfaces for one in found] == [("gateway",), None, None, ("gateway",)]
    assert asked == ["a.b.c", "a.b.none"]
    clock.now += 20
    await directory.get("a.b.none")
    assert asked == ["a.b.c", "a.b.none", "a.b.none"]


async def test_a_model_service_is_the_default_where_nothing_else_is() -> None:
    made = service("production.ai.frontier-model", "openai/v1/responses")
    workspace = Workspace(made)
    assert await EndpointDirectory(workspace.fetch).default_text_model() == "production.ai.frontier-model"
    workspace = Workspace(made, entry("databricks-gpt-5"))
    assert await EndpointDirectory(workspace.fetch).default_text_model() == "databricks-gpt-5"
