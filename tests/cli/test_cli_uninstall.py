"""``install --uninstall`` leaves what was there before the first registration; of a file that was there, one backup."""

from pathlib import Path

import pytest

from databricks_responses_mcp.cli.registration import Order, install, uninstall
from databricks_responses_mcp.hosts.host import Host
from databricks_responses_mcp.hosts.machine import Machine
from databricks_responses_mcp.hosts.registry import HOSTS, find_host

FILES: dict[str, list[str]] = {
    "json": ["{}", '{"theme": "dark"}', '{\n  "theme": "dark",\n  "mcpServers": {}\n}\n'],
    "toml": ['model = "x"\n'],
    "yaml": ["name: Mine\nversion: 1.0.0\n", "name: Mine\nmcpServers: []\n"],
}
EXISTING = [
    pytest.param(host, text, id=f"{host.key}-{number}")
    for host in HOSTS
    for number, text in enumerate(FILES[host.format])
]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    home = tmp_path / "home"
    home.mkdir()
    return Machine("linux", home, {})


def host(key: str) -> Host:
    found = find_host(key)
    assert found is not None
    return found


def below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("known", HOSTS, ids=lambda known: known.key)
def test_where_there_was_nothing_nothing_is_left(known: Host, machine: Machine) -> None:
    install(known, machine, Order())
    install(known, machine, Order(env={"RESPONSES_MCP_MODEL": "databricks-gpt-5"}))
    install(known, machine, Order(env={"RESPONSES_MCP_MODEL": "databricks-gpt-6"}))
    done = uninstall(known, machine, Order())
    assert (done.action, done.deleted, done.backup, below(machine.home)) == ("removed", True, None, [])


@pytest.mark.parametrize(("known", "text"), EXISTING)
def test_a_file_that_was_there_is_as_it_was_beside_one_backup(known: Host, text: str, machine: Machine) -> None:
    file = known.find_user_file(machine)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    for model in ("one", "two", "three"):
        install(known, machine, Order(env={"RESPONSES_MCP_MODEL": model}))
    done = uninstall(known, machine, Order())
    assert (file.read_text(encoding="utf-8"), done.deleted) == (text, False)
    assert sorted(file.parent.iterdir()) == sorted([file, done.backup or file])


def test_a_second_registration_keeps_the_file(machine: Machine) -> None:
    cursor = host("cursor")
    install(cursor, machine, Order(name="one"))
    install(cursor, machine, Order(name="two"))
    assert not uninstall(cursor, machine, Order(name="two")).deleted
    assert uninstall(cursor, machine, Order(name="one")).deleted
    assert below(machine.home) == []


def test_what_others_put_beside_the_file_stays(machine: Machine) -> None:
    cursor = host("cursor")
    install(cursor, machine, Order())
    (machine.home / ".cursor" / "rules").write_text("mine", encoding="utf-8")
    assert uninstall(cursor, machine, Order()).deleted
    assert below(machine.home) == [".cursor", ".cursor/rules"]


def test_a_file_that_is_a_link_stays_one(machine: Machine) -> None:
    cursor = host("cursor")
    (machine.home / "dotfiles").mkdir()
    (machine.home / "dotfiles" / "mcp.json").write_text("", encoding="utf-8")
    (machine.home / ".cursor").mkdir()
    (machine.home / ".cursor" / "mcp.json").symlink_to(machine.home / "dotfiles" / "mcp.json")
    install(cursor, machine, Order())
    assert not uninstall(cursor, machine, Order()).deleted
    assert (machine.home / ".cursor" / "mcp.json").is_symlink()


def test_a_project_keeps_its_own_folder(machine: Machine) -> None:
    project = machine.home / "project"
    project.mkdir()
    install(host("vscode"), machine, Order(project=project))
    assert uninstall(host("vscode"), machine, Order(project=project)).deleted
    assert below(machine.home) == ["project"]


def test_installing_again_and_again_keeps_the_first_and_the_last_backup(machine: Machine) -> None:
    cursor = host("cursor")
    file = cursor.find_user_file(machine)
    file.parent.mkdir()
    file.write_text('{"mine": 1}', encoding="utf-8")
    for model in map(str, range(6)):
        install(cursor, machine, Order(env={"RESPONSES_MCP_MODEL": model}))
    texts = [backup.read_text(encoding="utf-8") for backup in sorted(file.parent.glob("*.databricks-backup"))]
    assert sorted('"4"' in text for text in texts) == [False, True]
    assert '{"mine": 1}' in texts
