"""The definitions of the tools for hosts, read from files.

Making them from the code takes pydantic tens of milliseconds, for which a host would wait at every start. The tests
make the files from the code (``UPDATE_DEFINITIONS=1``), and compare them with it.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from mcp.types import Tool

FOLDER = Path(__file__).parent
NAMES = (
    "ask_databricks_model",
    "continue_databricks_model",
    "generate_image",
    "search_web",
    "edit_files",
    "list_databricks_models",
    "get_response",
    "manage_conversations",
)
"""All tools, in the order in which hosts see them."""


@cache
def published_tools() -> tuple[Tool, ...]:
    """Return the definitions, in the order of ``NAMES``."""
    return tuple(Tool.model_validate(read_definition(name)) for name in NAMES)


def read_definition(name: str) -> dict[str, Any]:
    """Return the definition of one tool, as JSON."""
    definition: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return definition
