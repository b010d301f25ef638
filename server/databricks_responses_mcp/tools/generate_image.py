"""The tool ``generate_image``."""

from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult
from pydantic import Field

from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.tools.arguments import Names, Optional
from databricks_responses_mcp.tools.results import answer_result, error_result
from databricks_responses_mcp.tools.schema import DrawingFacts, define_tool
from databricks_responses_mcp.tools.state import App, app_of, reporter_of

DESCRIPTION = """\
Draw pictures from a prompt, or edit reference images, with an OpenAI model of the Databricks workspace.
Use when a picture is wanted. Saves each picture as a file (never overwriting) and returns its path and a thumbnail. \
Takes up to minutes. Costs tokens."""


async def generate_image(
    ctx: Context[App],
    prompt: Annotated[str, Field(min_length=1, description="What to draw, or what to change in the images.")],
    model: Annotated[
        Optional[str], Field(description="Serving endpoint of an OpenAI model. Default: the configured image model.")
    ] = None,
    size: Annotated[
        Optional[str], Field(description="WIDTHxHEIGHT such as 1024x1536, or auto. Default: the model's.")
    ] = None,
    quality: Annotated[Optional[str], Field(description="low, medium, high or auto. Default: the model's.")] = None,
    background: Annotated[
        Optional[str], Field(description="transparent, opaque or auto. Default: the model's.")
    ] = None,
    output_format: Annotated[Optional[str], Field(description="png, jpeg or webp. Default png.")] = None,
    output_compression: Annotated[
        Optional[Annotated[int, Field(ge=0, le=100)]], Field(description="0 to 100, for jpeg and webp.")
    ] = None,
    n: Annotated[
        Optional[Annotated[int, Field(ge=1, le=10)]], Field(description="How many pictures, 1 to 10. Default 1.")
    ] = None,
    images: Annotated[Names, Field(description="Reference images to edit: local paths, https or data URLs.")] = (),
    mask: Annotated[
        Optional[str], Field(description="Image whose transparent parts are to be changed: path or URL.")
    ] = None,
    save_to: Annotated[
        Optional[str], Field(description="Folder or file to save to. Default: the configured picture folder.")
    ] = None,
    extra: Annotated[
        Optional[dict[str, Any]],
        Field(description="Other fields of the image_generation tool, e.g. input_fidelity, moderation."),
    ] = None,
) -> Annotated[CallToolResult, DrawingFacts]:
    """Draw; see DESCRIPTION."""
    # Imported at the first call: `tools/list` must not wait for HTTP and pictures.
    from databricks_responses_mcp.tools.prompting import image_urls
    from databricks_responses_mcp.tools.taking import PictureTaker
    from databricks_responses_mcp.turns.draw import Drawing, draw

    app = app_of(ctx)
    try:
        taker = PictureTaker(app, prompt, save_to=save_to, count=n or 1)
    except BridgeError as error:
        return error_result(app, error)
    try:
        references = await image_urls(app, [*images, *([mask] if mask is not None else [])])
        drawing = Drawing(
            prompt=prompt,
            model=model,
            size=size,
            quality=quality,
            background=background,
            output_format=output_format,
            output_compression=output_compression,
            count=n or 1,
            images=references[: len(images)],
            mask=references[-1] if mask is not None else None,
            extra=extra or {},
        )
        drawn = await draw(app.bridge, drawing, reporter=reporter_of(ctx), take_picture=taker)
    except BridgeError as error:
        return error_result(app, taker.attach(error), taker.blocks())
    facts = taker.extend(drawn.facts())
    return answer_result(app, facts, taker.blocks(), lead=taker.lead())


def tool() -> Tool:
    """The tool's definition."""
    return define_tool(
        generate_image,
        title="Generate an image",
        description=DESCRIPTION,
        read_only=False,
        destructive=False,
        idempotent=False,
        open_world=True,
    )
