"""The path of each host's file on each platform, and the detection of hosts."""

from pathlib import Path

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.hosts.host import Host
from databricks_responses_mcp.hosts.machine import Machine
from databricks_responses_mcp.hosts.registry import HOSTS, find_host


def host(key: str) -> Host:
    found = find_host(key)
    assert found is not None
    return found


def paths(machine: Machine) -> dict[str, str]:
    return {known.key: known.find_user_file(machine).as_posix() for known in HOSTS}


def test_on_linux() -> None:
    assert paths(Machine("linux", Path("/home/me"), {})) == snapshot(
        {
            "claude-desktop": "/home/me/.config/Claude/claude_desktop_config.json",
            "claude-code": "/home/me/.claude.json",
            "vscode": "/home/me/.config/Code/User/mcp.json",
            "cursor": "/home/me/.cursor/mcp.json",
            "windsurf": "/home/me/.codeium/windsurf/mcp_config.json",
            "zed": "/home/me/.config/zed/settings.json",
            "codex": "/home/me/.codex/config.toml",
            "gemini-cli": "/home/me/.gemini/settings.json",
            "opencode": "/home/me/.config/opencode/opencode.json",
            "cline": "/home/me/.cline/data/settings/cline_mcp_settings.json",
            "continue": "/home/me/.continue/config.yaml",
            "goose": "/home/me/.config/goose/config.yaml",
            "lm-studio": "/home/me/.lmstudio/mcp.json",
            "jetbrains": "/home/me/.junie/mcp/mcp.json",
            "copilot-cli": "/home/me/.copilot/mcp-config.json",
            "kiro": "/home/me/.kiro/settings/mcp.json",
        }
    )


def test_on_macos() -> None:
    machine = Machine("darwin", Path("/Users/me"), {"XDG_CONFIG_HOME": ""})
    assert paths(machine) == snapshot(
        {
            "claude-desktop": "/Users/me/Library/Application Support/Claude/claude_desktop_config.json",
            "claude-code": "/Users/me/.claude.json",
            "vscode": "/Users/me/Library/Application Support/Code/User/mcp.json",
            "cursor": "/Users/me/.cursor/mcp.json",
            "windsurf": "/Users/me/.codeium/windsurf/mcp_config.json",
            "zed": "/Users/me/.config/zed/settings.json",
            "codex": "/Users/me/.codex/config.toml",
            "gemini-cli": "/Users/me/.gemini/settings.json",
            "opencode": "/Users/me/.config/opencode/opencode.json",
            "cline": "/Users/me/.cline/data/settings/cline_mcp_settings.json",
            "continue": "/Users/me/.continue/config.yaml",
            "goose": "/Users/me/.config/goose/config.yaml",
            "lm-studio": "/Users/me/.lmstudio/mcp.json",
            "jetbrains": "/Users/me/.junie/mcp/mcp.json",
            "copilot-cli": "/Users/me/.copilot/mcp-config.json",
            "kiro": "/Users/me/.kiro/settings/mcp.json",
        }
    )


def test_on_windows() -> None:
    environ = {"APPDATA": "C:/Users/me/AppData/Roaming", "LOCALAPPDATA": "C:/Users/me/AppData/Local"}
    assert paths(Machine("win32", Path("C:/Users/me"), environ)) == snapshot(
        {
            "claude-desktop": "C:/Users/me/AppData/Roaming/Claude/claude_desktop_config.json",
            "claude-code": "C:/Users/me/.claude.json",
            "vscode": "C:/Users/me/AppData/Roaming/Code/User/mcp.json",
            "cursor": "C:/Users/me/.cursor/mcp.json",
            "windsurf": "C:/Users/me/.codeium/windsurf/mcp_config.json",
            "zed": "C:/Users/me/AppData/Roaming/Zed/settings.json",
            "codex": "C:/Users/me/.codex/config.toml",
            "gemini-cli": "C:/Users/me/.gemini/settings.json",
            "opencode": "C:/Users/me/.config/opencode/opencode.json",
            "cline": "C:/Users/me/.cline/data/settings/cline_mcp_settings.json",
            "continue": "C:/Users/me/.continue/config.yaml",
            "goose": "C:/Users/me/AppData/Roaming/Block/goose/config/config.yaml",
            "lm-studio": "C:/Users/me/.lmstudio/mcp.json",
            "jetbrains": "C:/Users/me/.junie/mcp/mcp.json",
            "copilot-cli": "C:/Users/me/.copilot/mcp-config.json",
            "kiro": "C:/Users/me/.kiro/settings/mcp.json",
        }
    )


def test_hosts_that_read_a_file_of_the_project_get_one() -> None:
    found = {known.key: known.project_path(Path("/p")) for known in HOSTS}
    assert {key: path and path.as_posix() for key, path in found.items()} == snapshot(
        {
            "claude-desktop": None,
            "claude-code": "/p/.mcp.json",
            "vscode": "/p/.vscode/mcp.json",
            "cursor": "/p/.cursor/mcp.json",
            "windsurf": None,
            "zed": "/p/.zed/settings.json",
            "codex": "/p/.codex/config.toml",
            "gemini-cli": "/p/.gemini/settings.json",
            "opencode": "/p/opencode.json",
            "cline": None,
            "continue": "/p/.continue/mcpServers/databricks.yaml",
            "goose": None,
            "lm-studio": None,
            "jetbrains": "/p/.junie/mcp/mcp.json",
            "copilot-cli": "/p/.mcp.json",
            "kiro": "/p/.kiro/settings/mcp.json",
        }
    )


def test_variables_that_hosts_honour_change_the_paths() -> None:
    environ = {
        "XDG_CONFIG_HOME": "/xdg",
        "CLAUDE_CONFIG_DIR": "/claude",
        "CODEX_HOME": "/codex",
        "COPILOT_HOME": "/copilot",
        "CLINE_DIR": "/cline",
    }
    usual = paths(Machine("linux", Path("/home/me"), {}))
    led = paths(Machine("linux", Path("/home/me"), environ))
    assert {key: path for key, path in led.items() if path != usual[key]} == snapshot(
        {
            "claude-desktop": "/xdg/Claude/claude_desktop_config.json",
            "claude-code": "/claude/.claude.json",
            "vscode": "/xdg/Code/User/mcp.json",
            "zed": "/xdg/zed/settings.json",
            "codex": "/codex/config.toml",
            "opencode": "/xdg/opencode/opencode.json",
            "cline": "/cline/data/settings/cline_mcp_settings.json",
            "goose": "/xdg/goose/config.yaml",
            "copilot-cli": "/copilot/mcp-config.json",
        }
    )


def test_a_relative_folder_in_a_variable_is_ignored_as_hosts_ignore_it() -> None:
    environ = {"XDG_CONFIG_HOME": "config", "CODEX_HOME": "codex"}
    assert paths(Machine("linux", Path("/home/me"), environ)) == paths(Machine("linux", Path("/home/me"), {}))


def test_claude_desktop_from_its_windows_package_has_its_own_folder(tmp_path: Path) -> None:
    package = tmp_path / "AppData/Local/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming"
    package.mkdir(parents=True)
    machine = Machine("win32", tmp_path, {})
    assert host("claude-desktop").find_user_file(machine) == package / "Claude" / "claude_desktop_config.json"


def test_the_file_that_exists_is_used(tmp_path: Path) -> None:
    machine = Machine("linux", tmp_path, {})
    file = tmp_path / ".config/opencode/opencode.jsonc"
    file.parent.mkdir(parents=True)
    assert host("opencode").find_user_file(machine).name == "opencode.json"
    file.touch()
    assert host("opencode").find_user_file(machine) == file


def test_cline_in_an_editor_uses_the_editors_file_until_it_has_its_own(tmp_path: Path) -> None:
    machine = Machine("linux", tmp_path, {})
    editors = tmp_path / ".config/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json"
    shared = tmp_path / ".cline/data/settings/cline_mcp_settings.json"
    assert host("cline").find_user_file(machine) == shared
    editors.parent.mkdir(parents=True)
    assert host("cline").find_user_file(machine) == editors
    shared.parent.mkdir(parents=True)
    shared.touch()
    assert host("cline").find_user_file(machine) == shared


@pytest.mark.parametrize("key", [known.key for known in HOSTS])
def test_a_host_is_detected_by_its_files(key: str, tmp_path: Path) -> None:
    for platform in ("linux", "darwin", "win32"):
        home = tmp_path / platform
        machine = Machine(platform, home, {"PATH": ""})
        assert not host(key).is_present(machine)
        sign = host(key).usage_paths(machine)[0]
        assert sign.is_relative_to(home)
        sign.mkdir(parents=True)
        assert host(key).is_used(machine)
        assert host(key).is_present(machine)


@pytest.mark.parametrize("known", [known for known in HOSTS if known.commands], ids=lambda known: known.key)
def test_a_host_is_detected_by_its_command(known: Host, tmp_path: Path) -> None:
    command = tmp_path / "bin" / known.commands[0]
    command.parent.mkdir()
    command.touch(mode=0o755)
    machine = Machine("linux", tmp_path, {"PATH": str(command.parent)})
    assert known.is_present(machine)
    assert not known.is_used(machine)


@pytest.mark.parametrize("known", [known for known in HOSTS if known.apps], ids=lambda known: known.key)
def test_a_host_is_detected_by_its_bundle_on_macos(known: Host, tmp_path: Path) -> None:
    (tmp_path / "Applications" / f"{known.apps[0]}.app").mkdir(parents=True)
    assert known.is_present(Machine("darwin", tmp_path, {"PATH": ""}))
    assert not known.is_present(Machine("linux", tmp_path, {"PATH": ""}))


def test_keys_are_unique() -> None:
    assert len({known.key for known in HOSTS}) == len(HOSTS) == 16
