"""``list_databricks_models`` as a host uses it."""

import pytest

from databricks_workspace_emulator.server import RunningEmulator
from harness import Connect

pytestmark = pytest.mark.anyio

LIST = "list_databricks_models"


async def test_a_model_comes_with_how_it_is_reached_and_what_it_can_do(connect: Connect, era: str) -> None:
    async with connect(era) as host:
        content, facts, failed = await host.call(LIST, name_contains="GPT-5-1")
    assert not failed
    assert facts == {
        "models": [
            {
                "name": "databricks-gpt-5-1",
                "class": "native",
                "surface": "responses",
                "can": ["text", "images", "image_generation", "web_search", "custom_tools", "structured_output"],
            }
        ],
        "hidden": 0,
        "default_model": "databricks-gpt-5",
        "default_image_model": "databricks-gpt-5",
    }
    assert content[0].text == (
        "databricks-gpt-5-1: native (responses); text, sees images, draws, searches the web, custom tools, "
        "answers by schema\n"
        "Default model: databricks-gpt-5. Default image model: databricks-gpt-5."
    )


async def test_it_is_short_unless_everything_is_asked_for(connect: Connect, emulator: RunningEmulator) -> None:
    async with connect() as host:
        short, few, _ = await host.call(LIST)
        whole, everything, _ = await host.call(LIST, all=True)
    assert {model["name"] for model in everything["models"]} >= set(emulator.state.endpoints)
    hidden = len(everything["models"]) - len(few["models"])
    assert (few["hidden"], everything["hidden"]) == (hidden, 0)
    assert hidden > 0
    assert f"({hidden} more are not shown here; all=true shows everything.)" in short[0].text
    embedding = next(model for model in everything["models"] if model["name"] == "databricks-gte-large-en")
    assert (embedding["class"], embedding["can"], embedding["confidence"]) == ("other", [], "listed")
    assert "its task is llm/v1/embeddings (listed)" in whole[0].text


async def test_a_model_is_found_by_its_name_in_the_catalog_too(connect: Connect, emulator: RunningEmulator) -> None:
    async with connect() as host:
        content, facts, _ = await host.call(LIST, name_contains="system.ai.gpt-5-nano", all=True)
    assert [(model["name"], model["catalog_name"]) for model in facts["models"]] == [
        ("databricks-gpt-5-nano", "system.ai.gpt-5-nano")
    ]
    assert "in the catalog system.ai.gpt-5-nano" in content[0].text
    emulator.state.switches.model_services = False
    async with connect() as host:
        _, facts, _ = await host.call(LIST, name_contains="system.ai.gpt-5-nano", all=True)
    assert facts["models"] == []


@pytest.mark.parametrize("capability", ["image_generation", "web_search", "custom_tools", "images"])
async def test_a_capability_narrows_it_down(connect: Connect, capability: str) -> None:
    async with connect() as host:
        _, facts, _ = await host.call(LIST, capability=capability)
        _, everything, _ = await host.call(LIST, capability=capability, all=True)
    assert facts["models"]
    assert all(capability in model["can"] for model in everything["models"])
    # What the filter itself left out is not "more".
    assert facts["hidden"] == len(everything["models"]) - len(facts["models"])


async def test_a_capability_that_there_is_not_is_told_with_those_that_there_are(connect: Connect) -> None:
    async with connect() as host:
        _, facts, failed = await host.call(LIST, capability="singing")
    assert failed
    assert facts["error"]["code"] == "invalid_argument"
    assert "web_search" in facts["error"]["hint"]


async def test_the_listing_is_asked_for_once_in_a_while_not_on_every_call(
    connect: Connect, emulator: RunningEmulator
) -> None:
    async with connect() as host:
        await host.call(LIST)
        await host.call(LIST)
    assert len(emulator.state.request_log.to("/api/2.0/serving-endpoints")) == 1
