"""Everything that speaks of a model derives from one profile: what is listed, completed, examined and asked agree."""

import pytest
from mcp.types import PromptReference

from databricks_responses_mcp.cli.checks import Examination
from databricks_responses_mcp.cli.findings import Finding
from databricks_responses_mcp.cli.options import SessionOptions
from databricks_responses_mcp.prompts import completion, endpoint_names
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_workspace_emulator.server import RunningEmulator
from harness import Connect, Host
from harness.deadlines import DEADLINE_SECONDS

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "DEADLINE_SECONDS", DEADLINE_SECONDS)
    monkeypatch.setattr(endpoint_names, "_WAIT_SECONDS", DEADLINE_SECONDS)


async def completed(host: Host, prompt: str) -> set[str]:
    result = await host.client.complete(PromptReference(name=prompt), {"name": "model", "value": ""})
    return set(result.completion.values)


async def examined(bridge: Bridge, model: str, *, draws: bool) -> bool:
    """Whether ``doctor`` accepts an endpoint as the configured model."""
    found: list[Finding] = []

    async def report(finding: Finding) -> None:
        found.append(finding)

    examination = Examination(SessionOptions({}, embedded=False, engine=None), report)
    bridge.settings = bridge.settings.model_copy(update={"image_model" if draws else "model": model})
    examination._bridge = bridge
    await examination._check("model", examination._find_image_model if draws else examination._find_model)
    return found[0].status == "ok"


async def test_every_model_that_is_listed_is_completed_and_examined_as_what_it_answers_to(
    connect: Connect, bridge: Bridge, emulator: RunningEmulator
) -> None:
    told: dict[str, tuple[bool, ...]] = {}
    async with connect() as host:
        _, facts, _ = await host.call("list_databricks_models", all=True)
        listed = {model["name"] for model in facts["models"] if model["can"]}
        offered = await completed(host, "second_opinion")
        ready = {endpoint.name for endpoint in await bridge.endpoints.list() if endpoint.ready}
        for name in ready & emulator.state.endpoints.keys():
            _, _, is_error = await host.call("ask_databricks_model", prompt="Hello", model=name)
            doctor = await examined(bridge, name, draws=False)
            told[name] = (not is_error, name in listed, name in offered, doctor)
    assert {name: views for name, views in told.items() if len(set(views)) > 1} == {}
    assert any(all(views) for views in told.values())
    assert any(not any(views) for views in told.values())


@pytest.mark.slow
async def test_every_model_that_is_listed_as_drawing_is_completed_and_examined_as_that_and_draws(
    connect: Connect, bridge: Bridge, emulator: RunningEmulator
) -> None:
    told: dict[str, tuple[bool, ...]] = {}
    async with connect() as host:
        _, facts, _ = await host.call("list_databricks_models", capability="image_generation")
        listed = {model["name"] for model in facts["models"]}
        offered = await completed(host, "illustrate")
        for name in emulator.state.endpoints:
            endpoint = await bridge.endpoints.get(name)
            if endpoint is not None and endpoint.profile.has("image_generation") == "unknown":
                continue  # it is not offered, and may be tried
            _, _, is_error = await host.call("generate_image", prompt="A tree", model=name)
            doctor = await examined(bridge, name, draws=True)
            told[name] = (not is_error, name in listed, name in offered, doctor)
    assert {name: views for name, views in told.items() if len(set(views)) > 1} == {}
    assert any(all(views) for views in told.values())
