"""Services of Unity Catalog as a host's model uses them, through the real server over its pipes."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters

from databricks_workspace_emulator.server import RunningEmulator
from harness import Host
from harness.deadlines import DEADLINE_SECONDS
from harness.stdio_process import ASK, COMMAND, environment

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def server(emulator: RunningEmulator, tmp_path: Path, era: str, **settings: str) -> AsyncIterator[Host]:
    """The server's process, connected."""
    env = environment(emulator, tmp_path, **{f"RESPONSES_MCP_{name.upper()}": text for name, text in settings.items()})
    parameters = StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=env, cwd=tmp_path)
    with anyio.fail_after(DEADLINE_SECONDS):
        async with Client(parameters, mode=era) as client:
            yield Host(client)


async def test_a_service_is_found_in_the_list_asked_and_continued(
    emulator: RunningEmulator, tmp_path: Path, era: str
) -> None:
    async with server(emulator, tmp_path, era, model_schemas="production.ai") as host:
        _, listed, _ = await host.call("list_databricks_models", name_contains="production")
        names = [model["name"] for model in listed["models"]]
        assert names == ["production.ai.frontier-model", "production.ai.writer"]
        for name, surface in zip(names, ("gateway", "gateway-chat"), strict=True):
            _, first, failed = await host.call(ASK, prompt="[[say one]]", model=name)
            assert (first["text"], first["surface"], failed) == ("one", surface, False)
            _, second, _ = await host.call(ASK, prompt="[[echo]]", conversation_id=first["conversation_id"])
            assert "[[say one]]" in second["text"]


async def test_a_legacy_name_is_asked_on_a_workspace_that_has_moved(
    emulator: RunningEmulator, tmp_path: Path, era: str
) -> None:
    emulator.state.switches.legacy_names = False
    async with server(emulator, tmp_path, era) as host:
        content, facts, failed = await host.call(ASK, prompt="[[say hello]]")
    assert (facts["text"], facts["surface"], failed) == ("hello", "gateway", False)
    assert "system.ai.gpt-5 was asked through Unity Gateway" in facts["notes"][0]
    assert "system.ai.gpt-5 was asked through Unity Gateway" in content[0].text


async def test_an_mcp_service_is_found_in_the_list_and_used(
    emulator: RunningEmulator, tmp_path: Path, era: str
) -> None:
    servers = json.dumps(
        {
            "system.ai.dbsql": {"require_approval": "never"},
            "docs": {"url": "https://mcp.example.com", "description": "D"},
        }
    )
    async with server(emulator, tmp_path, era, model_schemas="production.ai", mcp_servers=servers) as host:
        content, listed, _ = await host.call("list_databricks_models", name_contains="none", all=True)
        _, facts, failed = await host.call(ASK, prompt="Which tables are there?", mcp_servers=["system.ai.dbsql"])
    names = [one["name"] for one in listed["mcp_servers"]]
    assert names == ["docs", *sorted(emulator.state.mcp_services)]
    assert listed["mcp_servers"][0] == {"name": "docs", "description": "D"}
    assert "system.ai.sandbox: Runs Python, SQL and shell commands" in content[0].text
    assert not failed
    assert [item["server_label"] for item in facts["output"] if item["type"] == "mcp_call"] == [
        "mcp-services__system__ai__dbsql"
    ]
    (tool,) = emulator.state.journal.to("/responses")[0].body["tools"]
    assert tool["server_url"] == f"{emulator.host}/ai-gateway/mcp-services/system.ai.dbsql"
