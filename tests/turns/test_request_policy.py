"""The policy holds for every request in its last form, whichever tool sends it; what it refuses is not sent."""

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from databricks_responses_mcp.calls.search_service import SearchService
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.policy.refusal import PolicyError
from databricks_responses_mcp.turns.ask import AskRequest, ask
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.call_outputs import answer_calls
from databricks_responses_mcp.turns.compaction import compact
from databricks_responses_mcp.turns.image_generation import Drawing, draw
from databricks_responses_mcp.turns.search import Search, search
from databricks_workspace_emulator.server import RunningEmulator
from harness import Connect, settings_for
from harness.policies import policy_of
from harness.user import MCP_SECRET, MCP_SERVERS

pytestmark = pytest.mark.anyio

CLAUDE = "databricks-claude-sonnet-4-5"


def sent(emulator: RunningEmulator) -> list[Any]:
    """Return the bodies of all requests to models."""
    return [exchange.body for exchange in emulator.state.request_log.exchanges if exchange.method == "POST"]


def bridge_with(emulator: RunningEmulator, tmp_path: Path, policy: str, **settings: Any) -> Bridge:
    return Bridge(settings_for(emulator, tmp_path, **settings), {}, policy=policy_of(policy))


async def refusal(work: Awaitable[Any]) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        await work
    return caught.value


async def test_a_denied_model_is_refused_in_each_kind_of_request_and_nothing_is_sent(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    requests: list[Callable[[Bridge], Awaitable[Any]]] = [
        lambda bridge: ask(bridge, AskRequest(prompt="Hi")),
        lambda bridge: ask(bridge, AskRequest(prompt="Hi", model="system.ai.gpt-5")),
        lambda bridge: search(bridge, Search(question="Hi")),
        lambda bridge: draw(bridge, Drawing(prompt="Hi"), _call(bridge)),
    ]
    for request in requests:
        bridge = bridge_with(emulator, tmp_path, 'default.models.deny = ["*gpt-5"]')
        assert (await refusal(request(bridge))).rule == '[default] models.deny "*gpt-5"'
        await bridge.aclose()
    assert sent(emulator) == []


async def test_a_conversation_is_held_to_the_policy_of_now(emulator: RunningEmulator, tmp_path: Path) -> None:
    bridge = Bridge(settings_for(emulator, tmp_path), {})
    first = await ask(bridge, AskRequest(prompt="[[say hello]]"))
    assert first.conversation_id is not None
    bridge.policy = policy_of('default.models.allow = ["databricks-claude-*"]')
    assert "models.allow" in (await refusal(compact(bridge, first.conversation_id))).rule
    assert (
        "models.allow"
        in (await refusal(ask(bridge, AskRequest(prompt="Hi", conversation_id=first.conversation_id)))).rule
    )
    await bridge.aclose()
    assert len(sent(emulator)) == 1


async def test_the_default_model_is_one_that_is_allowed(emulator: RunningEmulator, tmp_path: Path) -> None:
    bridge = bridge_with(emulator, tmp_path, 'default.models.deny = ["databricks-gpt-5*"]', model=None)
    outcome = await ask(bridge, AskRequest(prompt="[[say hello]]"))
    assert not outcome.endpoint.startswith("databricks-gpt-5")
    await bridge.aclose()


async def test_a_request_does_not_fall_back_to_a_surface_that_is_not_allowed(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    bridge = bridge_with(emulator, tmp_path, 'default.surfaces.allow = ["gateway*"]')
    refused = await refusal(ask(bridge, AskRequest(prompt="Hi", model=CLAUDE)))
    assert refused.rule == '[default] surfaces.allow = ["gateway*"]'
    assert "open-responses" in refused.message
    refused = await refusal(ask(bridge, AskRequest(prompt="Hi", surface="chat")))
    assert "The surface chat is not allowed" in refused.message
    await bridge.aclose()
    assert sent(emulator) == []


async def test_of_two_surfaces_only_the_allowed_one_is_tried(emulator: RunningEmulator, tmp_path: Path) -> None:
    bridge = bridge_with(emulator, tmp_path, 'default.surfaces.allow = ["chat"]')
    outcome = await ask(bridge, AskRequest(prompt="[[say hello]]", model=CLAUDE))
    assert (outcome.text, outcome.surface) == ("hello", "chat")
    await bridge.aclose()


async def test_a_tool_in_the_raw_parameters_is_refused(emulator: RunningEmulator, tmp_path: Path) -> None:
    bridge = bridge_with(emulator, tmp_path, 'default.model_tools.allow = ["function"]')
    smuggled: list[dict[str, Any]] = [
        {"tools": [{"type": "web_search"}]},
        {"tools": [{"type": "mcp", "server_label": "x", "server_url": "https://x.example"}]},
        {"web_search_options": {}},
    ]
    for extra in smuggled:
        assert "model_tools.allow" in (await refusal(ask(bridge, AskRequest(prompt="Hi", extra=extra)))).rule
    assert "model_tools.allow" in (await refusal(search(bridge, Search(question="Hi")))).rule
    await bridge.aclose()
    assert sent(emulator) == []


async def test_an_mcp_server_is_refused_by_its_name_and_by_its_address(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    bridge = bridge_with(emulator, tmp_path, 'default.mcp_servers.allow = ["genie/*"]')
    refused = await refusal(ask(bridge, AskRequest(prompt="Hi", mcp_servers=["system.ai.dbsql"])))
    assert refused.message.startswith("The MCP server 'system.ai.dbsql' is not allowed")
    tool = {"type": "mcp", "server_label": "genie", "server_url": f"{emulator.host}/api/2.0/mcp/genie/1"}
    assert "mcp_servers.allow" in (await refusal(ask(bridge, AskRequest(prompt="Hi", tools=[tool])))).rule
    await bridge.aclose()
    assert sent(emulator) == []


@pytest.mark.parametrize(("pattern", "calls"), [("system.ai.web_search", True), ("genie/*", False)])
async def test_the_service_for_searches_is_used_only_if_it_is_allowed(
    emulator: RunningEmulator, tmp_path: Path, pattern: str, calls: bool
) -> None:
    bridge = bridge_with(emulator, tmp_path, f'default.mcp_servers.allow = ["{pattern}"]')
    with suppress(BridgeError):  # the model has no search of its own
        await search(bridge, Search(question="Who won?", model=CLAUDE), server=SearchService(bridge))
    await bridge.aclose()
    assert bool(emulator.state.request_log.to("/ai-gateway/mcp-services/system.ai.web_search")) is calls


async def test_a_request_without_a_maximum_gets_that_of_the_policy_and_a_larger_one_is_refused(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    bridge = bridge_with(emulator, tmp_path, "default.max_output_tokens = 100")
    for question in (AskRequest(prompt="Hi"), AskRequest(prompt="Hi", max_output_tokens=50)):
        await ask(bridge, question)
    for extra in ({"max_output_tokens": 101}, {"max_output_tokens": "9000"}, {"max_output_tokens": True}):
        with pytest.raises(BridgeError):
            await ask(bridge, AskRequest(prompt="Hi", extra=extra))
    await bridge.aclose()
    assert [body["max_output_tokens"] for body in sent(emulator)] == [100, 50]


async def test_pictures_are_held_to_their_number_and_size(emulator: RunningEmulator, tmp_path: Path) -> None:
    bridge = bridge_with(emulator, tmp_path, 'default.images = { sizes = ["1024x1024"], max_count = 2 }')
    assert "max_count" in (await refusal(draw(bridge, Drawing(prompt="Hi", count=3), _call(bridge)))).rule
    refused = await refusal(draw(bridge, Drawing(prompt="Hi", extra={"size": "1536x1024"}), _call(bridge)))
    assert refused.rule == '[default] images.sizes = ["1024x1024"]'
    assert sent(emulator) == []
    with suppress(BridgeError):  # nobody takes the picture here
        await draw(bridge, Drawing(prompt="A cat"), _call(bridge))
    await bridge.aclose()
    assert sent(emulator)[0]["tools"][0]["size"] == "1024x1024"


async def test_read_only_mode_hands_no_approval_to_a_model(emulator: RunningEmulator, tmp_path: Path) -> None:
    settings = settings_for(emulator, tmp_path, mcp_servers=json.dumps(MCP_SERVERS))
    bridge = Bridge(settings, {"TICKETS_TOKEN": MCP_SECRET})
    first = await ask(bridge, AskRequest(prompt="Search for the outage.", mcp_servers=["tickets"]))
    assert first.conversation_id is not None
    approval = first.pending_calls[0]["approval_request_id"]
    bridge.policy = policy_of("default.read_only = true")
    refused = await refusal(
        answer_calls(bridge, first.conversation_id, [{"approval_request_id": approval, "approve": True}])
    )
    assert refused.rule == "[default] read_only = true"
    assert len(sent(emulator)) == 1
    declined = [{"approval_request_id": approval, "approve": False}]
    assert (await answer_calls(bridge, first.conversation_id, declined)).status == "completed"
    await bridge.aclose()


async def test_tools_that_are_not_allowed_are_neither_listed_nor_called(
    connect: Connect, emulator: RunningEmulator, era: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = policy_of('[default]\ntools.allow = ["ask_*", "edit_files"]\nread_only = true')
    monkeypatch.setattr(Bridge, "policy", property(lambda _: policy, lambda _bridge, _value: None), raising=False)
    async with connect(era) as host:
        listed = [tool.name for tool in (await host.client.list_tools()).tools]
        assert listed == ["ask_databricks_model", "get_response"]
        for tool, arguments in (
            ("generate_image", {"prompt": "A cat"}),
            ("edit_files", {"instruction": "x", "paths": ["x"]}),
            ("search_web", {}),
        ):
            _, facts, failed = await host.call(tool, **arguments)
            assert failed
            assert facts["error"]["code"] == ErrorCode.PERMISSION_DENIED
            assert "policy rule" in facts["error"]["message"]
    assert sent(emulator) == []


def _call(bridge: Bridge) -> CallContext:
    return CallContext.start(bridge.settings)
