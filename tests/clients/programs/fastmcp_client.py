"""FastMCP's client: list, ask, draw, read the picture."""

import asyncio
import json
import os

from fastmcp import Client
from fastmcp.client.transports import StdioTransport


async def main() -> None:
    progress = []

    async def on_progress(done: float, total: float | None, message: str | None) -> None:
        progress.append(done)

    async with Client(StdioTransport(**json.loads(os.environ["SERVER"])), progress_handler=on_progress) as client:
        tools = await client.list_tools()
        asked = await client.call_tool("ask_databricks_model", {"prompt": "[[say Hello]]"})
        drawn = await client.call_tool("generate_image", {"prompt": "a fox", "size": "256x256"})
        [blob] = await client.read_resource(drawn.structured_content["images"][0]["uri"])
    result = {
        "tools": [tool.name for tool in tools],
        "ask": asked.structured_content["text"],
        "progress": len(progress) > 0,
        "blocks": [block.type for block in drawn.content],
        "resource": getattr(blob, "mimeType", None) or blob.mime_type,
    }
    print(json.dumps(result))


asyncio.run(main())
