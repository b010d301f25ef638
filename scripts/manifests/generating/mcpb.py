"""The MCPB bundle for Claude Desktop, of the kind whose dependencies the host fetches with uv (manifest 0.4)."""

import json
import tomllib
from pathlib import Path
from typing import Any

from databricks_responses_mcp.hosts.server_info import SERVER, Variable
from databricks_responses_mcp.prompts.catalogue import PROMPTS
from databricks_responses_mcp.prompts.definition import ArgumentValues, Definition
from databricks_responses_mcp.tools.definitions import published_tools
from generating.icon import SIZE, icon_png
from generating.rendering import ISSUES, as_json, as_text, form_values

ROOT = Path(__file__).parents[3]
ENTRY = "server/main.py"


def bundle_files() -> dict[str, bytes]:
    """The bundle without the server itself, which ``build_mcpb.py`` puts in."""
    return {
        "manifest.json": as_json(_manifest()),
        "pyproject.toml": _pyproject(),
        ENTRY: as_text(
            '"""Where hosts start the server."""',
            "",
            "from databricks_responses_mcp.__main__ import main",
            "",
            'if __name__ == "__main__":',
            "    main()",
        ),
        "icon.png": icon_png(),
        ".mcpbignore": as_text(".venv/", "uv.lock", "__pycache__/", "*.pyc"),
    }


def _manifest() -> dict[str, Any]:
    return {
        "manifest_version": "0.4",
        "name": SERVER.distribution,
        "display_name": SERVER.title,
        "version": SERVER.version,
        "description": SERVER.summary,
        "long_description": SERVER.description,
        "author": {"name": SERVER.author, "url": SERVER.website},
        "repository": {"type": "git", "url": f"{SERVER.repository}.git"},
        "homepage": SERVER.website,
        "documentation": f"{SERVER.website}#readme",
        "support": ISSUES,
        "icon": "icon.png",
        "icons": [{"src": "icon.png", "size": f"{SIZE}x{SIZE}"}],
        "server": {
            "type": "uv",
            "entry_point": ENTRY,
            # Newer hosts run the entry point with their own uv; the tool demands this, and older hosts go by it.
            "mcp_config": {
                "command": "uv",
                "args": ["run", "--directory", "${__dirname}", ENTRY],
                "env": form_values(),
            },
        },
        "tools": [{"name": tool.name, "description": _first_line(tool.description)} for tool in published_tools()],
        "prompts": [_prompt(prompt) for prompt in PROMPTS.values()],
        "keywords": list(SERVER.keywords),
        "license": SERVER.license,
        "privacy_policies": [SERVER.privacy_policy],
        "compatibility": {
            "platforms": ["darwin", "win32", "linux"],
            "runtimes": {"python": _project()["requires-python"]},
        },
        "user_config": {variable.key: _field(variable) for variable in SERVER.variables},
    }


def _prompt(prompt: Definition) -> dict[str, Any]:
    names = [argument.name for argument in prompt.arguments]
    text = prompt.write(ArgumentValues({name: f"${{arguments.{name}}}" for name in names}))
    return {"name": prompt.name, "description": prompt.description, "arguments": names, "text": text}


def _field(variable: Variable) -> dict[str, Any]:
    example = f" For example {variable.example}." if variable.example else ""
    field: dict[str, Any] = {
        "type": variable.kind,
        "title": variable.title,
        "description": variable.description + example,
        "required": False,
    }
    if variable.secret:
        field["sensitive"] = True
    if variable.default:
        field["default"] = variable.default
    return field


def _pyproject() -> bytes:
    """What uv installs before it runs the entry point: the dependencies alone, with nothing to build."""
    project = _project()
    return as_text(
        "[project]",
        f'name = "{project["name"]}"',
        f'version = "{SERVER.version}"',
        f'requires-python = "{project["requires-python"]}"',
        "dependencies = [",
        *(f"  {json.dumps(dependency)}," for dependency in project["dependencies"]),
        "]",
        "",
        "[tool.uv]",
        "package = false",
    )


def _project() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project: dict[str, Any] = tomllib.load(file)["project"]
    return project


def _first_line(text: str | None) -> str:
    return (text or "").partition("\n")[0]
