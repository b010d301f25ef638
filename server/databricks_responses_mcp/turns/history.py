"""A conversation as the input of the next request: images that the model may edit are read from disk again."""

import base64
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from databricks_responses_mcp.responses.accumulator import Item
from databricks_responses_mcp.responses.replay import with_pictures
from databricks_responses_mcp.turns.conversations import Conversation

logger = logging.getLogger(__name__)

_MAX_PICTURE_BYTES = 15_000_000
"""The limit for all images in one request: model serving accepts 32 MiB, and base64 needs four bytes for three."""

_READ_SECONDS = 30.0


ReadPicture = Callable[[str], Awaitable[bytes | None]]
"""Reads a picture of the user by what the conversation keeps of it; None if it is not there."""


async def input_of(
    conversation: Conversation, parameters: Mapping[str, Any], read_picture: ReadPicture | None = None
) -> list[Item]:
    """Return the conversation so far as it is sent.

    Args:
        read_picture: reads the pictures; None if they are files of this machine.
    """
    items = conversation.input_items()
    if not any(item.get("type") == "image_generation_call" for item in items):
        return items
    if not _may_draw(parameters):
        return with_pictures(items, {})
    with anyio.move_on_after(_READ_SECONDS):
        paths = [str(item["picture"]) for item in reversed(items) if item.get("type") == "image_generation_call"]
        if read_picture is not None:
            return with_pictures(items, await _read_by(read_picture, paths))
        return with_pictures(items, await anyio.to_thread.run_sync(_read, paths, abandon_on_cancel=True))
    return with_pictures(items, {})


def _may_draw(parameters: Mapping[str, Any]) -> bool:
    tools = parameters.get("tools")
    return isinstance(tools, list | tuple) and any(
        isinstance(tool, Mapping) and tool.get("type") == "image_generation" for tool in tools
    )


async def _read_by(read_picture: ReadPicture, uris: Iterable[str]) -> dict[str, str]:
    """Return the base64 of the first pictures that fit into one request."""
    read: dict[str, str] = {}
    left = _MAX_PICTURE_BYTES
    for uri in dict.fromkeys(uris):
        data = await read_picture(uri)
        if data is None:
            continue
        if len(data) > left:
            break
        left -= len(data)
        read[uri] = (await anyio.to_thread.run_sync(base64.b64encode, data)).decode("ascii")
    return read


def _read(paths: Iterable[str]) -> dict[str, str]:
    """Return the base64 of the first files that fit into one request; missing files are left out."""
    read: dict[str, str] = {}
    left = _MAX_PICTURE_BYTES
    for path in paths:
        try:
            if Path(path).stat().st_size > left:
                break
            data = Path(path).read_bytes()
        except OSError as error:
            logger.warning("an image of the conversation no longer exists: %s", error)
            continue
        left -= len(data)
        read[path] = base64.b64encode(data).decode("ascii")
    return read
