"""Types of tool arguments, lenient about what hosts and their models send for a missing value."""

from collections.abc import Collection, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field
from pydantic.json_schema import SkipJsonSchema

from databricks_responses_mcp.spelling import similar_names

T = TypeVar("T")


def without_placeholders(arguments: Mapping[str, Any], required: Collection[str]) -> dict[str, Any]:
    """Return the arguments of a call without optional ones whose value means that they are missing.

    Hosts that cannot leave out an argument send null for it, or the word as a text, and ``["null"]`` for a list.
    """
    return {name: value for name, value in arguments.items() if name in required or not _is_placeholder(value)}


def _is_placeholder(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) == 1 and not isinstance(value[0], list) and _is_placeholder(value[0])
    return value is None or value in ("null", "undefined")


def _given(value: Any) -> Any:
    """Return None for an empty text: hosts send "" for an argument that was left empty in a form."""
    return None if value == "" else value


def _as_list(value: Any) -> Any:
    if value is None or value == "":
        return ()
    return [value] if isinstance(value, str | dict) else value


Maybe = Annotated[T | SkipJsonSchema[None], Field()]
"""A value that is absent rather than null: no null union in the published schema, which some hosts refuse."""

Optional = Annotated[T | SkipJsonSchema[None], BeforeValidator(_given)]
"""An argument that may be left out, null or empty; all three mean not given."""

Names = Annotated[tuple[str, ...], BeforeValidator(_as_list)]
"""Paths or URLs; a single one need not be in a list."""

Objects = Annotated[tuple[dict[str, Any], ...], BeforeValidator(_as_list)]
"""JSON objects; a single one need not be in a list."""

Model = Annotated[Optional[str], Field(description="Serving endpoint. Default: the configured one.")]
"""The name of a model, a serving endpoint or a model service."""

Conversation = Annotated[Optional[str], Field(description="Conversation to continue. Default: a new one.")]
"""The id of a conversation."""

Key = Annotated[Optional[str], Field(description="Calls repeated with the same key return the first result.")]
"""Identifies a call that is repeated. `BridgeServer` reads it; the tools do not use it."""

_MEANT = {
    "previous_response_id": ("conversation_id",),
    "conversation": ("conversation_id",),
    "input": ("prompt", "question"),
    "messages": ("prompt", "question"),
    "query": ("question", "prompt", "name_contains"),
    "filter": ("name_contains",),
    "files": ("paths",),
    "max_tokens": ("max_output_tokens",),
    "max_completion_tokens": ("max_output_tokens",),
    "system": ("instructions",),
    "response_format": ("output_schema",),
    "functions": ("tools",),
    "effort": ("reasoning_effort",),
}
"""The names here of arguments of other APIs."""


def meant_argument(given: str, known: Collection[str]) -> str | None:
    """Return the argument that a caller probably meant by a name that the tool does not have."""
    if meant := next((name for name in _MEANT.get(given, ()) if name in known), None):
        return meant
    return next(iter(similar_names(given, known)), None)
