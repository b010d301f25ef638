"""The output schemas of the tools, kept small and portable."""

from collections.abc import Callable
from typing import Any

from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import FuncMetadata
from mcp.types import ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field

from databricks_responses_mcp.tools.arguments import Maybe


class _Facts(BaseModel):
    """A part of a result. It is built when the first tool that returns it is: a call needs one tool."""

    model_config = ConfigDict(defer_build=True)


class ErrorFacts(_Facts):
    """Why a call failed."""

    code: str
    message: str
    retryable: bool
    hint: str
    retry_after_seconds: Maybe[float] = None
    status: Maybe[int] = None
    request_id: Maybe[str] = None


class ImageFacts(_Facts):
    """One image."""

    path: Maybe[str] = Field(None, description="File with the exact bytes of the image.")
    uri: Maybe[str] = Field(None, description="URI for resources/read.")
    mime_type: Maybe[str] = None
    width: Maybe[int] = None
    height: Maybe[int] = None
    bytes: Maybe[int] = None
    sha256: Maybe[str] = None
    revised_prompt: Maybe[str] = None


class TurnFacts(_Facts):
    """The fields that the results of all turns have. Unknown values are absent."""

    status: str = Field(description="completed, incomplete, failed, cut or running")
    text: Maybe[str] = Field(None, description="The model's answer.")
    text_uri: Maybe[str] = Field(None, description="Resource with the whole, if it is truncated here.")
    model: Maybe[str] = Field(None, description="The model that answered.")
    endpoint: Maybe[str] = None
    response_id: Maybe[str] = None
    incomplete_reason: Maybe[str] = None
    refusal: Maybe[str] = None
    output: Maybe[list[dict[str, Any]]] = Field(None, description="Other output items.")
    usage: Maybe[dict[str, Any]] = None
    limited_by: Maybe[str] = None
    notes: Maybe[list[str]] = None
    next_step: Maybe[str] = Field(None, description="What to do next.")
    elapsed_seconds: Maybe[float] = None
    tail: Maybe[str] = None
    error: Maybe[ErrorFacts] = None


class AnswerFacts(TurnFacts):
    """The result of asking.

    ``parsed``, the value that matches ``output_schema``, is returned beside these fields. It has no schema here: it may
    be any value, and hosts warn about a schema that allows anything.
    """

    conversation_id: Maybe[str] = None
    pending_calls: Maybe[list[dict[str, Any]]] = Field(None, description="Tool calls for you to carry out.")
    citations: Maybe[list[dict[str, Any]]] = None
    images: Maybe[list[dict[str, Any]]] = None


class ResponseFacts(_Facts):
    """The result of any call, complete or not; other fields depend on the tool that was called."""

    status: str = Field(description="running, interrupted, cancelled, or the status of the finished call")
    text: Maybe[str] = None
    response_id: Maybe[str] = None
    conversation_id: Maybe[str] = None
    notes: Maybe[list[str]] = None
    next_step: Maybe[str] = Field(None, description="What to do next.")
    elapsed_seconds: Maybe[float] = None
    tail: Maybe[str] = None
    error: Maybe[ErrorFacts] = None


class DrawingFacts(TurnFacts):
    """The result of generating images."""

    conversation_id: Maybe[str] = None
    images: Maybe[list[ImageFacts]] = None
    errors: Maybe[list[dict[str, Any]]] = Field(None, description="Why some of several images failed.")


class CitationFacts(_Facts):
    """The source of a part of the text."""

    number: Maybe[int] = Field(None, description="Its number in the text.")
    url: Maybe[str] = None
    title: Maybe[str] = None
    start: Maybe[int] = None
    end: Maybe[int] = None
    quote: Maybe[str] = None


class SearchFacts(TurnFacts):
    """The result of a search."""

    conversation_id: Maybe[str] = None
    citations: Maybe[list[CitationFacts]] = None
    sources: Maybe[list[str]] = Field(None, description="URLs that were searched.")


class OperationFacts(_Facts):
    """The operation of a model on one file."""

    type: str = Field(description="create_file, update_file or delete_file")
    path: str
    status: str = Field(description="previewed, written, not_written or failed")
    error: Maybe[str] = None
    notes: Maybe[list[str]] = None


class EditFacts(TurnFacts):
    """The result of an edit."""

    conversation_id: Maybe[str] = None
    diff: Maybe[str] = Field(None, description="Unified diff.")
    diff_uri: Maybe[str] = Field(None, description="Resource with the whole, if it is truncated here.")
    operations: Maybe[list[OperationFacts]] = None
    applied: Maybe[bool] = Field(None, description="Whether files were written.")
    preview_id: Maybe[str] = Field(None, description="Pass it with apply=true to write this diff.")
    new_files: Maybe[list[str]] = Field(None, description="Files that the diff creates.")
    directory: Maybe[str] = Field(None, description="The directory that paths are relative to.")


class _ArgumentsAsGiven(FuncMetadata):
    """Parses JSON in a string only for an array or an object, and leaves texts unchanged.

    The SDK would parse every string that looks like JSON, unless its type is plain ``str``: instructions that are JSON
    would be refused.
    """

    def pre_parse_json(self, data: dict[str, Any]) -> dict[str, Any]:
        properties = self.arg_model.model_json_schema()["properties"] if self._has_json_text(data) else {}
        structured = {
            key: value for key, value in data.items() if properties.get(key, {}).get("type") in ("array", "object")
        }
        return {**data, **super().pre_parse_json(structured)}

    @staticmethod
    def _has_json_text(data: dict[str, Any]) -> bool:
        return any(isinstance(value, str) and value.lstrip()[:1] in ("[", "{") for value in data.values())


def define_tool(
    fn: Callable[..., Any],
    *,
    title: str,
    description: str,
    read_only: bool,
    destructive: bool,
    idempotent: bool,
    open_world: bool,
) -> Tool:
    """Return a tool with all its annotations explicit and its schemas small; unknown arguments are refused."""
    tool = Tool.from_function(
        fn,
        context_kwarg="call",  # the `ToolCall`, which `ToolCall.run` passes
        title=title,
        description=description,
        annotations=ToolAnnotations(
            title=title,
            read_only_hint=read_only,
            destructive_hint=destructive,
            idempotent_hint=idempotent,
            open_world_hint=open_world,
        ),
    )
    tool.fn_metadata = _ArgumentsAsGiven(
        arg_model=tool.fn_metadata.arg_model,
        output_schema=tool.fn_metadata.output_schema,
        output_model=tool.fn_metadata.output_model,
        wrap_output=tool.fn_metadata.wrap_output,
    )
    tool.parameters = {**slim(tool.parameters), "additionalProperties": False}
    if tool.fn_metadata.output_schema is not None:
        tool.fn_metadata.output_schema = slim(tool.fn_metadata.output_schema)
    return tool


def slim(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON Schema without generated titles, null defaults and docstrings of models: the host pays for each
    byte.
    """
    return {key: _slim_value(key, value) for key, value in schema.items() if not _is_ballast(key, value)}


def _slim_value(key: str, value: Any) -> Any:
    if key in ("properties", "$defs") and isinstance(value, dict):
        return {name: _slim_property(sub) for name, sub in value.items()}
    if isinstance(value, dict):
        return slim(value)
    return value


def _slim_property(schema: dict[str, Any]) -> dict[str, Any]:
    slimmed = slim(schema)
    if slimmed.get("type") == "object" and "properties" in slimmed:
        slimmed.pop("description", None)
    return slimmed


def _is_ballast(key: str, value: Any) -> bool:
    return (
        (key == "title" and isinstance(value, str))
        or (key == "default" and value in (None, [], False))
        # Stated in the description, and still validated.
        or key in ("minimum", "maximum", "minLength")
        # A schema that does not mention other properties allows them.
        or (key == "additionalProperties" and value is True)
    )
