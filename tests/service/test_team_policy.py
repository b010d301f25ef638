"""The policy and the audit log of a service, as its users meet them: two users, one process, real sockets."""

import json
import subprocess
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client

from databricks_responses_mcp.tools.definitions import NAMES
from databricks_workspace_emulator.server import RunningEmulator
from harness import Host
from harness.bad_requests import META
from harness.deadlines import DEADLINE_SECONDS
from harness.issuer import RESOURCE, run_issuer
from harness.stdio_process import ASK, COMMAND, environment
from harness.team_service import TeamServer, bearer, keys_in, team_server

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

POLICY = """
contact = "#ai-help"
[default]
models.deny = ["*opus*"]
max_output_tokens = 500
[users.bob]
tools.allow = ["ask_databricks_model"]
requests_per_minute = 1
"""
OPUS = "databricks-claude-opus-4-1"


def service(tmp_path: Path, policy: str = POLICY, **more: str) -> dict[str, str]:
    """Return the settings of a service with this policy and an audit log."""
    (tmp_path / "policy.toml").write_text(policy, encoding="utf-8")
    return {
        "RESPONSES_MCP_SERVICE_KEYS_FILE": str(tmp_path / "keys"),
        "RESPONSES_MCP_SERVICE_POLICY": str(tmp_path / "policy.toml"),
        "RESPONSES_MCP_SERVICE_AUDIT": str(tmp_path / "audit.jsonl"),
        **more,
    }


async def call(serving: TeamServer, key: str, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool over plain HTTP; returns the structured content and the id of the request."""
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    headers = {"accept": "application/json", "user-agent": "older-client/1.2", **bearer(key)}
    answer = await serving.send("POST", "/mcp", body, headers)
    assert answer.status_code == 200, answer.text
    return {**answer.json()["result"]["structuredContent"], "request_id": answer.headers["x-request-id"]}


async def test_each_user_has_the_tools_and_limits_of_their_own_section(
    emulator: RunningEmulator, tmp_path: Path, era: str
) -> None:
    keys = keys_in(tmp_path / "keys", "ada", "bob")
    listed: dict[str, list[str]] = {}
    answers: dict[str, Any] = {}
    async with team_server(emulator, tmp_path, **service(tmp_path)) as serving:
        for name, key in keys.items():
            async with Client(serving.transport(bearer(key)), mode=era) as client:
                host = Host(client)
                listed[name] = [tool.name for tool in (await client.list_tools()).tools]
                for attempt in ("first", "second"):
                    _, facts, failed = await host.call(ASK, prompt="[[say hello]]")
                    answers[f"{name} {attempt}"] = facts["error"]["message"] if failed else facts["text"]
                _, facts, _ = await host.call(ASK, prompt="Hi", model=OPUS)
                answers[f"{name} opus"] = facts["error"]["code"], facts["error"]["hint"]
    assert listed["ada"] == [name for name in NAMES if name != "edit_files"]
    assert listed["bob"] == ["ask_databricks_model", "get_response"]
    assert answers == {
        "ada first": "hello",
        "ada second": "hello",
        "ada opus": ("permission_denied", "Keep to the rule, or ask #ai-help to change it."),
        "bob first": "hello",
        "bob second": "The number of requests of yours in the last minute has reached 1: policy rule "
        '[users."bob"] requests_per_minute = 1. Nothing was sent.',
        "bob opus": ("permission_denied", "Keep to the rule, or ask #ai-help to change it."),
    }
    assert [exchange.body["max_output_tokens"] for exchange in emulator.state.request_log.to("/responses")] == [500] * 3


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
async def test_each_call_is_in_the_audit_log_with_its_user_and_the_id_of_its_request(
    emulator: RunningEmulator, tmp_path: Path, level: str
) -> None:
    keys = keys_in(tmp_path / "keys", "ada", "bob")
    more = {"RESPONSES_MCP_LOG_LEVEL": level, "RESPONSES_MCP_LOG_FORMAT": "json"}
    async with team_server(emulator, tmp_path, **service(tmp_path, **more)) as serving:
        first = await call(serving, keys["ada"], ASK, prompt="PROMPT-WORD [[say ANSWER-WORD]]")
        second = await call(serving, keys["bob"], "search_web", question="PROMPT-WORD")
        with anyio.fail_after(DEADLINE_SECONDS):
            while sum("ended" in line for line in "".join(serving.printed).splitlines()) < 2:  # noqa: ASYNC110
                await anyio.sleep(0.01)
    text = (tmp_path / "audit.jsonl").read_text(encoding="utf-8")
    records = [json.loads(line) for line in text.splitlines()]
    assert {record["client"] for record in records} == {"older-client/1.2"}
    assert [(r["request_id"], r["subject"], r["tool"], r["outcome"], r.get("rule")) for r in records] == [
        (first["request_id"], "ada", ASK, "completed", None),
        (
            second["request_id"],
            "bob",
            "search_web",
            "refused",
            '[users."bob"] tools.allow = ["ask_databricks_model"]',
        ),
    ]
    printed = "".join(serving.printed)
    assert "WORD" not in text + printed
    lines = [json.loads(line) for line in printed.splitlines() if line.startswith("{") and "ended" in line]
    assert [(line["user_id"], line["request_id"], line["call_id"]) for line in lines] == [
        (record["subject"], record["request_id"], record["call_id"]) for record in records
    ]


async def test_a_user_cannot_fill_the_audit_log_with_a_long_name_of_a_model(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    key = keys_in(tmp_path / "keys", "ada")["ada"]
    async with team_server(emulator, tmp_path, **service(tmp_path, "")) as serving:
        answer = await call(serving, key, ASK, prompt="Hi", model="databricks-gpt-" + "x" * 100_000)
    assert "error" in answer
    (line,) = (tmp_path / "audit.jsonl").read_text(encoding="utf-8").splitlines()
    record = json.loads(line)
    assert record["models"] == ["databricks-gpt-" + "x" * 284 + "…"]
    assert len(line) < 2000


async def test_a_folder_of_the_policy_is_open_to_its_user_alone_who_is_also_shown_the_tool_for_it(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    keys = keys_in(tmp_path / "keys", "ada", "bob")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "note.txt").write_text("FILE-WORD", encoding="utf-8")
    (tmp_path / "other.txt").write_text("OTHER-WORD", encoding="utf-8")
    policy = f"[users.bob]\nfolder = '{tmp_path / 'home'}'\n"
    async with team_server(emulator, tmp_path, **service(tmp_path, policy)) as serving:
        mine, other = str(tmp_path / "home" / "note.txt"), str(tmp_path / "other.txt")
        answers = [
            await call(serving, keys[name], ASK, prompt="[[echo]]", files=[path])
            for name, path in (("bob", mine), ("bob", other), ("ada", mine))
        ]
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}
        headers = {"accept": "application/json", "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list"}
        listed = {
            name: (await serving.send("POST", "/mcp", body, {**headers, **bearer(key)})).json()["result"]
            for name, key in keys.items()
        }
    assert "FILE-WORD" in answers[0]["text"]
    assert [answer["error"]["code"] for answer in answers[1:]] == ["permission_denied"] * 2
    assert {
        name: (len(result["tools"]), "edit_files" in {tool["name"] for tool in result["tools"]}, result["cacheScope"])
        for name, result in listed.items()
    } == {"ada": (len(NAMES) - 1, False, "private"), "bob": (len(NAMES), True, "private")}


async def test_rights_are_given_by_the_claim_that_the_settings_name(emulator: RunningEmulator, tmp_path: Path) -> None:
    policy = '[default]\ntools.allow = ["search_web"]\n[users."ada@corp"]\ntools.allow = ["generate_image"]\n'
    claims = ({"upn": "ada@corp"}, {"email": "ada@corp", "preferred_username": "ada@corp"})
    listed = []
    async with run_issuer() as issuer:
        env = service(tmp_path, policy, RESPONSES_MCP_SERVICE_KEYS_FILE="", RESPONSES_MCP_SERVICE_PUBLIC_URL=RESOURCE)
        env |= {"RESPONSES_MCP_SERVICE_OAUTH_ISSUER": issuer.url, "RESPONSES_MCP_SERVICE_OAUTH_NAME_CLAIM": "upn"}
        async with team_server(emulator, tmp_path, **env) as serving:
            for given in claims:
                async with Client(serving.transport(bearer(issuer.token(**given)))) as client:
                    listed.append([tool.name for tool in (await client.list_tools()).tools])
    assert listed == [["generate_image", "get_response"], ["search_web", "get_response"]]


async def test_the_limit_of_all_users_is_exact_over_two_replicas(emulator: RunningEmulator, tmp_path: Path) -> None:
    keys = keys_in(tmp_path / "keys", "ada", "bob")
    env = service(tmp_path, "total.requests_per_minute = 7\n")
    outcomes: list[str] = []
    async with team_server(emulator, tmp_path, **env) as one, team_server(emulator, tmp_path, **env) as other:

        async def ask(serving: TeamServer, key: str) -> None:
            facts = await call(serving, key, ASK, prompt="[[say hello]]")
            outcomes.append(facts["error"]["code"] if "error" in facts else facts["text"])

        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(ask, (one, other)[number % 2], list(keys.values())[number // 2 % 2])
    assert sorted(outcomes) == ["hello"] * 7 + ["rate_limited"] * 13
    assert len(list(emulator.state.request_log.to("/responses"))) == 7


@pytest.mark.parametrize(
    ("policy", "changed", "problem"),
    [
        ("[default]\nread_onyl = true", {}, "default.read_onyl: there is no such key. Did you mean"),
        ("", {"RESPONSES_MCP_SERVICE_AUDIT": "TMP/none/audit.jsonl"}, "The audit log cannot be written"),
        ("", {"RESPONSES_MCP_SERVICE_AUDIT_DAYS": "30"}, "the audit log is not a table"),
        ("", {"RESPONSES_MCP_SERVICE_KEYS_FILE": ""}, "nothing says how users sign in"),
        ("", {"RESPONSES_MCP_STORE": "lakebase"}, "nothing names the database"),
        ("", {"DATABRICKS_TOKEN": "x"}, "DATABRICKS_TOKEN is a placeholder"),
        ("", {"RESPONSES_MCP_SERVICE_TOKEN_EXCHANGE": "true", "DATABRICKS_HOST": ""}, "DATABRICKS_HOST is not set"),
    ],
)
async def test_a_service_whose_settings_are_wrong_says_so_and_does_not_start(
    emulator: RunningEmulator, tmp_path: Path, policy: str, changed: dict[str, str], problem: str
) -> None:
    keys_in(tmp_path / "keys", "ada")
    changed = {name: value.replace("TMP", str(tmp_path)) for name, value in changed.items()}
    env = service(tmp_path, policy, **changed)
    with anyio.fail_after(DEADLINE_SECONDS):
        ended = await anyio.run_process(
            [*COMMAND, "serve", "--http", "127.0.0.1:0"],
            env=environment(emulator, tmp_path, **env),
            check=False,
            stdout=subprocess.DEVNULL,
        )
    printed = " ".join(ended.stderr.decode().split())
    assert ended.returncode in (2, 3)
    assert problem in printed
    assert not any(word in printed for word in ("Traceback", "serving a team"))
