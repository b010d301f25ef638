"""The tool ``list_databricks_models``."""

from typing import Annotated

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult, TextContent
from pydantic import BaseModel, Field

from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.tools.arguments import Maybe, Optional
from databricks_responses_mcp.tools.results import error_result
from databricks_responses_mcp.tools.schema import ErrorFacts, define_tool
from databricks_responses_mcp.tools.state import App, app_of

DESCRIPTION = """\
List the workspace's serving endpoints: state, task, provider, whether the Responses API serves them.
Use when a model name is needed, or one was refused. Free."""


class ModelFacts(BaseModel):
    """One serving endpoint."""

    name: str
    state: str
    task: Maybe[str] = None
    provider: Maybe[str] = None
    kind: Maybe[str] = None
    serves_responses: str = Field(description="yes, no or unknown")
    reason: Maybe[str] = Field(None, description="Why we think so.")
    draws: Maybe[str] = Field(None, description="Fit for generate_image: yes, no or unknown.")


class ModelList(BaseModel):
    """The endpoints that the caller may see."""

    models: Maybe[list[ModelFacts]] = None
    default_model: Maybe[str] = None
    default_image_model: Maybe[str] = None
    error: Maybe[ErrorFacts] = None


async def list_databricks_models(
    ctx: Context[App],
    name_contains: Annotated[Optional[str], Field(description="Only names with this. Default: all.")] = None,
    responses_only: Annotated[
        Optional[bool], Field(description="Only those that may serve the Responses API. Default true.")
    ] = None,
) -> Annotated[CallToolResult, ModelList]:
    """List endpoints; see DESCRIPTION."""
    from databricks_responses_mcp.tools.listing import list_models

    app = app_of(ctx)
    try:
        listing = await list_models(app.bridge, name_contains or "", responses_only=responses_only is not False)
    except BridgeError as error:
        failed = error_result(app, error)
        return failed.model_copy(update={"structured_content": {"error": error.as_dict()}})
    return CallToolResult(content=[TextContent(text=listing.words())], structured_content=listing.facts())


def tool() -> Tool:
    """The tool's definition."""
    return define_tool(
        list_databricks_models,
        title="List Databricks models",
        description=DESCRIPTION,
        read_only=True,
        destructive=False,
        idempotent=True,
        open_world=True,
    )
