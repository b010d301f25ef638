"""The tools' definitions as hosts get them, read from files.

Making them from the code takes pydantic tens of milliseconds, which a host would wait for at every start. The files are
made from the code by the tests (``UPDATE_DEFINITIONS=1``), and compared with it by the tests.
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
    """The definitions, in the order of ``NAMES``."""
    return tuple(Tool.model_validate(read_definition(name)) for name in NAMES)


def read_definition(name: str) -> dict[str, Any]:
    """One tool's definition, as JSON."""
    definition: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return definition
