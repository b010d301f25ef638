"""Registering while the host itself writes to its file, and in files that cannot be written."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.cli import registration
from databricks_responses_mcp.cli.registration import Order, install, uninstall
from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.hosts.host import Host
from databricks_responses_mcp.hosts.machine import Machine
from databricks_responses_mcp.hosts.registry import find_host

COMMAND = ("uvx", "databricks-responses-mcp")


def host(key: str) -> Host:
    found = find_host(key)
    assert found is not None
    return found


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine("linux", tmp_path, {})


def writing(monkeypatch: pytest.MonkeyPatch, file: Path, times: int) -> Callable[[], int]:
    """Lets the host write to its file right after each of our first reads; says how often it was read."""
    read = registration.read_config
    reads = 0

    def reading(path: Path, *, within: Path | None = None) -> str:
        nonlocal reads
        text = read(path, within=within)
        reads += 1
        if reads <= times:
            file.write_text(json.dumps({"numStartups": reads, "mcpServers": {}}), encoding="utf-8")
        return text

    monkeypatch.setattr(registration, "read_config", reading)
    return lambda: reads


def test_what_the_host_writes_meanwhile_is_kept(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    file = machine.home / ".claude.json"
    reads = writing(monkeypatch, file, 2)
    done = install(host("claude-code"), machine, Order(command=COMMAND))
    assert (done.action, reads()) == ("registered", 3)
    assert json.loads(file.read_text(encoding="utf-8")) == snapshot(
        {
            "numStartups": 2,
            "mcpServers": {"databricks": {"type": "stdio", "command": "uvx", "args": ["databricks-responses-mcp"]}},
        }
    )


def test_a_host_that_never_stops_writing_is_told(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    file = machine.home / ".claude.json"
    writing(monkeypatch, file, 99)
    with pytest.raises(BridgeError) as caught:
        install(host("claude-code"), machine, Order(command=COMMAND))
    assert (caught.value.retryable, caught.value.message.replace(str(machine.home), "~")) == (
        True,
        "~/.claude.json was changed by another program in the meantime.",
    )
    assert "databricks" not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ['{"mcpServers": []}', '{"mcpServers": "none"}', "[]", '"text"', "{", "\x00"])
def test_a_file_of_another_form_is_left_alone(text: str, machine: Machine) -> None:
    file = machine.home / ".claude.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BridgeError) as caught:
        install(host("claude-code"), machine, Order(command=COMMAND))
    assert str(file) in caught.value.message
    assert "line 1" in caught.value.message
    assert file.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("text", ["", "\n", '{"mcpServers": null}', "\ufeff{}", "// nothing yet\n"])
def test_a_file_without_anything_is_filled(text: str, machine: Machine) -> None:
    file = machine.home / ".claude.json"
    file.write_text(text, encoding="utf-8")
    assert install(host("claude-code"), machine, Order(command=COMMAND)).action == "registered"
    assert install(host("claude-code"), machine, Order(command=COMMAND)).action == "unchanged"
    assert uninstall(host("claude-code"), machine, Order(command=COMMAND)).action == "removed"


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_named(machine: Machine) -> None:
    machine.home.chmod(0o500)
    try:
        with pytest.raises(BridgeError) as caught:
            install(host("claude-code"), machine, Order(command=COMMAND))
    finally:
        machine.home.chmod(0o700)
    assert str(machine.home) in caught.value.message


def test_a_folder_in_the_files_place_is_named(machine: Machine) -> None:
    (machine.home / ".claude.json").mkdir()
    with pytest.raises(BridgeError) as caught:
        install(host("claude-code"), machine, Order(command=COMMAND))
    assert ".claude.json" in caught.value.message


def test_a_second_name_stands_beside_the_first(machine: Machine) -> None:
    install(host("continue"), machine, Order(name="one", command=COMMAND))
    install(host("continue"), machine, Order(name="two", command=COMMAND))
    uninstall(host("continue"), machine, Order(name="one", command=COMMAND))
    assert host("continue").find_user_file(machine).read_text(encoding="utf-8") == snapshot("""\
name: Local Config
version: 1.0.0
schema: v1
mcpServers:
  - name: two
    type: stdio
    command: uvx
    args:
      - databricks-responses-mcp
""")
