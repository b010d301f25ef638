"""``install`` as people run it: what is written, what is said, what is left alone."""

import json
import re
import sys
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.hosts.machine import Machine
from databricks_responses_mcp.hosts.registration import register
from databricks_responses_mcp.hosts.registry import HOSTS
from databricks_responses_mcp.hosts.server_info import PORTABLE, Launch
from harness.terminal import CommandLine, Ran, folded

pytestmark = pytest.mark.anyio

SCRIPT = str(Path(sys.executable).with_name("databricks-responses-mcp"))
PROFILE = "[dev]\nhost = https://dbc-1.cloud.databricks.com\ntoken = dapi0123456789abcdef\n"


@pytest.fixture
def account(bare: CommandLine, home: Path) -> CommandLine:
    """An account with one profile; commands start in its project."""
    (home / ".databrickscfg").write_text(PROFILE, encoding="utf-8")
    project = home / "project"
    project.mkdir()
    return CommandLine(bare.environ, project)


def plain(ran: Ran, home: Path) -> tuple[str, str, int]:
    """What a command did, without what differs from run to run."""

    def cleaned(text: str) -> str:
        text = text.replace(str(home), "~").replace(SCRIPT, "SCRIPT").replace("\\", "/")
        return re.sub(r"\.\d{8}T\d{6}Z(-\d+)?", ".TIME", text)

    return cleaned(ran.out), cleaned(ran.err), ran.code


def files(folder: Path) -> dict[str, str]:
    """Every file below a folder, with its text."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != ".databrickscfg"]
    return {path.relative_to(folder).as_posix(): path.read_bytes().decode() for path in sorted(found)}


async def test_without_a_host_it_lists_what_is_here(account: CommandLine, home: Path) -> None:
    (home / ".cursor").mkdir()
    await account.run("install", "claude-code", "vscode", PATH="")
    await account.run("install", "--project", "codex", PATH="")
    assert plain(await account.run("install", PATH=""), home) == snapshot(
        (
            """\
HOST            NAME               PRESENT  REGISTERED
claude-desktop  Claude Desktop     no       -
claude-code     Claude Code        yes      user: ~/.claude.json
vscode          VS Code            yes      user: ~/.config/Code/User/mcp.json
cursor          Cursor             yes      -
windsurf        Windsurf           no       -
zed             Zed                no       -
codex           Codex              no       project: ~/project/.codex/config.toml
gemini-cli      Gemini CLI         no       -
opencode        opencode           no       -
cline           Cline              no       -
continue        Continue           no       -
goose           goose              no       -
lm-studio       LM Studio          no       -
jetbrains       JetBrains (Junie)  no       -
copilot-cli     Copilot CLI        no       -
kiro            Kiro               no       -
""",
            "",
            0,
        )
    )


async def test_the_list_as_json(account: CommandLine, home: Path) -> None:
    await account.run("install", "claude-code", PATH="")
    ran = await account.run("install", "--json", PATH="")
    listed = {host["host"]: host for host in json.loads(ran.out.replace(str(home), "~"))["hosts"]}
    assert (len(listed), listed["claude-code"], listed["zed"]) == snapshot(
        (
            16,
            {
                "host": "claude-code",
                "title": "Claude Code",
                "present": True,
                "registered": [{"scope": "user", "name": "databricks", "file": "~/.claude.json"}],
            },
            {"host": "zed", "title": "Zed", "present": False, "registered": []},
        )
    )


async def test_every_host_gets_its_own_file_and_a_second_time_nothing_changes(account: CommandLine, home: Path) -> None:
    keys = [host.key for host in HOSTS]
    first = await account.run("install", *keys)
    assert (first.err, first.code) == ("", 0)
    written = files(home)
    launch = Launch(command=SCRIPT, env={"DATABRICKS_CONFIG_PROFILE": "dev"})
    machine = Machine("linux" if sys.platform not in ("darwin", "win32") else sys.platform, home, {})
    assert written == {
        host.find_user_file(machine).relative_to(home).as_posix(): register(
            host, host.new_file, host.make_entry(launch)
        )
        for host in HOSTS
    }
    second = await account.run("install", *keys)
    assert second.out.count("already registered") == len(HOSTS)
    assert files(home) == written


async def test_every_project_file_has_the_command_that_works_everywhere(account: CommandLine, home: Path) -> None:
    keys = [host.key for host in HOSTS if host.project_file is not None]
    ran = await account.run("install", *keys, "--project")
    assert (ran.err, ran.code) == ("", 0)
    written = files(home / "project")
    launch = Launch(command=PORTABLE[0], args=PORTABLE[1:])
    expected = {
        str(host.project_file): register(host, host.new_file, host.make_entry(launch))
        for host in HOSTS
        if host.project_file is not None and host.key != "copilot-cli"
    }
    shared = expected.pop(".mcp.json")
    assert {name: text for name, text in written.items() if name in expected} == expected
    # Claude Code and Copilot CLI read the same file.
    assert json.loads(shared)["mcpServers"]["databricks"].items() <= (
        json.loads(written[".mcp.json"])["mcpServers"]["databricks"].items()
    )
    again = await account.run("install", *keys, "--project")
    assert again.out.count("already registered") == len(keys)


async def test_what_is_said_and_where_the_backup_is(account: CommandLine, home: Path) -> None:
    file = home / ".cursor" / "mcp.json"
    file.parent.mkdir()
    file.write_text('{"mcpServers": {}, "mine": 1}\n', encoding="utf-8")
    assert plain(await account.run("install", "cursor", "zed"), home) == snapshot(
        (
            """\
Cursor: registered as databricks in ~/.cursor/mcp.json
  Starts: SCRIPT
  Signs in: with the profile dev
  Backup: ~/.cursor/mcp.json.TIME.databricks-backup
  Next: Switch it on in Settings > Tools & MCP.
Zed: registered as databricks in ~/.config/zed/settings.json
  Starts: SCRIPT
  Signs in: with the profile dev
  Next: It starts at once; the agent panel's settings show a green dot.
""",
            "",
            0,
        )
    )
    (backup,) = file.parent.glob("*backup")
    assert backup.read_text(encoding="utf-8") == '{"mcpServers": {}, "mine": 1}\n'


async def test_taking_it_out(account: CommandLine, home: Path) -> None:
    file = home / ".codex" / "config.toml"
    file.parent.mkdir()
    before = b'# mine\r\nmodel = "gpt-5"\r\n'
    file.write_bytes(before)
    await account.run("install", "codex")
    assert file.read_bytes() != before
    assert plain(await account.run("install", "codex", "--uninstall"), home) == snapshot(
        (
            """\
Codex: removed from ~/.codex/config.toml
  Backup: ~/.codex/config.toml.TIME.databricks-backup
""",
            "",
            0,
        )
    )
    assert file.read_bytes() == before
    assert plain(await account.run("install", "codex", "--uninstall"), home) == snapshot(
        ("Codex: not registered in ~/.codex/config.toml, nothing changed\n", "", 0)
    )


async def test_printing_writes_nothing(account: CommandLine, home: Path) -> None:
    before = files(home)
    assert plain(await account.run("install", "claude-desktop", "continue", "--print"), home) == snapshot(
        (
            """\
{
  "mcpServers": {
    "databricks": {
      "command": "SCRIPT",
      "args": [],
      "env": {
        "DATABRICKS_CONFIG_PROFILE": "dev"
      }
    }
  }
}
name: Local Config
version: 1.0.0
schema: v1
mcpServers:
  - name: databricks
    type: stdio
    command: SCRIPT
    args: []
    env:
      DATABRICKS_CONFIG_PROFILE: dev
""",
            """\
Claude Desktop: this would be the content of ~/.config/Claude/claude_desktop_config.json
Continue: this would be the content of ~/.continue/config.yaml
""",
            0,
        )
    )
    assert files(home) == before


async def test_done_as_json(account: CommandLine, home: Path) -> None:
    ran = await account.run("install", "goose", "claude-desktop", "--json", "--project")
    assert plain(ran, home) == snapshot(
        (
            """\
{
  "ok": false,
  "hosts": [
    {
      "host": "goose",
      "action": "failed",
      "error": {
        "code": "invalid_argument",
        "message": "goose has no file for a project's servers.",
        "retryable": false,
        "hint": "Leave --project out: its user's file serves every project."
      }
    },
    {
      "host": "claude-desktop",
      "action": "failed",
      "error": {
        "code": "invalid_argument",
        "message": "Claude Desktop has no file for a project's servers.",
        "retryable": false,
        "hint": "Leave --project out: its user's file serves every project."
      }
    }
  ]
}
""",
            "",
            2,
        )
    )


async def test_options_end_up_in_the_entry(account: CommandLine, home: Path) -> None:
    ran = await account.run(
        *("install", "cursor", "--name", "models", "--model", "databricks-gpt-5"),
        *("--env", "RESPONSES_MCP_IMAGE_DIR=/pictures", "--env", "HTTPS_PROXY"),
        *("--command", "uvx 'databricks-responses-mcp>=0.1'"),
    )
    assert ran.code == 0
    assert json.loads((home / ".cursor" / "mcp.json").read_text(encoding="utf-8")) == snapshot(
        {
            "mcpServers": {
                "models": {
                    "command": "uvx",
                    "args": ["databricks-responses-mcp>=0.1"],
                    "env": {
                        "DATABRICKS_CONFIG_PROFILE": "dev",
                        "RESPONSES_MCP_IMAGE_DIR": "/pictures",
                        "RESPONSES_MCP_MODEL": "databricks-gpt-5",
                        "HTTPS_PROXY": "${env:HTTPS_PROXY}",
                    },
                }
            }
        }
    )


async def test_it_can_be_tried_without_an_account(bare: CommandLine, home: Path) -> None:
    ran = await bare.run("install", "windsurf", "--embedded", "--engine", "rules")
    assert plain(ran, home) == snapshot(
        (
            """\
Windsurf: registered as databricks in ~/.codeium/windsurf/mcp_config.json
  Starts: SCRIPT --embedded --engine rules
  Signs in: nowhere: its workspace is on this machine
  Next: Press the refresh button of the MCP servers in Cascade.
""",
            "",
            0,
        )
    )
    assert '"args": ["--embedded", "--engine", "rules"]' in files(home)[".codeium/windsurf/mcp_config.json"]


async def test_another_programs_server_of_that_name_is_left_alone(account: CommandLine, home: Path) -> None:
    file = home / ".cursor" / "mcp.json"
    file.parent.mkdir()
    text = '{"mcpServers": {"databricks": {"command": "uvx", "args": ["databricks-mcp-server"]}}}'
    file.write_text(text, encoding="utf-8")
    assert plain(await account.run("install", "cursor"), home) == snapshot(
        (
            "",
            """\
invalid_argument: ~/.cursor/mcp.json has another server of the name databricks, which starts uvx.
  Choose another name with --name, or have it replaced with --force.
""",
            2,
        )
    )
    assert plain(await account.run("install", "cursor", "--uninstall"), home)[2] == 2
    assert file.read_text(encoding="utf-8") == text
    assert (await account.run("install", "cursor", "--force")).code == 0
    assert "databricks-mcp-server" not in file.read_text(encoding="utf-8")


async def test_a_file_that_is_broken_is_named_with_its_line_and_left_alone(account: CommandLine, home: Path) -> None:
    (home / ".cursor").mkdir()
    (home / ".cursor" / "mcp.json").write_text('{\n  "mcpServers": {\n    oops\n}\n', encoding="utf-8")
    ran = await account.run("install", "cursor", "zed")
    out, err, code = plain(ran, home)
    assert (out.splitlines()[0], err, code) == snapshot(
        (
            "Zed: registered as databricks in ~/.config/zed/settings.json",
            """\
invalid_argument: ~/.cursor/mcp.json: The file is not valid JSON at line 4, column 1: expected `:`.
  Fix it there, or move the file away; nothing was written.
""",
            2,
        )
    )
    assert files(home)[".cursor/mcp.json"] == '{\n  "mcpServers": {\n    oops\n}\n'
    listed = plain(await account.run("install"), home)[0]
    (line,) = (line for line in listed.splitlines() if line.startswith("cursor"))
    assert " ".join(line.split()[2:8]) == "yes ~/.cursor/mcp.json: The file is not"


@pytest.mark.slow
async def test_what_makes_no_sense_is_refused(account: CommandLine, home: Path) -> None:
    before = files(home)
    refused: dict[str, str] = {}
    for arguments in (
        ("codexx",),
        ("--uninstall",),
        ("zed", "--print", "--uninstall"),
        ("zed", "--engine", "rules"),
        ("zed", "--embedded", "--profile", "dev"),
        ("zed", "--project", "--token-in-file"),
        ("zed", "--name", "two words"),
        ("zed", "--project", "nowhere"),
        ("zed", "--env", "1=2"),
        ("zed", "--command", "'"),
        ("zed", "--profile", "prod"),
        ("windsurf", "--project"),
    ):
        ran = await account.run("install", *arguments)
        said = " ".join((ran.err.partition("Error: ")[2] or ran.err).split()).replace(str(home), "~")
        refused[" ".join(arguments)] = folded(f"{ran.code}: {said}").splitlines()
    assert refused == snapshot(
        {
            "codexx": [
                "2: There is no host 'codexx' here. Did you mean codex? There are: claude-desktop, claude-code,",
                "vscode, cursor, windsurf, zed, codex, gemini-cli, opencode, cline, continue, goose, lm-studio,",
                "jetbrains, copilot-cli, kiro.",
            ],
            "--uninstall": ["2: Name the hosts; without --uninstall and --print they are listed."],
            "zed --print --uninstall": ["2: --print shows an entry; --uninstall has none."],
            "zed --engine rules": ["2: --engine goes with --embedded."],
            "zed --embedded --profile dev": [
                "2: --profile, --token-in-file and --embedded are three ways to sign in; choose one."
            ],
            "zed --project --token-in-file": ["2: --token-in-file is for a user's file: a project's is shared."],
            "zed --name two words": [
                "2: --name accepts letters, digits, hyphens and underscores, which every host can show."
            ],
            "zed --project nowhere": ["2: Invalid value for --project: 'nowhere' is not a folder."],
            "zed --env 1=2": [
                "2: invalid_argument: --env must be NAME=VALUE or NAME, not '1=2'. Start with a variable's name."
            ],
            "zed --command '": [
                "2: invalid_argument: --command cannot be read: No closing quotation. Check its quotes."
            ],
            "zed --profile prod": [
                "3: not_configured: There is no profile prod in .databrickscfg; it has dev. Name another profile, or",
                "create this one. To sign in, run `databricks auth login --profile prod`.",
            ],
            "windsurf --project": [
                "2: invalid_argument: Windsurf has no file for a project's servers. Leave --project out: its user's",
                "file serves every project.",
            ],
        }
    )
    assert files(home) == before


def test_the_documentation_names_every_host_with_its_files() -> None:
    page = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text(encoding="utf-8")
    machine = Machine("linux", Path("/~"), {})
    for host in HOSTS:
        project = f"`{host.project_file}`" if host.project_file else "none"
        row = f"| `{host.key}` | `{host.find_user_file(machine).as_posix()[1:]}` | {project} | "
        assert row in page
        assert (f"{row}cannot" in page) is not host.resolves_variables
