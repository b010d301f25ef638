"""Which command a host is told to start: this installation, absolutely, or uvx where that is what ran."""

import sys
from functools import partial
from pathlib import Path

import pytest

from databricks_responses_mcp.cli.launch_command import (
    given_command,
    installed_from,
    is_unreleased_name,
    own_command,
    secret_variables,
)
from databricks_responses_mcp.errors import BridgeError


def program(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o755)
    return str(path)


def test_the_script_that_was_started_is_the_one_that_is_registered(tmp_path: Path) -> None:
    script = program(tmp_path / "bin" / "databricks-responses-mcp")
    assert own_command(script, "/prefix", "/prefix/bin/python", {}) == (script,)


def test_a_link_to_it_stays_a_link_for_it_outlives_updates(tmp_path: Path) -> None:
    script = program(tmp_path / "tools" / "databricks-responses-mcp")
    link = tmp_path / "bin" / "databricks-responses-mcp"
    link.parent.mkdir()
    link.symlink_to(script)
    assert own_command(str(link), "/prefix", "/prefix/bin/python", {}) == (str(link),)


def test_a_relative_one_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = program(tmp_path / "bin" / "databricks-responses-mcp")
    monkeypatch.chdir(tmp_path)
    assert own_command("bin/databricks-responses-mcp", "/prefix", "/prefix/bin/python", {}) == (script,)


def test_as_a_module_it_is_the_script_beside_python(tmp_path: Path) -> None:
    script = program(tmp_path / "bin" / "databricks-responses-mcp")
    python = program(tmp_path / "bin" / "python")
    assert own_command("/src/databricks_responses_mcp/__main__.py", str(tmp_path), python, {}) == (script,)


def test_on_windows_it_is_the_program_of_that_name(tmp_path: Path) -> None:
    script = program(tmp_path / "Scripts" / "databricks-responses-mcp.exe")
    assert own_command(script.removesuffix(".exe"), "/prefix", "/prefix/python.exe", {}) == (script,)


def test_without_a_script_it_is_the_module(tmp_path: Path) -> None:
    python = program(tmp_path / "bin" / "python")
    assert own_command("x.py", str(tmp_path), python, {}) == (python, "-m", "databricks_responses_mcp")


@pytest.mark.parametrize("folder", ["archive-v0", "environments-v2", "builds-v0"])
def test_what_uvx_made_for_one_run_is_not_registered_but_uvx(folder: str, tmp_path: Path) -> None:
    prefix = tmp_path / "uv" / folder / "a1b2"
    script = program(prefix / "bin" / "databricks-responses-mcp")
    uvx = program(tmp_path / "bin" / "uvx")
    started = partial(own_command, script, str(prefix), sys.executable, released=True)
    on_path = started({"PATH": str(tmp_path / "bin")})
    beside_uv = started({"PATH": "", "UV": str(tmp_path / "bin" / "uv")})
    nowhere = started({"PATH": ""})
    assert (on_path, beside_uv, nowhere) == (
        (uvx, "databricks-responses-mcp"),
        (uvx, "databricks-responses-mcp"),
        ("uvx", "databricks-responses-mcp"),
    )


def test_what_pipx_made_for_one_run_is_not_registered_but_pipx(tmp_path: Path) -> None:
    prefix = tmp_path / "pipx" / ".cache" / "abc"
    script = program(prefix / "bin" / "databricks-responses-mcp")
    pipx = program(tmp_path / "bin" / "pipx")
    started = partial(own_command, script, str(prefix), sys.executable, {"PATH": str(tmp_path / "bin")})
    assert started(released=True) == (pipx, "run", "databricks-responses-mcp")
    assert started(source="/src") == (pipx, "run", "--spec", "/src", "databricks-responses-mcp")


def test_before_the_release_what_was_made_for_one_run_is_started_from_its_source_or_not_at_all(tmp_path: Path) -> None:
    prefix = tmp_path / "uv" / "archive-v0" / "a1b2"
    script = program(prefix / "bin" / "databricks-responses-mcp")
    started = partial(own_command, script, str(prefix), sys.executable, {"PATH": ""}, released=False)
    assert started(source="git+https://host/it@abc") == (
        *("uvx", "--from", "git+https://host/it@abc", "databricks-responses-mcp"),
    )
    with pytest.raises(BridgeError, match="not on PyPI"):
        started(source=None)


def test_this_installation_knows_the_folder_it_was_installed_from() -> None:
    assert installed_from() == str(Path(__file__).parents[2])


@pytest.mark.parametrize(
    ("words", "fetches"),
    [
        ("uvx databricks-responses-mcp", True),
        ("/home/me/.local/bin/uvx databricks-responses-mcp==0.1 --embedded", True),
        ("uv tool run databricks-responses-mcp", True),
        ("pipx run databricks-responses-mcp", True),
        ("uvx --from /src databricks-responses-mcp", False),
        ("uvx --from=git+https://host/it databricks-responses-mcp", False),
        ("uvx --index https://mine databricks-responses-mcp", False),
        ("databricks-responses-mcp", False),
        ("python -m databricks_responses_mcp", False),
    ],
)
def test_a_command_that_would_fetch_the_name_from_pypi_is_known(words: str, fetches: bool) -> None:
    assert is_unreleased_name(words.split(), {}, released=False) is fetches
    assert not is_unreleased_name(words.split(), {}, released=True)
    assert not is_unreleased_name(words.split(), {"UV_FIND_LINKS": "/wheels"}, released=False)


def test_a_command_of_ones_own_is_looked_up_for_a_users_file_alone(tmp_path: Path) -> None:
    uvx = program(tmp_path / "uvx")
    environ = {"PATH": str(tmp_path)}
    assert given_command("uvx 'a b'", environ, absolute=True) == (uvx, "a b")
    assert given_command("uvx 'a b'", environ, absolute=False) == ("uvx", "a b")
    assert given_command("missing", environ, absolute=True) == ("missing",)
    with pytest.raises(BridgeError, match="empty"):
        given_command(" ", environ, absolute=True)


def test_secrets_are_known_by_their_names_and_by_their_looks() -> None:
    env = {
        "DATABRICKS_TOKEN": "x",
        "MY_API_KEY": "x",
        "EMPTY_SECRET": "",
        "URL": "https://me:password@proxy",
        "NOTE": "dapi0123456789abcdef",
        "DATABRICKS_HOST": "https://dbc-1.cloud.databricks.com",
        "RESPONSES_MCP_MODEL": "databricks-gpt-5",
    }
    assert secret_variables(env) == ["DATABRICKS_TOKEN", "MY_API_KEY", "URL", "NOTE"]
