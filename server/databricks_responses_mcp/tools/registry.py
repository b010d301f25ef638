"""All tools, ready to be called. Importing this module imports what the tools need."""

from mcp.server.mcpserver.tools import Tool

from databricks_responses_mcp.tools import (
    ask_databricks_model,
    continue_databricks_model,
    edit_files,
    generate_image,
    get_response,
    list_databricks_models,
    manage_conversations,
    search_web,
)

_MODULES = (
    ask_databricks_model,
    continue_databricks_model,
    generate_image,
    search_web,
    edit_files,
    list_databricks_models,
    get_response,
    manage_conversations,
)


def all_tools() -> list[Tool]:
    """Return the tools in the order in which hosts see them."""
    return [module.tool() for module in _MODULES]
