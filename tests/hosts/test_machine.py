"""Programs are found on the user's PATH and not in the current folder; lasting variables in the files that set them."""

import os
import sys
from pathlib import Path

import pytest

from databricks_responses_mcp.hosts.machine import Machine

posix = pytest.mark.skipif(sys.platform == "win32", reason="marks programs as POSIX does")


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o755)
    return path


@posix
def test_the_first_executable_on_the_path_is_found_and_other_files_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "tool").touch(mode=0o644)
    found = program(tmp_path / "b" / "tool")
    program(tmp_path / "c" / "tool")
    machine = Machine("linux", tmp_path, {"PATH": os.pathsep.join(str(tmp_path / name) for name in "abc")})
    assert machine.which("tool") == found
    assert machine.which(str(found)) == found
    assert machine.which("tool", "") is None
    assert machine.which("") is None


@posix
@pytest.mark.parametrize("path", ["", ".", f".{os.pathsep}", "bin"])
def test_the_current_folder_is_not_searched(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "tool")
    program(tmp_path / "bin" / "tool")
    monkeypatch.chdir(tmp_path)
    assert Machine("linux", tmp_path, {"PATH": path}).which("tool") is None
    assert Machine("win32", tmp_path, {"PATH": path}).which("tool") is None


@posix
def test_on_windows_an_extension_may_be_left_out_and_npm_scripts_are_programs(tmp_path: Path) -> None:
    exe, cmd = program(tmp_path / "uvx.exe"), program(tmp_path / "claude.cmd")
    program(tmp_path / "claude")  # npm's script for other shells, which Windows cannot start
    machine = Machine("win32", tmp_path, {"PATH": f'"{tmp_path}"', "PATHEXT": ".COM;.EXE;.BAT;.CMD"})
    assert (machine.which("uvx"), machine.which("uvx.exe"), machine.which("claude")) == (exe, exe, cmd)
    assert machine.which(str(tmp_path / "uvx")) == exe


def test_desktop_variables_are_read_from_the_files_that_set_them(tmp_path: Path) -> None:
    (tmp_path / ".config" / "environment.d").mkdir(parents=True)
    (tmp_path / ".config" / "fish").mkdir()
    (tmp_path / ".profile").write_text("  export ONE=1\n# export TWO=2\necho THREE=3\n")
    (tmp_path / ".config" / "environment.d" / "a.conf").write_text("FOUR=4\n")
    (tmp_path / ".config" / "fish" / "config.fish").write_text("set -gx FIVE 5\nset SIX 6\n")
    (tmp_path / ".pam_environment").write_text("SEVEN DEFAULT=7\n")
    (tmp_path / ".zshrc").mkdir()
    found = Machine("linux", tmp_path, {}).desktop_variables()
    names = ("ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN")
    assert [name for name in names if name in found] == ["ONE", "FOUR", "FIVE", "SEVEN"]
