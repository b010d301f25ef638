"""Claude Code and the MCP Inspector, from npm, with a service for a team: signed in with a key, and by an issuer."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from databricks_responses_mcp.hosts.server_info import SERVER
from databricks_responses_mcp.tools.definitions import NAMES
from databricks_workspace_emulator.server import RunningEmulator
from harness.account import Account
from harness.anthropic_api import AnthropicApi
from harness.claude_code import PREFIX, ClaudeCode
from harness.foreign_server import free_port
from harness.model_api import StandIn, ToolCall
from harness.npm import npm_path
from harness.oidc_provider import issuer_for, token_of
from harness.stdio_process import ASK
from harness.team_service import TeamServer, keys_in, team_server

pytestmark = [pytest.mark.anyio, pytest.mark.hosts]

INSPECTOR = "@modelcontextprotocol/inspector@2.12.0"
NOT_SIGNED_IN = "Bearer of-nobody"

SHOWN = [name for name in NAMES if name != "edit_files"]
"""Nobody has local files."""

sign_ins = pytest.mark.parametrize("sign_in", ["key", "issuer"])


@asynccontextmanager
async def service(emulator: RunningEmulator, tmp_path: Path, sign_in: str) -> AsyncIterator[tuple[TeamServer, str]]:
    """Run a service for a team; yields it, and the header with which Ada signs in."""
    port = free_port()
    resource = f"http://127.0.0.1:{port}/mcp"
    address = ("--http", f"127.0.0.1:{port}")
    if sign_in == "key":
        keys = keys_in(tmp_path / "keys", "ada")
        env = {"RESPONSES_MCP_SERVICE_KEYS_FILE": str(tmp_path / "keys")}
        async with team_server(emulator, tmp_path, *address, **env) as serving:
            yield serving, f"Bearer {keys['ada']}"
    else:
        async with issuer_for(resource, "ada") as issuer:
            env = {"RESPONSES_MCP_SERVICE_PUBLIC_URL": resource, "RESPONSES_MCP_SERVICE_OAUTH_ISSUER": issuer}
            token = await token_of(issuer, "ada", resource)
            async with team_server(emulator, tmp_path, *address, **env) as serving:
                yield serving, f"Bearer {token}"


@sign_ins
async def test_claude_code_lists_the_tools_of_a_service_and_its_model_asks(
    emulator: RunningEmulator, account: Account, tmp_path: Path, sign_in: str
) -> None:
    with StandIn.running(AnthropicApi()) as model:
        claude = ClaudeCode(account, emulator, model)
        async with service(emulator, tmp_path, sign_in) as (serving, authorization):

            async def add(header: str) -> str:
                added = await claude.run(
                    *("mcp", "add", "--transport", "http", "--scope", "user", SERVER.key, serving.url),
                    *("--header", f"Authorization: {header}"),
                )
                assert added.code == 0, added
                return (await claude.run("mcp", "list")).out

            assert "✔ Connected" not in await add(NOT_SIGNED_IN)
            assert (await claude.run("mcp", "remove", "--scope", "user", SERVER.key)).code == 0
            assert "✔ Connected" in await add(authorization)
            [result] = await claude.converse(ToolCall(f"{PREFIX}{ASK}", {"prompt": "[[say from the service]]"}))
    assert json.loads(result["content"])["text"] == "from the service"
    declared = {tool["name"].removeprefix(PREFIX) for tool in model.requests[0]["tools"]}
    assert declared >= set(SHOWN)


@sign_ins
async def test_the_inspector_lists_the_tools_of_a_service_and_asks(
    emulator: RunningEmulator, account: Account, tmp_path: Path, era: str, sign_in: str
) -> None:
    async with service(emulator, tmp_path, sign_in) as (serving, authorization):

        async def run(header: str, method: str, *arguments: str) -> tuple[int, Any]:
            ran = await account.run(
                *("mcp-inspector", "--cli", "--format", "json"),
                *("--protocol-era", "legacy" if era == "legacy" else "modern"),
                *("--transport", "http", "--server-url", serving.url, "--header", f"Authorization: {header}"),
                *("--stored-auth-only", "--method", method, *arguments),
                PATH=npm_path(INSPECTOR),
            )
            return ran.code, json.loads(ran.out)["result"] if ran.code == 0 else ran.err

        refused, why = await run(NOT_SIGNED_IN, "tools/list")
        _, listed = await run(authorization, "tools/list")
        arguments = json.dumps({"prompt": "[[say from the service]]"})
        code, asked = await run(authorization, "tools/call", "--tool-name", ASK, "--tool-args-json", arguments)
    assert refused != 0, why
    assert [tool["name"] for tool in listed["tools"]] == SHOWN
    assert (code, asked["structuredContent"]["text"]) == (0, "from the service")
