"""All tools, ready to be called."""

from importlib import import_module

from mcp.server.mcpserver.tools import Tool

from databricks_responses_mcp.tools.definitions import NAMES


def all_tools() -> list[Tool]:
    """The tools, in the order in which hosts see them; each is made by the module of its name."""
    return [import_module(f"databricks_responses_mcp.tools.{name}").tool() for name in NAMES]
