"""The server over Streamable HTTP on this machine: authentication, limits and formats."""

import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client import ClientRequestContext
from mcp.types import ElicitRequestParams, ElicitResult

from databricks_workspace_emulator.server import RunningEmulator
from harness import Host
from harness.bad_requests import META, bad_requests
from harness.deadlines import DEADLINE_SECONDS
from harness.http_process import ACCEPT, INITIALIZE, http_server
from harness.stdio_process import ASK, COMMAND, environment

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

TOKEN = "0123456789abcdef0123456789abcdef"
MODERN = {"mcp_protocol_version": "2026-07-28", "mcp_method": "tools/call", "mcp_name": ASK}


def asking(prompt: str, identifier: Any = 1) -> dict[str, Any]:
    """Return a request of protocol version 2026-07-28."""
    params = {"name": ASK, "arguments": {"prompt": prompt}, "_meta": META}
    return {"jsonrpc": "2.0", "id": identifier, "method": "tools/call", "params": params}


async def test_clients_of_both_protocol_eras_can_use_the_printed_entry(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    async with http_server(environment(emulator, tmp_path)) as serving:
        for mode in ("legacy", "2026-07-28"):
            async with Client(serving.transport(), mode=mode) as client:
                host = Host(client)
                _, facts, failed = await host.call(ASK, prompt=f"[[say {mode}]]")
                assert (failed, facts["text"]) == (False, mode)
                assert host.progress


WRONG_CREDENTIALS: dict[str, str | None] = {
    "none": None,
    "empty": "",
    "another token": "Bearer " + "x" * 43,
    "no token": "Bearer",
    "the start of the token": f"Bearer {TOKEN[:-1]}",
    "the token and more": f"Bearer {TOKEN}0",
    "another scheme": f"Basic {TOKEN}",
    "no scheme": TOKEN,
}


async def test_a_request_without_the_token_is_refused(emulator: RunningEmulator, tmp_path: Path) -> None:
    env = environment(emulator, tmp_path, RESPONSES_MCP_HTTP_TOKEN=TOKEN)
    async with http_server(env) as serving:
        answers = {}
        for kind, authorization in WRONG_CREDENTIALS.items():
            answer = await serving.post(INITIALIZE, authorization=authorization)
            answers[kind] = (answer.status_code, answer.headers["www-authenticate"].split(",")[0])
        elsewhere = [(await serving.post({}, path, authorization=None)).status_code for path in ("/", "/mcp/", "/x")]
        right = await serving.post(INITIALIZE, authorization=f"bearer  {TOKEN}")
    assert set(answers.values()) == {(401, 'Bearer realm="databricks-responses-mcp"')}
    assert len(answers) == len(WRONG_CREDENTIALS)
    assert elsewhere == [401, 401, 401]
    assert right.status_code == 200
    assert TOKEN not in serving.printed
    assert "RESPONSES_MCP_HTTP_TOKEN" in serving.printed
    assert not list(emulator.state.request_log.to("/responses"))


async def test_each_start_generates_a_new_token(emulator: RunningEmulator, tmp_path: Path) -> None:
    env = environment(emulator, tmp_path)
    async with http_server(env) as first, http_server(env) as second:
        assert first.headers != second.headers
        assert (await second.post(INITIALIZE, authorization=first.headers["Authorization"])).status_code == 401


@pytest.mark.parametrize("token", ["short", "a token with spaces that is long enough", "x" * 31])
async def test_an_invalid_token_is_refused_and_not_shown(tmp_path: Path, token: str) -> None:
    command = [*COMMAND, "serve", "--http", "127.0.0.1:0"]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "RESPONSES_MCP_HTTP_TOKEN": token}
    done = await anyio.run_process(command, env=env, check=False)
    assert done.returncode == 2
    assert b"RESPONSES_MCP_HTTP_TOKEN" in done.stderr
    assert token.encode() not in done.stderr


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("127.0.0.2:0", marks=pytest.mark.skipif(sys.platform == "darwin", reason="has only 127.0.0.1")),
        "localhost:0",
        "[::1]:0",
    ],
)
async def test_a_page_that_rebinds_its_host_name_is_refused_on_every_address(
    emulator: RunningEmulator, tmp_path: Path, address: str
) -> None:
    if address.startswith("[") and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    async with http_server(environment(emulator, tmp_path), address=address) as serving:
        port = serving.url.split(":")[-1].split("/")[0]
        statuses = {
            "own name": (await serving.post(INITIALIZE)).status_code,
            "localhost": (await serving.post(INITIALIZE, host=f"localhost:{port}")).status_code,
            "forwarded": (await serving.post(INITIALIZE, host="127.0.0.1:9")).status_code,
            "own page": (await serving.post(INITIALIZE, origin="http://localhost:6274")).status_code,
            "foreign host": (await serving.post(INITIALIZE, host=f"evil.example:{port}")).status_code,
            "host like ours": (await serving.post(INITIALIZE, host=f"127.0.0.1.evil.example:{port}")).status_code,
            "foreign host, no token": (
                await serving.post(INITIALIZE, host=f"evil.example:{port}", authorization=None)
            ).status_code,
            "foreign page": (await serving.post(INITIALIZE, origin="https://evil.example")).status_code,
            "page without origin": (await serving.post(INITIALIZE, origin="null")).status_code,
            "modern foreign host": (await serving.post(asking("x"), host="evil.example", **MODERN)).status_code,
        }
    assert statuses == {
        "own name": 200,
        "localhost": 200,
        "forwarded": 200,
        "own page": 200,
        "foreign host": 421,
        "host like ours": 421,
        "foreign host, no token": 421,
        "foreign page": 403,
        "page without origin": 403,
        "modern foreign host": 421,
    }
    assert not list(emulator.state.request_log.to("/responses"))


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0:8000",
        "example.com:80",
        "127.0.0.1",
        "127.0.0.1:99999",
        "[::]:80",
        "127.0.0.1:8²",
        f"127.0.0.1:{'9' * 5000}",
    ],
)
async def test_listening_on_an_address_of_the_network_is_refused(tmp_path: Path, address: str) -> None:
    command = [*COMMAND, "serve", "--http", address]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = await anyio.run_process(command, env=env, check=False)
    assert done.returncode == 2
    assert b"--http" in done.stderr


async def test_sessions_are_limited_in_number_and_end_when_idle(emulator: RunningEmulator, tmp_path: Path) -> None:
    limits = ("--http-max-sessions", "2", "--http-session-idle-seconds", "1")
    async with http_server(environment(emulator, tmp_path), *limits) as serving:
        session = await serving.open_session()
        await serving.open_session()
        refused = await serving.post(INITIALIZE)
        with anyio.fail_after(DEADLINE_SECONDS):
            # A client gets no event at the end of an idle session.
            while (answer := await serving.post(INITIALIZE)).status_code == 503:
                pass
        ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
        gone = await serving.post(ping, mcp_session_id=session)
    assert (refused.status_code, answer.status_code, gone.status_code) == (503, 200, 404)


ACCEPTS: dict[str, tuple[str | None, str]] = {
    "both": (ACCEPT, "text/event-stream"),
    "JSON": ("application/json", "application/json"),
    "JSON with a weight": ("application/json;q=0.9", "application/json"),
    "nothing said": (None, "text/event-stream"),
    "anything": ("*/*", "text/event-stream"),
}


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
async def test_clients_get_an_answer_in_a_format_that_they_accept(
    emulator: RunningEmulator, tmp_path: Path, path: str
) -> None:
    async with http_server(environment(emulator, tmp_path)) as serving:
        seen: dict[str, Any] = {}
        for kind, (accept, _) in ACCEPTS.items():
            answer = await serving.post(INITIALIZE, path, accept=accept)
            seen[kind] = (answer.status_code, answer.headers["content-type"].split(";")[0])
            if seen[kind][1] == "application/json":
                assert answer.json()["result"]["serverInfo"]["name"] == "databricks-responses-mcp"
                assert answer.headers["mcp-session-id"]
        refused = await serving.post(INITIALIZE, path, accept="text/html")
        call = {**asking("[[say as JSON]]"), "params": {"name": ASK, "arguments": {"prompt": "[[say as JSON]]"}}}
        session = await serving.open_session()
        called = await serving.post(call, path, accept="application/json", mcp_session_id=session)
        modern = await serving.post(asking("[[say as JSON]]"), path, accept="application/json", **MODERN)
    assert seen == {kind: (200, content_type) for kind, (_, content_type) in ACCEPTS.items()}
    assert refused.status_code == 406
    for answer in (called, modern):
        assert answer.json()["result"]["structuredContent"]["text"] == "as JSON"


async def test_each_request_over_http_is_answered_with_its_id(
    emulator: RunningEmulator, tmp_path: Path, era: str
) -> None:
    requests = bad_requests(json.dumps(META))
    async with http_server(environment(emulator, tmp_path)) as serving:
        headers: dict[str, str] = {"mcp_session_id": await serving.open_session()} if era == "legacy" else {**MODERN}
        seen: dict[str, Any] = {}
        for kind, request in requests.items():
            answer = await serving.post(request.encode(), accept="application/json", **headers)
            body = answer.json()
            seen[kind] = (answer.status_code, body["id"], body.get("error", {}).get("code", "result"))
    assert seen == {
        "surrogate": (200, "surrogate", "result"),
        "nesting": (400, "nesting", -32700),
        "digits": (400, "digits", -32700),
        "schema": (400, "schema", -32700),
        "params": (400, "params", -32600),
        "version": (400, "version", -32600),
        "method": (400, "method", -32600),
        "batch": (400, "batch", -32600),
        "cut": (400, "cut", -32700),
    }


async def test_a_large_request_is_accepted_and_one_without_a_token_is_not_read(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    large = json.dumps(asking("[[say taken]] " + "x" * 6_000_000)).encode()
    async with http_server(environment(emulator, tmp_path)) as serving:
        taken = await serving.post(large, accept="application/json", **MODERN)
        port = int(serving.url.split(":")[-1].split("/")[0])
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            # The answer comes although the body never arrives.
            await stream.send(b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000000\r\n\r\n")
            answer = await stream.receive()
    assert taken.status_code == 200
    assert "result" in taken.json()
    assert answer.startswith(b"HTTP/1.1 401 ")


async def test_separators_in_an_answer_are_escaped_in_events(emulator: RunningEmulator, tmp_path: Path) -> None:
    async with http_server(environment(emulator, tmp_path)) as serving:
        session = await serving.open_session()
        call = {"name": ASK, "arguments": {"prompt": "[[say one\u2028two\u2029three]]"}}
        body = {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": call}
        answer = await serving.post(body, mcp_session_id=session)
    assert "\u2028" not in answer.text
    (data,) = [line for line in answer.text.split("\r\n") if line.startswith("data:") and '"result"' in line]
    assert json.loads(data[5:])["result"]["structuredContent"]["text"] == "one\u2028two\u2029three"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends processes without asking")
async def test_a_signal_ends_the_server_although_a_client_is_connected(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    async with (
        http_server(environment(emulator, tmp_path)) as serving,
        Client(serving.transport(), mode="legacy") as client,
    ):
        await client.list_tools()
        serving.process.send_signal(signal.SIGTERM)
        await serving.process.wait()


async def test_serving_over_stdio_does_not_import_the_service_package(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    code = (
        "import anyio, sys\n"
        "import databricks_responses_mcp.cli.serve, databricks_responses_mcp.server\n"
        "print([name for name in sys.modules if name.startswith('databricks_responses_mcp.service')])\n"
    )
    done = await anyio.run_process([sys.executable, "-c", code], env=environment(emulator, tmp_path))
    assert done.stdout.strip() == b"[]"


async def test_the_user_is_asked_for_approvals_over_http_in_both_eras(
    emulator: RunningEmulator, tmp_path: Path, era: str
) -> None:
    async def approve(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={})

    asked: list[str] = []
    async with (
        http_server(environment(emulator, tmp_path)) as serving,
        Client(serving.transport(), mode=era, elicitation_callback=approve) as client,
    ):
        _, facts, failed = await Host(client).call(ASK, prompt="Search.", mcp_servers=["sql"])
    assert not failed
    assert [item["type"] for item in facts["output"]] == ["mcp_list_tools", "mcp_approval_request", "mcp_call"]
    assert len(asked) == 1
