"""Static keys: their file, the commands that write it, and what a service notices of it."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from mcp.server.auth.provider import AccessToken

from databricks_responses_mcp.cli.keys import command
from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.hosts.config_file import read_config
from databricks_responses_mcp.service import static_keys
from databricks_responses_mcp.service.refusals import SignInError
from databricks_responses_mcp.service.static_keys import (
    ISSUER,
    KEY_PREFIX,
    HashedKey,
    KeyFile,
    KeyTable,
    new_key,
    read_keys,
)
from databricks_responses_mcp.workspace.secret_values import SecretValues

pytestmark = pytest.mark.anyio


def keys(*arguments: str, file: Path) -> str:
    """Run a command for keys; returns what it prints."""
    done = CliRunner().invoke(command, [*arguments, "--file", str(file)], obj=SecretValues(), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout.strip()


@pytest.fixture(autouse=True)
def noticed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a changed file noticed by the next request."""
    monkeypatch.setattr(static_keys, "_CHECK_SECONDS", -1.0)


async def name_of(file: KeyFile, key: str) -> str | None:
    """Return whose key it is."""
    found = await file.verify_token(key)
    return None if found is None else found.subject


async def test_a_key_that_is_made_is_of_its_user_until_it_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "keys"
    ada, bob = keys("add", "ada@example.com", file=path), keys("add", "bob", file=path)
    assert ada.startswith(KEY_PREFIX)
    assert len({ada, bob}) == 2
    assert ada not in path.read_text(encoding="utf-8")
    assert path.stat().st_mode & 0o777 == 0o600
    file = KeyFile(path, ("mcp",), "https://mcp.example.com/mcp")
    found = await file.verify_token(ada)
    assert found is not None
    assert found.model_dump(exclude_defaults=True) == {
        "token": "",
        "client_id": "static-key",
        "scopes": ["mcp"],
        "resource": "https://mcp.example.com/mcp",
        "subject": "ada@example.com",
        "claims": {"iss": ISSUER, "name": "ada@example.com"},
    }
    newer = keys("add", "bob", file=path)
    assert [await name_of(file, key) for key in (bob, newer)] == ["bob", "bob"]
    assert keys("list", file=path) == "ada@example.com\nbob"
    keys("remove", "bob", file=path)
    assert [await name_of(file, key) for key in (ada, bob, newer)] == ["ada@example.com", None, None]


def test_only_a_key_of_the_file_is_remembered_when_it_is_presented_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys"
    ada, stranger = keys("add", "ada", file=path), new_key("eve")[0]
    keys("add", "bob", file=path)
    compared: list[str] = []
    matches = HashedKey.matches

    def counted(line: HashedKey, key: bytes) -> bool:
        compared.append(line.name)
        return matches(line, key)

    monkeypatch.setattr(HashedKey, "matches", counted)
    table = KeyTable(read_keys(path)[0], lambda user: AccessToken(token="", client_id="", scopes=[], subject=user))
    found = [table.find(key.encode()) for key in (ada, ada, stranger, stranger)]
    assert [token and token.subject for token in found] == ["ada", "ada", None, None]
    assert compared == ["ada", "bob"] * 3


def test_commands_leave_a_link_and_the_files_mode_and_no_copy_of_it(tmp_path: Path) -> None:
    target, path = tmp_path / "target", tmp_path / "keys"
    target.touch(0o600)
    target.chmod(0o640)
    path.symlink_to(target)
    keys("add", "ada", file=path)
    keys("add", "bob", file=path)
    keys("remove", "ada", file=path)
    assert path.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert sorted(tmp_path.iterdir()) == [path, target]
    assert keys("list", file=path) == "bob"


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root may give files away")
def test_an_administrator_who_adds_a_key_leaves_the_file_to_the_account_of_the_service(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    keys("add", "ada", file=path)
    os.chown(path, 65534, 65534)
    keys("add", "bob", file=path)
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)


def test_of_two_commands_at_once_neither_loses_the_key_of_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys"
    keys("add", "ada", file=path)

    def read_before_another_command(file: Path) -> str:
        text = read_config(file)
        monkeypatch.undo()
        keys("add", "bob", file=file)
        return text

    monkeypatch.setattr("databricks_responses_mcp.cli.keys.read_config", read_before_another_command)
    with pytest.raises(BridgeError, match="was changed by another program"):
        keys("add", "eve", file=path)
    assert keys("list", file=path) == "ada\nbob"


@pytest.mark.parametrize("name", ["", "a:b", "a b", "a\nb", "#a", "é", "x" * 101, "../x"])
def test_a_name_that_a_line_cannot_hold_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BridgeError, match="cannot be the name of a key"):
        CliRunner().invoke(
            command, ["add", "--file", str(tmp_path / "keys"), "--", name], obj=SecretValues(), catch_exceptions=False
        )
    assert not (tmp_path / "keys").exists()


async def test_a_wrong_line_locks_nobody_else_out_and_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    ada, bob = keys("add", "ada", file=path), keys("add", "bob", file=path)
    file = KeyFile(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    broken = [lines[0], lines[1][:-1], "eve:plain$00$00", f"eve:{ada}", "# a comment", ""]
    path.write_text("\n".join(broken), encoding="utf-8")
    assert [await name_of(file, key) for key in (ada, bob, "")] == ["ada", None, None]
    with pytest.raises(BridgeError, match=r"line 2 is not NAME:sha256\$SALT\$HASH"):
        KeyFile(path)


async def test_while_the_file_cannot_be_read_nobody_is_let_in(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    ada = keys("add", "ada", file=path)
    file = KeyFile(path)
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(SignInError) as refused:
        await file.verify_token(ada)
    assert refused.value.status == 503
    (tmp_path / "elsewhere").rename(path)
    assert await name_of(file, ada) == "ada"
    path.chmod(0o666)
    path.touch()
    with pytest.raises(SignInError):
        await file.verify_token(ada)
