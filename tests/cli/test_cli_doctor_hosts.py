"""``doctor`` on hosts: what is registered, whether it starts, and that a host that is not there is no failure."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.cli.host_checks import examine_hosts
from databricks_responses_mcp.hosts.machine import Machine
from databricks_responses_mcp.hosts.server_info import PORTABLE, RELEASED
from harness.terminal import CommandLine, folded

pytestmark = pytest.mark.anyio

SCRIPT = str(Path(sys.executable).with_name("databricks-responses-mcp"))
OWN = "databricks-responses-mcp"


def program(path: Path, body: str) -> str:
    """A program of a few lines of Python."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def write(file: Path, entry: dict[str, Any], name: str = "databricks") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"mcpServers": {name: entry}}), encoding="utf-8")


async def findings(home: Path, project: Path | None = None, **environ: str) -> list[str]:
    """What the doctor finds, as lines."""
    machine = Machine(sys.platform, home, {"PATH": "", "HOME": str(home), **environ})
    found = await examine_hosts(machine, project or home)
    lines = [f"{f.status} {f.name}: {f.detail}{f' -> {f.hint}' if f.hint else ''}" for f in found]
    return [folded(line.replace(str(home), "~").replace(SCRIPT, "SCRIPT")).rstrip("\n") for line in lines]


async def test_where_no_host_is_used_there_is_nothing_to_say(home: Path) -> None:
    assert await findings(home) == []


async def test_hosts_that_could_have_it_are_named_with_the_command(home: Path) -> None:
    (home / ".cursor").mkdir()
    (home / ".codex").mkdir()
    assert await findings(home) == snapshot(
        [
            """\
skipped hosts: not registered with Cursor, Codex -> `databricks-responses-mcp install cursor codex`
does it.\
"""
        ]
    )


async def test_a_registration_that_starts_is_well(cli: CommandLine, home: Path) -> None:
    await cli.run("install", "claude-code", "cursor", "--embedded")
    ran = await cli.run("doctor", "--no-call")
    out = ran.out.replace(str(home), "~").replace(SCRIPT, "SCRIPT")
    lines = [re.sub(r"version \S+$", "version VERSION", line) for line in out.splitlines() if " in " in line[:5]]
    assert (lines, ran.code) == snapshot(
        (
            [
                "✓ in Claude Code: registered as databricks in ~/.claude.json; starts SCRIPT, version VERSION",
                "✓ in Cursor: registered as databricks in ~/.cursor/mcp.json; starts SCRIPT, version VERSION",
            ],
            0,
        )
    )


async def test_as_json_it_is_a_check_like_any_other(cli: CommandLine, home: Path) -> None:
    write(home / ".cursor" / "mcp.json", {"command": "/nowhere/databricks-responses-mcp"})
    ran = await cli.run("doctor", "--no-call", "--json")
    report = json.loads(ran.out.replace(str(home), "~"))
    check = {key: folded(value) for key, value in report["checks"][-1].items()}
    assert (report["ok"], check, ran.code) == snapshot(
        (
            False,
            {
                "name": "in Cursor\n",
                "status": "failed\n",
                "detail": """\
registered as databricks in ~/.cursor/mcp.json: it starts /nowhere/databricks-responses-mcp, which
is not there, or not on the PATH
""",
                "hint": "`databricks-responses-mcp install cursor` writes a command that is.\n",
                "code": "not_configured\n",
            },
            3,
        )
    )


async def test_a_registration_that_cannot_start_is_a_failure(home: Path) -> None:
    write(home / ".claude.json", {"command": OWN})
    write(home / ".cursor" / "mcp.json", {"command": program(home / "a" / OWN, "raise SystemExit('No module x')")})
    write(home / ".kiro" / "settings" / "mcp.json", {"command": program(home / "b" / OWN, "print('hello')")})
    lines = await findings(home)
    assert lines == snapshot(
        [
            """\
failed in Claude Code: registered as databricks in ~/.claude.json: it starts
databricks-responses-mcp, which is not there, or not on the PATH -> `databricks-responses-mcp
install claude-code` writes a command that is.\
""",
            """\
failed in Cursor: registered as databricks in ~/.cursor/mcp.json: `~/a/databricks-responses-mcp
--version` failed with exit code 1: No module x -> Run it yourself to see more, or register this
installation again with `databricks-responses-mcp install`.\
""",
            """\
failed in Kiro: registered as databricks in ~/.kiro/settings/mcp.json: `~/b/databricks-responses-mcp
--version` printed no version: hello -> Run it yourself to see more, or register this installation
again with `databricks-responses-mcp install`.\
""",
        ]
    )


async def test_a_profile_that_is_gone_is_a_failure(home: Path) -> None:
    (home / ".databrickscfg").write_text("[dev]\nhost = x\n", encoding="utf-8")
    write(home / ".claude.json", {"command": SCRIPT, "env": {"DATABRICKS_CONFIG_PROFILE": "old"}})
    (line,) = await findings(home, DATABRICKS_CONFIG_FILE=str(home / ".databrickscfg"))
    assert line == snapshot("""\
failed in Claude Code: registered as databricks in ~/.claude.json: There is no profile old in
.databrickscfg; it has dev -> Correct DATABRICKS_CONFIG_PROFILE, or create the profile. To sign in,
run `databricks auth login --profile old`.\
""")


@pytest.mark.parametrize(
    ("entry", "profile", "environ"),
    [
        ({}, "DEFAULT", {}),
        ({"args": ["serve", "--profile=dev"]}, "dev", {}),
        ({"args": ["--embedded"]}, "", {}),
        ({"env": {"DATABRICKS_HOST": "https://adb-1.2.azuredatabricks.net"}}, "", {}),
        ({}, "", {"DATABRICKS_CONFIG_PROFILE": "dev"}),
    ],
)
async def test_an_entry_that_leads_to_a_workspace_is_well(
    home: Path, monkeypatch: pytest.MonkeyPatch, entry: dict[str, Any], profile: str, environ: dict[str, str]
) -> None:
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    if profile:
        (home / ".databrickscfg").write_text(f"[{profile}]\nhost = https://adb-1.2.azuredatabricks.net\n")
    write(home / ".claude.json", {"command": SCRIPT, **entry})
    (line,) = await findings(home, **environ)
    assert (line[:18], "->" in line) == ("ok in Claude Code:", False)


async def test_an_entry_that_leads_to_no_workspace_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    (home / ".databrickscfg").write_text("[dev]\nhost = https://adb-1.2.azuredatabricks.net\n")
    write(home / ".claude.json", {"command": SCRIPT})
    write(home / ".cursor" / "mcp.json", {"command": SCRIPT})
    # Cursor starts from the desktop, where this shell's variables are not.
    in_shell = {"DATABRICKS_HOST": "https://adb-1.2.azuredatabricks.net", "DATABRICKS_TOKEN": "t"}
    lines = [*await findings(home), *await findings(home, **in_shell)]
    assert [folded(line.partition("-> ")[2]) for line in lines] == snapshot(
        [
            """\
The
entry names no profile, no host and not --embedded, and Claude Code finds no profile DEFAULT either:
`databricks-responses-mcp install claude-code` adds one.
""",
            """\
The
entry names no profile, no host and not --embedded, and Cursor finds no profile DEFAULT either:
`databricks-responses-mcp install cursor` adds one.
""",
            "",
            """\
The
entry names no profile, no host and not --embedded, and Cursor finds no profile DEFAULT either:
`databricks-responses-mcp install cursor` adds one.
""",
        ]
    )


async def test_another_version_is_told(home: Path) -> None:
    old = program(home / "bin" / OWN, "print('databricks-responses-mcp, version 0.0.1')")
    write(home / ".claude.json", {"command": old})
    (line,) = await findings(home)
    assert re.sub(r"this one, \S+;", "this one, VERSION;", line) == snapshot("""\
ok in Claude Code: registered as databricks in ~/.claude.json; starts
~/bin/databricks-responses-mcp, version 0.0.1 -> It is another version than this one, VERSION;
`databricks-responses-mcp install claude-code` registers this one.\
""")


async def test_a_bare_name_that_the_desktop_does_not_find_is_told(home: Path) -> None:
    program(home / "bin" / OWN, "print('databricks-responses-mcp, version 0.1.0')")
    write(home / ".cursor" / "mcp.json", {"command": OWN, "args": ["--embedded"]})
    write(home / ".claude.json", {"command": OWN, "args": ["--embedded"]})
    assert await findings(home, PATH=str(home / "bin")) == snapshot(
        [
            """\
ok in Claude Code: registered as databricks in ~/.claude.json; starts
~/bin/databricks-responses-mcp, version 0.1.0\
""",
            """\
ok in Cursor: registered as databricks in ~/.cursor/mcp.json; starts ~/bin/databricks-responses-mcp,
version 0.1.0 -> Started from the desktop, Cursor may not find databricks-responses-mcp:
`databricks-responses-mcp install cursor` writes its whole path.\
""",
        ]
    )


async def test_what_a_projects_file_names_is_not_run(home: Path) -> None:
    project = home / "project"
    (home / ".cursor").mkdir()
    ran = program(home / "bin" / OWN, f"open({str(home / 'ran')!r}, 'w')")
    write(project / ".cursor" / "mcp.json", {"command": ran})
    assert await findings(home, project) == snapshot(
        [
            """\
ok in Cursor: registered as databricks in ~/project/.cursor/mcp.json; starts
~/bin/databricks-responses-mcp, which was not tried\
"""
        ]
    )
    assert not (home / "ran").exists()


async def test_the_portable_command_in_a_projects_file_is_run_if_it_is_there(home: Path) -> None:
    project = home / "project"
    (home / ".cursor").mkdir()
    write(project / ".cursor" / "mcp.json", {"command": PORTABLE[0], "args": [*PORTABLE[1:], "--embedded"]})
    missing = await findings(home, project)
    program(
        home / "bin" / PORTABLE[0],
        f"import sys; assert sys.argv[1:] == {[*PORTABLE[1:], '--version']}\n"
        "print('databricks-responses-mcp, version 0.1.0')",
    )
    assert (missing, await findings(home, project, PATH=str(home / "bin"))) == snapshot(
        (
            [
                """\
failed in Cursor: registered as databricks in ~/project/.cursor/mcp.json: it starts
databricks-responses-mcp, which is not there, or not on the PATH -> Install databricks-responses-mcp
on this machine.\
"""
            ],
            [
                """\
ok in Cursor: registered as databricks in ~/project/.cursor/mcp.json; starts
~/bin/databricks-responses-mcp, version 0.1.0\
"""
            ],
        )
    )


async def test_before_the_release_nothing_is_fetched_by_its_name(home: Path) -> None:
    project = home / "project"
    (home / ".cursor").mkdir()
    for file in (home / ".cursor" / "mcp.json", project / ".cursor" / "mcp.json"):
        write(file, {"command": "uvx", "args": [OWN]})
    program(home / "bin" / "uvx", f"open({str(home / 'ran')!r}, 'w')")
    assert RELEASED or await findings(home, project, PATH=str(home / "bin")) == snapshot(
        [
            """\
failed in Cursor: registered as databricks in ~/.cursor/mcp.json: it has uvx fetch
databricks-responses-mcp from PyPI, where it is not yet: code of whoever registers that name would
run; registered as databricks in ~/project/.cursor/mcp.json: it has uvx fetch
databricks-responses-mcp from PyPI, where it is not yet: code of whoever registers that name would
run -> `databricks-responses-mcp install cursor` writes a command that is on this machine.
`databricks-responses-mcp install cursor --project` writes a command that is on this machine.\
"""
        ]
    )
    assert RELEASED or not (home / "ran").exists()


async def test_a_projects_file_of_a_host_that_is_not_there_is_no_finding(home: Path) -> None:
    write(home / "project" / ".mcp.json", {"command": "uvx", "args": [OWN]})
    assert await findings(home, home / "project") == []


async def test_other_servers_are_none_of_its_business(home: Path) -> None:
    write(home / ".cursor" / "mcp.json", {"command": "/nowhere/other"}, name="other")
    (line,) = await findings(home)
    assert line.startswith("skipped hosts: not registered with Cursor")


async def test_a_hosts_file_that_is_broken_is_told_and_is_no_failure(home: Path) -> None:
    (home / ".cursor").mkdir()
    (home / ".cursor" / "mcp.json").write_text('{\n"mcpServers": [', encoding="utf-8")
    assert await findings(home) == snapshot(
        [
            """\
skipped in Cursor: ~/.cursor/mcp.json: The file is not valid JSON at line 2, column 16: the end of
the file, where `]` is missing. -> Fix it there, or move the file away; nothing was written.\
"""
        ]
    )


async def test_claude_desktops_log_says_why_it_did_not_start(home: Path) -> None:
    folder = home / ".config" / "Claude"
    write(folder / "claude_desktop_config.json", {"command": SCRIPT, "args": ["--embedded"]})
    log = folder / "logs" / "mcp-server-databricks.log"
    log.parent.mkdir()
    start = "2026-03-01T09:28:18.704Z [databricks] [info] Initializing server... { metadata: undefined }\n"
    failed = (
        '2026-03-01T09:28:18.711Z [databricks] [error] spawn uvx ENOENT {"context":"connection","stack":"Error"}\n'
        "2026-03-01T09:28:18.713Z [databricks] [error] Server disconnected. For troubleshooting guidance, see docs\n"
    )
    log.write_text(start + failed, encoding="utf-8")
    (line,) = await findings(home)
    assert said(line) == "spawn uvx ENOENT"
    exited = (
        "2026-03-01T09:28:18.706Z [databricks] [info] Server started and connected successfully\n"
        "  metadata: {\n    paths: [ ]\n  }\n"
        "No such profile; token=dapi0123456789abcdef0123\n"
        "2026-03-01T09:28:18.713Z [databricks] [error] Server disconnected. For troubleshooting guidance, see docs\n"
    )
    log.write_text(start + failed + start + exited, encoding="utf-8")
    (line,) = await findings(home)
    assert said(line) == "No such profile; token=dapi0123456789abcdef0123"
    answered = "2026-03-01T09:28:19.000Z [databricks] [info] Message from server: {}\n"
    log.write_text(start + failed + start + answered, encoding="utf-8")
    (line,) = await findings(home)
    assert said(line) == ""


async def test_claude_codes_log_says_why_it_did_not_start(home: Path) -> None:
    project = home / "my.project"
    project.mkdir()
    write(home / ".claude.json", {"command": SCRIPT, "args": ["--embedded"]})
    folder = home / ".cache/claude-cli-nodejs" / re.sub(r"[^A-Za-z0-9]", "-", str(project)) / "mcp-logs-databricks"
    folder.mkdir(parents=True)
    begun = {"debug": "Starting connection with timeout of 30000ms"}
    failed = {"error": "Connection failed (CONNECTION_CLOSED): Connection closed"}
    connected = {"debug": "Successfully connected (transport: stdio) in 441ms"}

    def log(name: str, *entries: dict[str, str]) -> None:
        text = "".join(json.dumps(entry) + "\n" for entry in entries)
        (folder / f"{name}.jsonl").write_text(f"{text}not JSON\n", encoding="utf-8")

    log("2026-11-22T16-16-19-425Z", begun, failed)
    (line,) = await findings(home, project)
    assert said(line) == "Connection failed (CONNECTION_CLOSED): Connection closed"
    log("2026-11-22T16-30-19-425Z", begun, {"error": "Server stderr: not_configured: no profile\n"}, failed)
    (line,) = await findings(home, project)
    assert said(line).endswith("Connection closed (it said: not_configured: no profile)")
    log("2026-11-22T17-16-19-425Z", begun, connected, {"error": "model_not_found: a call that failed"})
    (line,) = await findings(home, project)
    assert said(line) == ""


async def test_a_secret_in_a_log_is_not_shown(cli: CommandLine, home: Path) -> None:
    folder = home / ".config" / "Claude"
    await cli.run("install", "claude-desktop", "--embedded")
    (folder / "logs").mkdir(exist_ok=True)
    text = "[info] Initializing server...\n[error] no way in with Bearer dapi0123456789abcdef0123\n"
    (folder / "logs" / "mcp-server-databricks.log").write_text(text, encoding="utf-8")
    ran = await cli.run("doctor", "--no-call")
    assert "no way in with Bearer" in ran.out
    assert "dapi0123456789abcdef0123" not in ran.out


def said(line: str) -> str:
    """What a finding says of the host's log."""
    return " ".join(line.split()).partition("its log of the last start: ")[2]


def test_the_programs_of_these_tests_can_run() -> None:
    assert shutil.which(SCRIPT) is not None


@pytest.mark.parametrize(
    ("host", "file", "entry"),
    [
        ("Cursor", ".cursor/mcp.json", {"env": {"DATABRICKS_TOKEN": "${env:DATABRICKS_TOKEN}"}}),
        ("Windsurf", ".codeium/windsurf/mcp_config.json", {"env": {"DATABRICKS_TOKEN": "${env:DATABRICKS_TOKEN}"}}),
        ("Kiro", ".kiro/settings/mcp.json", {"env": {"DATABRICKS_TOKEN": "${DATABRICKS_TOKEN}"}}),
    ],
)
async def test_what_only_this_shell_has_a_host_of_the_desktop_does_not_find(
    host: str, file: str, entry: dict[str, Any], home: Path
) -> None:
    write(home / file, {"command": SCRIPT, "args": [], **entry})
    (line,) = await findings(home, DATABRICKS_TOKEN="dapi1")
    assert line.startswith(f"failed in {host}:")
    assert "it is set in this shell only" in " ".join(line.split())
    (home / ".profile").write_text("export DATABRICKS_TOKEN=dapi1\n", encoding="utf-8")
    (line,) = await findings(home, DATABRICKS_TOKEN="dapi1")
    assert line.startswith(f"ok in {host}:")


async def test_what_a_host_of_the_terminal_refers_to_is_looked_for_in_the_shell(home: Path) -> None:
    write(home / ".claude.json", {"command": SCRIPT, "env": {"DATABRICKS_TOKEN": "${DATABRICKS_TOKEN}"}})
    missing = await findings(home)
    assert missing == snapshot(
        [
            """\
failed in Claude Code: registered as databricks in ~/.claude.json: it reads DATABRICKS_TOKEN from
its environment, and it is not set -> `databricks-responses-mcp install claude-code` offers a
profile instead.\
"""
        ]
    )
    (line,) = await findings(home, DATABRICKS_TOKEN="dapi1")
    assert line.startswith("ok in Claude Code:")
    write(home / ".claude.json", {"command": SCRIPT, "env": {"A": "${A:-default}", "B": "a $B in a text"}})
    (line,) = await findings(home)
    assert line.startswith("ok in Claude Code:")


async def test_variables_that_codex_forwards_are_looked_for(home: Path) -> None:
    (home / ".codex").mkdir()
    (home / ".codex" / "config.toml").write_text(
        f'[mcp_servers.databricks]\ncommand = "{SCRIPT}"\nenv_vars = ["DATABRICKS_TOKEN"]\n', encoding="utf-8"
    )
    (line,) = await findings(home)
    assert "it reads DATABRICKS_TOKEN from its environment, and it is not set" in " ".join(line.split())


async def test_a_question_that_is_not_in_the_file_is_told(home: Path) -> None:
    file = home / ".config" / "Code" / "User" / "mcp.json"
    file.parent.mkdir(parents=True)
    entry = {"command": SCRIPT, "env": {"DATABRICKS_TOKEN": "${input:databricks_token}"}}
    file.write_text(json.dumps({"servers": {"databricks": entry}}), encoding="utf-8")
    (line,) = await findings(home)
    assert "the file has no such question" in " ".join(line.split())
    inputs = [{"type": "promptString", "id": "databricks_token", "password": True}]
    file.write_text(json.dumps({"servers": {"databricks": entry}, "inputs": inputs}), encoding="utf-8")
    (line,) = await findings(home)
    assert line.startswith("ok in VS Code:")


async def test_a_profile_is_looked_for_where_the_host_would_look(home: Path) -> None:
    elsewhere = home / "elsewhere.cfg"
    elsewhere.write_text("[mine]\nhost = https://dbc-1.cloud.databricks.com\n", encoding="utf-8")
    write(home / ".cursor" / "mcp.json", {"command": SCRIPT, "env": {"DATABRICKS_CONFIG_PROFILE": "mine"}})
    (line,) = await findings(home, DATABRICKS_CONFIG_FILE=str(elsewhere))
    assert line.startswith("failed in Cursor:")


async def test_a_program_that_does_not_stop_writing_is_ended(home: Path) -> None:
    endless = program(home / "bin" / OWN, "while True: print('x' * 1000)")
    write(home / ".cursor" / "mcp.json", {"command": endless, "args": []})
    (line,) = await findings(home)
    assert line.startswith("failed in Cursor:")
    assert "failed with exit code" in " ".join(line.split())
