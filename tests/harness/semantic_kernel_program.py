"""An agent of Semantic Kernel with the bridge as an MCP plugin; runs in an environment of its own.

It reads what to do as JSON from its argument, and writes what it saw as JSON to stdout.
"""

import asyncio
import base64
import json
import sys

from openai import AsyncOpenAI
from semantic_kernel import Kernel
from semantic_kernel.connectors.ai.function_choice_behavior import FunctionChoiceBehavior
from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion, OpenAIChatPromptExecutionSettings
from semantic_kernel.connectors.mcp import MCPStdioPlugin
from semantic_kernel.contents import ChatHistory


async def main() -> None:
    """List, converse, read a resource."""
    given = json.loads(sys.argv[1])
    kernel = Kernel()
    model = AsyncOpenAI(base_url=f"{given['model_url']}/v1", api_key="x")
    service = OpenAIChatCompletion(ai_model_id="stand-in", async_client=model)
    async with MCPStdioPlugin(name="bridge", **given["server"]) as plugin:
        kernel.add_plugin(plugin)
        history = ChatHistory()
        history.add_user_message(given["prompt"])
        choice = FunctionChoiceBehavior.Auto()
        settings = OpenAIChatPromptExecutionSettings(function_choice_behavior=choice)
        answer = ""
        async for [message] in service.get_streaming_chat_message_contents(history, settings, kernel=kernel):
            answer += str(message)
        listed = list(kernel.plugins["bridge"].functions)
        drawn = await plugin.session.call_tool("generate_image", {"prompt": "a cat", "size": "256x256"})
        read = await plugin.session.read_resource(drawn.structuredContent["images"][0]["uri"])
        blob = read.contents[0]
        seen = {"tools": listed, "answer": answer, "resource": [blob.mimeType, len(base64.b64decode(blob.blob))]}
        print(json.dumps(seen))


asyncio.run(main())
