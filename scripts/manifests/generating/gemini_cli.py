"""The Gemini CLI extension."""

from typing import Any

from databricks_responses_mcp.hosts.server_info import SERVER
from databricks_responses_mcp.tools.definitions import published_tools
from generating.rendering import READY, as_json, as_text


def extension_files() -> dict[str, bytes]:
    """The extension's folder."""
    extension: dict[str, Any] = {
        "name": SERVER.distribution,
        "version": SERVER.version,
        "description": SERVER.summary,
        "contextFileName": "GEMINI.md",
        # What the settings hold is put in the server's environment.
        "mcpServers": {SERVER.key: {"command": READY.command, "args": list(READY.args)}},
        "settings": [
            {
                "name": variable.title,
                "description": variable.description,
                "envVar": variable.name,
                "sensitive": variable.secret,
            }
            for variable in SERVER.variables
        ],
    }
    tools = [f"- `{tool.name}`: {(tool.description or '').partition(chr(10))[0]}" for tool in published_tools()]
    return {
        "gemini-extension.json": as_json(extension),
        "GEMINI.md": as_text(
            f"# {SERVER.title}",
            "",
            f"The MCP server `{SERVER.key}` reaches the models of the user's Databricks workspace:",
            "",
            *tools,
            "",
            "Those models see nothing of this conversation or of the files here: put what they need into the call.",
            "A call costs money: make one when the user asks for it, and pass on what an error's `hint` advises.",
        ),
    }
