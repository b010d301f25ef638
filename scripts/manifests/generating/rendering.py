"""How files are written: the same everywhere, so that a difference is a difference in content."""

import json
from typing import Any

from databricks_responses_mcp.hosts.server_info import RELEASED, SERVER, ready_launch

READY = ready_launch()
"""How the files here start the server."""

NEEDED = (
    "[uv](https://docs.astral.sh/uv/) must be installed"
    if RELEASED
    else f"`{SERVER.distribution}` must be installed and on the PATH"
)
"""What that takes."""

ISSUES = f"{SERVER.repository}/issues"


def as_json(value: Any) -> bytes:
    """As JSON, for people to read."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def as_text(*lines: str) -> bytes:
    """Lines."""
    return "".join(f"{line}\n" for line in lines).encode()


def form_values() -> dict[str, str]:
    """The environment of the server where a host's form fills it in: ``${user_config.KEY}`` for each variable."""
    return {variable.name: f"${{user_config.{variable.key}}}" for variable in SERVER.variables}
