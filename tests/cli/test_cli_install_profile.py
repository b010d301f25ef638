"""``install`` with a token that is exported in a shell: a profile is preferred, offered, and made if that is wanted."""

import os
import stat
import sys
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from harness.terminal import CommandLine, folded

pytestmark = pytest.mark.anyio

TOKEN = "dapi0123456789abcdef0123456789abcdef"
HOST = "https://dbc-1.cloud.databricks.com"
PROFILE = "databricks-responses-mcp"
posix = pytest.mark.skipif(sys.platform == "win32", reason="terminals and modes of POSIX")


@pytest.fixture
def account(bare: CommandLine) -> CommandLine:
    """A shell in which a host and a token are exported."""
    return CommandLine({**bare.environ, "DATABRICKS_HOST": HOST, "DATABRICKS_TOKEN": TOKEN}, bare.directory)


async def test_a_host_of_the_desktop_is_not_told_to_fetch_what_only_the_shell_has(
    account: CommandLine, home: Path
) -> None:
    ran = await account.run("install", "cursor")
    assert (folded(ran.err), ran.out, ran.code) == snapshot(
        (
            """\
not_configured: Cursor is started from the desktop, and DATABRICKS_TOKEN is set in this shell only.
  Add --yes to have a profile made of it in ~/.databrickscfg, or name one with --profile; --env
DATABRICKS_TOKEN still writes the reference, for a Cursor that is started from this shell.
""",
            "",
            3,
        )
    )
    assert list(home.iterdir()) == []


@posix
async def test_with_yes_a_profile_is_made_that_its_user_alone_can_read(account: CommandLine, home: Path) -> None:
    cfg = home / ".databrickscfg"
    cfg.write_text(
        f"; mine\n[__settings__]\ndefault_profile = x\n[one]\nhost = {HOST}\n[two]\nhost = {HOST}", encoding="utf-8"
    )
    cfg.chmod(0o644)
    ran = await account.run("install", "cursor", "claude-desktop", "--yes")
    assert (ran.err, ran.code) == ("", 0)
    assert cfg.read_text(encoding="utf-8") == snapshot("""\
; mine
[__settings__]
default_profile = x
[one]
host = https://dbc-1.cloud.databricks.com
[two]
host = https://dbc-1.cloud.databricks.com

[databricks-responses-mcp]
host = https://dbc-1.cloud.databricks.com
token = dapi0123456789abcdef0123456789abcdef
""")
    assert stat.S_IMODE(cfg.stat().st_mode) == 0o600
    assert [path.name for path in home.glob(".databrickscfg*")] == [".databrickscfg"]
    written = (home / ".cursor" / "mcp.json").read_text(encoding="utf-8")
    assert f'"DATABRICKS_CONFIG_PROFILE": "{PROFILE}"' in written
    assert "TOKEN" not in written
    again = await account.run("install", "windsurf")
    assert (again.code, f"Signs in: with the profile {PROFILE}" in again.out) == (0, True)
    other = await account.run("install", "kiro", "--yes", DATABRICKS_TOKEN=TOKEN.replace("0", "1"))
    assert f"Signs in: with the profile {PROFILE}-2" in other.out


@posix
@pytest.mark.parametrize("answer", ["y", "n"])
async def test_at_a_terminal_the_profile_is_made_only_if_its_user_says_so(
    answer: str, account: CommandLine, home: Path
) -> None:
    from harness.pseudo_terminal import Screen

    screen = Screen()
    async with account.started(
        "install", "cursor", stdin=screen.theirs, stdout=screen.theirs, stderr=screen.theirs, TERM="xterm"
    ) as process:
        os.close(screen.theirs)
        await screen.until(b"[y/N]")
        os.write(screen.ours, f"{answer}\n".encode())
        await screen.rest()
        assert await process.wait() == (0 if answer == "y" else 3)
    assert (home / ".databrickscfg").exists() == (answer == "y")
    assert (home / ".cursor" / "mcp.json").exists() == (answer == "y")


async def test_a_profile_that_was_named_is_made_with_its_name_if_that_is_wanted(
    account: CommandLine, home: Path
) -> None:
    refused = await account.run("install", "claude-code", "--profile", "work")
    assert (folded(refused.err), refused.code, list(home.iterdir())) == (
        """\
not_configured: There is no profile work.
  Name another profile, or add --yes to create this one from DATABRICKS_TOKEN.
""",
        3,
        [],
    )
    shown = await account.run("install", "claude-code", "--profile", "work", "-y", "--print")
    assert ('"DATABRICKS_CONFIG_PROFILE": "work"' in shown.out, shown.code, list(home.iterdir())) == (True, 0, [])
    for _ in range(2):
        made = await account.run("install", "claude-code", "cursor", "--profile", "work", "-y")
        assert (made.err, made.code) == ("", 0)
    assert (home / ".databrickscfg").read_text(encoding="utf-8") == f"[work]\nhost = {HOST}\ntoken = {TOKEN}\n"
    for file in (home / ".claude.json", home / ".cursor" / "mcp.json"):
        written = file.read_text(encoding="utf-8")
        assert ('"DATABRICKS_CONFIG_PROFILE": "work"' in written, TOKEN in written) == (True, False)


@pytest.mark.parametrize("name", ["a]\n[b", "__settings__", " ", "[x", "x" * 200])
async def test_a_name_that_no_profile_can_have_makes_none(account: CommandLine, home: Path, name: str) -> None:
    ran = await account.run("install", "cursor", "--profile", name, "-y")
    assert (ran.code, "cannot be the name of a profile" in folded(ran.err), list(home.iterdir())) == (2, True, [])


async def test_a_profile_that_is_empty_is_not_made_a_second_time(account: CommandLine, home: Path) -> None:
    (home / ".databrickscfg").write_text(f"[work]\n[{PROFILE}]\n", encoding="utf-8")
    ran = await account.run("install", "cursor", "--profile", "work", "-y")
    assert (ran.err, ran.code) == ("", 0)
    assert (home / ".databrickscfg").read_text(encoding="utf-8") == f"[work]\n[{PROFILE}]\n"
    ran = await account.run("install", "cursor", "-y")
    assert (ran.err, ran.code) == ("", 0)
    assert (home / ".databrickscfg").read_text(encoding="utf-8").count(f"[{PROFILE}]") == 1


async def test_print_writes_no_profile(account: CommandLine, home: Path) -> None:
    ran = await account.run("install", "cursor", "--print", "--yes")
    assert (f'"DATABRICKS_CONFIG_PROFILE": "{PROFILE}"' in ran.out, ran.code) == (True, 0)
    assert list(home.iterdir()) == []


async def test_a_reference_is_written_where_it_will_be_found_or_was_asked_for(account: CommandLine, home: Path) -> None:
    asked = await account.run("install", "cursor", "--env", "DATABRICKS_TOKEN")
    assert (asked.err, asked.code) == ("", 0)
    (home / ".zshrc").write_text(f"  export DATABRICKS_TOKEN={TOKEN}\n", encoding="utf-8")
    lasting = await account.run("install", "windsurf", "kiro")
    assert (lasting.err, lasting.code) == ("", 0)
    terminal = await account.run("install", "claude-code", "vscode", "continue")
    assert (terminal.err, terminal.code) == ("", 0)
    assert TOKEN not in (home / ".cursor" / "mcp.json").read_text(encoding="utf-8")


async def test_a_token_that_can_be_none_makes_no_profile(account: CommandLine, home: Path) -> None:
    ran = await account.run("install", "cursor", "--yes", DATABRICKS_TOKEN="<your token>")
    assert (ran.code, "placeholder" in ran.err, list(home.iterdir())) == (3, True, [])


async def test_a_secret_of_a_service_principal_makes_a_profile_too(bare: CommandLine, home: Path) -> None:
    principal = {"DATABRICKS_CLIENT_ID": "id-1", "DATABRICKS_CLIENT_SECRET": "dose1234567890"}
    ran = await bare.run("install", "cursor", "--yes", DATABRICKS_HOST=HOST, **principal)
    assert (ran.err, ran.code) == ("", 0)
    assert (home / ".databrickscfg").read_text(encoding="utf-8") == (
        f"[{PROFILE}]\nhost = {HOST}\nclient_id = id-1\nclient_secret = dose1234567890\n"
    )
