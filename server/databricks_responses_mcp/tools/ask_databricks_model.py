"""The tool ``ask_databricks_model``."""

from typing import Annotated, Any

from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult, InputRequiredResult
from pydantic import Field

from databricks_responses_mcp.calls.approvals import ask_for_approvals, resume
from databricks_responses_mcp.calls.generated_images import GeneratedImages
from databricks_responses_mcp.calls.inputs import image_urls, prompt_with_files
from databricks_responses_mcp.calls.mcp_tools import check_mcp_tools
from databricks_responses_mcp.calls.tool_call import ToolCall
from databricks_responses_mcp.tools.arguments import Conversation, Key, Model, Names, Objects, Optional
from databricks_responses_mcp.tools.schema import AnswerFacts, define_tool
from databricks_responses_mcp.turns.ask import AskRequest, ask

DESCRIPTION = """\
Ask a model of the Databricks workspace and get its answer.
Use when another model's opinion, knowledge or reasoning helps, or to let it look at images or files. \
The model sees only this call and, with conversation_id, the turns of that conversation. Costs tokens."""


async def ask_databricks_model(
    call: ToolCall,
    prompt: Annotated[str, Field(min_length=1, description="The question or task, with all context needed.")],
    model: Model = None,
    instructions: Annotated[Optional[str], Field(description="System instructions.")] = None,
    images: Annotated[Names, Field(description="Images to show to the model: paths, https URLs or data URLs.")] = (),
    files: Annotated[
        Names, Field(description="Paths or URLs: text (path:10-20 for lines), PDF, Office, audio, video.")
    ] = (),
    reasoning_effort: Annotated[
        Optional[str],
        Field(description="none, minimal, low, medium, high, xhigh or max. Default: the model's."),
    ] = None,
    verbosity: Annotated[Optional[str], Field(description="low, medium or high. Default: the model's.")] = None,
    max_output_tokens: Annotated[
        Optional[Annotated[int, Field(ge=1)]],
        Field(description="Limit for the answer, reasoning included. Default: 16384."),
    ] = None,
    temperature: Annotated[
        Optional[Annotated[float, Field(ge=0, le=2)]],
        Field(description="Sampling temperature, 0 to 2. Default: not sent."),
    ] = None,
    top_p: Annotated[
        Optional[Annotated[float, Field(ge=0, le=1)]], Field(description="Nucleus sampling, 0 to 1. Default: not sent.")
    ] = None,
    conversation_id: Conversation = None,
    output_schema: Annotated[
        Optional[dict[str, Any]],
        Field(description="JSON Schema that the answer must match; the value is returned in `parsed`."),
    ] = None,
    tools: Annotated[
        Objects,
        Field(
            description="Tools of the Responses API: function, custom, apply_patch, shell, image_generation, mcp, "
            "web_search. Calls that you must carry out are returned in pending_calls."
        ),
    ] = (),
    mcp_servers: Annotated[
        Names,
        Field(
            description="MCP servers that the model may use: configured names, or the workspace's, for example "
            "genie/space, sql, system.ai.dbsql."
        ),
    ] = (),
    tool_choice: Annotated[
        Optional[str], Field(description="auto, none, required, or a tool's name or type. Default: auto.")
    ] = None,
    parallel_tool_calls: Annotated[
        Optional[bool],
        Field(description="Whether the model may make several tool calls at once. Default: the model's."),
    ] = None,
    max_tool_calls: Annotated[
        Optional[Annotated[int, Field(ge=1)]],
        Field(description="Limit for built-in tool calls. Default: no limit."),
    ] = None,
    extra: Annotated[
        Optional[dict[str, Any]],
        Field(description="Other parameters of the Responses API, sent unchanged."),
    ] = None,
    surface: Annotated[Optional[str], Field(description="API surface, for example chat. Default: detected.")] = None,
    idempotency_key: Key = None,
) -> Annotated[CallToolResult, AnswerFacts] | InputRequiredResult:
    """Ask a model; see DESCRIPTION."""
    app = call.app
    if call.request.request_state is not None:  # the host calls again, with answers of its user
        return await resume(call, GeneratedImages(app, prompt))
    context = await call.begin(GeneratedImages(app, prompt))
    check_mcp_tools(app.bridge.settings, tools, extra or {})
    text, attachments = await prompt_with_files(app, prompt, files)
    question = AskRequest(
        prompt=text,
        files=attachments,
        model=model,
        instructions=instructions,
        images=await image_urls(app, images),
        reasoning_effort=reasoning_effort,
        verbosity=verbosity,
        max_output_tokens=max_output_tokens,
        temperature=temperature,
        top_p=top_p,
        conversation_id=conversation_id,
        output_schema=output_schema,
        tools=tools,
        mcp_servers=mcp_servers,
        tool_choice=tool_choice,
        parallel_tool_calls=parallel_tool_calls,
        max_tool_calls=max_tool_calls,
        extra=extra or {},
        surface=surface,
    )
    outcome = await ask(app.bridge, question, context)
    if outcome.approval_requests:
        return await ask_for_approvals(call, context, outcome)
    return await call.result(outcome.as_dict())


def tool() -> Tool:
    """Return the definition of the tool."""
    return define_tool(
        ask_databricks_model,
        title="Ask a Databricks model",
        description=DESCRIPTION,
        # Its `extra` may contain tools with effects, and images are saved.
        read_only=False,
        destructive=False,
        idempotent=False,
        open_world=True,
    )
