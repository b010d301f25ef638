"""All tools, in the order in which hosts see them."""

from mcp.server.mcpserver.tools import Tool

from databricks_responses_mcp.tools import (
    ask_databricks_model,
    continue_databricks_model,
    generate_image,
    list_databricks_models,
)


def all_tools() -> list[Tool]:
    """The tools' definitions."""
    return [
        ask_databricks_model.tool(),
        continue_databricks_model.tool(),
        generate_image.tool(),
        list_databricks_models.tool(),
    ]
