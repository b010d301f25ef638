"""Which entries of a host's file are this server's, and which parts of an entry a new registration keeps."""

import json

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.hosts.host import Host
from databricks_responses_mcp.hosts.registration import (
    RegisteredServer,
    list_servers,
    merge_entry,
    register,
    unregister,
)
from databricks_responses_mcp.hosts.registry import find_host
from databricks_responses_mcp.hosts.server_info import Launch

LAUNCH = Launch(
    command="/opt/bin/databricks-responses-mcp", args=("--embedded",), env={"DATABRICKS_CONFIG_PROFILE": "dev"}
)
TOKEN = ("DATABRICKS_TOKEN",)


def host(key: str) -> Host:
    found = find_host(key)
    assert found is not None
    return found


def fresh(known: Host, forwarded: tuple[str, ...] = ()) -> str:
    entry = known.make_entry(LAUNCH, forwarded=forwarded if known.resolves_variables else ())
    return register(known, known.new_file, entry, forwarded=forwarded)


def test_an_input_that_another_server_uses_is_kept() -> None:
    vscode = host("vscode")
    other = {"command": "x", "env": {"T": "${input:databricks_token}"}}
    text = register(vscode, fresh(vscode, TOKEN), other, name="other")
    assert json.loads(unregister(vscode, text))["inputs"] == snapshot(
        [{"id": "databricks_token", "type": "promptString", "description": "Access token", "password": True}]
    )
    assert json.loads(unregister(vscode, unregister(vscode, text), name="other")).get("inputs", []) == []


def test_what_a_user_added_by_hand_is_kept_by_a_new_registration() -> None:
    old = {
        "command": "old",
        "args": ["--embedded"],
        "env": {"DATABRICKS_TOKEN": "${DATABRICKS_TOKEN}", "RESPONSES_MCP_MODEL": "m", "DATABRICKS_HOST": "h"},
        "autoApprove": ["ask_databricks_model"],
        "disabled": True,
    }
    new = host("kiro").make_entry(Launch(command="new", env={"DATABRICKS_CONFIG_PROFILE": "dev"}))
    assert merge_entry(old, new) == snapshot(
        {
            "command": "new",
            "args": [],
            "env": {"RESPONSES_MCP_MODEL": "m", "DATABRICKS_CONFIG_PROFILE": "dev"},
            "disabled": False,
            "autoApprove": ["ask_databricks_model"],
        }
    )
    assert merge_entry(None, new) == new


def test_variables_of_an_old_sign_in_are_removed() -> None:
    old = host("codex").make_entry(Launch(command="old", env={"DATABRICKS_HOST": "h"}), forwarded=TOKEN)
    assert merge_entry(old, host("codex").make_entry(Launch(command="new"))) == snapshot(
        {"command": "new", "args": [], "startup_timeout_sec": 60, "tool_timeout_sec": 300}
    )


@pytest.mark.parametrize(
    ("command", "ours"),
    [
        (("databricks-responses-mcp",), True),
        (("/opt/bin/databricks-responses-mcp", "--embedded"), True),
        ((r"C:\Tools\databricks-responses-mcp.exe",), True),
        (("uvx", "databricks-responses-mcp"), True),
        (("uvx", "databricks-responses-mcp@0.1.0"), True),
        (("uvx", "--from", "databricks-responses-mcp==1.0", "databricks-responses-mcp"), True),
        (("python", "-m", "databricks_responses_mcp"), True),
        (("docker", "run", "-i", "ghcr.io/me/databricks-responses-mcp:1.0"), True),
        (("uvx", "databricks-mcp-server"), False),
        (("/src/databricks-responses-mcp/venv/bin/python", "other.py"), False),
        (("node", "/src/databricks-responses-mcp/other.js"), False),
    ],
)
def test_this_server_is_distinguished_from_others(command: tuple[str, ...], ours: bool) -> None:
    launch = Launch(command=command[0], args=command[1:])
    assert RegisteredServer("databricks", {}, launch).is_ours is ours


def test_a_server_with_a_url_is_not_this_server() -> None:
    text = '{"mcpServers": {"databricks": {"type": "http", "url": "https://x/databricks-responses-mcp"}}}'
    (found,) = list_servers(host("cursor"), text)
    assert (found.launch, found.is_ours) == (None, False)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("cursor", '{"mcpServers": ["a", 1]}'),
        ("cursor", '{"mcpServers": {"a": 1, "b": {"command": ["x"]}, "c": {"command": ""}}}'),
        ("opencode", '{"mcp": {"a": {"command": []}, "b": {"command": "x"}}}'),
        ("continue", "mcpServers: [1, {command: x, args: 3}]"),
        ("goose", "extensions: {a: {type: builtin}}"),
        ("codex", 'mcp_servers = "none"'),
        ("zed", ""),
    ],
)
def test_malformed_files_do_not_contain_this_server(key: str, text: str) -> None:
    assert [server for server in list_servers(host(key), text) if server.is_ours] == []
