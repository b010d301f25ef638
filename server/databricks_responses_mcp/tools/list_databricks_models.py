"""The tool ``list_databricks_models``."""

from typing import Annotated

from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult, TextContent
from pydantic import BaseModel, Field

from databricks_responses_mcp.calls.advice import mcp_words
from databricks_responses_mcp.calls.tool_call import ToolCall
from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.tools.arguments import Maybe, Optional
from databricks_responses_mcp.tools.schema import ErrorFacts, define_tool
from databricks_responses_mcp.turns.model_listing import list_models

DESCRIPTION = """\
List the models of the workspace: how each is reached and what it can do.
Use when a model name is needed, or when one was refused. Free."""


class ModelFacts(BaseModel):
    """One serving endpoint. With ``all``, also state, task, provider, kind, and the source of its capabilities."""

    name: str
    model_class: Maybe[str] = Field(None, alias="class", description="native, open, agent, chat or other")
    surface: Maybe[str] = None
    can: Maybe[list[str]] = None


class ModelList(BaseModel):
    """The endpoints that the caller may see."""

    models: Maybe[list[ModelFacts]] = None
    hidden: Maybe[int] = None
    default_model: Maybe[str] = None
    default_image_model: Maybe[str] = None
    mcp_servers: Maybe[list[dict[str, str]]] = None
    notes: Maybe[list[str]] = None
    error: Maybe[ErrorFacts] = None


async def list_databricks_models(
    call: ToolCall,
    name_contains: Annotated[
        Optional[str], Field(description="Only models whose name contains this text. Default: all.")
    ] = None,
    capability: Annotated[
        Optional[str],
        Field(
            description="Only models with this capability, for example image_generation or web_search. Default: any."
        ),
    ] = None,
    all: Annotated[  # noqa: A002 - what callers call it
        bool, Field(description="true also lists endpoints without text, MCP servers, and details. Default: false.")
    ] = False,
) -> Annotated[CallToolResult, ModelList]:
    """List the models; see DESCRIPTION."""
    try:
        listing = await list_models(
            call.app.bridge, name_contains or "", capability=capability, everything=all, brief=not all
        )
    except BridgeError as error:
        failed = await call.failure(error)
        return failed.model_copy(update={"structured_content": {"error": error.as_dict(mcp_words)}})
    return CallToolResult(content=[TextContent(text=listing.render_text())], structured_content=listing.as_dict())


def tool() -> Tool:
    """Return the definition of the tool."""
    return define_tool(
        list_databricks_models,
        title="List Databricks models",
        description=DESCRIPTION,
        read_only=True,
        destructive=False,
        idempotent=True,
        open_world=True,
    )
