"""``image_generation``: the image is drawn here, and the item contains it as base64."""

import base64
from collections.abc import AsyncGenerator
from typing import Any

from databricks_workspace_emulator.conversation import read_picture
from databricks_workspace_emulator.turn import Turn
from databricks_workspace_emulator.writer import Event

_IMAGE_TOKENS = 1056


async def play(turn: Turn, tool: dict[str, Any]) -> AsyncGenerator[Event]:
    """Draw the prompt, or edit the images of the conversation."""
    # Imported here: Pillow is not needed before the first image.
    from databricks_workspace_emulator.pictures import Drawing, draw

    writer, talk = turn.writer, turn.conversation
    wanted = tool.get("action") or "auto"
    sources = tuple(talk.pictures) if wanted != "generate" else ()
    mask = await read_picture((tool.get("input_image_mask") or {}).get("image_url"), "tools.input_image_mask")
    drawing = Drawing(
        prompt=talk.prompt,
        size=tool.get("size") or "auto",
        quality=tool.get("quality") or "auto",
        background=tool.get("background") or "auto",
        output_format=tool.get("output_format") or "png",
        output_compression=tool.get("output_compression"),
        complexity=tool.get("complexity") or "medium",
        frame_count=tool.get("frame_count"),
        frame_duration_ms=tool.get("frame_duration_ms"),
        sources=sources,
        mask=mask,
    )
    item: dict[str, Any] = {"type": "image_generation_call", "status": "in_progress", "result": None}
    index, added = writer.add(item)
    yield added
    yield writer.on_item("response.image_generation_call.in_progress", index)
    yield writer.on_item("response.image_generation_call.generating", index)
    drawn = await draw(drawing, (tool.get("partial_images") or 0) if turn.request.body.stream else 0)
    looks = {
        "size": drawn.size,
        "quality": "medium" if drawing.quality == "auto" else drawing.quality,
        "background": "opaque" if drawing.background == "auto" else drawing.background,
        "output_format": drawing.output_format,
    }
    for number, partial in enumerate(drawn.partials):
        encoded = base64.b64encode(partial).decode()
        yield writer.on_item(
            "response.image_generation_call.partial_image",
            index,
            partial_image_index=number,
            partial_image_b64=encoded,
            **looks,
        )
    yield writer.on_item("response.image_generation_call.completed", index)
    item |= looks | {
        "status": "completed",
        "action": "edit" if sources else "generate",
        "result": base64.b64encode(drawn.data).decode(),
        "revised_prompt": f"Drawn by rule, no model asked: {talk.prompt}",
    }
    writer.budget.spent += _IMAGE_TOKENS
    yield writer.done(index)
    turn.notes.append(f"image_generation drew a picture of {drawn.size} pixels.")
