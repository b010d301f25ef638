"""The tool ``ask_databricks_model``."""

from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult
from pydantic import BeforeValidator, Field

from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.tools.results import answer_result, error_result
from databricks_responses_mcp.tools.schema import AnswerFacts, Maybe, define_tool
from databricks_responses_mcp.tools.state import App, app_of, reporter_of


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_as_list)]

DESCRIPTION = """\
Ask a model of the Databricks workspace a question and get its answer, streamed through the Responses API.
Use when another model's opinion, knowledge or reasoning helps, or to have it look at images or files. \
Each call is independent: put everything the model needs into it. Costs tokens."""


async def ask_databricks_model(
    ctx: Context[App],
    prompt: Annotated[str, Field(min_length=1, description="What to ask.")],
    model: Annotated[
        Maybe[str], Field(description="Serving endpoint, e.g. databricks-gpt-5. Default: the configured one.")
    ] = None,
    instructions: Annotated[Maybe[str], Field(description="System instructions.")] = None,
    images: Annotated[
        Names, Field(description="Images to show: local paths, https or data URLs (PNG, JPEG, WEBP, GIF).")
    ] = (),
    files: Annotated[
        Names, Field(description="Text files put in the prompt with their names; path:10-20 takes these lines.")
    ] = (),
    reasoning_effort: Annotated[
        Maybe[str],
        Field(description="none, minimal, low, medium, high, xhigh or max; models differ. Default: the model's."),
    ] = None,
    verbosity: Annotated[Maybe[str], Field(description="low, medium or high. Default: the model's.")] = None,
    max_output_tokens: Annotated[
        Maybe[Annotated[int, Field(ge=1)]],
        Field(description="Most tokens to write, reasoning included. Default 16384."),
    ] = None,
    temperature: Annotated[
        Maybe[Annotated[float, Field(ge=0, le=2)]],
        Field(description="0 to 2; reasoning models refuse it. Default: not sent."),
    ] = None,
    top_p: Annotated[
        Maybe[Annotated[float, Field(ge=0, le=1)]], Field(description="0 to 1. Default: not sent.")
    ] = None,
    extra: Annotated[
        Maybe[dict[str, Any]],
        Field(description="Any other Responses API parameters, verbatim, e.g. tools, text.format, service_tier."),
    ] = None,
) -> Annotated[CallToolResult, AnswerFacts]:
    """Run one question; see DESCRIPTION."""
    # Imported at the first call: `tools/list` must not wait for HTTP and pictures.
    from databricks_responses_mcp.tools.prompting import image_urls, prompt_with_files
    from databricks_responses_mcp.tools.taking import PictureTaker
    from databricks_responses_mcp.turns.ask import Question, ask

    app = app_of(ctx)
    taker = PictureTaker(app, prompt)
    try:
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
            extra=extra or {},
        )
        outcome = await ask(app.bridge, question, reporter=reporter_of(ctx), take_picture=taker)
    except BridgeError as error:
        return error_result(app, taker.attach(error), taker.blocks())
    return answer_result(app, taker.extend(outcome.as_dict()), taker.blocks(), lead=taker.lead())


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
