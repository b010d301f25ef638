"""The tool ``ask_databricks_model``."""

from typing import TYPE_CHECKING, Annotated, Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult, InputRequiredResult
from pydantic import Field

from databricks_responses_mcp.calls.state import App, app_of
from databricks_responses_mcp.tools.arguments import Key, Names, Objects, Optional
from databricks_responses_mcp.tools.schema import AnswerFacts, define_tool

if TYPE_CHECKING:
    from databricks_responses_mcp.turns.call_context import CallContext
    from databricks_responses_mcp.turns.outcome import Outcome

DESCRIPTION = """\
Ask a model of the Databricks workspace and get its answer.
Use when another model's opinion, knowledge or reasoning helps, or to have it look at images or files. \
It knows only this call and, with conversation_id, its conversation. Costs tokens."""


async def ask_databricks_model(
    ctx: Context[App],
    prompt: Annotated[str, Field(min_length=1, description="What to ask.")],
    model: Annotated[Optional[str], Field(description="Serving endpoint. Default: as configured.")] = None,
    instructions: Annotated[Optional[str], Field(description="System instructions.")] = None,
    images: Annotated[Names, Field(description="Images to show: paths, https or data URLs.")] = (),
    files: Annotated[Names, Field(description="Text files to put in the prompt; path:10-20 takes these lines.")] = (),
    reasoning_effort: Annotated[
        Optional[str],
        Field(description="none to max. Default: the model's."),
    ] = None,
    verbosity: Annotated[Optional[str], Field(description="low, medium or high. Default: the model's.")] = None,
    max_output_tokens: Annotated[
        Optional[Annotated[int, Field(ge=1)]],
        Field(description="Reasoning included. Default 16384."),
    ] = None,
    temperature: Annotated[
        Optional[Annotated[float, Field(ge=0, le=2)]],
        Field(description="0 to 2. Default: not sent."),
    ] = None,
    top_p: Annotated[
        Optional[Annotated[float, Field(ge=0, le=1)]], Field(description="0 to 1. Default: not sent.")
    ] = None,
    conversation_id: Annotated[Optional[str], Field(description="To go on with. Default: a new one.")] = None,
    output_schema: Annotated[
        Optional[dict[str, Any]], Field(description="JSON Schema for the answer; the value is in `parsed`.")
    ] = None,
    tools: Annotated[
        Objects,
        Field(
            description="Tools of the Responses API: function, custom, apply_patch, shell, image_generation, mcp, "
            "web_search. Calls for you come back in pending_calls."
        ),
    ] = (),
    mcp_servers: Annotated[
        Names,
        Field(
            description="MCP servers it may use: configured names, or the workspace's, e.g. genie/space, "
            "functions/catalog/schema, sql."
        ),
    ] = (),
    tool_choice: Annotated[
        Optional[str], Field(description="auto, none, required, or a tool's name or type. Default auto.")
    ] = None,
    parallel_tool_calls: Annotated[
        Optional[bool], Field(description="Several calls at once. Default: the model's.")
    ] = None,
    max_tool_calls: Annotated[
        Optional[Annotated[int, Field(ge=1)]], Field(description="Most calls of built-in tools. Default: no limit.")
    ] = None,
    extra: Annotated[
        Optional[dict[str, Any]],
        Field(description="Any other parameters of the API, verbatim."),
    ] = None,
    surface: Annotated[Optional[str], Field(description="E.g. chat. Default: found out.")] = None,
    idempotency_key: Key = None,
) -> Annotated[CallToolResult, AnswerFacts] | InputRequiredResult:
    """Run one question; see DESCRIPTION."""
    # Imported at the first call: `tools/list` must not wait for HTTP and pictures.
    from databricks_responses_mcp.calls.elicitation import answered
    from databricks_responses_mcp.calls.generated_images import PictureTaker
    from databricks_responses_mcp.calls.inputs import image_urls, prompt_with_files
    from databricks_responses_mcp.calls.mcp_tools import check_mcp_tools
    from databricks_responses_mcp.turns.ask import Question, ask

    app = app_of(ctx)

    async def begin(call: "CallContext") -> "Outcome":
        check_mcp_tools(app.bridge.settings, tools, extra or {})
        question = Question(
            prompt=await prompt_with_files(app, prompt, files),
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
        return await ask(app.bridge, question, call)

    return await answered(ctx, PictureTaker(app, prompt), begin)


def tool() -> Tool:
    """The tool's definition."""
    return define_tool(
        ask_databricks_model,
        title="Ask a Databricks model",
        description=DESCRIPTION,
        # Its `extra` may carry tools that act, and pictures are saved.
        read_only=False,
        destructive=False,
        idempotent=False,
        open_world=True,
    )
