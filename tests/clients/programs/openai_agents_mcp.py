"""An agent of OpenAI's SDK with the bridge's tools: it lists them, asks, draws and goes on; the picture is read."""

import asyncio
import json
import os

from agents import Agent, OpenAIResponsesModel, Runner, set_tracing_disabled
from agents.mcp import MCPServerStdio
from openai import AsyncOpenAI

set_tracing_disabled(True)


async def main() -> None:
    client = AsyncOpenAI(base_url=f"{os.environ['MODEL_URL']}/v1", api_key="x")
    model = OpenAIResponsesModel(model="stand-in", openai_client=client)
    async with MCPServerStdio(json.loads(os.environ["SERVER"]), client_session_timeout_seconds=60) as server:
        tools = await server.list_tools()
        answer = Runner.run_streamed(Agent(name="Agent", model=model, mcp_servers=[server]), "Ask, then draw a fox.")
        async for _ in answer.stream_events():
            pass
        drawn = await server.call_tool("generate_image", {"prompt": "a cat", "size": "256x256"})
        structured = getattr(drawn, "structuredContent", None) or drawn.structured_content
        read = await server.read_resource(structured["images"][0]["uri"])
    blob = read.contents[0]
    result = {
        "tools": [tool.name for tool in tools],
        "answer": answer.final_output,
        "resource": getattr(blob, "mimeType", None) or blob.mime_type,
    }
    print(json.dumps(result))


asyncio.run(main())
