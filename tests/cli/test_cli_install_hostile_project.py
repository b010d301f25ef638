"""A project folder that somebody else made can have nothing run, and nothing written outside of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from databricks_responses_mcp.cli.registration import Order, install, is_committed, preview, uninstall
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.hosts.host import Host
from databricks_responses_mcp.hosts.machine import Machine
from databricks_responses_mcp.hosts.registry import find_host

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX links and scripts")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    home = tmp_path / "home"
    home.mkdir()
    return Machine("linux", home, {"PATH": os.environ["PATH"], "HOME": str(home)})


@pytest.fixture
def project(machine: Machine) -> Path:
    folder = machine.home / "project"
    folder.mkdir()
    return folder


def host(key: str) -> Host:
    found = find_host(key)
    assert found is not None
    return found


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


def test_git_runs_no_program_that_the_repository_names(project: Path, machine: Machine) -> None:
    marker = project / "ran"
    script = project / "hook.sh"
    script.write_text(f"#!/bin/sh\ntouch {marker}\n", encoding="utf-8")
    script.chmod(0o755)
    git(project, "init", "--quiet")
    (project / "mcp.json").write_text("{}", encoding="utf-8")
    git(project, "add", "mcp.json")
    git(project, "config", "core.fsmonitor", str(script))
    git(project, "config", "core.hooksPath", str(project))
    assert is_committed(project / "mcp.json", machine)
    assert not marker.exists()
    (project / ".gitignore").write_text("secret.json\n", encoding="utf-8")
    assert not is_committed(project / "secret.json", machine)
    assert not marker.exists()


def test_a_program_called_git_in_the_project_is_not_run(
    project: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = project / "ran"
    (project / "git").write_text(f"#!/bin/sh\ntouch {marker}\n", encoding="utf-8")
    (project / "git").chmod(0o755)
    (project / ".git").mkdir()
    monkeypatch.chdir(project)
    relative = Machine("linux", machine.home, {**machine.environ, "PATH": f".{os.pathsep}{machine.environ['PATH']}"})
    assert is_committed(project / "mcp.json", relative)
    assert not marker.exists()


@pytest.mark.parametrize("linked", ["file", "folder"])
@pytest.mark.parametrize("there", [True, False], ids=["to something", "to nothing"])
def test_a_link_that_leads_out_of_the_project_is_not_written_through(
    linked: str, there: bool, project: Path, machine: Machine
) -> None:
    outside = machine.home / "outside"
    target = outside / "mcp.json"
    if there:
        outside.mkdir()
        target.write_text('{"secret": 1}', encoding="utf-8")
    if linked == "folder":
        (project / ".cursor").symlink_to(outside)
    else:
        (project / ".cursor").mkdir()
        (project / ".cursor" / "mcp.json").symlink_to(target)
    for attempt in (install, uninstall, preview):
        with pytest.raises(BridgeError, match="leads out of") as caught:
            attempt(host("cursor"), machine, Order(project=project))
        assert caught.value.code is ErrorCode.INVALID_ARGUMENT
    assert (target.read_text(encoding="utf-8") if there else target.exists()) == ('{"secret": 1}' if there else False)


def test_a_link_within_the_project_is_followed(project: Path, machine: Machine) -> None:
    (project / "config").mkdir()
    (project / ".cursor").symlink_to(project / "config")
    install(host("cursor"), machine, Order(project=project))
    assert (project / "config" / "mcp.json").is_file()


def test_a_project_that_is_reached_by_a_link_is_itself(project: Path, machine: Machine) -> None:
    (machine.home / "link").symlink_to(project)
    install(host("cursor"), machine, Order(project=machine.home / "link"))
    assert (project / ".cursor" / "mcp.json").is_file()
