"""The tools, ready to be called: each is the module of its name, which is imported when the tool is first needed."""

from importlib import import_module

from mcp.server.mcpserver.tools import Tool

from databricks_responses_mcp.tools.definitions import NAMES


def tool_named(name: str) -> Tool:
    """Return one tool; this imports what that tool needs, and nothing that only others need.

    Args:
        name: one of ``NAMES``.
    """
    tool: Tool = import_module(f"databricks_responses_mcp.tools.{name}").tool()
    return tool


def all_tools() -> list[Tool]:
    """Return the tools in the order in which hosts see them."""
    return [tool_named(name) for name in NAMES]
