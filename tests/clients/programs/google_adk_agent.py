"""Google's ADK: an agent on Gemini asks and draws with the bridge's tools and goes on; its session reads the picture.

The agent's own tool for resources, and ``McpToolset.read_resource``, take the names of listed resources alone.
"""

import asyncio
import json
import os

from google.adk.agents import LlmAgent
from google.adk.runners import InMemoryRunner
from google.adk.tools.mcp_tool.mcp_session_manager import MCPSessionManager, StdioConnectionParams
from google.adk.tools.mcp_tool.mcp_toolset import McpToolset
from google.genai import types
from mcp import StdioServerParameters


async def main() -> None:
    parameters = StdioServerParameters(**json.loads(os.environ["SERVER"]))
    connection = StdioConnectionParams(server_params=parameters, timeout=240)
    toolset = McpToolset(connection_params=connection)
    tools = await toolset.get_tools()
    agent = LlmAgent(name="agent", model="gemini-3-8-flash", instruction="Be brief.", tools=[toolset])
    runner = InMemoryRunner(agent=agent, app_name="test")
    session = await runner.session_service.create_session(app_name="test", user_id="user")
    content = types.Content(role="user", parts=[types.Part(text="Ask, then draw a fox.")])
    texts = []
    async for event in runner.run_async(user_id="user", session_id=session.id, new_message=content):
        parts = event.content.parts if event.content and event.content.parts else []
        texts += [part.text for part in parts if part.text]
    await toolset.close()
    sessions = MCPSessionManager(connection)
    client = await sessions.create_session()
    drawn = await client.call_tool("generate_image", {"prompt": "a cat", "size": "256x256"})
    structured = getattr(drawn, "structuredContent", None) or drawn.structured_content
    read = await client.read_resource(structured["images"][0]["uri"])
    await sessions.close()
    blob = read.contents[0]
    result = {
        "tools": [tool.name for tool in tools],
        "answer": texts[-1],
        "resource": getattr(blob, "mimeType", None) or blob.mime_type,
    }
    print(json.dumps(result))


asyncio.run(main())
