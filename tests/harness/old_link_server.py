"""An MCP server whose picture comes with a link of its type, as the bridge once sent it, or with a line of text.

It has two of the bridge's tools, and runs in the environment of a client of another project.

python old_link_server.py link|text
"""

import base64
import sys

from mcp.server.fastmcp import FastMCP
from mcp.types import CallToolResult, ImageContent, ResourceLink, TextContent

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
URI = "image://a-red-fox-1.png"
server = FastMCP("bridge")


@server.tool(structured_output=False)
def ask_databricks_model(prompt: str) -> str:
    """Ask."""
    return "Four."


@server.tool()
def generate_image(prompt: str, size: str = "auto") -> CallToolResult:
    """Draw."""
    link: ResourceLink | TextContent = TextContent(type="text", text=f"MCP resource {URI}")
    if sys.argv[1] == "link":
        link = ResourceLink(type="resource_link", name="a-red-fox-1.png", uri=URI, mimeType="image/png")
    return CallToolResult(
        content=[
            TextContent(type="text", text="Saved."),
            ImageContent(type="image", data=PIXEL, mimeType="image/png"),
            link,
        ],
        structuredContent={"images": [{"uri": URI}]},
    )


@server.resource("image://{name}", mime_type="image/png")
def picture(name: str) -> bytes:
    """Read the picture."""
    return base64.b64decode(PIXEL)


if __name__ == "__main__":
    server.run()
