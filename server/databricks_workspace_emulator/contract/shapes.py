"""The JSON types of a request, strict: a wrong type or an unknown field is refused by name."""

from collections.abc import Sequence
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from databricks_workspace_emulator.replies import ApiError, invalid

MAX_ID_LENGTH = 64

Name = Field(min_length=1, max_length=128, pattern=r"^[a-zA-Z0-9_-]+$")
CallId = Field(min_length=1, max_length=MAX_ID_LENGTH)
ItemStatus = Literal["in_progress", "completed", "incomplete"]


class Shape(BaseModel):
    """The base of all types: JSON types are not converted, unknown fields are errors."""

    model_config = ConfigDict(strict=True, extra="forbid")


class TextFormat(Shape):
    type: Literal["text", "json_object", "json_schema"]
    name: str | None = Field(default=None, max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")
    # The API's own name for it; pydantic's method with that name is not used here.
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None
    description: str | None = None


class TextConfig(Shape):
    format: TextFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class ReasoningConfig(Shape):
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None
    context: Literal["auto", "current_turn", "all_turns"] | None = None
    mode: Literal["standard", "pro"] | None = None


class StreamOptions(Shape):
    include_obfuscation: bool | None = None


Include = Literal[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
]


class Body(Shape):
    """The body of ``POST /serving-endpoints/responses``; the unions in it are read elsewhere."""

    model: str = Field(min_length=1)
    input: str | list[dict[str, Any]]
    instructions: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_output_tokens: int | None = Field(default=None, ge=16, le=2**31 - 1)
    max_tool_calls: int | None = Field(default=None, ge=1)
    temperature: float | int | None = Field(default=None, ge=0, le=2)
    top_p: float | int | None = Field(default=None, ge=0, le=1)
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    text: TextConfig | None = None
    reasoning: ReasoningConfig | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    include: list[Include] | None = None
    metadata: dict[str, str] | None = Field(default=None, max_length=16)
    truncation: Literal["auto", "disabled"] | None = None
    user: str | None = None
    safety_identifier: str | None = Field(default=None, max_length=64)
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    service_tier: str | None = None
    context_management: list[dict[str, Any]] | None = None
    moderation: dict[str, Any] | None = None
    access_programs: dict[str, Any] | None = None
    image: dict[str, Any] | None = None
    prompt: dict[str, Any] | None = None
    background: bool | None = None
    store: bool | None = None
    previous_response_id: str | None = None
    conversation: str | dict[str, Any] | None = None


ShapeT = TypeVar("ShapeT", bound=BaseModel)


def read(shape: type[ShapeT], value: object, where: str = "") -> ShapeT:
    """Return ``value`` as ``shape``.

    Args:
        where: the path of ``value`` in the body, for the message.

    Raises:
        ApiError: 400 naming the first invalid field.
    """
    try:
        return shape.model_validate(value)
    except ValidationError as error:
        raise _refusal(error, where) from None


def _refusal(error: ValidationError, where: str) -> ApiError:
    # A missing or unknown field is a better explanation than the type errors around it.
    telling = [one for one in error.errors() if one["type"] in ("missing", "extra_forbidden")]
    first = (telling or error.errors())[0]
    field = join_path(where, [part for part in first["loc"] if not _is_union_branch(part)]) or "body"
    if first["type"] == "missing":
        return invalid(field, f"Missing required parameter: '{field}'.")
    if first["type"] == "extra_forbidden":
        return invalid(field, f"Unknown parameter: '{field}'.")
    return invalid(field, f"{first['msg']}.")


def _is_union_branch(part: str | int) -> bool:
    # pydantic names the branch of a union in the path; no field of the API has such a name.
    return isinstance(part, str) and (part in {"str", "float", "int", "constrained-str"} or "[" in part)


def join_path(where: str, parts: Sequence[str | int]) -> str:
    """Return a path as the API writes it: ``input[0].content[1].type``."""
    path = where
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    return path
