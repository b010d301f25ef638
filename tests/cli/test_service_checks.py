"""``doctor`` for a team's service: how its users sign in, its store, and each reason why it would not start."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.cli.findings import NotApplicableError
from databricks_responses_mcp.cli.service_checks import check_store_settings, examine_service
from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.service.settings import load_service_settings
from databricks_workspace_emulator.server import RunningEmulator
from harness import settings_for
from harness.issuer import RESOURCE, Issuer, run_issuer
from harness.team_service import keys_in
from harness.terminal import CommandLine, folded

pytestmark = pytest.mark.anyio

OAUTH = "RESPONSES_MCP_SERVICE_OAUTH_ISSUER"
KEYS = "RESPONSES_MCP_SERVICE_KEYS_FILE"
LAKEBASE = {
    "RESPONSES_MCP_STORE": "lakebase",
    "RESPONSES_MCP_SERVICE_LAKEBASE_ENDPOINT": "projects/p/branches/b/endpoints/e",
}


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    """An issuer of this test."""
    async with run_issuer() as running:
        yield running


async def examined(emulator: RunningEmulator, tmp_path: Path, **environ: str) -> str:
    settings = settings_for(emulator, tmp_path)
    service = load_service_settings(environ, secrets=settings.secrets)
    await check_store_settings(settings, service, environ)
    return (await examine_service(settings, service, environ)).replace(str(tmp_path), "TMP")


async def test_each_way_to_sign_in_is_tried_and_what_is_not_set_is_said(
    emulator: RunningEmulator, tmp_path: Path, issuer: Issuer
) -> None:
    keys_in(tmp_path / "keys", "ada", "bob")
    oauth = {OAUTH: issuer.url, "RESPONSES_MCP_SERVICE_PUBLIC_URL": RESOURCE}
    found = await examined(emulator, tmp_path, **oauth, **{KEYS: str(tmp_path / "keys")})
    assert folded(found.replace(issuer.url, "ISSUER")) == snapshot("""\
users sign in with access tokens of ISSUER (2 keys) for the audience https://mcp.example.com/mcp and
static keys (2 keys in TMP/keys)
  - RESPONSES_MCP_SERVICE_STATE_KEYS is not set: with several replicas, set the same keys on all of
them.
  - RESPONSES_MCP_SERVICE_POLICY is not set: users may do what the server can do.
  - RESPONSES_MCP_SERVICE_AUDIT is not set: calls are not recorded.
""")
    apps = {"DATABRICKS_APP_NAME": "mcp-x", "DATABRICKS_HOST": emulator.host, "RESPONSES_MCP_SERVICE_AUDIT": "table"}
    assert folded(await examined(emulator, tmp_path, **apps)) == snapshot("""\
users sign in with their Databricks account, in the app mcp-x
  - RESPONSES_MCP_SERVICE_STATE_KEYS is not set: with several replicas, set the same keys on all of
them.
  - RESPONSES_MCP_SERVICE_POLICY is not set: users may do what the server can do.
""")


async def test_an_issuer_that_nobody_could_sign_in_with_is_reported(
    emulator: RunningEmulator, tmp_path: Path, issuer: Issuer
) -> None:
    oauth = {OAUTH: issuer.url, "RESPONSES_MCP_SERVICE_PUBLIC_URL": RESOURCE}
    told = []
    wrong = (
        {OAUTH: f"{issuer.url}/"},
        {"RESPONSES_MCP_SERVICE_OAUTH_ALGORITHMS": "EdDSA"},
        {OAUTH: "http://127.0.0.1:9"},
    )
    for changed in wrong:
        with pytest.raises(BridgeError) as refused:
            await examined(emulator, tmp_path, **{**oauth, **changed})
        told.append(folded(refused.value.message.replace(issuer.url, "ISSUER")))
    assert told == snapshot(
        [
            """\
Nobody can sign in, because the keys of the OAuth issuer ISSUER/ cannot be fetched: the issuer's
metadata names another issuer than RESPONSES_MCP_SERVICE_OAUTH_ISSUER.
""",
            "Nobody can sign in: no key of ISSUER is for EdDSA.\n",
            """\
Nobody can sign in, because the keys of the OAuth issuer http://127.0.0.1:9 cannot be fetched:
http://127.0.0.1:9/.well-known/oauth-authorization-server cannot be reached: ConnectError.
""",
        ]
    )


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({KEYS: "/none/keys"}, "No such file"),
        ({KEYS: "TMP/wrong"}, "line 1 is not"),
        ({OAUTH: "https://issuer.example"}, "RESPONSES_MCP_SERVICE_PUBLIC_URL is not"),
        ({"RESPONSES_MCP_SERVICE_AUDIT": "/none/audit.jsonl"}, "The audit log cannot be written"),
        ({"DATABRICKS_APP_NAME": "mcp-x"}, "DATABRICKS_HOST is not"),
    ],
)
async def test_what_would_stop_the_start_fails_the_check(
    emulator: RunningEmulator, tmp_path: Path, environ: dict[str, str], problem: str
) -> None:
    keys_in(tmp_path / "keys", "ada")
    (tmp_path / "wrong").write_text("ada\n", encoding="utf-8")
    given = {name: value.replace("TMP", str(tmp_path)) for name, value in environ.items()}
    if "DATABRICKS_APP_NAME" not in given:
        given.setdefault(KEYS, str(tmp_path / "keys"))
    with pytest.raises(BridgeError, match=problem):
        await examined(emulator, tmp_path, **given)


async def test_without_a_sign_in_there_is_no_service_to_examine(emulator: RunningEmulator, tmp_path: Path) -> None:
    with pytest.raises(NotApplicableError, match="no sign-in is configured"):
        await examined(emulator, tmp_path, RESPONSES_MCP_SERVICE_MAX_USERS="5")


async def test_the_store_of_a_service_is_the_one_that_is_tried(cli: CommandLine, tmp_path: Path) -> None:
    keys_in(tmp_path / "keys", "ada")
    ran = await cli.run("doctor", "--no-call", **{KEYS: str(tmp_path / "keys")}, **LAKEBASE)
    told = ran.out.partition("✗ store")[2].partition("\N{EN DASH} call")[0]
    assert "does not name a store" not in ran.out
    assert (folded(told), ran.code) == snapshot(
        (
            """\
: The store cannot be written: There is no password for PostgreSQL at this
machine/databricks_postgres: The workspace does not give the Lakebase endpoint
'projects/p/branches/b/endpoints/e' to this service (HTTP 404). Check its name, and that the
service's identity may use the database; in a Databricks App, that the database is one of the app's
resources.
  Until then nothing is stored.
""",
            3,
        )
    )


async def test_a_store_that_cannot_be_written_fails_the_check(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    ran = await cli.run("doctor", "--no-call", RESPONSES_MCP_STORE=str(tmp_path / "folder"))
    told = ran.out.replace(str(tmp_path), "TMP").partition("✗ store")[2].partition("\N{EN DASH} call")[0]
    assert (folded(told), ran.code) == snapshot(
        (
            """\
: The store cannot be written: TMP/folder is a folder. Set RESPONSES_MCP_STORE to a file in it, such
as TMP/folder/conversations.db.
  Until then nothing is stored.
""",
            3,
        )
    )
