"""The floor: the least that an MCP server in front of the same endpoint can be. The SDK, one httpx call, no more.

``ask`` asks without streaming, as most would; ``ask_streamed`` reads the stream that the bridge reads, and
``ask_output`` hands over all that was in it. The client is kept between calls and made at the first one, the cheapest
way for both start-up and calls. It serves stdio, or Streamable HTTP with ``--http HOST:PORT``.
"""

import json
import os
import sys
from functools import cache
from typing import Any

import httpx
from mcp.server import MCPServer

# Quiet, as the bridge is: at its default level the SDK and httpx log a line for every call, through rich.
server = MCPServer("floor", log_level="WARNING")
PATH = "/serving-endpoints/responses"


@cache
def client() -> httpx.AsyncClient:
    """The one client."""
    token = os.environ["DATABRICKS_TOKEN"]
    return httpx.AsyncClient(
        base_url=os.environ["DATABRICKS_HOST"], headers={"authorization": f"Bearer {token}"}, timeout=60
    )


def body(prompt: str) -> dict[str, Any]:
    """The request."""
    return {"model": os.environ["RESPONSES_MCP_MODEL"], "input": [{"role": "user", "content": prompt}]}


@server.tool()
async def ask(prompt: str) -> str:
    """Ask a model."""
    response = await client().post(PATH, json=body(prompt))
    response.raise_for_status()
    return "".join(part["text"] for item in response.json()["output"] for part in item["content"])


@server.tool()
async def ask_streamed(prompt: str) -> str:
    """Ask a model and read its stream."""
    from httpx_sse import aconnect_sse

    text = []
    async with aconnect_sse(client(), "POST", PATH, json={**body(prompt), "stream": True}) as source:
        async for sse in source.aiter_sse():
            event = json.loads(sse.data)
            if event["type"] == "response.output_text.delta":
                text.append(event["delta"])
    return "".join(text)


@server.tool()
async def ask_output(prompt: str, model: str) -> dict[str, Any]:
    """Ask a model, read its stream, and return the output items."""
    from httpx_sse import aconnect_sse

    output = []
    asked = {**body(prompt), "model": model, "stream": True}
    async with aconnect_sse(client(), "POST", PATH, json=asked) as source:
        async for sse in source.aiter_sse():
            event = json.loads(sse.data)
            if event["type"] == "response.completed":
                output = event["response"]["output"]
    return {"output": output}


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--http":
        host, _, port = sys.argv[2].rpartition(":")
        server.run("streamable-http", host=host, port=int(port))
    else:
        server.run()
