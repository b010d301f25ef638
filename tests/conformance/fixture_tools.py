"""Tools that the conformance suite calls by name: one per kind of content, and those that talk back to the client."""

import base64
import io
import json
import wave
from typing import Annotated, Any

import anyio
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from mcp.types import (
    AudioContent,
    ClientCapabilities,
    EmbeddedResource,
    ImageContent,
    SamplingCapability,
    SamplingMessage,
    TextContent,
    TextResourceContents,
)
from mcp_types import MISSING_REQUIRED_CLIENT_CAPABILITY, MissingRequiredClientCapabilityErrorData
from PIL import Image
from pydantic import Field

from databricks_responses_mcp.calls.state import AppSource
from databricks_responses_mcp.server import BridgeServer

Ctx = Context[AppSource, Any]

_BEAT_SECONDS = 0.05
"""Between two notifications of one call; the suite asks for it."""

_JSON_SCHEMA_2020_12: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


def add_tools(server: BridgeServer) -> None:
    """Register every tool of this file."""
    for tool in (
        test_simple_text,
        test_image_content,
        test_audio_content,
        test_embedded_resource,
        test_multiple_content_types,
        test_error_handling,
        test_tool_with_logging,
        test_logging_tool,
        test_tool_with_progress,
        test_sampling,
        test_missing_capability,
        test_reconnection,
        test_elicitation,
        test_elicitation_sep1034_defaults,
        test_elicitation_sep1330_enums,
        test_mirrored_header,
        json_schema_2020_12_tool,
    ):
        server.tool(structured_output=False)(tool)
    # No function signature says `$anchor` or `if`, so the schema is put in as it is.
    described = server._tool_manager.get_tool("json_schema_2020_12_tool")
    assert described is not None
    described.parameters = _JSON_SCHEMA_2020_12


def png() -> str:
    """One red pixel."""
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1), "red").save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _wav() -> str:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(b"\x80" * 8)
    return base64.b64encode(buffer.getvalue()).decode()


async def test_simple_text() -> str:
    """One text."""
    return "This is a simple text response for testing."


async def test_image_content() -> ImageContent:
    """One picture."""
    return ImageContent(data=png(), mime_type="image/png")


async def test_audio_content() -> AudioContent:
    """One sound."""
    return AudioContent(data=_wav(), mime_type="audio/wav")


async def test_embedded_resource() -> EmbeddedResource:
    """One embedded text."""
    return EmbeddedResource(
        resource=TextResourceContents(uri="test://embedded", mime_type="text/plain", text="An embedded text.")
    )


async def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
    """A text, a picture and an embedded JSON text."""
    return [
        TextContent(text="Three kinds of content:"),
        ImageContent(data=png(), mime_type="image/png"),
        EmbeddedResource(
            resource=TextResourceContents(uri="test://mixed", mime_type="application/json", text='{"test": "data"}')
        ),
    ]


async def test_error_handling() -> str:
    """Fails."""
    raise ToolError("This tool intentionally returns an error for testing")


async def test_tool_with_logging(ctx: Ctx) -> str:
    """Logs to the client thrice."""
    for number, line in enumerate(("Tool execution started", "Tool processing data", "Tool execution completed")):
        if number:
            await anyio.sleep(_BEAT_SECONDS)
        await ctx.info(line)
    return "Logged three lines."


async def test_logging_tool(ctx: Ctx) -> str:
    """Logs to a client that may not have asked for it."""
    await ctx.info("Nobody may have asked for this.")
    return "Logged one line."


async def test_tool_with_progress(ctx: Ctx) -> str:
    """Reports progress thrice."""
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100)
        await anyio.sleep(_BEAT_SECONDS)
    return "Done."


async def test_sampling(prompt: str, ctx: Ctx) -> str:
    """Has the client's model answer."""
    asked = SamplingMessage(role="user", content=TextContent(text=prompt))
    answered = await ctx.session.create_message([asked], max_tokens=100, related_request_id=ctx.request_id)
    return f"LLM response: {answered.content.text if isinstance(answered.content, TextContent) else answered.content}"


async def test_missing_capability(ctx: Ctx) -> str:
    """Needs a client that samples."""
    declared = ctx.client_capabilities
    if declared is None or declared.sampling is None:
        needed = MissingRequiredClientCapabilityErrorData(
            required_capabilities=ClientCapabilities(sampling=SamplingCapability())
        )
        raise MCPError(
            MISSING_REQUIRED_CLIENT_CAPABILITY,
            "This tool needs sampling.",
            needed.model_dump(by_alias=True, mode="json", exclude_none=True),
        )
    return "The client samples."


async def test_reconnection(ctx: Ctx) -> str:
    """Closes its stream where the transport can resume it."""
    await ctx.close_sse_stream()
    return "Still here."


async def test_elicitation(message: str, ctx: Ctx) -> str:
    """Asks the user for two texts."""
    fields = {
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    }
    return await _ask(ctx, "User response:", message, fields, ["username", "email"])


async def test_elicitation_sep1034_defaults(ctx: Ctx) -> str:
    """Asks with a default of each kind."""
    fields = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    return await _ask(ctx, "Elicitation completed:", "Please check these.", fields)


async def test_elicitation_sep1330_enums(ctx: Ctx) -> str:
    """Asks with a choice of each kind."""
    plain = ["option1", "option2", "option3"]
    titled = [{"const": f"value{n}", "title": f"{word} choice"} for n, word in ((1, "First"), (2, "Second"))]
    fields = {
        "untitledSingle": {"type": "string", "enum": plain},
        "titledSingle": {"type": "string", "oneOf": titled},
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["Option one", "Option two"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled}},
    }
    return await _ask(ctx, "Elicitation completed:", "Please choose.", fields)


async def test_mirrored_header(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> str:
    """Takes an argument that HTTP clients repeat in a header."""
    return region


async def json_schema_2020_12_tool() -> str:
    """Tool with JSON Schema 2020-12 features."""
    return "Listed for its schema."


async def _ask(ctx: Ctx, lead: str, message: str, fields: dict[str, Any], required: list[str] | None = None) -> str:
    schema = {"type": "object", "properties": fields, "required": required or []}
    answer = await ctx.session.elicit_form(message, schema, related_request_id=ctx.request_id)
    return f"{lead} action={answer.action}, content={json.dumps(answer.content)}"
