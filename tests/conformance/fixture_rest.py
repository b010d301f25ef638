"""Prompts and resources that the conformance suite asks for by name, and the methods of its older revision."""

import base64
import json
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.types import (
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextResourceContents,
    UnsubscribeRequestParams,
)

from conformance.fixture_tools import png
from databricks_responses_mcp.server import BridgeServer

Ctx = ServerRequestContext[Any, Any]


def add_prompts(server: BridgeServer) -> None:
    """Register the suite's prompts."""

    @server.prompt()
    async def test_simple_prompt() -> str:
        """A prompt without arguments."""
        return "This is a simple prompt for testing."

    @server.prompt()
    async def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
        """A prompt with two arguments."""
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @server.prompt()
    async def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:  # noqa: N803 - the suite's name
        """A prompt that carries a text."""
        text = TextResourceContents(uri=resourceUri, mime_type="text/plain", text="Embedded resource content.")
        return [UserMessage(EmbeddedResource(resource=text)), UserMessage("Please process the text above.")]

    @server.prompt()
    async def test_prompt_with_image() -> list[UserMessage]:
        """A prompt that carries a picture."""
        return [
            UserMessage(ImageContent(data=png(), mime_type="image/png")),
            UserMessage("Please analyze the image above."),
        ]


def add_resources(server: BridgeServer) -> None:
    """Register the suite's resources."""

    @server.resource("test://static-text", mime_type="text/plain")
    async def static_text() -> str:
        """A text."""
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", mime_type="image/png")
    async def static_binary() -> bytes:
        """A picture."""
        return base64.b64decode(png())

    @server.resource("test://watched-resource", mime_type="text/plain")
    async def watched() -> str:
        """A text that could be subscribed to."""
        return "Watched."

    @server.resource("test://template/{id}/data", mime_type="application/json")
    async def templated(id: str) -> str:  # noqa: A002 - the suite's name
        """A text with its own name in it."""
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


def add_methods(server: BridgeServer) -> None:
    """Serve the methods that the bridge has no use for, and the suite of 2025-11-25 demands."""
    lowlevel = server._lowlevel_server

    async def set_level(ctx: Ctx, params: SetLevelRequestParams) -> EmptyResult:
        return EmptyResult()

    async def subscribe(ctx: Ctx, params: SubscribeRequestParams) -> EmptyResult:
        return EmptyResult()

    async def unsubscribe(ctx: Ctx, params: UnsubscribeRequestParams) -> EmptyResult:
        return EmptyResult()

    lowlevel.add_request_handler("logging/setLevel", SetLevelRequestParams, set_level)
    lowlevel.add_request_handler("resources/subscribe", SubscribeRequestParams, subscribe)
    lowlevel.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, unsubscribe)
