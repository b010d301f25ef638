"""The hosts that `install` and `doctor` support, as data.

Sources: the paths and formats of Claude Code, Codex, Gemini CLI and opencode were tested with the programs themselves.
Those of VS Code, Cursor, Windsurf, Cline, Continue, goose, LM Studio, Kiro, Junie and Copilot CLI come from their
documentation, and those of Zed from its source. From issues of their projects: Copilot CLI expands ``${VAR}`` (since
1.0.10) and reads a project's ``.mcp.json``; Claude Desktop on Windows, which is installed as an MSIX package, has its
own copy of ``AppData``. Whether Claude Desktop, Zed, Cline, LM Studio and Junie expand variables is not documented, so
it is not relied on.

Timeouts shorter than 300 s are raised to 300 s: most answers are complete by then.
"""

from pathlib import Path

from databricks_responses_mcp.hosts import entry_formats, links
from databricks_responses_mcp.hosts.entry_formats import EntryFormat, plain
from databricks_responses_mcp.hosts.host import Host, Paths
from databricks_responses_mcp.hosts.machine import Machine

_RESTART = "Quit it completely and start it again."


def _home(*parts: str) -> Paths:
    return lambda machine: (machine.home.joinpath(*parts),)


def _application(*parts: str) -> Paths:
    return lambda machine: (machine.applications.joinpath(*parts),)


def _under(variable: str, default: str, *parts: str) -> Paths:
    """Return a path in the folder that a variable names, or else in a folder of the home folder."""
    return lambda machine: ((machine.folder(variable) or machine.home / default).joinpath(*parts),)


def _concatenate(*several: Paths) -> Paths:
    return lambda machine: tuple(path for paths in several for path in paths(machine))


def _claude_desktop(machine: Machine) -> tuple[Path, ...]:
    usual = machine.applications / "Claude"
    if machine.platform != "win32":
        return (usual,)
    packages = sorted((machine.local / "Packages").glob("Claude_*/LocalCache/Roaming"))
    return (*(package / "Claude" for package in packages), usual)


def _claude_code(machine: Machine) -> tuple[Path, ...]:
    return ((machine.folder("CLAUDE_CONFIG_DIR") or machine.home) / ".claude.json",)


def _zed(machine: Machine) -> tuple[Path, ...]:
    if machine.platform == "win32":
        return (machine.roaming / "Zed",)
    if machine.platform == "darwin":
        return (machine.home / ".config" / "zed",)
    return ((machine.folder("FLATPAK_XDG_CONFIG_HOME") or machine.xdg_config) / "zed",)


def _opencode(machine: Machine) -> tuple[Path, ...]:
    folder = machine.xdg_config / "opencode"
    return (folder / "opencode.json", folder / "opencode.jsonc")


def _cline(machine: Machine) -> tuple[Path, ...]:
    data = machine.folder("CLINE_DATA_DIR") or (machine.folder("CLINE_DIR") or machine.home / ".cline") / "data"
    extension = machine.applications / "Code" / "User" / "globalStorage" / "saoudrizwan.claude-dev"
    return (data / "settings" / "cline_mcp_settings.json", extension / "settings" / "cline_mcp_settings.json")


def _goose(machine: Machine) -> tuple[Path, ...]:
    if machine.platform == "win32":
        return (machine.roaming / "Block" / "goose" / "config",)
    return (machine.xdg_config / "goose",)


def _file(folders: Paths, name: str) -> Paths:
    return lambda machine: tuple(folder / name for folder in folders(machine))


HOSTS: tuple[Host, ...] = (
    Host(
        key="claude-desktop",
        title="Claude Desktop",
        user_files=_file(_claude_desktop, "claude_desktop_config.json"),
        entry_format=plain(),
        resolves_variables=False,
        usage_paths=_claude_desktop,
        apps=("Claude",),
        lacks_shell_path=True,
        next_step=_RESTART,
    ),
    Host(
        key="claude-code",
        title="Claude Code",
        user_files=_claude_code,
        project_file=".mcp.json",
        entry_format=plain(reference="${NAME}", before={"type": "stdio"}),
        usage_paths=_concatenate(_claude_code, _under("CLAUDE_CONFIG_DIR", ".claude")),
        commands=("claude",),
        add_command="claude mcp add",
        next_step="Start a new session, and type /mcp to see it.",
        next_step_in_project="Start a session in the project, and approve it when asked.",
    ),
    Host(
        key="vscode",
        title="VS Code",
        user_files=_application("Code", "User", "mcp.json"),
        project_file=".vscode/mcp.json",
        within=("servers",),
        entry_format=plain(reference="${input:name}", before={"type": "stdio"}),
        variable_source="question",
        related_items=entry_formats.make_inputs,
        usage_paths=_application("Code", "User"),
        apps=("Visual Studio Code",),
        commands=("code",),
        add_command="code --add-mcp",
        lacks_shell_path=True,
        next_step="Run `MCP: List Servers` from the command palette, and start it there.",
        make_link=links.make_vscode_link,
    ),
    Host(
        key="cursor",
        title="Cursor",
        user_files=_home(".cursor", "mcp.json"),
        project_file=".cursor/mcp.json",
        entry_format=plain(reference="${env:NAME}"),
        usage_paths=_home(".cursor"),
        apps=("Cursor",),
        commands=("cursor", "cursor-agent"),
        lacks_shell_path=True,
        next_step="Switch it on in Settings > Tools & MCP.",
        make_link=links.make_cursor_link,
    ),
    Host(
        key="windsurf",
        title="Windsurf",
        user_files=_home(".codeium", "windsurf", "mcp_config.json"),
        entry_format=plain(reference="${env:NAME}"),
        usage_paths=_home(".codeium", "windsurf"),
        apps=("Windsurf",),
        commands=("windsurf",),
        lacks_shell_path=True,
        next_step="Press the refresh button of the MCP servers in Cascade.",
    ),
    Host(
        key="zed",
        title="Zed",
        user_files=_file(_zed, "settings.json"),
        project_file=".zed/settings.json",
        within=("context_servers",),
        entry_format=plain(after={"timeout": 300}),  # seconds; 60 by default
        resolves_variables=False,
        usage_paths=_zed,
        apps=("Zed",),
        commands=("zed", "zeditor"),
        lacks_shell_path=True,
        next_step="It starts at once; the agent panel's settings show a green dot.",
    ),
    Host(
        key="codex",
        title="Codex",
        user_files=_under("CODEX_HOME", ".codex", "config.toml"),
        project_file=".codex/config.toml",
        format="toml",
        within=("mcp_servers",),
        entry_format=EntryFormat(entry_formats.write_codex, plain().read),
        usage_paths=_under("CODEX_HOME", ".codex"),
        commands=("codex",),
        add_command="codex mcp add",
        next_step="Start a new session, and type /mcp to see it.",
        next_step_in_project="Start a session in the project, and trust the folder: else its file is not read.",
    ),
    Host(
        key="gemini-cli",
        title="Gemini CLI",
        user_files=_home(".gemini", "settings.json"),
        project_file=".gemini/settings.json",
        entry_format=plain(reference="$NAME"),  # 600 s for a call by default
        usage_paths=_home(".gemini", "settings.json"),
        commands=("gemini",),
        add_command="gemini mcp add",
        next_step="Start a new session, and type /mcp to see it.",
        next_step_in_project="Start a session in the project, and trust the folder: else its file is not read.",
    ),
    Host(
        key="opencode",
        title="opencode",
        user_files=_opencode,
        project_file="opencode.json",
        within=("mcp",),
        entry_format=EntryFormat(entry_formats.write_opencode, entry_formats.read_opencode),
        usage_paths=lambda machine: (machine.xdg_config / "opencode",),
        commands=("opencode",),
        next_step="Start a new session; `opencode mcp list` shows it.",
    ),
    Host(
        key="cline",
        title="Cline",
        user_files=_cline,
        entry_format=plain(after={"disabled": False, "timeout": 300}),  # seconds; 60 by default
        resolves_variables=False,
        usage_paths=lambda machine: tuple(file.parents[1] for file in _cline(machine)),
        commands=("cline",),
        lacks_shell_path=True,
        next_step="Open Cline's MCP servers; it is under `Installed`.",
    ),
    Host(
        key="continue",
        title="Continue",
        user_files=_home(".continue", "config.yaml"),
        project_file=".continue/mcpServers/databricks.yaml",
        format="yaml",
        servers_are_list=True,
        entry_format=EntryFormat(entry_formats.write_continue, plain().read),
        variable_source="secrets",
        new_file="name: Local Config\nversion: 1.0.0\nschema: v1\n",
        usage_paths=_home(".continue"),
        commands=("cn",),
        lacks_shell_path=True,
        next_step="Reload the window, and use agent mode.",
    ),
    Host(
        key="goose",
        title="goose",
        user_files=_file(_goose, "config.yaml"),
        format="yaml",
        within=("extensions",),
        entry_format=EntryFormat(entry_formats.write_goose, entry_formats.read_goose),
        usage_paths=_goose,
        apps=("Goose",),
        commands=("goose",),
        add_command="goose configure",
        next_step="Start a new session.",
        make_link=links.make_goose_link,
    ),
    Host(
        key="lm-studio",
        title="LM Studio",
        # Older installations use the second folder.
        user_files=_concatenate(_home(".lmstudio", "mcp.json"), _home(".cache", "lm-studio", "mcp.json")),
        entry_format=plain(),
        resolves_variables=False,
        usage_paths=_concatenate(_home(".lmstudio"), _home(".cache", "lm-studio")),
        apps=("LM Studio",),
        commands=("lms",),
        lacks_shell_path=True,
        next_step="Switch `mcp/databricks` on in the Program tab.",
        make_link=links.make_lm_studio_link,
    ),
    Host(
        key="jetbrains",
        title="JetBrains (Junie)",
        user_files=_home(".junie", "mcp", "mcp.json"),
        project_file=".junie/mcp/mcp.json",
        entry_format=plain(),
        resolves_variables=False,
        usage_paths=_concatenate(_home(".junie"), _application("JetBrains")),
        commands=("junie",),
        lacks_shell_path=True,
        next_step="Switch it on in Settings > Tools > Junie > MCP Settings; for AI Assistant, paste what `--print` "
        "shows into Settings > Tools > AI Assistant > MCP.",
    ),
    Host(
        key="copilot-cli",
        title="Copilot CLI",
        user_files=_under("COPILOT_HOME", ".copilot", "mcp-config.json"),
        project_file=".mcp.json",
        # Claude Code, which reads the same project's file, also accepts `stdio`.
        entry_format=plain(reference="${NAME}", before={"type": "stdio"}, after={"tools": ["*"], "timeout": 300_000}),
        usage_paths=_under("COPILOT_HOME", ".copilot"),
        commands=("copilot",),
        next_step="Start a new session, and type /mcp to see it.",
    ),
    Host(
        key="kiro",
        title="Kiro",
        user_files=_home(".kiro", "settings", "mcp.json"),
        project_file=".kiro/settings/mcp.json",
        entry_format=plain(reference="${NAME}", after={"disabled": False}),
        usage_paths=_home(".kiro"),
        apps=("Kiro",),
        commands=("kiro", "kiro-cli"),
        lacks_shell_path=True,
        next_step="It connects at once; the MCP servers view shows it. It asks before it passes a variable on.",
        make_link=links.make_kiro_link,
    ),
)


def find_host(key: str) -> Host | None:
    """Return the host of that key; None if there is none."""
    return next((host for host in HOSTS if host.key == key), None)
