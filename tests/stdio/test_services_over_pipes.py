"""Services of Unity Catalog as a host's model uses them, through the real server over its pipes."""

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters

from databricks_responses_mcp.calls import search_service
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.turns.bridge import open_bridge
from databricks_workspace_emulator.server import RunningEmulator
from harness import Host, settings_for
from harness.deadlines import DEADLINE_SECONDS
from harness.stdio_process import ASK, COMMAND, environment

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


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
    (tool,) = emulator.state.request_log.to("/responses")[0].body["tools"]
    assert tool["server_url"] == f"{emulator.host}/ai-gateway/mcp-services/system.ai.dbsql"


@pytest.mark.parametrize(
    "model", ["databricks-claude-sonnet-4-5", "databricks-gemini-3-1-pro", "system.ai.gemini-3-1-pro"]
)
async def test_a_model_without_web_search_searches_by_the_service(
    emulator: RunningEmulator, tmp_path: Path, era: str, model: str
) -> None:
    async with server(emulator, tmp_path, era) as host:
        content, facts, failed = await host.call("search_web", question="Who won?", model=model)
    assert not failed
    assert facts["sources"] == ["https://example.com/1?q=Who+won%3F", "https://example.com/2?q=Who+won%3F"]
    assert "Searched by system.ai.web_search" in content[0].text
    assert "pending_calls" not in facts
    path = "/ai-gateway/mcp-services/system.ai.web_search"
    called = [exchange.body for exchange in emulator.state.request_log.to(path)]
    assert [body["params"]["name"] for body in called if body["method"] == "tools/call"] == ["web_search"]
    # The model has to search first. Then it may search again, or answer.
    sent = [exchange.body for exchange in emulator.state.request_log.exchanges]
    choices = [(body["tool_choice"], len(body["tools"])) for body in sent if isinstance(body, dict) and "tools" in body]
    assert choices == [("required", 1), ("auto", 1)]


async def test_a_conversation_with_such_a_model_searches_by_the_service_too(
    emulator: RunningEmulator, tmp_path: Path, era: str
) -> None:
    async with server(emulator, tmp_path, era) as host:
        _, first, _ = await host.call(ASK, prompt="[[say one]]", model="databricks-claude-sonnet-4-5")
        _, facts, failed = await host.call("search_web", question="Who won?", conversation_id=first["conversation_id"])
        assert (failed, len(facts["sources"])) == (False, 2)
        _, last, _ = await host.call(ASK, prompt="[[say two]]", conversation_id=facts["conversation_id"])
    assert last["text"] == "two"


async def test_without_the_service_the_models_refusal_is_explained(
    emulator: RunningEmulator, tmp_path: Path, era: str
) -> None:
    del emulator.state.mcp_services["system.ai.web_search"]
    async with server(emulator, tmp_path, era) as host:
        _, facts, failed = await host.call("search_web", question="Who won?", model="databricks-claude-sonnet-4-5")
    assert (failed, facts["error"]["code"]) == (True, "unsupported_by_model")
    assert "In this workspace databricks-gpt-6-1-sol" in facts["error"]["hint"]


async def test_a_search_that_fails_is_told_to_the_model_and_leaves_no_call_waiting(
    emulator: RunningEmulator, tmp_path: Path, era: str
) -> None:
    async with server(emulator, tmp_path, era) as host:
        emulator.state.mcp_faults.append("tools/call")
        content, facts, failed = await host.call(
            "search_web", question="Who won?", model="databricks-claude-sonnet-4-5"
        )
        assert (failed, "pending_calls" in facts, "sources" in facts) == (False, False, False)
        assert "The model answered without searching" in content[0].text
        emulator.state.mcp_faults.append("tools/list")
        _, facts, failed = await host.call("search_web", question="Who won?", model="databricks-claude-sonnet-4-5")
    assert (failed, facts["error"]["code"]) == (True, "upstream_error")
    assert "EXECUTE" in facts["error"]["hint"]


async def test_an_endless_answer_of_the_service_is_cut(
    emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_service, "MAX_ANSWER_BYTES", 200)
    async with open_bridge(settings_for(emulator, tmp_path), {}) as bridge:
        with pytest.raises(BridgeError) as caught:
            await search_service.SearchService(bridge).call("web_search", '{"query": "x"}')
        for arguments in ("[]", "{", "nonsense", '"text"', '{"a":' + "[" * 100_000):
            with pytest.raises(BridgeError, match="not a JSON object"):
                await search_service.SearchService(bridge).call("web_search", arguments)
    assert caught.value.code is ErrorCode.UPSTREAM_ERROR


@asynccontextmanager
async def hostile_service(*, compressed: bool = False) -> AsyncIterator[str]:
    """An MCP service whose calls fail with the credentials that they came with; gives the address of its workspace."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                size = re.search(r"content-length: (\d+)", head)
                message = json.loads(await reader.readexactly(int(size[1]))) if size else {}
                token = re.search(r"authorization: (.*)\r", head)
                result: dict[str, object] = {
                    "protocolVersion": "2025-06-18",
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "hostile", "version": "1"},
                }
                if message.get("method") == "tools/call":
                    text = token[1] if token else ""
                    result = {"content": [{"type": "text", "text": f"cannot search for {text}"}], "isError": True}
                body = json.dumps({"jsonrpc": "2.0", "id": message.get("id"), "result": result}).encode()
                coding = b""
                if compressed:
                    body, coding = gzip.compress(body + b" " * 20_000_000), b"Content-Encoding: gzip\r\n"
                status = b"200 OK" if "id" in message else b"202 Accepted"
                length = b"Content-Length: %d\r\n\r\n" % len(body)
                writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Type: application/json\r\n" + coding + length + body)
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


async def test_a_failed_search_tells_no_secret_that_the_service_sends_back(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    async with hostile_service() as host:
        environ = {"DATABRICKS_HOST": host, "DATABRICKS_TOKEN": "dapi-secret-of-this-test"}
        async with open_bridge(settings_for(emulator, tmp_path, environ=environ), {}) as bridge:
            with pytest.raises(BridgeError, match="cannot search for") as caught:
                await search_service.SearchService(bridge).call("web_search", "{}")
    assert "secret-of-this-test" not in str(caught.value)


async def test_a_compressed_answer_of_the_service_is_not_unpacked(emulator: RunningEmulator, tmp_path: Path) -> None:
    async with hostile_service(compressed=True) as host:
        environ = {"DATABRICKS_HOST": host, "DATABRICKS_TOKEN": "dapi-secret-of-this-test"}
        async with open_bridge(settings_for(emulator, tmp_path, environ=environ), {}) as bridge:
            with pytest.raises(BridgeError) as caught:
                await search_service.SearchService(bridge).call("web_search", "{}")
    assert (caught.value.code, "could not be used" in str(caught.value)) == (ErrorCode.UPSTREAM_ERROR, True)
