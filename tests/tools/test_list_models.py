"""``list_databricks_models`` as a host uses it."""

import pytest

from databricks_responses_mcp.emulator.server import RunningEmulator
from harness import Connect

pytestmark = pytest.mark.anyio

LIST = "list_databricks_models"


async def test_endpoints_come_with_state_kind_and_whether_responses_serves_them(connect: Connect, era: str) -> None:
    async with connect(era) as host:
        content, facts, failed = await host.call(LIST, name_contains="GPT-5-1")
    assert not failed
    assert facts == {
        "models": [
            {
                "name": "databricks-gpt-5-1",
                "state": "READY",
                "task": "llm/v1/chat",
                "kind": "pay_per_token",
                "serves_responses": "yes",
                "reason": "the workspace lists the Responses API among its API types",
                "draws": "yes",
            }
        ],
        "default_model": "databricks-gpt-5",
        "default_image_model": "databricks-gpt-5",
    }
    assert content[0].text == (
        "databricks-gpt-5-1: READY, pay per token, llm/v1/chat; Responses API: yes, draws "
        "(the workspace lists the Responses API among its API types)\n"
        "Default model: databricks-gpt-5. Default image model: databricks-gpt-5."
    )


async def test_endpoints_that_do_not_serve_responses_are_counted_and_shown_on_request(
    connect: Connect, emulator: RunningEmulator
) -> None:
    async with connect() as host:
        short, few, _ = await host.call(LIST)
        _, all_, _ = await host.call(LIST, responses_only=False)
    assert {model["name"] for model in all_["models"]} == set(emulator.state.endpoints)
    hidden = len(all_["models"]) - len(few["models"])
    assert hidden > 0
    assert f"({hidden} more do not serve the Responses API" in short[0].text


async def test_the_listing_is_asked_for_once_in_a_while_not_on_every_call(
    connect: Connect, emulator: RunningEmulator
) -> None:
    async with connect() as host:
        await host.call(LIST)
        await host.call(LIST)
    assert len(emulator.state.journal.to("/api/2.0/serving-endpoints")) == 1
