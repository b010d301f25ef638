"""The tool ``continue_databricks_model``."""

from dataclasses import replace
from typing import Annotated

from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult, InputRequiredResult
from pydantic import Field

from databricks_responses_mcp.calls.approvals import Consent, ask_for_approvals, asked_before, consent_to, resume
from databricks_responses_mcp.calls.generated_images import GeneratedImages
from databricks_responses_mcp.calls.tool_call import ToolCall
from databricks_responses_mcp.tools.arguments import Key, Objects
from databricks_responses_mcp.tools.schema import AnswerFacts, define_tool
from databricks_responses_mcp.turns.call_outputs import answer_calls

DESCRIPTION = """\
Return the outputs of a model's pending_calls to it and get its next answer.
Use when a result has pending_calls: carry out the calls and give one output for each. To skip a call, say so in its \
output. If you approve an MCP call, the user is asked to confirm. Costs tokens."""


async def continue_databricks_model(
    call: ToolCall,
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
    images = GeneratedImages(call.app, "picture")
    asked = asked_before(call)
    if asked is not None and not asked.is_before:
        return await resume(call, images)
    consent = await consent_to(call, asked, conversation_id, outputs)
    if not isinstance(consent, Consent):
        return consent
    context = await call.begin(images, job_id=asked.job_id if asked is not None else "")
    outcome = await answer_calls(call.app.bridge, conversation_id, consent.outputs, context)
    outcome = replace(outcome, notes=(*consent.notes, *outcome.notes))
    if outcome.approval_requests:
        return await ask_for_approvals(call, context, outcome, asked.rounds if asked is not None else 0)
    return await call.result(outcome.as_dict())


def tool() -> Tool:
    """Return the definition of the tool."""
    return define_tool(
        continue_databricks_model,
        title="Continue a Databricks model",
        description=DESCRIPTION,
        read_only=False,
        destructive=False,
        idempotent=False,
        open_world=True,
    )
