"""Checking the output of translators with OpenAI's own types, and reading it as the bridge does."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Protocol, get_args

from jsonschema import Draft202012Validator
from openai.types.chat.completion_create_params import CompletionCreateParams
from openai.types.responses import ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter, ValidationError

from databricks_responses_mcp.responses.accumulator import ResponseAssembler
from oracle.openai_spec import schemas


class Translator(Protocol):
    """Translates the stream of another API into events of the Responses API."""

    def feed(self, chunk: Any) -> list[dict[str, Any]]: ...

    def finish(self, *, marked: bool = False) -> list[dict[str, Any]]: ...


def translated(translator: Translator, chunks: Iterable[Any], *, marked: bool = True) -> list[dict[str, Any]]:
    """Return all events up to the end of the stream or the last event, where a caller stops."""
    events: list[dict[str, Any]] = []
    for chunk in chunks:
        events += translator.feed(chunk)
    return events + translator.finish(marked=marked)


def assembled(events: Sequence[Mapping[str, Any]], *, marked: bool = True) -> tuple[str, list[Any], dict[str, Any]]:
    """Return status, output and fields of the response that the bridge makes of these events, which must be valid."""
    assembler = ResponseAssembler()
    for number, event in enumerate(events):
        check_event(event)
        assert event["sequence_number"] == number
        assert not assembler.finished, "an event after the last"
        assembler.feed(event)
    assembler.end_of_stream(marked=marked)
    result = assembler.result()
    # Fields that every response must have, but that these servers do not send.
    ours = {"object", "parallel_tool_calls", "tool_choice", "tools", "status"}
    return result.status, result.output, {key: value for key, value in result.fields.items() if key not in ours}


def check_event(event: Mapping[str, Any]) -> None:
    """Raise an error unless OpenAI's client accepts this event."""
    try:
        _events()[event["type"]].model_validate(event)
    except ValidationError as error:
        # The message lists every kind of item that does not match.
        raise AssertionError(f"{event} is none of OpenAI's: {error.error_count()} reasons") from None


def check_chat_request(body: Mapping[str, Any]) -> None:
    """Raise an error unless OpenAI's client and document both accept this body of a chat completions request."""
    _consume(_requests().validate_python(dict(body)))
    reference = {"components": {"schemas": schemas()}, "$ref": "#/components/schemas/CreateChatCompletionRequest"}
    Draft202012Validator(reference).validate(dict(body))


def _consume(value: Any) -> None:
    """Read all iterables, which validates them."""
    if isinstance(value, Mapping):
        for part in value.values():
            _consume(part)
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for part in value:
            _consume(part)


@cache
def _events() -> dict[str, type[BaseModel]]:
    models = get_args(get_args(ResponseStreamEvent)[0])
    return {get_args(model.model_fields["type"].annotation)[0]: model for model in models}


@cache
def _requests() -> TypeAdapter[Any]:
    return TypeAdapter(CompletionCreateParams)
