"""A model is reached on the surface that serves it; another one is tried once, where the first is the wrong way."""

from pathlib import Path

import pytest

from databricks_responses_mcp.calls.advice import mcp_words
from databricks_responses_mcp.errors import Action, Advice, BridgeError, ErrorCode
from databricks_responses_mcp.turns.ask import AskRequest, ask
from databricks_responses_mcp.turns.bridge import Bridge, open_bridge
from databricks_workspace_emulator.server import RunningEmulator, run_emulator
from harness import Connect, settings_for

pytestmark = pytest.mark.anyio

CLAUDE = "databricks-claude-sonnet-4-5"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def paths(emulator: RunningEmulator) -> list[str]:
    """Where model requests went, in order."""
    return [exchange.path for exchange in emulator.state.request_log.exchanges if exchange.method == "POST"]


async def test_a_native_model_is_asked_natively_and_nothing_is_said_of_it(
    bridge: Bridge, emulator: RunningEmulator
) -> None:
    outcome = await ask(bridge, AskRequest(prompt="[[say hello]]", model="databricks-gpt-5"))
    assert (outcome.text, outcome.surface) == ("hello", None)
    assert paths(emulator) == ["/serving-endpoints/responses"]


async def test_chat_completions_are_spoken_where_they_are_asked_for(bridge: Bridge, emulator: RunningEmulator) -> None:
    question = AskRequest(
        prompt="[[say hello]]", model="databricks-gpt-5", surface="chat", extra={"metadata": {"a": "b"}}
    )
    outcome = await ask(bridge, question)
    assert (outcome.text, outcome.status, outcome.surface) == ("hello", "completed", "chat")
    assert (outcome.usage or {})["output_tokens"] > 0
    assert paths(emulator) == ["/serving-endpoints/chat/completions"]
    assert outcome.notes == ("Left out of the request, because Chat Completions does not support it: metadata.",)


async def test_a_surface_that_one_call_asked_for_is_not_used_for_the_next(
    bridge: Bridge, emulator: RunningEmulator
) -> None:
    await ask(bridge, AskRequest(prompt="[[say one]]", model="databricks-gpt-5", surface="chat"))
    outcome = await ask(bridge, AskRequest(prompt="[[say two]]", model="databricks-gpt-5"))
    assert (outcome.text, outcome.surface) == ("two", None)
    assert paths(emulator) == ["/serving-endpoints/chat/completions", "/serving-endpoints/responses"]


async def test_a_tool_is_called_and_answered_over_chat_completions(bridge: Bridge, emulator: RunningEmulator) -> None:
    from databricks_responses_mcp.turns.call_outputs import answer_calls

    question = AskRequest(prompt="Weather in Paris?", model=CLAUDE, surface="chat", tools=[WEATHER])
    outcome = await ask(bridge, question)
    (call,) = outcome.pending_calls
    assert call["name"] == "get_weather"
    assert outcome.conversation_id is not None
    after = await answer_calls(bridge, outcome.conversation_id, [{"call_id": call["call_id"], "output": "Sunny."}])
    assert after.status == "completed"
    assert after.text
    assert set(paths(emulator)) == {"/serving-endpoints/chat/completions"}


async def test_a_model_that_the_first_surface_does_not_serve_is_reached_on_the_next_and_that_is_learned(
    bridge: Bridge, emulator: RunningEmulator
) -> None:
    emulator.state.faults.add("404")
    first = await ask(bridge, AskRequest(prompt="[[say one]]", model="databricks-gpt-5"))
    second = await ask(bridge, AskRequest(prompt="[[say two]]", model="databricks-gpt-5"))
    assert [(first.text, first.surface), (second.text, second.surface)] == [("one", "chat"), ("two", "chat")]
    assert paths(emulator) == [
        "/serving-endpoints/responses",
        "/serving-endpoints/chat/completions",
        "/serving-endpoints/chat/completions",
    ]


async def test_when_both_fail_the_first_error_is_told(bridge: Bridge) -> None:
    with pytest.raises(BridgeError) as caught:
        await ask(bridge, AskRequest(prompt="Hi", model="no-such-model"))
    assert caught.value.code is ErrorCode.MODEL_NOT_FOUND
    assert "no-such-model" in caught.value.message


async def test_an_error_of_the_request_is_no_reason_to_go_elsewhere(bridge: Bridge, emulator: RunningEmulator) -> None:
    emulator.state.faults.add("body:openai:400")
    with pytest.raises(BridgeError):
        await ask(bridge, AskRequest(prompt="Hi", model="databricks-gpt-5"))
    assert paths(emulator) == ["/serving-endpoints/responses"]


async def test_what_a_surface_lacks_is_told_with_a_model_that_has_it(bridge: Bridge) -> None:
    question = AskRequest(prompt="Hi", model=CLAUDE, surface="chat", tools=[{"type": "web_search"}])
    with pytest.raises(BridgeError) as caught:
        await ask(bridge, question)
    assert caught.value.code is ErrorCode.UNSUPPORTED_BY_MODEL
    assert "web search" in caught.value.message or "web_search" in caught.value.message
    assert "databricks-gpt-6-1-sol" in caught.value.full_hint(mcp_words)


async def test_a_conversation_goes_on_across_surfaces(bridge: Bridge, emulator: RunningEmulator) -> None:
    first = await ask(bridge, AskRequest(prompt="[[say one]]", model="databricks-gpt-5"))
    second = await ask(
        bridge,
        AskRequest(prompt="[[say two]]", model=CLAUDE, surface="chat", conversation_id=first.conversation_id),
    )
    assert second.text == "two"
    sent = emulator.state.request_log.to("/serving-endpoints/chat/completions")[0].body
    assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "user"]


async def test_other_models_are_asked_by_open_responses(bridge: Bridge, emulator: RunningEmulator) -> None:
    outcome = await ask(bridge, AskRequest(prompt="[[say hello]]", model=CLAUDE))
    assert (outcome.text, outcome.surface) == ("hello", "open-responses")
    assert paths(emulator) == ["/serving-endpoints/open-responses"]


async def test_agents_of_every_kind_answer(bridge: Bridge, emulator: RunningEmulator) -> None:
    agents = [name for name, endpoint in emulator.state.endpoints.items() if endpoint.task.startswith("agent/")]
    assert len(agents) >= 3
    told = {}
    for name in agents:
        outcome = await ask(bridge, AskRequest(prompt="[[say hello]]", model=name, extra={"custom_inputs": {"a": 1}}))
        told[name] = (bool(outcome.text), outcome.status, (outcome.surface or "").partition("-")[0])
    assert told == dict.fromkeys(agents, (True, "completed", "agent"))


async def test_a_name_of_the_catalog_goes_through_the_gateway(bridge: Bridge, emulator: RunningEmulator) -> None:
    outcome = await ask(bridge, AskRequest(prompt="[[say hello]]", model="system.ai.gpt-5-5"))
    assert (outcome.text, outcome.surface) == ("hello", "gateway")


async def test_pictures_for_a_model_that_sees_none_are_told_with_one_that_does(
    bridge: Bridge, emulator: RunningEmulator
) -> None:
    pixel = (
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
        "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    with pytest.raises(BridgeError) as caught:
        await ask(
            bridge, AskRequest(prompt="What is it?", model="databricks-meta-llama-3-3-70b-instruct", images=[pixel])
        )
    assert caught.value.code is ErrorCode.UNSUPPORTED_BY_MODEL
    assert "databricks-gpt-6-1-sol" in caught.value.full_hint(mcp_words)


async def test_a_web_search_where_there_is_none_is_told_with_a_model_that_searches(bridge: Bridge) -> None:
    question = AskRequest(prompt="News?", model="my-azure-openai-external", tools=[{"type": "web_search"}])
    with pytest.raises(BridgeError) as caught:
        await ask(bridge, question)
    assert caught.value.code is ErrorCode.UNSUPPORTED_BY_MODEL
    assert "In this workspace databricks-gpt-6-1-sol" in caught.value.full_hint(mcp_words)


async def test_a_service_tier_goes_where_it_is_known_and_is_told_elsewhere(bridge: Bridge) -> None:
    question = AskRequest(prompt="Hi", model=CLAUDE, surface="chat", extra={"service_tier": "priority"})
    with pytest.raises(BridgeError) as caught:
        await ask(bridge, question)
    assert caught.value.code is ErrorCode.UNSUPPORTED_BY_MODEL
    assert "In this workspace databricks-gpt-6-1-sol" in caught.value.full_hint(mcp_words)


async def test_an_app_is_asked_by_its_name_and_takes_oauth_only(emulator: RunningEmulator, tmp_path: Path) -> None:
    (name, *_) = emulator.state.apps
    async with open_bridge(settings_for(emulator, tmp_path), {}) as bridge:
        with pytest.raises(BridgeError) as caught:
            await ask(bridge, AskRequest(prompt="Hi", model=f"apps/{name}"))
    assert "only OAuth tokens" in caught.value.full_hint(mcp_words)
    async with (
        run_emulator(credential="oauth") as running,
        open_bridge(settings_for(running, tmp_path), {}) as bridge,
    ):
        outcome = await ask(bridge, AskRequest(prompt="[[say hello]]", model=f"apps/{name}"))
    assert (outcome.text, outcome.surface) == ("hello", "app")


async def test_tags_for_the_bill_go_through_the_gateway_alone(emulator: RunningEmulator, tmp_path: Path) -> None:
    async with open_bridge(settings_for(emulator, tmp_path, request_tags='{"team": "a"}'), {}) as bridge:
        await ask(bridge, AskRequest(prompt="Hi", model="databricks-gpt-5"))
        await ask(bridge, AskRequest(prompt="Hi", model="databricks-gpt-5", surface="gateway"))
    tags = [exchange.request_tags for exchange in emulator.state.request_log.exchanges if exchange.method == "POST"]
    assert tags == [None, {"team": "a"}]


async def test_what_an_agent_gives_beside_its_output_is_in_the_result(bridge: Bridge) -> None:
    outcome = await ask(bridge, AskRequest(prompt="Hi", model="my-support-agent", extra={"custom_inputs": {"a": 1}}))
    assert outcome.as_dict()["custom_outputs"] == {"a": 1}


async def test_a_limit_does_not_make_it_forget_the_way(bridge: Bridge, emulator: RunningEmulator) -> None:
    bridge.router.learn("databricks-gpt-5", "chat")
    emulator.state.faults.add("413")
    with pytest.raises(BridgeError):
        await ask(bridge, AskRequest(prompt="Hi", model="databricks-gpt-5"))
    await ask(bridge, AskRequest(prompt="Hi", model="databricks-gpt-5"))
    assert set(paths(emulator)) == {"/serving-endpoints/chat/completions"}


async def test_a_conversation_is_summed_up_on_the_surface_that_was_asked_for(
    bridge: Bridge, emulator: RunningEmulator
) -> None:
    from databricks_responses_mcp.turns.compaction import compact

    outcome = await ask(bridge, AskRequest(prompt="[[say one]]", model="databricks-gpt-5", surface="chat"))
    assert outcome.conversation_id is not None
    assert (await compact(bridge, outcome.conversation_id)).surface == "chat"
    assert set(paths(emulator)) == {"/serving-endpoints/chat/completions"}
    sent = [exchange.body for exchange in emulator.state.request_log.exchanges if exchange.method == "POST"]
    assert not any("surface" in (body or {}) for body in sent)


async def test_what_the_second_surface_had_begun_to_say_is_not_lost(bridge: Bridge, emulator: RunningEmulator) -> None:
    emulator.state.faults.add("404")
    emulator.state.faults.add("cut:4")
    with pytest.raises(BridgeError) as caught:
        await ask(bridge, AskRequest(prompt="[[say one two three four five]]", model="databricks-gpt-5"))
    assert caught.value.code is ErrorCode.UPSTREAM_UNAVAILABLE
    assert caught.value.partial["text"]


async def test_a_request_that_may_be_billed_is_not_sent_again_where_the_name_alone_tells_the_surface(
    connect: Connect, emulator: RunningEmulator
) -> None:
    # A failure inside the model, of which the body says nothing about the surface.
    emulator.state.faults.add("body:invalid_token:500", times=2)
    async with connect() as host:
        _, facts, failed = await host.call("ask_databricks_model", prompt="Hi", model="databricks-gpt-5")
    assert (failed, facts["error"]["status"]) == (True, 500)
    # No listing of endpoints was asked for, so that the name alone told the surface.
    assert [(one.method, one.path) for one in emulator.state.request_log.exchanges] == [
        ("POST", "/serving-endpoints/responses")
    ]


async def test_a_model_service_of_any_schema_goes_to_the_gateway_by_its_api_types(
    bridge: Bridge, emulator: RunningEmulator
) -> None:
    asked = ("production.ai.frontier-model", "production.ai.writer", "research.models.draft", "system.ai.gpt-5")
    for name in asked:
        outcome = await ask(bridge, AskRequest(prompt="[[say hello]]", model=name))
        assert (outcome.text, outcome.notes) == ("hello", ())
    native, chat = "/ai-gateway/openai/v1/responses", "/ai-gateway/mlflow/v1/chat/completions"
    assert paths(emulator) == [native, chat, native, native]
    models = [exchange.body["model"] for exchange in emulator.state.request_log.exchanges if exchange.method == "POST"]
    assert models == list(asked)


async def test_an_unknown_name_of_the_catalog_is_told_as_unknown(bridge: Bridge, emulator: RunningEmulator) -> None:
    with pytest.raises(BridgeError) as caught:
        await ask(bridge, AskRequest(prompt="Hi", model="production.ai.none"))
    assert caught.value.code is ErrorCode.MODEL_NOT_FOUND
    assert all(path.startswith("/ai-gateway/") for path in paths(emulator))


@pytest.mark.parametrize("listed", [True, False])
async def test_a_legacy_name_continues_on_the_gateway_where_the_workspace_has_moved(
    bridge: Bridge, emulator: RunningEmulator, listed: bool
) -> None:
    emulator.state.switches.legacy_names = False
    emulator.state.switches.model_services = listed
    first = await ask(bridge, AskRequest(prompt="[[say one]]", model="databricks-gpt-5"))
    second = await ask(bridge, AskRequest(prompt="[[say two]]", conversation_id=first.conversation_id))
    assert [(one.text, one.surface) for one in (first, second)] == [("one", "gateway"), ("two", "gateway")]
    told = (
        "The workspace no longer serves databricks-gpt-5 under this name: system.ai.gpt-5 was asked through Unity "
        "Gateway. Use that name from now on."
    )
    assert [outcome.notes for outcome in (first, second)] == [(told,), (told,)]
    claude = await ask(bridge, AskRequest(prompt="[[say three]]", model=CLAUDE))
    assert (claude.text, claude.surface) == ("three", "gateway-chat")
    # Model serving is asked once for each name.
    assert paths(emulator) == [
        "/serving-endpoints/responses",
        "/ai-gateway/openai/v1/responses",
        "/ai-gateway/openai/v1/responses",
        "/serving-endpoints/open-responses",
        "/ai-gateway/mlflow/v1/chat/completions",
    ]


async def test_a_surface_that_was_asked_for_is_not_left(bridge: Bridge, emulator: RunningEmulator) -> None:
    emulator.state.switches.legacy_names = False
    with pytest.raises(BridgeError) as caught:
        await ask(bridge, AskRequest(prompt="Hi", model="databricks-gpt-5", surface="responses"))
    assert "system.ai.<model>" in caught.value.hint
    assert paths(emulator) == ["/serving-endpoints/responses"]


async def test_what_the_gateway_says_after_a_move_is_told(bridge: Bridge, emulator: RunningEmulator) -> None:
    emulator.state.switches.legacy_names = False
    emulator.state.faults.add("body:legacy_name:501")
    emulator.state.faults.add("body:permission:403")
    with pytest.raises(BridgeError) as caught:
        await ask(bridge, AskRequest(prompt="Hi", model="databricks-gpt-5"))
    assert caught.value.code is ErrorCode.PERMISSION_DENIED
    assert caught.value.advice == (Advice(Action.USE_NEW_NAME, "system.ai.gpt-5"),)


async def test_a_picture_is_drawn_on_a_workspace_that_has_moved(connect: Connect, emulator: RunningEmulator) -> None:
    emulator.state.switches.legacy_names = False
    async with connect() as host:
        _, facts, failed = await host.call("generate_image", prompt="A red fox")
    assert not failed
    assert any("system.ai.gpt-5 was asked" in note for note in facts["notes"])


async def test_services_of_a_configured_schema_are_listed(connect: Connect, era: str) -> None:
    async with connect(era, model_schemas="production.ai, locked.away") as host:
        content, facts, _ = await host.call("list_databricks_models", name_contains="production.ai")
        _, before, _ = await host.call("list_databricks_models", name_contains="research.models")
    assert {one["name"]: one["surface"] for one in facts["models"]} == {
        "production.ai.frontier-model": "gateway",
        "production.ai.writer": "gateway-chat",
    }
    assert before["models"] == []
    assert "production.ai.writer: open (gateway-chat)" in content[0].text


async def test_an_unknown_earlier_response_is_no_unknown_model(connect: Connect, emulator: RunningEmulator) -> None:
    async with connect() as host:
        _, facts, failed = await host.call(
            "ask_databricks_model",
            prompt="Hi",
            model="my-openai-external",
            extra={"previous_response_id": "resp_unknown"},
        )
    assert (failed, facts["error"]["code"]) == (True, "invalid_argument")
    assert "conversation_id" in facts["error"]["hint"]
    assert paths(emulator) == ["/serving-endpoints/responses"]
