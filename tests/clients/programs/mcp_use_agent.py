"""mcp-use: its agent asks and draws with the bridge's tools; its session reads the picture."""

import asyncio
import json
import os

from langchain_openai import ChatOpenAI
from mcp_use import MCPAgent, MCPClient


async def main() -> None:
    client = MCPClient.from_dict({"mcpServers": {"bridge": json.loads(os.environ["SERVER"])}})
    model = ChatOpenAI(model="stand-in", base_url=f"{os.environ['MODEL_URL']}/v1", api_key="x", streaming=True)
    agent = MCPAgent(llm=model, client=client, max_steps=6)
    answer = await agent.run("Ask, then draw a fox.")
    session = client.get_session("bridge") if "bridge" in client.sessions else await client.create_session("bridge")
    tools = await session.list_tools()
    drawn = await session.call_tool("generate_image", {"prompt": "a cat", "size": "256x256"})
    read = await session.read_resource(drawn.structuredContent["images"][0]["uri"])
    await client.close_all_sessions()
    result = {
        "tools": [tool.name for tool in tools],
        "answer": answer,
        "resource": read.contents[0].mimeType,
    }
    print(json.dumps(result))


asyncio.run(main())
