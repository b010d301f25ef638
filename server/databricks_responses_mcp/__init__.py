"""An MCP server for the models of a Databricks workspace, through the OpenAI Responses API."""

__version__ = "0.1.0"
