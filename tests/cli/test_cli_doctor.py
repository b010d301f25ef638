"""``doctor``: each way in which a workspace cannot be used is told apart from the others."""

import json
import logging
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.cli.checks import Examination
from databricks_responses_mcp.cli.findings import Finding
from databricks_responses_mcp.cli.options import SessionOptions
from databricks_workspace_emulator.server import RunningEmulator
from harness.deadlines import DEADLINE_SECONDS
from harness.raw_server import NO_LISTING, answer, raw_server
from harness.terminal import Answering, CommandLine, folded

pytestmark = pytest.mark.anyio

Examine = Callable[..., Awaitable[tuple[list[str], str | None]]]

HTML = b"HTTP/1.1 %b\r\ncontent-type: text/html\r\n%bcontent-length: 29\r\n\r\n<html><p>Hello</p><br></html>"
JSON = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"


@pytest.fixture
def examine(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> Examine:
    """Runs the checks in this process, with these variables and options; each finding as a line."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))
    monkeypatch.setattr(root, "level", root.level)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in [*cli.environ, "DATABRICKS_CONFIG_PROFILE"]:
        if name != "PATH":
            monkeypatch.setenv(name, cli.environ.get(name, ""))

    async def run(*, call: bool = True, host: str | None = None, **environ: str) -> tuple[list[str], str | None]:
        found: list[Finding] = []

        async def report(finding: Finding) -> None:
            found.append(finding)

        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        examination = Examination(SessionOptions({"host": host}, embedded=False, engine=None), report, call=call)
        with anyio.fail_after(DEADLINE_SECONDS):
            await examination.run()
        code = examination.failure.value if examination.failure is not None else None
        lines = [f"{f.status} {f.name}: {f.detail}{' -> ' if f.hint else ''}{f.hint}" for f in found]
        # What is well is told by the test of a workspace where all is.
        lines = [re.sub(r"127\.0\.0\.1:\d+", "HOST", line) for line in lines if not line.startswith("ok ")]
        return [folded(line).rstrip("\n") for line in lines], code

    return run


async def test_a_workspace_where_all_is_well_passes_every_check(cli: CommandLine, tmp_path: Path) -> None:
    ran = await cli.run("doctor")
    out = re.sub(r"127\.0\.0\.1(:\d+)", "HOST", ran.out).replace(str(tmp_path), "TMP")
    out = re.sub(r"(versions: ).*", r"\1VERSIONS", out)
    assert (out, ran.err, ran.code) == snapshot(
        (
            """\
✓ versions: VERSIONS
✓ settings: valid; set are RESPONSES_MCP_IMAGE_DIR, RESPONSES_MCP_MAX_RETRIES, RESPONSES_MCP_MODEL, RESPONSES_MCP_STORE
✓ host: http://HOST from DATABRICKS_HOST
✓ network: 127.0.0.1 accepts connections
✓ sign-in: token from DATABRICKS_TOKEN; accepted
✓ endpoints: 39 may be listed, 38 of them answer with text
✓ model: databricks-gpt-5, from RESPONSES_MCP_MODEL, is READY
✓ image model: databricks-gpt-6-1-sol, the default here, is READY
✓ store: can be written
✓ call: embedded-rules answered, 16 tokens out
✓ pictures: TMP/pictures will be made when it is needed
""",
            "",
            0,
        )
    )


async def test_without_configuration_it_says_how_to_make_one(bare: CommandLine) -> None:
    ran = await bare.run("doctor", "--json")
    report = json.loads(ran.out)
    assert (report["ok"], ran.err, ran.code) == (False, "", 3)
    assert [(check["name"], check["status"], folded(check.get("hint", ""))) for check in report["checks"]] == snapshot(
        [
            ("versions", "ok", ""),
            ("settings", "ok", ""),
            (
                "host",
                "failed",
                """\
Set DATABRICKS_HOST and DATABRICKS_TOKEN, or name a profile of ~/.databrickscfg in
DATABRICKS_CONFIG_PROFILE, or set DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET beside the host.
To sign in, run `databricks auth login`. To try it without a workspace, add --embedded.
""",
            ),
            ("network", "skipped", ""),
            ("sign-in", "skipped", ""),
            ("endpoints", "skipped", ""),
            ("model", "skipped", ""),
            ("image model", "skipped", ""),
            ("store", "ok", ""),
            ("call", "skipped", ""),
            ("pictures", "ok", ""),
        ]
    )


async def test_a_wrong_setting_is_named(examine: Examine) -> None:
    assert await examine(RESPONSES_MCP_MAX_RETRIES="many") == snapshot(
        (
            [
                """\
failed settings: Wrong settings: RESPONSES_MCP_MAX_RETRIES is 'many', which is wrong: it takes a
whole number from 0 to 10. -> Correct or remove them where the server's environment is configured;
--help lists every setting.\
""",
                "skipped host: not looked at: it needs settings",
                "skipped network: not looked at: it needs host",
                "skipped sign-in: not looked at: it needs host",
                "skipped endpoints: not looked at: it needs sign-in",
                "skipped model: not looked at: it needs endpoints",
                "skipped image model: not looked at: it needs endpoints",
                "skipped call: not looked at: it needs sign-in",
                "skipped pictures: not looked at: it needs settings",
            ],
            "invalid_argument",
        )
    )


async def test_an_address_that_is_none_is_explained(examine: Examine) -> None:
    assert await examine(host="https://accounts.cloud.databricks.com") == snapshot(
        (
            [
                """\
failed host: accounts.cloud.databricks.com is the account console, not a workspace: it serves no
models. -> Set DATABRICKS_HOST to the address in the browser's bar when the workspace is open:
https://dbc-a1b2c3d4-e5f6.cloud.databricks.com (AWS),
https://adb-1234567890123456.7.azuredatabricks.net (Azure) or
https://1234567890123456.7.gcp.databricks.com (Google Cloud).\
""",
                "skipped network: not looked at: it needs host",
                "skipped sign-in: not looked at: it needs host",
                "skipped endpoints: not looked at: it needs sign-in",
                "skipped model: not looked at: it needs endpoints",
                "skipped image model: not looked at: it needs endpoints",
                "skipped call: not looked at: it needs sign-in",
            ],
            "not_configured",
        )
    )


async def test_a_name_that_does_not_exist_is_no_refused_connection(examine: Examine) -> None:
    lines, code = await examine(host="https://no-such-workspace.invalid")
    assert (re.sub(r"\(.*?\)", "(REASON)", lines[0]), code) == snapshot(
        (
            """\
failed network: There is no host no-such-workspace.invalid: its name cannot be looked up (Name or
service not known). -> Check DATABRICKS_HOST for a typing mistake; a name that is only known inside
a company's network needs its VPN.\
""",
            "upstream_unavailable",
        )
    )


async def test_a_port_that_nobody_listens_on_is_told(examine: Examine) -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
    lines, code = await examine(host=f"http://127.0.0.1:{port}")
    assert (lines[0].replace(str(port), "PORT"), code) == snapshot(
        (
            """\
failed network: 127.0.0.1 accepts no connection on port PORT: connection refused. -> Check
DATABRICKS_HOST for a typing mistake, its port, and whether a VPN or a proxy is needed.\
""",
            "upstream_unavailable",
        )
    )


async def test_a_server_that_speaks_no_tls_is_told(examine: Examine, emulator: RunningEmulator) -> None:
    lines, code = await examine(host=emulator.host.replace("http:", "https:"))
    assert (re.sub(r"127.0.0.1: [^.]*\.", "127.0.0.1: REASON.", lines[0]), code) == snapshot(
        (
            """\
failed network: No TLS with 127.0.0.1: REASON. -> Check DATABRICKS_HOST for a typing
mistake and its port: https is spoken on 443.\
""",
            "upstream_unavailable",
        )
    )


async def test_a_proxy_that_is_not_there_is_told_without_its_password(
    examine: Examine,
) -> None:
    lines, code = await examine(host="https://dbc-1.cloud.databricks.com", HTTPS_PROXY="http://me:secret@127.0.0.1:9")
    assert (lines[0], code) == snapshot(
        (
            """\
failed network: No way to https://dbc-1.cloud.databricks.com through the proxy http://HOST: All
connection attempts failed. -> Check HTTPS_PROXY, and whether the workspace belongs in NO_PROXY.\
""",
            "upstream_unavailable",
        )
    )


async def test_another_web_site_is_no_workspace(examine: Examine, answering: Answering) -> None:
    async with answering(HTML % (b"404 Not Found", b"")) as origin:
        assert await examine(host=origin) == snapshot(
            (
                [
                    """\
failed endpoints: http://HOST answers, but not as a Databricks workspace does (HTTP 404). -> Set
DATABRICKS_HOST to the address in the browser's bar when the workspace is open. If it is another
server of the Responses API, set RESPONSES_MCP_MODEL (or --model) and RESPONSES_MCP_RESPONSES_PATH.\
""",
                    "skipped model: not looked at: it needs endpoints",
                    "skipped image model: not looked at: it needs endpoints",
                    "skipped call: not looked at: it needs model",
                ],
                "not_configured",
            )
        )
    async with answering(HTML % (b"200 OK", b"")) as origin:
        lines, _ = await examine(host=origin)
        assert lines[1] == snapshot("skipped model: not looked at: it needs endpoints")


async def test_a_redirect_to_a_sign_in_page_is_told(examine: Examine, answering: Answering) -> None:
    async with answering(HTML % (b"303 See Other", b"location: /login.html\r\n")) as origin:
        lines, code = await examine(host=origin)
    assert (lines[0], code) == snapshot(
        (
            """\
failed endpoints: http://HOST answered with a redirect to a sign-in page, http://HOST/login.html,
instead of the API's answer (HTTP 303). -> Use the workspace's own address as DATABRICKS_HOST, not a
custom URL or a Databricks App: those require a browser or OAuth and accept no personal access
token.\
""",
            "not_configured",
        )
    )


async def test_a_wrong_token_is_not_shown(examine: Examine) -> None:
    lines, code = await examine(DATABRICKS_TOKEN="my-very-secret-token")
    assert (lines[0], code) == snapshot(
        (
            """\
failed sign-in: The workspace does not know the token (HTTP 403): Invalid Token. -> The token has
expired or belongs to another workspace: make a new one in the workspace that DATABRICKS_HOST names,
and check that no DATABRICKS_CONFIG_PROFILE points elsewhere.\
""",
            "unauthenticated",
        )
    )
    assert "my-very-secret-token" not in "".join(lines)


async def test_who_may_not_list_endpoints_may_still_ask_one(examine: Examine, answering: Answering) -> None:
    body = b'{"error_code": "PERMISSION_DENIED", "message": "User may not list endpoints."}'
    async with answering(JSON % (b"403 Forbidden", len(body), body)) as origin:
        assert await examine(call=False, host=origin) == snapshot(
            (
                [
                    """\
failed endpoints: The workspace does not allow it (HTTP 403): User may not list endpoints. -> Ask an
administrator for access, for example CAN QUERY on the endpoint.\
""",
                    "skipped model: databricks-gpt-5: endpoints may not be listed, so the call will show it",
                    "skipped image model: none is set, and endpoints may not be listed: each image needs a `model`",
                    "skipped call: not made, as requested",
                ],
                "permission_denied",
            )
        )


async def test_a_model_that_is_missing_is_told_with_the_nearest_name(examine: Examine) -> None:
    assert await examine(RESPONSES_MCP_MODEL="databricks-gpt5", call=False) == snapshot(
        (
            [
                """\
failed model: There is no endpoint databricks-gpt5 (from RESPONSES_MCP_MODEL), or you may not see
it. -> Did you mean databricks-gpt-5? Choose one that `databricks-responses-mcp models` names, and
set RESPONSES_MCP_MODEL (or --model).\
""",
                "skipped call: not looked at: it needs model",
            ],
            "model_not_found",
        )
    )


async def test_a_rate_limit_is_told_and_not_waited_for(examine: Examine, emulator: RunningEmulator) -> None:
    emulator.state.faults.add("429:40")
    assert await examine(RESPONSES_MCP_MAX_RETRIES="4") == snapshot(
        (
            [
                """\
failed call: The endpoint's limit of input tokens per minute is reached (HTTP 429): Rate limit
exceeded: ITPM limit of 200,000 tokens reached. -> Wait, or send a shorter prompt. Retry after 40 s.\
"""
            ],
            "rate_limited",
        )
    )


async def test_an_endpoint_that_one_may_not_query_is_told(examine: Examine, emulator: RunningEmulator) -> None:
    emulator.state.faults.add("body:permission:403")
    assert await examine() == snapshot(
        (
            [
                """\
failed call: You may not use the serving endpoint databricks-gpt-5 (HTTP 403): No CAN_QUERY on this
endpoint. -> Ask the endpoint's owner for the permission CAN QUERY on databricks-gpt-5.\
"""
            ],
            "permission_denied",
        )
    )


async def test_a_wrong_path_is_told(examine: Examine) -> None:
    assert await examine(RESPONSES_MCP_RESPONSES_PATH="/serving-endpoints/wrong/responses") == snapshot(
        (
            [
                """\
failed call: The workspace has no such path (HTTP 404): No API at
/serving-endpoints/wrong/responses. Path must be of form
/serving-endpoints/<endpoint_name>/invocations. -> Set DATABRICKS_HOST to the workspace's bare
address and RESPONSES_MCP_RESPONSES_PATH to /serving-endpoints/responses.\
"""
            ],
            "not_configured",
        )
    )


@pytest.mark.parametrize("path", [None, "/v1/responses"])
async def test_a_server_that_is_no_workspace_is_named_as_one_and_its_call_tried(
    examine: Examine, path: str | None
) -> None:
    said = {"object": "response", "status": "completed", "model": "m", "output": [], "usage": {"output_tokens": 1}}
    async with raw_server(answer(json.dumps(said).encode(), "application/json")) as (server, _):
        server.listing = NO_LISTING
        where = {"RESPONSES_MCP_RESPONSES_PATH": path} if path else {}
        lines, code = await examine(host=server.host, RESPONSES_MCP_MODEL="m", **where)
    calls = len(server.requests) - server.gets
    if path is None:
        assert (calls, lines[0].split(":")[0], code) == (0, "failed endpoints", "not_configured")
    else:
        assert (calls, lines, code) == snapshot(
            (
                1,
                [
                    "skipped endpoints: http://HOST has none (HTTP 404): it is not a Databricks workspace",
                    "skipped model: m: this server lists no models, so the call will show it",
                    "skipped image model: none is set, and this server lists no models: each image needs a `model`",
                ],
                None,
            )
        )


async def test_a_folder_that_cannot_be_written_to_is_told(examine: Examine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    lines, code = await examine(RESPONSES_MCP_IMAGE_DIR=str(tmp_path / "file" / "pictures"), call=False)
    # Where the lines fold depends on the path's length.
    assert ([" ".join(line.split()).replace(str(tmp_path), "TMP") for line in lines], code) == snapshot(
        (
            [
                "skipped call: not made, as requested",
                (
                    "failed pictures: TMP/file is a file, not a folder. -> Set RESPONSES_MCP_IMAGE_DIR "
                    "(or --image-dir) to a folder that you may write to."
                ),
            ],
            "invalid_argument",
        )
    )


@pytest.mark.slow
async def test_the_call_keeps_no_conversation_and_counts_under_doctor(cli: CommandLine) -> None:
    assert (await cli.run("ask", "[[say first]]")).code == 0
    assert (await cli.run("doctor")).code == 0
    listed = json.loads((await cli.run("conversations", "list", "--json")).out)
    assert [conversation["title"] for conversation in listed["conversations"]] == ["[[say first]]"]
    spent = json.loads((await cli.run("usage", "--by", "tool", "--json")).out)
    assert {group["tool"]: group["requests"] for group in spent["groups"]} == {"ask": 1, "doctor": 1}
    assert next(group["output_tokens"] for group in spent["groups"] if group["tool"] == "doctor") > 0
    assert (await cli.run("ask", "--continue", "[[say second]]")).code == 0
    (continued,) = json.loads((await cli.run("conversations", "list", "--json")).out)["conversations"]
    assert (continued["title"], continued["turns"]) == ("[[say first]]", 2)


async def test_what_ask_can_reach_the_doctor_can(examine: Examine) -> None:
    lines, code = await examine(RESPONSES_MCP_MODEL="databricks-claude-sonnet-4-5")
    assert (lines, code) == ([], None)


async def test_doctor_does_not_advise_doctor(examine: Examine, answering: Answering) -> None:
    async with answering(HTML % (b"500 Internal Server Error", b"")) as origin:
        lines, _ = await examine(host=origin)
    assert lines[0].startswith("failed endpoints:")
    assert "doctor" not in "".join(lines)


@pytest.mark.slow
async def test_the_option_profile_wins_over_the_environment_and_the_conflict_is_shown(
    cli: CommandLine, home: Path, emulator: RunningEmulator
) -> None:
    (home / ".databrickscfg").write_text(
        f"[mine]\nhost = {emulator.host}\ntoken = {emulator.token}\n", encoding="utf-8"
    )
    other = {
        "DATABRICKS_HOST": "https://dbc-other.cloud.databricks.com",
        "DATABRICKS_TOKEN": "dapi00000000000000000000",
    }
    ran = await cli.run("doctor", "--profile", "mine", "--json", **other)
    report = json.loads(ran.out)
    host = next(check for check in report["checks"] if check["name"] == "host")
    assert report["ok"]
    assert folded(host["detail"].replace(emulator.host, "HOST")) == snapshot("""\
HOST from the profile mine of .databrickscfg; --profile replaces DATABRICKS_HOST, which is
'https://dbc-other.cloud.databricks.com'
""")
    both = await cli.run("doctor", "--json", **{**other, "DATABRICKS_CONFIG_PROFILE": "mine"})
    failed = [check for check in json.loads(both.out)["checks"] if check["status"] == "failed"]
    assert [(check["name"], folded(check["detail"].replace(emulator.host, "HOST"))) for check in failed] == snapshot(
        [
            (
                "host",
                """\
Two workspaces are configured: the profile mine is for HOST, and DATABRICKS_HOST is
https://dbc-other.cloud.databricks.com.
""",
            )
        ]
    )
