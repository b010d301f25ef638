"""The Supervisor API: hosted tools, and responses that run in the background until they are done or cancelled."""

from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.turns.ask import AskRequest, ask
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_workspace_emulator.server import RunningEmulator
from harness import Host
from harness.deadlines import DEADLINE_SECONDS
from harness.stdio_process import ASK, COMMAND, environment

pytestmark = pytest.mark.anyio

CLAUDE = "system.ai.claude-sonnet-4-5"
PATH = "/ai-gateway/mlflow/v1/responses"
HOSTED = [
    {"type": "genie_space", "genie_space": {"id": "01ef", "description": "Sales"}},
    {"type": "uc_function", "uc_function": {"name": "main.default.f"}},
    {"type": "knowledge_assistant", "knowledge_assistant": {"knowledge_assistant_id": "ka-1"}},
    {"type": "uc_connection", "uc_connection": {"name": "jira"}},
    {"type": "app", "app": {"name": "my-agent"}},
]


@pytest.fixture(autouse=True)
def _supervisor(emulator: RunningEmulator) -> None:
    emulator.state.switches.supervisor = True


async def test_hosted_tools_go_through_and_a_conversation_goes_on(bridge: Bridge, emulator: RunningEmulator) -> None:
    question = AskRequest(prompt="[[say one]]", model=CLAUDE, surface="supervisor", tools=HOSTED)
    first = await ask(bridge, question)
    second = await ask(bridge, AskRequest(prompt="[[say two]]", conversation_id=first.conversation_id))
    assert [(one.text, one.surface, one.notes) for one in (first, second)] == [
        ("one", "supervisor", ()),
        ("two", "supervisor", ()),
    ]
    bodies = [exchange.body for exchange in emulator.state.request_log.to(PATH)]
    assert [body["tools"] for body in bodies] == [HOSTED, HOSTED]
    # The Supervisor repeats the conversation in its output; it is sent once all the same.
    assert [item["role"] for item in bodies[1]["input"]] == ["user", "assistant", "user"]


@pytest.mark.parametrize("polls", [0, 3])
async def test_a_response_in_the_background_is_asked_for_until_it_is_done(
    bridge: Bridge, emulator: RunningEmulator, polls: int
) -> None:
    emulator.state.background_polls = polls
    question = AskRequest(prompt="[[say done]]", model=CLAUDE, surface="supervisor", extra={"background": True})
    outcome = await ask(bridge, question)
    assert (outcome.text, outcome.status) == ("done", "completed")
    assert (outcome.usage or {})["output_tokens"] > 0
    (sent,) = emulator.state.request_log.to(PATH)
    assert (sent.body["background"], "stream" in sent.body) == (True, False)
    asked = [one for one in emulator.state.request_log.exchanges if one.path.startswith(f"{PATH}/")]
    assert len(asked) == polls + 1


async def test_elsewhere_background_is_refused_by_the_rules_of_that_surface(
    bridge: Bridge, emulator: RunningEmulator
) -> None:
    with pytest.raises(BridgeError) as caught:
        await ask(bridge, AskRequest(prompt="Hi", model="databricks-gpt-5", extra={"background": True}))
    assert caught.value.code is ErrorCode.UNSUPPORTED_BY_MODEL
    assert emulator.state.request_log.to("/responses") == []


async def test_sampling_beside_tools_is_refused_before_it_is_sent(bridge: Bridge, emulator: RunningEmulator) -> None:
    question = AskRequest(prompt="Hi", model=CLAUDE, surface="supervisor", tools=HOSTED, temperature=0.5)
    with pytest.raises(BridgeError, match="does not accept temperature together with tools"):
        await ask(bridge, question)
    assert emulator.state.request_log.to(PATH) == []


async def test_an_id_that_would_change_the_path_is_not_requested(bridge: Bridge, emulator: RunningEmulator) -> None:
    from databricks_responses_mcp.turns.background import run_in_background
    from harness.raw_server import answer, raw_server

    for odd in ('"../../../api/2.0/secrets"', '"a?b"', '""', "7", "null"):
        body = f'{{"object": "response", "status": "queued", "id": {odd}}}'.encode()
        async with raw_server(answer(body, "application/json")) as (server, other):
            with pytest.raises(BridgeError, match="gave no id") as caught:
                await run_in_background(other.client, {"model": "m", "background": True}, path="/x", model="m")
            assert (server.gets, caught.value.may_be_paid) == (0, True)


async def test_a_call_that_is_cancelled_cancels_the_response_and_a_slow_one_becomes_a_job(
    emulator: RunningEmulator, tmp_path: Path, era: str
) -> None:
    emulator.state.background_polls = 10_000
    env = environment(emulator, tmp_path, RESPONSES_MCP_HAND_OVER_SECONDS="0.2")
    parameters = StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=env, cwd=tmp_path)
    with anyio.fail_after(DEADLINE_SECONDS):
        async with Client(parameters, mode=era) as client:
            host = Host(client)
            _, facts, failed = await host.call(
                ASK, prompt="Hi", model=CLAUDE, surface="supervisor", extra={"background": True}
            )
            assert (facts["status"], failed) == ("running", False)
            await emulator.state.began_background.wait()
            await host.call("get_response", response_id=facts["response_id"], cancel=True)
            (kept,) = emulator.state.background.values()
            await kept.cancelled.wait()
    assert kept.is_cancelled
