"""The tool ``get_response``."""

from typing import Annotated

from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult
from pydantic import Field

from databricks_responses_mcp.calls.job_results import result_of_job
from databricks_responses_mcp.calls.tool_call import ToolCall
from databricks_responses_mcp.tools.arguments import Optional
from databricks_responses_mcp.tools.schema import ResponseFacts, define_tool

DESCRIPTION = """\
Wait for, read or cancel a call that is still running.
Use when a result has status running: pass its response_id. Returns the result of the original call. Free."""


async def get_response(
    call: ToolCall,
    response_id: Annotated[str, Field(min_length=1, description="The response_id of the result with status running.")],
    wait_seconds: Annotated[
        Optional[Annotated[float, Field(ge=0, le=3600)]],
        Field(description="Longest time to wait; 0 returns at once. Default: as long as the host allows."),
    ] = None,
    cancel: Annotated[bool, Field(description="true cancels the call. Default: false.")] = False,
) -> Annotated[CallToolResult, ResponseFacts]:
    """Return the result of an earlier call; see DESCRIPTION."""
    seconds = call.seconds_left if wait_seconds is None else min(wait_seconds, call.seconds_left)
    return await result_of_job(call, response_id, seconds, cancel=cancel)


def tool() -> Tool:
    """Return the definition of the tool."""
    return define_tool(
        get_response,
        title="Get a response",
        description=DESCRIPTION,
        read_only=False,
        destructive=False,
        idempotent=True,
        open_world=True,
    )
