"""A service for a team as a process: who is answered, at which addresses, and what older clients get."""

import json
import os
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
from harness.bad_requests import META
from harness.http_process import INITIALIZE
from harness.stdio_process import ASK, COMMAND, environment
from harness.team_service import TeamServer, bearer, keys_in, team_server

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MODERN = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": ASK}


def asking(prompt: str, **more: Any) -> dict[str, Any]:
    """Return a request that asks a model."""
    params = {"name": ASK, "arguments": {"prompt": prompt}, **more}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


async def text_of(serving: TeamServer, prompt: str, headers: dict[str, str]) -> str:
    """Ask one question without a session; returns the text of the answer."""
    answer = await serving.send("POST", "/mcp", asking(prompt), {"accept": "application/json", **headers})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["result"]["structuredContent"]["text"])


async def test_users_with_keys_are_answered_in_both_eras_and_nobody_else_is(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    keys = keys_in(tmp_path / "keys", "ada", "bob")
    async with team_server(emulator, tmp_path, RESPONSES_MCP_SERVICE_KEYS_FILE=str(tmp_path / "keys")) as serving:
        for era in ("legacy", "2026-07-28"):
            async with Client(serving.transport(bearer(keys["ada"])), mode=era) as client:
                host = Host(client)
                _, facts, failed = await host.call(ASK, prompt=f"[[say {era}]]")
                assert (failed, facts["text"]) == (False, era)
                assert host.progress
        sent = len(list(emulator.state.request_log.to("/responses")))
        wrong: dict[str, dict[str, str]] = {
            "nothing": {},
            "another key": bearer(keys["ada"][:-1] + ("a" if keys["ada"][-1] != "a" else "b")),
            "the start of a key": bearer(keys["ada"][:-1]),
            "a key and more": bearer(keys["ada"] + "0"),
            "another scheme": {"Authorization": f"Basic {keys['ada']}"},
            "no scheme": {"Authorization": keys["ada"]},
            "the hash": bearer((tmp_path / "keys").read_text(encoding="utf-8").split("$")[-1].strip()),
            "a name in a header of Databricks Apps": {"X-Forwarded-User": "ada", "X-Forwarded-Access-Token": "t"},
        }
        answers = {kind: await serving.send("POST", "/mcp", INITIALIZE, headers) for kind, headers in wrong.items()}
        two = [("Authorization", f"Bearer {keys[name]}") for name in ("ada", "bob")]
        refused = await serving.send("POST", "/mcp", INITIALIZE, two)
        elsewhere = {path: (await serving.send("GET", path)).status_code for path in ("/", "/mcp", "/mcp/", "/x")}
    assert {kind: answer.status_code for kind, answer in answers.items()} == dict.fromkeys(wrong, 401)
    assert all(answer.headers["www-authenticate"].startswith("Bearer ") for answer in answers.values())
    assert refused.status_code == 401
    assert set(elsewhere.values()) == {401}
    assert len(list(emulator.state.request_log.to("/responses"))) == sent
    assert not any(key in "".join(serving.printed) for key in keys.values())


async def test_each_request_stands_alone_at_both_paths(emulator: RunningEmulator, tmp_path: Path) -> None:
    keys = keys_in(tmp_path / "keys", "ada")
    async with team_server(emulator, tmp_path, RESPONSES_MCP_SERVICE_KEYS_FILE=str(tmp_path / "keys")) as serving:
        headers = bearer(keys["ada"])
        started = await serving.send("POST", "/mcp", INITIALIZE, headers)
        assert await text_of(serving, "[[say no session]]", {**headers, "mcp-session-id": "of another replica"})
        slash = await serving.send("POST", "/mcp/", asking("[[say hi]]", _meta=META), {**headers, **MODERN})
        streams = [(await serving.send(method, "/mcp", None, headers)).status_code for method in ("GET", "DELETE")]
    assert (started.status_code, "mcp-session-id" in started.headers) == (200, False)
    assert slash.status_code == 200
    assert streams == [405, 405]


async def test_a_request_for_another_host_or_from_another_page_is_refused(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    keys = keys_in(tmp_path / "keys", "ada")
    env = {
        "RESPONSES_MCP_SERVICE_KEYS_FILE": str(tmp_path / "keys"),
        "RESPONSES_MCP_SERVICE_PUBLIC_URL": "https://MCP.example.com/mcp/",
        "RESPONSES_MCP_SERVICE_ALLOWED_HOSTS": "inside.example.com, Proxy",
        "RESPONSES_MCP_SERVICE_ALLOWED_ORIGINS": "https://tools.example.com",
    }
    async with team_server(emulator, tmp_path, "--http", "0.0.0.0:0", **env) as serving:

        async def status(**headers: str) -> int:
            sent = {**bearer(keys["ada"]), **{name.replace("_", "-"): value for name, value in headers.items()}}
            return (await serving.send("POST", "/mcp", INITIALIZE, sent)).status_code

        statuses = {
            "by address": await status(),
            "public": await status(host="mcp.example.com"),
            "public with a port": await status(host="MCP.example.com.:8443"),
            "of a proxy": await status(host="proxy:80"),
            "foreign": await status(host="evil.example"),
            "foreign below": await status(host="mcp.example.com.evil.example"),
            "foreign with an at": await status(host="mcp.example.com@evil.example"),
            "forwarded": await status(host="evil.example", x_forwarded_host="mcp.example.com"),
            "own page": await status(host="mcp.example.com", origin="https://mcp.example.com"),
            "allowed page": await status(host="mcp.example.com", origin="https://tools.example.com"),
            "foreign page": await status(host="mcp.example.com", origin="https://evil.example"),
            "page without origin": await status(host="mcp.example.com", origin="null"),
        }
        asked = {"origin": "https://tools.example.com", "access-control-request-method": "POST"}
        wanted = "authorization,content-type,mcp-protocol-version,mcp-method,mcp-name"
        allowed = await serving.send("OPTIONS", "/mcp", None, {**asked, "access-control-request-headers": wanted})
        refused = await serving.send("OPTIONS", "/mcp", None, {**asked, "origin": "https://evil.example"})
        probe = await serving.send("GET", "/readyz", None, {"host": "10.0.0.7:8000"})
    assert statuses == {
        "by address": 200,
        "public": 200,
        "public with a port": 200,
        "of a proxy": 200,
        "foreign": 421,
        "foreign below": 421,
        "foreign with an at": 421,
        "forwarded": 421,
        "own page": 200,
        "allowed page": 200,
        "foreign page": 403,
        "page without origin": 403,
    }
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, "https://tools.example.com")
    assert (refused.status_code, refused.headers.get("access-control-allow-origin")) == (403, None)
    assert (probe.status_code, probe.json()) == (200, {"status": "ready", "store": "ok", "workspace": "ok"})


async def test_without_allowed_pages_there_is_no_cors(emulator: RunningEmulator, tmp_path: Path) -> None:
    keys_in(tmp_path / "keys", "ada")
    async with team_server(emulator, tmp_path, RESPONSES_MCP_SERVICE_KEYS_FILE=str(tmp_path / "keys")) as serving:
        asked = {"origin": "http://localhost:6274", "access-control-request-method": "POST"}
        answer = await serving.send("OPTIONS", "/mcp", None, asked)
    assert (answer.status_code, [name for name in answer.headers if "access-control" in name]) == (403, [])


async def test_what_an_older_client_cannot_be_asked_waits_as_a_pending_call(
    emulator: RunningEmulator, tmp_path: Path, era: str
) -> None:
    async def approve(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={})

    asked: list[str] = []
    keys = keys_in(tmp_path / "keys", "ada")
    async with (
        team_server(emulator, tmp_path, RESPONSES_MCP_SERVICE_KEYS_FILE=str(tmp_path / "keys")) as serving,
        Client(serving.transport(bearer(keys["ada"])), mode=era, elicitation_callback=approve) as client,
    ):
        _, facts, failed = await Host(client).call(ASK, prompt="Search.", mcp_servers=["sql"])
    assert not failed
    if era == "legacy":
        (waiting,) = facts["pending_calls"]
        assert (waiting["type"], waiting["answer_with"]["approve"], asked) == ("mcp_approval_request", False, [])
        assert facts["notes"] == [
            "Nobody could be asked, as this host cannot ask its user: the calls wait in pending_calls."
        ]
    else:
        assert [item["type"] for item in facts["output"]] == ["mcp_list_tools", "mcp_approval_request", "mcp_call"]
        assert len(asked) == 1


APPS = {"DATABRICKS_APP_NAME": "mcp-bridge", "DATABRICKS_APP_PORT": "0"}


async def test_in_databricks_apps_the_user_and_the_token_come_from_the_platforms_proxy(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    user = {
        "X-Forwarded-User": "4711@1234567890",
        "X-Forwarded-Email": "ada@example.com",
        "X-Forwarded-Access-Token": emulator.token,
        "X-Forwarded-Host": "mcp-bridge-1234567890.7.azure.databricksapps.com",
    }
    env = {**APPS, "DATABRICKS_TOKEN": "of-the-service-principal"}
    async with team_server(emulator, tmp_path, "--log-level", "INFO", **env) as serving:
        # The workspace takes no other token than the user's.
        assert await text_of(serving, "[[say as myself]]", user) == "as myself"

        async def refused(**changed: str | None) -> tuple[int, str]:
            headers = {name: value for name, value in {**user, **changed}.items() if value is not None}
            answer = await serving.send("POST", "/mcp", asking("[[say x]]"), headers)
            return answer.status_code, answer.json()["error"]["message"]

        without_user = await refused(**{"X-Forwarded-User": None})
        without_token = await refused(**{"X-Forwarded-Access-Token": None})
        foreign = await refused(**{"X-Forwarded-Host": "evil.example"})
        foreign_app = await refused(**{"X-Forwarded-Host": "mcp-bridge2-1.databricksapps.com"})
        pairs = [*user.items(), ("X-Forwarded-User", "4712@1234567890")]
        two_users = await serving.send("POST", "/mcp", asking("[[say x]]"), pairs)
    assert (without_user[0], without_token[0], two_users.status_code) == (403, 403, 403)
    assert "user authorization" in without_token[1]
    assert (foreign[0], foreign_app[0]) == (421, 421)
    assert emulator.token not in "".join(serving.printed)
    assert "listening on 0.0.0.0" in "".join(serving.printed)


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({}, ["RESPONSES_MCP_SERVICE_OAUTH_ISSUER", "RESPONSES_MCP_SERVICE_KEYS_FILE", "DATABRICKS_APP_NAME"]),
        ({"RESPONSES_MCP_SERVICE_KEYS_FILE": "KEYS"}, ["RESPONSES_MCP_SERVICE_PUBLIC_URL"]),
        (
            {
                "RESPONSES_MCP_SERVICE_KEYS_FILE": "/nowhere/keys",
                "RESPONSES_MCP_SERVICE_PUBLIC_URL": "https://mcp.example.com",
            },
            ["RESPONSES_MCP_SERVICE_KEYS_FILE", "/nowhere/keys", "keys add"],
        ),
        ({"RESPONSES_MCP_SERVICE_OAUTH_ISSUER": "https://i.example"}, ["RESPONSES_MCP_SERVICE_PUBLIC_URL"]),
        ({"RESPONSES_MCP_SERVICE_OAUTH_ISSUER": "http://i.example"}, ["RESPONSES_MCP_SERVICE_OAUTH_ISSUER", "https"]),
        ({"RESPONSES_MCP_SERVICE_STATE_KEYS": "short"}, ["RESPONSES_MCP_SERVICE_STATE_KEYS", "32"]),
        (
            {**APPS, "RESPONSES_MCP_SERVICE_KEYS_FILE": "KEYS"},
            ["RESPONSES_MCP_SERVICE_KEYS_FILE", "platform signs users in"],
        ),
        ({**APPS, "DATABRICKS_HOST": ""}, ["DATABRICKS_HOST"]),
        ({"RESPONSES_MCP_SERVICE_OAUTH_ALGORITHMS": "HS256"}, ["RESPONSES_MCP_SERVICE_OAUTH_ALGORITHMS", "RS256"]),
        ({"RESPONSES_MCP_SERVICE_KEY_FILE": "x"}, ["RESPONSES_MCP_SERVICE_KEYS_FILE"]),
    ],
)
async def test_a_service_that_nobody_could_sign_in_to_or_reach_is_not_started(
    emulator: RunningEmulator, tmp_path: Path, env: dict[str, str], named: list[str]
) -> None:
    keys_in(tmp_path / "keys", "ada")
    env = {name: str(tmp_path / "keys") if value == "KEYS" else value for name, value in env.items()}
    command = [*COMMAND, "serve", "--http", "0.0.0.0:0"]
    done = await anyio.run_process(command, env=environment(emulator, tmp_path, **env), check=False)
    assert done.returncode not in (0, 1), done.stderr
    assert [name for name in named if name not in done.stderr.decode()] == []
    assert b"Traceback" not in done.stderr


async def test_stdio_and_one_users_http_import_nothing_of_a_team_service(tmp_path: Path) -> None:
    code = (
        "import sys, json\n"
        "import databricks_responses_mcp.cli.main, databricks_responses_mcp.cli.serve\n"
        "print(json.dumps([name for name in sys.modules\n"
        "    if name.split('.')[0] in ('jwt', 'psycopg') or name.startswith('databricks_responses_mcp.service')]))\n"
    )
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = await anyio.run_process([sys.executable, "-c", code], env=env)
    assert json.loads(done.stdout) == []


async def test_a_users_answer_may_reach_another_replica_and_is_of_nobody_elses_use(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    keys = keys_in(tmp_path / "keys", "ada", "bob")
    old, new = "0" * 32, "1" * 32
    env = {"RESPONSES_MCP_SERVICE_KEYS_FILE": str(tmp_path / "keys")}
    meta = {**META, "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}}}
    call = asking("Search.", _meta=meta)
    call["params"]["arguments"]["mcp_servers"] = ["sql"]

    async def ask(serving: TeamServer, key: str, **more: Any) -> Any:
        body = {**call, "params": {**call["params"], **more}}
        answer = await serving.send("POST", "/mcp", body, {**bearer(key), **MODERN, "accept": "application/json"})
        return answer.json()

    async with (
        team_server(emulator, tmp_path, **env, RESPONSES_MCP_SERVICE_STATE_KEYS=f"{old},{new}") as first,
        team_server(emulator, tmp_path, **env, RESPONSES_MCP_SERVICE_STATE_KEYS=f"{new}, {old}") as second,
        team_server(emulator, tmp_path, **env) as without_keys,
    ):
        asked = (await ask(first, keys["ada"]))["result"]
        answers = {key: {"action": "accept", "content": {}} for key in asked["inputRequests"]}
        again = {"inputResponses": answers, "requestState": asked["requestState"]}
        of_bob = await ask(second, keys["bob"], **again)
        elsewhere = await ask(without_keys, keys["ada"], **again)
        forged = await ask(second, keys["ada"], **{**again, "requestState": asked["requestState"][:-2] + "AA"})
        done = (await ask(second, keys["ada"], **again))["result"]["structuredContent"]
    refused = {"code": -32602, "message": "Invalid or expired requestState"}
    for answer in (of_bob, elsewhere, forged):
        assert {name: answer["error"][name] for name in refused} == refused
    assert done["status"] == "completed"
    assert [item["type"] for item in done["output"]] == ["mcp_list_tools", "mcp_approval_request", "mcp_call"]


async def test_a_team_can_be_served_with_the_embedded_workspace(emulator: RunningEmulator, tmp_path: Path) -> None:
    keys = keys_in(tmp_path / "keys", "ada")
    arguments = ("--http", "127.0.0.1:0", "--embedded", "--engine", "rules")
    env = {"RESPONSES_MCP_SERVICE_KEYS_FILE": str(tmp_path / "keys"), "DATABRICKS_TOKEN": "of no use"}
    async with team_server(emulator, tmp_path, *arguments, **env) as serving:
        assert await text_of(serving, "[[say embedded]]", bearer(keys["ada"])) == "embedded"
    assert not list(emulator.state.request_log.to("/responses"))


@pytest.mark.parametrize(("agent", "is_whole"), [("claude-code/2.1.330 (cli)", False), ("python-httpx/0.28", True)])
async def test_an_older_client_gets_as_much_as_the_host_in_its_user_agent_shows(
    emulator: RunningEmulator, tmp_path: Path, agent: str, is_whole: bool
) -> None:
    keys = keys_in(tmp_path / "keys", "ada")
    env = {"RESPONSES_MCP_SERVICE_KEYS_FILE": str(tmp_path / "keys"), "RESPONSES_MCP_MAX_TEXT_TOKENS": "1000000"}
    async with team_server(emulator, tmp_path, **env) as serving:
        text = await text_of(serving, "[[words 7000]]", {**bearer(keys["ada"]), "user-agent": agent})
    assert (len(text.split()) == 7000) is is_whole
