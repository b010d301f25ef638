"""MCP servers by name: what the setting takes, what a name becomes, and that no secret is told."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.workspace.access import Access
from databricks_responses_mcp.workspace.apps import Apps
from databricks_responses_mcp.workspace.credentials import Credentials, TokenCredentials
from databricks_responses_mcp.workspace.host import WorkspaceHost
from databricks_responses_mcp.workspace.managed_mcp import managed_label
from databricks_responses_mcp.workspace.mcp_server_entries import read_entries
from databricks_responses_mcp.workspace.mcp_servers import McpServers
from databricks_responses_mcp.workspace.secret_values import SecretValues
from databricks_responses_mcp.workspace.settings import Settings, load_settings

pytestmark = pytest.mark.anyio

SECRET = "tok-3f9c2d71"
GITHUB = {
    "url": "https://mcp.example.com/github",
    "authorization": "${GITHUB_TOKEN}",
    "headers": {"X-Team": "team-${TEAM}"},
    "allowed_tools": ["search"],
    "require_approval": {"never": {"tool_names": ["search"]}},
    "description": "Issues and code.",
}
WORKSPACE = "https://adb-1.2.azuredatabricks.net"
APP = "https://mcp-tickets-1.2.azure.databricksapps.com"


def access_of(credentials: Credentials) -> Access:
    """Access to a workspace with one App."""

    async def get_json(_path: str, **_: object) -> Any:
        return {"apps": [{"name": "mcp-tickets", "url": APP}]}

    async def origin() -> str:
        return (await credentials.host()).origin

    return Access(credentials, Apps(get_json, origin))


ACCESS = access_of(TokenCredentials(WorkspaceHost(WORKSPACE), "dapi-workspace"))


def servers(configured: Mapping[str, Any], secrets: SecretValues | None = None, **environ: str) -> McpServers:
    return McpServers(read_entries(json.dumps(configured)), environ, secrets or SecretValues())


def settings(value: str) -> Settings:
    return load_settings({"RESPONSES_MCP_MCP_SERVERS": value})


async def test_a_configured_server_becomes_a_tool_with_its_secrets_filled_in() -> None:
    known = servers({"github": GITHUB}, GITHUB_TOKEN=f" Bearer {SECRET}\n", TEAM="red")
    assert await known.resolve(["github", "github"], ACCESS) == snapshot(
        [
            {
                "type": "mcp",
                "server_label": "github",
                "server_url": "https://mcp.example.com/github",
                "authorization": "tok-3f9c2d71",
                "headers": {"X-Team": "team-red"},
                "allowed_tools": ["search"],
                "require_approval": {"never": {"tool_names": ["search"]}},
                "server_description": "Issues and code.",
            }
        ]
    )


async def test_a_server_with_an_address_alone_asks_for_every_approval() -> None:
    known = servers({"docs": {"url": "https://mcp.example.com"}})
    assert await known.resolve(["docs"], ACCESS) == [
        {
            "type": "mcp",
            "server_label": "docs",
            "server_url": "https://mcp.example.com",
            "require_approval": "always",
        }
    ]


@pytest.mark.parametrize(
    ("name", "label", "path"),
    [
        ("genie", "genie", "genie"),
        ("genie/01ef-a_b", "genie__01ef-a_b", "genie/01ef-a_b"),
        ("functions/main/default", "functions__main__default", "functions/main/default"),
        ("functions/main/default/f", "functions__main__default__f", "functions/main/default/f"),
        ("ai-search/main/default/docs", "ai-search__main__default__docs", "ai-search/main/default/docs"),
        ("vector-search/a/b/c", "vector-search__a__b__c", "vector-search/a/b/c"),
        ("sql", "sql", "sql"),
        ("external/jira cloud", "external__jira_cloud__aea4a27eb", "external/jira%20cloud"),
    ],
)
async def test_a_server_of_the_workspace_is_reached_with_the_workspaces_own_token(
    name: str, label: str, path: str
) -> None:
    (tool,) = await servers({}).resolve([name], ACCESS)
    assert tool == {
        "type": "mcp",
        "server_label": label,
        "server_url": f"https://adb-1.2.azuredatabricks.net/api/2.0/mcp/{path}",
        "authorization": "dapi-workspace",
        "require_approval": "always",
    }


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("system.ai.dbsql", "mcp-services__system__ai__dbsql"),
        ("system.ai.genie_one_mcp", "mcp-services__system__ai__genie_one_mcp"),
        ("production.ai.my-tickets", "mcp-services__production__ai__my-tickets"),
    ],
)
async def test_an_mcp_service_is_reached_through_the_gateway_with_the_workspaces_own_token(
    name: str, label: str
) -> None:
    (tool,) = await servers({name: {"require_approval": "never"}}).resolve([name], ACCESS)
    assert tool == {
        "type": "mcp",
        "server_label": label,
        "server_url": f"https://adb-1.2.azuredatabricks.net/ai-gateway/mcp-services/{quote(name)}",
        "authorization": "dapi-workspace",
        "require_approval": "never",
    }


async def test_the_configuration_says_what_a_server_of_the_workspace_may_do() -> None:
    known = servers({"sql": {"allowed_tools": ["read"], "require_approval": "never"}})
    (tool,) = await known.resolve(["sql"], ACCESS)
    assert (tool["allowed_tools"], tool["require_approval"]) == (["read"], "never")


async def test_an_address_shared_by_workspaces_is_told_which_one_is_meant() -> None:
    credentials = TokenCredentials(WorkspaceHost("https://shared.databricks.com", "42"), "dapi-workspace")
    (tool,) = await servers({}).resolve(["sql"], access_of(credentials))
    assert tool["headers"] == {"X-Databricks-Workspace-Id": "42"}


async def test_a_workspace_signed_in_to_without_a_token_says_so() -> None:
    class Basic(TokenCredentials):
        async def headers(self) -> Mapping[str, str]:
            return {"Authorization": "Basic dXNlcjpwYXNz"}

    with pytest.raises(BridgeError) as caught:
        await servers({}).resolve(["sql"], access_of(Basic(WorkspaceHost("https://a.example.com"), "t")))
    assert caught.value.code == ErrorCode.NOT_CONFIGURED
    assert "dXNlcjpwYXNz" not in str(caught.value)


@pytest.mark.parametrize("field", ["authorization", "headers"])
@pytest.mark.parametrize("value", ["${DATABRICKS_TOKEN}", "Bearer dapi-workspace", "${DATABRICKS_CLIENT_SECRET}"])
async def test_workspace_credentials_are_sent_only_to_the_workspaces_own_servers(field: str, value: str) -> None:
    given = {"authorization": value} if field == "authorization" else {"headers": {"X-Token": value}}
    environ = {"DATABRICKS_TOKEN": "dapi-workspace", "DATABRICKS_CLIENT_SECRET": "dose-of-a-principal"}
    elsewhere = ("https://mcp.example.com", "http://127.0.0.1:9", "https://other-1.2.azure.databricksapps.com/mcp")
    for url in elsewhere:
        with pytest.raises(BridgeError) as caught:
            await servers({"mine": {"url": url, **given}}, **environ).resolve(["mine"], ACCESS)
        assert caught.value.code is ErrorCode.NOT_CONFIGURED
        assert "dapi" not in str(caught.value)
    for url in (f"{WORKSPACE}/api/2.0/mcp/sql", f"{APP}/mcp"):
        (tool,) = await servers({"mine": {"url": url, **given}}, **environ).resolve(["mine"], ACCESS)
        assert tool["server_url"] == url


def test_no_two_servers_of_the_workspace_share_a_label() -> None:
    names = ["functions/a/b_c", "functions/a_b/c", "functions/a/b__c", "functions/a/_b/c", "functions/a_/b/c"]
    names += ["functions.a.b", "a.b_c.d", "a_b.c.d", "a.b.c_d", "system.ai.dbsql"]
    names += ["genie/é", "genie/è", "genie/" + "x" * 80, "genie/" + "x" * 81, "external/a b", "external/a_b"]
    labels = [managed_label(name) for name in names]
    assert len(set(labels)) == len(names)
    assert all(label is not None and len(label) <= 64 and label.isascii() for label in labels)


@pytest.mark.parametrize(
    "name",
    [
        "system.ai",
        "system.ai.",
        "system.ai..",
        "system.ai.a.b",
        "system.ai.a/../b",
        "system.ai./../../api/2.0/x",
        "system.ai.a%2e",
        "system.ai.a b",
        "mcp-services/system.ai.dbsql",
        "https://evil.example.com",
        "gitlab",
        "genie/",
        "genie/a/b",
        "functions/main",
        "sql/x",
        "external/..",
        "external/a\nb",
        "",
        "/sql",
        "SQL",
    ],
)
def test_an_unknown_name_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(BridgeError) as caught:
        servers({"github": GITHUB, "sql": {}}).labels([name])
    assert caught.value.code == ErrorCode.INVALID_ARGUMENT
    assert "configured: github." in caught.value.message
    assert "functions/<catalog>/<schema>[/<function>]" in caught.value.hint


@pytest.mark.parametrize("value", [{}, {"GITHUB_TOKEN": "  "}, {"GITHUB_TOKEN": f"{SECRET}\nX-Evil: 1", "TEAM": "a"}])
async def test_a_secret_that_is_not_there_or_cannot_be_sent_is_named_and_never_shown(value: dict[str, str]) -> None:
    with pytest.raises(BridgeError) as caught:
        await servers({"github": GITHUB}, **value).resolve(["github"], ACCESS)
    assert caught.value.code == ErrorCode.NOT_CONFIGURED
    assert "GITHUB_TOKEN" in caught.value.message
    assert SECRET not in str(caught.value)


WRONG = [
    ("[]", "neither a JSON object nor the absolute path"),
    ("servers.json", "neither a JSON object nor the absolute path"),
    ('{"a": ', "it is not JSON at line 1"),
    ('{"a": {"url": "https://x.example"}, "a": {}}', "'a' is there twice"),
    ('{"a": "https://x.example"}', "a: it must be an object with url"),
    ('{"a": {}}', "a.url: a server has one"),
    ('{"a b": {"url": "https://x.example"}}', "a b: a name is a letter"),
    ('{"genie": {"url": "https://x.example"}}', "genie: genie means a server of the workspace"),
    ('{"sql__x": {"url": "https://x.example"}}', "sql__x: sql means a server of the workspace"),
    (
        '{"mcp-services__a": {"url": "https://x.example"}}',
        "mcp-services__a: mcp-services means a server of the workspace",
    ),
    ('{"functions": {"require_approval": "never"}}', "functions.url: a server has one"),
    ('{"sql": {"authorization": "x"}}', "sql: a server of the workspace is signed in to as the bridge is"),
    ('{"a": {"url": "ftp://x.example"}}', "a.url: it must be an https:// URL"),
    ('{"a": {"url": "http://x.example"}}', "a.url: it must be https://"),
    ('{"a": {"url": "https://u:hunter22@x.example"}}', "a.url: secrets go into authorization"),
    ('{"a": {"url": "https://[x"}}', "a.url: this is not a URL"),
    ('{"a": {"url": "https://x.example", "authorization": "${hunter22"}}', "a.authorization: ${ is not followed"),
    ('{"a": {"url": "https://x.example", "authorization": ["hunter22"]}}', "a.authorization: it must be a text"),
    ('{"a": {"url": "https://x.example", "headers": {"X Y": "hunter22"}}}', "a.headers: 'X Y' is no header's name"),
    ('{"a": {"url": "https://x.example", "headers": {"X": 22}}}', "a.headers.X: it must be a text"),
    ('{"a": {"url": "https://x.example", "allowed_tools": []}}', "a.allowed_tools: it must be a list"),
    ('{"a": {"url": "https://x.example", "require_approval": "sometimes"}}', "a.require_approval: it must be"),
    (
        '{"a": {"url": "https://x.example", "require_approval": {"never": ["x"]}}}',
        "a.require_approval.never: it must be",
    ),
    ('{"a": {"url": "https://x.example", "token": "hunter22"}}', "a.token: unknown field"),
]


@pytest.mark.parametrize(("value", "told"), WRONG)
def test_a_wrong_setting_ends_the_start_and_names_the_place_but_no_value(value: str, told: str) -> None:
    with pytest.raises(BridgeError) as caught:
        settings(value)
    assert caught.value.code == ErrorCode.INVALID_ARGUMENT
    assert f"RESPONSES_MCP_MCP_SERVERS is wrong: {told}" in caught.value.message
    assert "hunter22" not in str(caught.value)


def test_the_setting_may_be_a_file(tmp_path: Path) -> None:
    file = tmp_path / "servers.json"
    file.write_text("\ufeff" + json.dumps({"github": GITHUB}), encoding="utf-8")
    held = settings(str(file)).mcp_servers
    assert held is not None
    assert read_entries(held.get_secret_value()).keys() == {"github"}
    with pytest.raises(BridgeError, match=r"the file cannot be read \(No such file"):
        settings(str(tmp_path / "none.json"))


def test_the_setting_is_never_shown() -> None:
    literal = settings(json.dumps({"a": {"url": "https://x.example", "authorization": SECRET}}))
    assert SECRET not in repr(literal) + str(literal.model_dump(mode="json"))
    assert SECRET not in repr(read_entries(literal.mcp_servers.get_secret_value() if literal.mcp_servers else ""))


async def test_what_an_upstream_repeats_of_a_servers_secrets_is_taken_out() -> None:
    secrets = SecretValues()
    entry = {
        "url": "https://x.example",
        "authorization": "${TOKEN}",
        "headers": {"X-Key": "odd key/7", "Accept": "application/json", "X-Short": "a"},
    }
    await servers({"mine": entry}, secrets, TOKEN=SECRET).resolve(["mine"], ACCESS)
    told = {
        "error": f"401 for Bearer {SECRET}",
        "list": [SECRET],
        "n": 1,
        "pair": (SECRET, None),
        "odd key/7": "odd+key",
    }
    assert secrets.remove_from(told) == {
        "error": "401 for Bearer [redacted]",
        "list": ["[redacted]"],
        "n": 1,
        "pair": ("[redacted]", None),
        "[redacted]": "odd+key",
    }
    assert secrets.remove("application/json a odd%20key%2F7") == "application/json a [redacted]"
