"""The tool ``continue_databricks_model``."""

from typing import Annotated

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult, InputRequiredResult
from pydantic import Field

from databricks_responses_mcp.calls.state import App, app_of
from databricks_responses_mcp.tools.arguments import Key, Objects
from databricks_responses_mcp.tools.schema import AnswerFacts, define_tool

DESCRIPTION = """\
Return the outputs of a model's pending_calls to it and get its next answer.
Use when a result has pending_calls: carry out the calls and give one output for each. To skip a call, say so in its \
output. If you approve an MCP call, the user is asked to confirm. Costs tokens."""


async def continue_databricks_model(
    ctx: Context[App],
    conversation_id: Annotated[
        str, Field(min_length=1, description="The conversation_id of the result that has pending_calls.")
    ],
    outputs: Annotated[
        Objects,
        Field(
            description="One output for each pending call, in the form of its answer_with, such as {call_id, output}."
        ),
    ],
    idempotency_key: Key = None,
) -> Annotated[CallToolResult, AnswerFacts] | InputRequiredResult:
    """Answer calls; see DESCRIPTION."""
    # Imported at the first call: `tools/list` must not wait for HTTP and pictures.
    from databricks_responses_mcp.calls.elicitation import handed_back
    from databricks_responses_mcp.calls.generated_images import PictureTaker

    return await handed_back(ctx, PictureTaker(app_of(ctx), "picture"), conversation_id, outputs)


def tool() -> Tool:
    """The tool's definition."""
    return define_tool(
        continue_databricks_model,
        title="Continue a Databricks model",
        description=DESCRIPTION,
        read_only=False,
        destructive=False,
        idempotent=False,
        open_world=True,
    )
