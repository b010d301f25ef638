"""The tool ``manage_conversations``."""

from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult
from pydantic import BaseModel, Field

from databricks_responses_mcp.calls.state import App
from databricks_responses_mcp.tools.arguments import Maybe, Optional
from databricks_responses_mcp.tools.schema import ErrorFacts, define_tool

DESCRIPTION = """\
List, show, export, compact or delete kept conversations.
Use when an earlier one is to be found, read, shortened or removed. \
compact, a summary in place of the earlier turns, costs tokens; the rest is Free."""


class ManagedFacts(BaseModel):
    """The result of managing conversations."""

    status: str
    text: Maybe[str] = Field(None, description="What was shown, exported or summed up.")
    text_uri: Maybe[str] = None
    conversation_id: Maybe[str] = None
    conversations: Maybe[list[dict[str, Any]]] = None
    total: Maybe[int] = None
    deleted: Maybe[bool] = None
    usage: Maybe[dict[str, Any]] = None
    notes: Maybe[list[str]] = None
    error: Maybe[ErrorFacts] = None


async def manage_conversations(
    ctx: Context[App],
    action: Annotated[str, Field(description="list, show, export, compact or delete.")],
    conversation_id: Annotated[Optional[str], Field(description="Which one.")] = None,
    contains: Annotated[Optional[str], Field(description="list: only titles with this.")] = None,
    older_than_days: Annotated[
        Optional[Annotated[float, Field(ge=0)]], Field(description="list, delete: those unused so long. Default: any.")
    ] = None,
    format: Annotated[  # noqa: A002 - what callers call it
        Optional[str], Field(description="export: markdown or json. Default markdown.")
    ] = None,
    confirm: Annotated[bool, Field(description="true deletes; default false names what would go.")] = False,
) -> Annotated[CallToolResult, ManagedFacts]:
    """Manage; see DESCRIPTION."""
    # Imported at the first call: `tools/list` must not wait for a database.
    from databricks_responses_mcp.tools.managing import manage

    return await manage(
        ctx,
        action,
        conversation_id=conversation_id,
        contains=contains or "",
        older_than_days=older_than_days,
        format_=format or "markdown",
        confirm=confirm,
    )


def tool() -> Tool:
    """The tool's definition."""
    return define_tool(
        manage_conversations,
        title="Manage conversations",
        description=DESCRIPTION,
        read_only=False,
        destructive=True,
        idempotent=True,
        open_world=False,
    )
