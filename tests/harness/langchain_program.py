"""An agent of LangGraph with the bridge's tools by langchain-mcp-adapters; runs in an environment of its own.

It reads what to do as JSON from its argument, and writes what it saw as JSON to stdout.
"""

import asyncio
import json
import sys

from langchain.agents import create_agent
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_openai import ChatOpenAI


async def main() -> None:
    """List, converse, read a resource."""
    given = json.loads(sys.argv[1])
    server = {"transport": "stdio", **given["server"]}
    client = MultiServerMCPClient({"bridge": server})
    tools = await client.get_tools()
    model = ChatOpenAI(model="stand-in", base_url=f"{given['model_url']}/v1", api_key="x", streaming=True)
    agent = create_agent(model, tools)
    state = await agent.ainvoke({"messages": [("user", given["prompt"])]})
    drawn = next(message for message in reversed(state["messages"]) if message.type == "tool")
    uri = drawn.artifact["structured_content"]["images"][0]["uri"]
    [blob] = await client.get_resources("bridge", uris=[uri])
    seen = {
        "tools": [tool.name for tool in tools],
        "answer": state["messages"][-1].content,
        "blocks": [block["type"] for block in drawn.content],
        "resource": [blob.mimetype, len(blob.as_bytes())],
    }
    print(json.dumps(seen))


asyncio.run(main())
