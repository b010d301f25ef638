"""The Claude Code plugin, and the marketplace that offers it."""

from typing import Any

from databricks_responses_mcp.hosts.server_info import SERVER, Variable
from generating.icon import icon_png
from generating.rendering import NEEDED, READY, as_json, as_text, form_values

PLUGIN = "databricks-models"
# Tools are called mcp__plugin_PLUGIN_SERVER__TOOL, and models take 64 characters: both names must be short.
SERVER_KEY = "models"
MARKETPLACE = SERVER.distribution


def plugin_files() -> dict[str, bytes]:
    """The plugin's folder."""
    manifest = {
        "name": PLUGIN,
        "displayName": SERVER.title,
        "version": SERVER.version,
        "description": SERVER.summary,
        "author": {"name": SERVER.author, "url": SERVER.website},
        "homepage": SERVER.website,
        "repository": SERVER.repository,
        "license": SERVER.license,
        "keywords": list(SERVER.keywords),
        "userConfig": {variable.key: _option(variable) for variable in SERVER.variables},
    }
    server = {"command": READY.command, "args": list(READY.args), "env": form_values()}
    return {
        ".claude-plugin/plugin.json": as_json(manifest),
        ".claude-plugin/icon.png": icon_png(),
        ".mcp.json": as_json({"mcpServers": {SERVER_KEY: server}}),
        "README.md": as_text(
            f"# {SERVER.title}",
            "",
            SERVER.description,
            "",
            "```bash",
            f"claude plugin marketplace add {SERVER.repository.removeprefix('https://github.com/')}",
            f"claude plugin install {PLUGIN}@{MARKETPLACE} --config profile=DEFAULT",
            "```",
            "",
            f"For it {NEEDED}; it takes a profile of the Databricks CLI, or a host and a token:",
            "",
            "| option | what it is |",
            "|---|---|",
            *(f"| `{variable.key}` | {variable.description} |" for variable in SERVER.variables),
        ),
    }


def marketplace_file(plugin: str) -> bytes:
    """The marketplace; ``plugin`` is the path of the plugin's folder from its root."""
    entry = {
        "name": PLUGIN,
        "displayName": SERVER.title,
        "source": f"./{plugin}",
        "description": SERVER.summary,
        "version": SERVER.version,
        "author": {"name": SERVER.author, "url": SERVER.website},
        "homepage": SERVER.website,
        "repository": SERVER.repository,
        "license": SERVER.license,
        "keywords": list(SERVER.keywords),
        "category": "productivity",
    }
    return as_json(
        {
            "name": MARKETPLACE,
            "description": SERVER.summary,
            "owner": {"name": SERVER.author, "url": SERVER.website},
            "plugins": [entry],
        }
    )


def _option(variable: Variable) -> dict[str, Any]:
    option: dict[str, Any] = {
        "type": variable.kind,
        "title": variable.title,
        "description": variable.description,
        "required": False,
    }
    if variable.secret:
        option["sensitive"] = True
    if variable.default:
        option["default"] = variable.default
    return option
