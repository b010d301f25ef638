"""Headers of the administrator's own go along to models, and can take the place of none of the bridge's."""

import json
from pathlib import Path
from typing import Any

import pytest

from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.turns.ask import AskRequest, ask
from databricks_responses_mcp.turns.bridge import open_bridge
from databricks_responses_mcp.workspace.settings import load_settings
from databricks_workspace_emulator.server import RunningEmulator, run_emulator
from harness import settings_for

pytestmark = pytest.mark.anyio

SECRET = "key-of-a-provider-7f3a"
GIVEN = json.dumps({"Databricks-Model-Provider-Service": "main.ai.provider", "X-Provider-Key": SECRET})


async def test_headers_are_sent_only_to_models_of_the_workspace(emulator: RunningEmulator, tmp_path: Path) -> None:
    async with open_bridge(settings_for(emulator, tmp_path, extra_headers=GIVEN), {}) as bridge:
        await ask(bridge, AskRequest(prompt="Hi", model="databricks-gpt-5"))
        await ask(bridge, AskRequest(prompt="Hi", model="system.ai.gpt-5"))
        await bridge.endpoints.list(refresh=True)
    for exchange in emulator.state.request_log.exchanges:
        given = [exchange.headers.get(name) for name in ("databricks-model-provider-service", "x-provider-key")]
        assert given == (["main.ai.provider", SECRET] if exchange.method == "POST" else [None, None])


async def test_an_app_receives_none_of_the_headers(tmp_path: Path) -> None:
    async with (
        run_emulator(credential="oauth") as running,
        open_bridge(settings_for(running, tmp_path, extra_headers=GIVEN), {}) as bridge,
    ):
        await ask(bridge, AskRequest(prompt="Hi", model="apps/my-agent"))
        asked = running.state.request_log.to("/apps/my-agent/responses")
    assert [exchange.headers.get("x-provider-key") for exchange in asked] == [None]


async def test_a_secret_among_them_is_taken_out_of_what_is_shown_and_a_name_is_not(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    settings = settings_for(emulator, tmp_path, extra_headers=GIVEN)
    told = settings.secrets.remove(f"The provider main.ai.provider refused {SECRET}.")
    assert told == "The provider main.ai.provider refused [redacted]."
    assert SECRET not in repr(settings) + str(settings.model_dump(mode="json"))
    async with open_bridge(settings, {}) as bridge:
        outcome = await ask(bridge, AskRequest(prompt=f"[[say {SECRET}]]", model="databricks-gpt-5"))
    assert SECRET not in outcome.text


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "AUTHORIZATION",
        "Host",
        "Cookie",
        "Content-Length",
        "content-type",
        "Transfer-Encoding",
        "Connection",
        "Proxy-Authorization",
        "X-Forwarded-Access-Token",
        "X-Forwarded-Host",
        "X-HTTP-Method-Override",
        "X-Databricks-Workspace-Id",
        "X-Databricks-Azure-SP-Management-Token",
        "Databricks-Ai-Gateway-Request-Tags",
        "Authorization ",
        "Autho rization",
        "X-A\r\nAuthorization",
        "X-A:",
        "",
        "Ünicode",
    ],
)
def test_authentication_and_framing_headers_cannot_be_set(name: str) -> None:
    with pytest.raises(BridgeError, match="RESPONSES_MCP_EXTRA_HEADERS is wrong") as caught:
        load_settings({"RESPONSES_MCP_EXTRA_HEADERS": json.dumps({name: SECRET})})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        "not json",
        "[]",
        '"x"',
        {"X-A": 7},
        {"X-A": ""},
        {"X-A": "a\r\nHost: evil"},
        {"X-A": "é"},
        {"X-A": "x" * 4001},
        {"X-A": "1", "x-a": "2"},
        {f"X-{number}": "1" for number in range(21)},
    ],
)
def test_an_odd_value_ends_the_start(value: Any) -> None:
    text = value if isinstance(value, str) else json.dumps(value)
    with pytest.raises(BridgeError, match="RESPONSES_MCP_EXTRA_HEADERS is wrong"):
        load_settings({"RESPONSES_MCP_EXTRA_HEADERS": text})
