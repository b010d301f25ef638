"""The tool ``manage_conversations``."""

from typing import Annotated, Any

from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult
from pydantic import BaseModel, Field

from databricks_responses_mcp.calls.tool_call import ToolCall
from databricks_responses_mcp.tools.arguments import Maybe, Optional
from databricks_responses_mcp.tools.managing import manage
from databricks_responses_mcp.tools.schema import ErrorFacts, define_tool

DESCRIPTION = """\
List, show, export, compact or delete stored conversations.
Use when an earlier conversation is to be found, read, shortened or deleted. \
compact replaces the earlier turns by a summary and costs tokens; the other actions are Free."""


class ManagedFacts(BaseModel):
    """The result of managing conversations."""

    status: str
    text: Maybe[str] = Field(None, description="The conversation, or its summary.")
    text_uri: Maybe[str] = None
    conversation_id: Maybe[str] = None
    conversations: Maybe[list[dict[str, Any]]] = None
    total: Maybe[int] = None
    deleted: Maybe[bool] = None
    usage: Maybe[dict[str, Any]] = None
    notes: Maybe[list[str]] = None
    error: Maybe[ErrorFacts] = None


async def manage_conversations(
    call: ToolCall,
    action: Annotated[str, Field(description="list, show, export, compact or delete.")],
    conversation_id: Annotated[
        Optional[str], Field(description="The conversation to show, export, compact or delete.")
    ] = None,
    contains: Annotated[
        Optional[str], Field(description="For list: only conversations whose title contains this text.")
    ] = None,
    older_than_days: Annotated[
        Optional[Annotated[float, Field(ge=0)]],
        Field(description="For list and delete: only conversations not used for this many days. Default: any age."),
    ] = None,
    format: Annotated[  # noqa: A002 - what callers call it
        Optional[str], Field(description="For export: markdown or json. Default: markdown.")
    ] = None,
    confirm: Annotated[
        bool, Field(description="For delete: true deletes. Default: false, which lists what would be deleted.")
    ] = False,
) -> Annotated[CallToolResult, ManagedFacts]:
    """Manage; see DESCRIPTION."""
    return await manage(
        call,
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
