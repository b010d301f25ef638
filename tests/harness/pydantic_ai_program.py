"""An agent of Pydantic AI with the bridge's tools, by the client of FastMCP; runs in an environment of its own.

It reads what to do as JSON from its argument, and writes what it saw as JSON to stdout.
"""

import asyncio
import json
import sys

from fastmcp.client.transports import StdioTransport
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


async def main() -> None:
    """List, converse, read a resource."""
    given = json.loads(sys.argv[1])
    server = MCPToolset(StdioTransport(**given["server"]))
    provider = OpenAIProvider(base_url=f"{given['model_url']}/v1", api_key="x")
    agent = Agent(OpenAIChatModel("stand-in", provider=provider), toolsets=[server])
    async with agent:
        listed = [tool.name for tool in await server.list_tools()]
        async with agent.run_stream(given["prompt"]) as answer:
            text = await answer.get_output()
        drawn = await server.client.call_tool("generate_image", {"prompt": "a cat", "size": "256x256"})
        [blob] = await server.client.read_resource(drawn.structured_content["images"][0]["uri"])
    print(json.dumps({"tools": listed, "answer": text, "resource": [blob.mime_type, len(blob.blob)]}))


asyncio.run(main())
