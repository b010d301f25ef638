"""``server.json``, with which the server is published to the MCP registry (format 2025-12-11)."""

from typing import Any

from databricks_responses_mcp.hosts.server_info import RELEASED, SERVER, Variable
from generating.rendering import as_json

SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"


def registry_files(*, released: bool = RELEASED) -> dict[str, bytes]:
    """Return the file that ``mcp-publisher publish`` takes; none before there is a package that it can name."""
    return {"server.json": as_json(_server())} if released else {}


def ownership_mark() -> str:
    """What the README must hold, so that the registry knows the package on PyPI for ours."""
    return f"<!-- mcp-name: {SERVER.registry_name} -->"


def _server() -> dict[str, Any]:
    # A bundle or an image is listed when there is one to download: the registry wants its hash, or its label.
    package = {
        "registryType": "pypi",
        "identifier": SERVER.distribution,
        "version": SERVER.version,
        "runtimeHint": "uvx",
        "transport": {"type": "stdio"},
        "environmentVariables": [_variable(variable) for variable in SERVER.variables],
    }
    return {
        "$schema": SCHEMA,
        "name": SERVER.registry_name,
        "title": SERVER.title,
        "description": SERVER.summary,
        "version": SERVER.version,
        "websiteUrl": SERVER.website,
        "repository": {"url": SERVER.repository, "source": "github"},
        "packages": [package],
    }


def _variable(variable: Variable) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": variable.name,
        "description": variable.description,
        "format": "filepath" if variable.kind == "directory" else "string",
        "isRequired": False,
        "isSecret": variable.secret,
    }
    if variable.example:
        entry["placeholder"] = variable.example
    if variable.default:
        entry["default"] = variable.default
    return entry
