"""``install`` and secrets: by profile unless told, never in a file that is shared, never left behind."""

import subprocess
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.hosts.registry import HOSTS
from harness.terminal import CommandLine, folded

pytestmark = pytest.mark.anyio

TOKEN = "dapi0123456789abcdef0123456789abcdef"
HOST = "https://dbc-1.cloud.databricks.com"


@pytest.fixture
def account(bare: CommandLine, home: Path) -> CommandLine:
    """An account whose workspace is set in the environment; commands start in its project."""
    project = home / "project"
    project.mkdir()
    return CommandLine({**bare.environ, "DATABRICKS_HOST": HOST, "DATABRICKS_TOKEN": TOKEN}, project)


def everything(folder: Path) -> str:
    """All that stands in the files below a folder."""
    return "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in folder.rglob("*") if file.is_file())


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


async def test_without_a_profile_the_host_fetches_the_token_itself(account: CommandLine, home: Path) -> None:
    hosts = [host.key for host in HOSTS if host.resolves_variables and not host.needs_desktop_variables]
    ran = await account.run("install", *hosts)
    assert (ran.err, ran.code) == ("", 0)
    able = len(hosts)
    assert ran.out.count("Signs in: with DATABRICKS_TOKEN, which the host fetches itself") == able
    assert TOKEN not in everything(home)
    assert everything(home).count(HOST) == able


async def test_a_host_that_cannot_fetch_it_is_explained(account: CommandLine, home: Path) -> None:
    ran = await account.run("install", "claude-desktop")
    assert (ran.folded().err, ran.out, ran.code) == snapshot(
        (
            """\
not_configured: Claude Desktop starts servers without DATABRICKS_TOKEN: it reads nothing from the
environment.
  Make a profile with `databricks auth login`, which needs no secret in a file, or have one made of
the variables with --yes, or, if it may stand in the host's file, write the token there with
--token-in-file.
""",
            "",
            3,
        )
    )
    assert everything(home) == ""


async def test_no_project_file_ever_holds_the_token(account: CommandLine, home: Path) -> None:
    keys = [host.key for host in HOSTS if host.project_file is not None]
    assert (await account.run("install", *keys, "--project")).code == 0
    assert TOKEN not in everything(home)
    for arguments in (
        ["--token-in-file"],
        ["--env", f"DATABRICKS_TOKEN={TOKEN}"],
        ["--env", f"X={TOKEN}"],
        ["--command", f"x {TOKEN}"],
    ):
        ran = await account.run("install", *keys, "--project", *arguments)
        assert ran.code == 2
        assert TOKEN not in ran.out + ran.err
    assert TOKEN not in everything(home)


async def test_a_project_says_which_workspace_if_nobody_has_a_profile(account: CommandLine, home: Path) -> None:
    ran = await account.run("install", "cursor", "zed", "--project", "--print")
    assert ran.out == snapshot("""\
{
  "mcpServers": {
    "databricks": {
      "command": "databricks-responses-mcp",
      "args": [],
      "env": {
        "DATABRICKS_HOST": "https://dbc-1.cloud.databricks.com",
        "DATABRICKS_TOKEN": "${env:DATABRICKS_TOKEN}"
      }
    }
  }
}
{
  "context_servers": {
    "databricks": {
      "command": "databricks-responses-mcp",
      "args": [],
      "env": {
        "DATABRICKS_HOST": "https://dbc-1.cloud.databricks.com"
      },
      "timeout": 300
    }
  }
}
""")
    (home / ".databrickscfg").write_text(f"[mine]\nhost = {HOST}\n", encoding="utf-8")
    ran = await account.run("install", "cursor", "--project", "--print")
    assert ran.out == snapshot("""\
{
  "mcpServers": {
    "databricks": {
      "command": "databricks-responses-mcp",
      "args": []
    }
  }
}
""")


async def test_a_secret_in_a_project_is_refused_in_words(account: CommandLine, home: Path) -> None:
    ran = await account.run("install", "cursor", "--project", "--env", "MY_API_KEY=abc", "--embedded")
    assert (folded(ran.err.replace(str(home), "~")), ran.code) == snapshot(
        (
            """\
invalid_argument: MY_API_KEY would be written to ~/project/.cursor/mcp.json, which is Cursor's file
for a project, which is made to be shared.
  Leave the secret out: each who uses the project signs in with a profile of their own.
""",
            2,
        )
    )


async def test_the_token_is_written_to_a_users_file_when_asked_for(account: CommandLine, home: Path) -> None:
    assert (await account.run("install", "claude-desktop", "--token-in-file")).code == 0
    file = home / ".config" / "Claude" / "claude_desktop_config.json"
    assert TOKEN in file.read_text(encoding="utf-8")
    assert file.stat().st_mode & 0o077 == 0


async def test_a_removed_token_is_not_left_in_the_backup(account: CommandLine, home: Path) -> None:
    file = home / ".config" / "Claude" / "claude_desktop_config.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"mcpServers": {"other": {"command": "x"}}}', encoding="utf-8")
    await account.run("install", "claude-desktop", "--token-in-file")
    ran = await account.run("install", "claude-desktop", "--uninstall")
    assert (ran.code, "Backup" in ran.out) == (0, True)
    assert '"DATABRICKS_TOKEN": "***"' in everything(home)
    assert TOKEN not in everything(home)


async def test_a_users_file_that_git_tracks_gets_no_token(account: CommandLine, home: Path) -> None:
    dotfiles = home / "dotfiles"
    (dotfiles / "cursor").mkdir(parents=True)
    git(dotfiles, "init", "--quiet")
    (home / ".cursor").symlink_to(dotfiles / "cursor")
    ran = await account.run("install", "cursor", "--token-in-file")
    assert (folded(ran.err.replace(str(home), "~")), ran.code) == snapshot(
        (
            """\
invalid_argument: DATABRICKS_TOKEN would be written to ~/.cursor/mcp.json, which is tracked by git.
  Name a profile with --profile instead, or have git ignore the file.
""",
            2,
        )
    )
    assert TOKEN not in everything(home)
    (dotfiles / ".gitignore").write_text("cursor/\n", encoding="utf-8")
    assert (await account.run("install", "cursor", "--token-in-file")).code == 0


async def test_an_ignored_file_that_is_committed_all_the_same_gets_no_token(account: CommandLine, home: Path) -> None:
    git(home, "init", "--quiet")
    (home / ".gitignore").write_text("*\n", encoding="utf-8")
    file = home / ".cursor" / "mcp.json"
    file.parent.mkdir()
    file.write_text("{}", encoding="utf-8")
    git(home, "add", "--force", str(file))
    assert (await account.run("install", "cursor", "--token-in-file")).code == 2
    assert file.read_text(encoding="utf-8") == "{}"


async def test_which_profile_is_meant(bare: CommandLine, home: Path) -> None:
    cfg = home / ".databrickscfg"

    async def signs_in(**environ: str) -> str:
        ran = await bare.run("install", "zed", "--print", **environ)
        lines = [line.strip() for line in ran.out.splitlines() if "DATABRICKS" in line]
        return " ".join(lines) or folded(ran.err)

    section = f"host = {HOST}\n"
    found = {"none": await signs_in()}
    cfg.write_text(f"[__settings__]\nx = y\n[DEFAULT]\n[one]\n{section}", encoding="utf-8")
    found["one"] = await signs_in()
    cfg.write_text(f"[one]\n{section}[two]\n{section}", encoding="utf-8")
    found["two"] = await signs_in()
    found["two, one chosen"] = await signs_in(DATABRICKS_CONFIG_PROFILE="two")
    found["two, and a host"] = await signs_in(DATABRICKS_HOST=HOST)
    cfg.write_text(f"[one]\n{section}[DEFAULT]\n{section}", encoding="utf-8")
    found["two, one of them DEFAULT"] = await signs_in()
    cfg.write_text("not a file of profiles", encoding="utf-8")
    found["unreadable"] = await signs_in()
    assert found == snapshot(
        {
            "none": """\
not_configured: There is nothing to sign in to a workspace with.
  Run `databricks auth login`, which makes a profile, or set DATABRICKS_HOST and DATABRICKS_TOKEN;
with --embedded it is tried without a workspace.
""",
            "one": '"DATABRICKS_CONFIG_PROFILE": "one"',
            "two": """\
not_configured: .databrickscfg has several profiles: one, two.
  Choose one with --profile.
""",
            "two, one chosen": '"DATABRICKS_CONFIG_PROFILE": "two"',
            "two, and a host": '"DATABRICKS_HOST": "https://dbc-1.cloud.databricks.com"',
            "two, one of them DEFAULT": '"DATABRICKS_CONFIG_PROFILE": "DEFAULT"',
            "unreadable": """\
not_configured: .databrickscfg cannot be read (line 1).
  Correct the file: it has [profile] headings, and lines such as `host = https://…` under them.
""",
        }
    )


async def test_a_service_principal_has_its_secret_fetched(bare: CommandLine, home: Path) -> None:
    environ = {"DATABRICKS_HOST": HOST, "DATABRICKS_CLIENT_ID": "id", "DATABRICKS_CLIENT_SECRET": "dose1234567890"}
    ran = await bare.run("install", "codex", "--print", **environ)
    assert [line for line in ran.out.splitlines() if "DATABRICKS" in line] == snapshot(
        [
            'env_vars = ["DATABRICKS_CLIENT_SECRET"]',
            'DATABRICKS_HOST = "https://dbc-1.cloud.databricks.com"',
            'DATABRICKS_CLIENT_ID = "id"',
        ]
    )
