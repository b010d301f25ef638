"""The tool ``generate_image``."""

from typing import Annotated, Any

from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult
from pydantic import Field

from databricks_responses_mcp.calls.advice import mcp_words
from databricks_responses_mcp.calls.generated_images import GeneratedImages
from databricks_responses_mcp.calls.inputs import image_urls
from databricks_responses_mcp.calls.tool_call import ToolCall
from databricks_responses_mcp.tools.arguments import Conversation, Key, Model, Names, Optional
from databricks_responses_mcp.tools.schema import DrawingFacts, define_tool
from databricks_responses_mcp.turns.image_generation import Drawing, draw

DESCRIPTION = """\
Generate images from a prompt, or edit images, with an OpenAI or Gemini model of the workspace.
Use when an image is wanted. Saves each image as a file and returns its path and a thumbnail. Costs tokens."""


async def generate_image(
    call: ToolCall,
    prompt: Annotated[str, Field(min_length=1, description="What to draw, or what to change in the reference images.")],
    model: Model = None,
    size: Annotated[
        Optional[str], Field(description="WIDTHxHEIGHT, for example 1024x1536, or auto. Default: the model's.")
    ] = None,
    quality: Annotated[
        Optional[str], Field(description="low, medium, high, xhigh, max or auto. Default: the model's.")
    ] = None,
    background: Annotated[
        Optional[str], Field(description="transparent, opaque or auto. Default: the model's.")
    ] = None,
    output_format: Annotated[Optional[str], Field(description="png, jpeg, webp, gif or svg. Default: png.")] = None,
    output_compression: Annotated[
        Optional[Annotated[int, Field(ge=0, le=100)]], Field(description="Compression of jpeg and webp, 0 to 100.")
    ] = None,
    n: Annotated[
        Optional[Annotated[int, Field(ge=1, le=10)]], Field(description="Number of images, 1 to 10. Default: 1.")
    ] = None,
    images: Annotated[Names, Field(description="Images to edit: paths, https URLs or data URLs.")] = (),
    mask: Annotated[
        Optional[str], Field(description="Path or URL of a mask whose transparent parts are edited.")
    ] = None,
    save_to: Annotated[
        Optional[str],
        Field(description="Folder or file to save to, in an allowed directory. Default: the configured folder."),
    ] = None,
    conversation_id: Conversation = None,
    extra: Annotated[
        Optional[dict[str, Any]],
        Field(description="Other fields of image_generation: action, complexity, frame_count, svg, model."),
    ] = None,
    idempotency_key: Key = None,
) -> Annotated[CallToolResult, DrawingFacts]:
    """Generate images; see DESCRIPTION."""
    app = call.app
    generated = GeneratedImages(app, prompt, save_to=save_to, count=n or 1)
    context = await call.begin(generated)
    await generated.prepare()
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
        conversation_id=conversation_id,
        extra=extra or {},
    )
    drawn = await draw(app.bridge, drawing, context)
    return await call.result(drawn.structured(mcp_words))


def tool() -> Tool:
    """Return the definition of the tool."""
    return define_tool(
        generate_image,
        title="Generate an image",
        description=DESCRIPTION,
        read_only=False,
        destructive=False,
        idempotent=False,
        open_world=True,
    )
