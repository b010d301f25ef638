"""The tool ``search_web``."""

from typing import Annotated, Any

from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult
from pydantic import Field

from databricks_responses_mcp.calls.search_service import SearchService
from databricks_responses_mcp.calls.tool_call import ToolCall
from databricks_responses_mcp.tools.arguments import Conversation, Key, Model, Names, Optional
from databricks_responses_mcp.tools.schema import SearchFacts, define_tool
from databricks_responses_mcp.turns.search import Search, search

DESCRIPTION = """\
Search the web with a model of the workspace and get an answer with numbered citations.
Use when current facts or sources are needed. Costs tokens."""


async def search_web(
    call: ToolCall,
    question: Annotated[str, Field(min_length=1, description="The question to answer from the web.")],
    allowed_domains: Annotated[Names, Field(description="Search only these domains.")] = (),
    search_context_size: Annotated[
        Optional[str],
        Field(description="How much of what is found the model reads: low, medium or high. Default: medium."),
    ] = None,
    user_location: Annotated[
        Optional[dict[str, Any]], Field(description="The user's city, region, country (two letters) and timezone.")
    ] = None,
    model: Model = None,
    conversation_id: Conversation = None,
    idempotency_key: Key = None,
) -> Annotated[CallToolResult, SearchFacts]:
    """Search the web; see DESCRIPTION."""
    wanted = Search(
        question=question,
        model=model,
        allowed_domains=allowed_domains,
        context_size=search_context_size,
        user_location=user_location,
        conversation_id=conversation_id,
    )
    bridge = call.app.bridge
    searched = await search(bridge, wanted, await call.begin(), server=SearchService(bridge))
    return await call.result(searched.structured())


def tool() -> Tool:
    """Return the definition of the tool."""
    return define_tool(
        search_web,
        title="Search the web",
        description=DESCRIPTION,
        read_only=True,
        destructive=False,
        idempotent=False,
        open_world=True,
    )
