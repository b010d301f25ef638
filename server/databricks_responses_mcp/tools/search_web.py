"""The tool ``search_web``."""

from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult
from pydantic import Field

from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.tools.arguments import Names, Optional
from databricks_responses_mcp.tools.results import answer_result, error_result
from databricks_responses_mcp.tools.schema import SearchFacts, define_tool
from databricks_responses_mcp.tools.state import App, app_of, reporter_of

DESCRIPTION = """\
Search the web with a model of the Databricks workspace and get an answer with numbered citations.
Use when current facts or sources are needed. Costs tokens."""


async def search_web(
    ctx: Context[App],
    question: Annotated[str, Field(min_length=1, description="What to find out.")],
    allowed_domains: Annotated[Names, Field(description="Search these sites only, e.g. docs.python.org.")] = (),
    search_context_size: Annotated[
        Optional[str], Field(description="How much to read: low, medium or high. Default medium.")
    ] = None,
    user_location: Annotated[
        Optional[dict[str, Any]], Field(description="Where the user is: city, region, country (2 letters), timezone.")
    ] = None,
    model: Annotated[Optional[str], Field(description="Serving endpoint. Default: the configured one.")] = None,
) -> Annotated[CallToolResult, SearchFacts]:
    """Search; see DESCRIPTION."""
    # Imported at the first call: `tools/list` must not wait for HTTP.
    from databricks_responses_mcp.turns.search import Search, search

    app = app_of(ctx)
    wanted = Search(
        question=question,
        model=model,
        allowed_domains=allowed_domains,
        context_size=search_context_size,
        user_location=user_location,
    )
    try:
        found = await search(app.bridge, wanted, reporter=reporter_of(ctx))
    except BridgeError as error:
        return error_result(app, error)
    return answer_result(app, found.facts())


def tool() -> Tool:
    """The tool's definition."""
    return define_tool(
        search_web,
        title="Search the web",
        description=DESCRIPTION,
        read_only=True,
        destructive=False,
        idempotent=False,
        open_world=True,
    )
