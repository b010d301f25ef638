"""Answers that must fit a JSON Schema, from servers that do not see to it."""

import json
from typing import Any

import anyio
import pytest
from inline_snapshot import snapshot
from jsonschema import Draft202012Validator

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.turns.ask import AskRequest, ask
from databricks_responses_mcp.turns.structured_output import text_format
from harness.deadlines import DEADLINE_SECONDS
from harness.raw_server import answer, raw_server

pytestmark = pytest.mark.anyio

SCHEMA = {"type": "object", "properties": {"degrees": {"type": "integer"}}, "required": ["degrees"]}


def said(text: str) -> bytes:
    """A server's answer that says ``text``."""
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
    event = {"type": "response.completed", "response": {"status": "completed", "output": [message]}}
    return answer(f"data: {json.dumps(event)}\n\n".encode(), "text/event-stream")


QUESTION = AskRequest(prompt="Weather?", model="some-model", output_schema=SCHEMA)


@pytest.mark.parametrize("text", ['{"degrees": 22}', '```json\n{"degrees": 22}\n```', ' {"degrees":22}\n'])
async def test_json_that_fits_is_the_value_fenced_or_not(text: str) -> None:
    async with raw_server(said(text)) as (server, bridge):
        outcome = await ask(bridge, QUESTION)
    assert outcome.parsed == ({"degrees": 22},)
    assert outcome.text == text
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "text",
    [
        '```JSON\n{"degrees": 22}\n```',
        '```jsonc {"degrees": 22} ```',
        '~~~\n{"degrees": 22}\n~~~',
        '```\n{"degrees": 22}',
        'Here it is:\n```json\n{"degrees": 22}\n```\nAnything else?',
        'Not `{}` nor [1], but {"degrees": 22}, is the answer.',
        '<think>Maybe {"degrees": 9}?</think>\n{"degrees": 22}',
        'no opening tag {"degrees": 9}</THINK> ```\n{"degrees": 22}\n```',
        '<think>{"degrees": 22}</think>{"degrees": 22}',
        '\ufeff{"degrees": 22}',
    ],
)
async def test_json_is_found_in_fences_among_words_and_after_thoughts(text: str) -> None:
    async with raw_server(said(text)) as (server, bridge):
        outcome = await ask(bridge, QUESTION)
    assert (outcome.parsed, outcome.text, len(server.requests)) == (({"degrees": 22},), text, 1)


RECURSIVE: dict[str, Any] = {
    "anyOf": [{"$ref": "#/$defs/n"}, {"type": "array", "items": {"$ref": "#"}}],
    "$defs": {"n": {"type": "null"}},
}
WRAPPED: list[tuple[dict[str, Any], Any]] = [
    ({"type": "array", "items": {"type": "string"}}, ["a", "b"]),
    ({"type": "string", "enum": ["answer"]}, "answer"),
    ({"type": ["object", "null"]}, None),
    ({"type": "object", "oneOf": [{"required": ["answer"]}, {"required": ["b"]}]}, {"answer": {"answer": 1}}),
    (
        {"anyOf": [{"$ref": "#/$defs/n"}, {"type": "array", "items": {"$ref": "#"}}], "$defs": {"n": {"type": "null"}}},
        [[None]],
    ),
]


@pytest.mark.parametrize(("schema", "value"), WRAPPED)
async def test_a_schema_whose_root_is_no_plain_object_is_wrapped_and_its_answer_unwrapped(
    schema: dict[str, Any], value: Any
) -> None:
    async with raw_server(said(json.dumps({"answer": value}))) as (server, bridge):
        outcome = await ask(bridge, AskRequest(prompt="Hi", model="m", output_schema=schema))
    assert (outcome.parsed, json.loads(outcome.text)) == ((value,), value)
    (request,) = server.requests
    sent = json.loads(request)["text"]["format"]["schema"]
    Draft202012Validator.check_schema(sent)
    Draft202012Validator(sent).validate({"answer": value})
    assert (sent["type"], sent["required"], sent["additionalProperties"]) == ("object", ["answer"], False)


async def test_the_bare_value_is_taken_as_well_where_a_model_leaves_the_object_out() -> None:
    async with raw_server(said('["a"]')) as (_, bridge):
        outcome = await ask(bridge, AskRequest(prompt="Hi", model="m", output_schema=WRAPPED[0][0]))
    assert (outcome.parsed, outcome.text) == ((["a"],), '["a"]')


def test_references_lead_to_the_same_parts_of_a_wrapped_schema() -> None:
    schema = {
        "type": "array",
        "items": {"$ref": "#/$defs/node"},
        "$defs": {
            "node": {"properties": {"$ref": {"type": "string"}, "all": {"$ref": "#"}, "one": {"$ref": "#/items"}}}
        },
        "default": [{"$ref": "#"}],
    }
    assert text_format(schema)["schema"] == snapshot(
        {
            "type": "object",
            "properties": {"answer": {"type": "array", "items": {"$ref": "#/$defs/node"}, "default": [{"$ref": "#"}]}},
            "required": ["answer"],
            "additionalProperties": False,
            "$defs": {
                "node": {
                    "properties": {
                        "$ref": {"type": "string"},
                        "all": {"$ref": "#/properties/answer"},
                        "one": {"$ref": "#/properties/answer/items"},
                    }
                }
            },
        }
    )


def refused(message: str) -> bytes:
    body = json.dumps({"error": {"message": message, "code": "invalid_json_schema", "param": "text.format.schema"}})
    return f"HTTP/1.1 400 Bad Request\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


STRICT_SCHEMA = {**SCHEMA, "additionalProperties": False}


async def test_a_schema_that_strict_refuses_all_the_same_is_asked_for_once_without_strict() -> None:
    async with raw_server(said('{"degrees": 22}')) as (server, bridge):
        server.first = [refused("Invalid schema: 'format' is not permitted.")]
        outcome = await ask(bridge, AskRequest(prompt="Hi", model="m", output_schema=STRICT_SCHEMA))
        await ask(bridge, AskRequest(prompt="And now?", conversation_id=outcome.conversation_id))
    assert outcome.parsed == ({"degrees": 22},)
    formats = [json.loads(request)["text"]["format"] for request in server.requests]
    assert [one["strict"] for one in formats] == [True, False, False]


async def test_a_schema_that_is_refused_without_strict_too_is_an_error() -> None:
    async with raw_server(refused("Invalid schema: no.")) as (server, bridge):
        with pytest.raises(BridgeError) as caught:
            await ask(bridge, AskRequest(prompt="Hi", model="m", output_schema=STRICT_SCHEMA))
    assert (caught.value.code, len(server.requests)) == (ErrorCode.INVALID_ARGUMENT, 2)


async def test_an_answer_that_does_not_fit_is_sent_back_once_and_mended() -> None:
    async with raw_server(said('{"degrees": 22}')) as (server, bridge):
        server.first = [said('{"degrees": "warm"}')]
        outcome = await ask(bridge, QUESTION)
    assert outcome.parsed == ({"degrees": 22},)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("It is warm.", "it is not JSON"),
        ('{"degrees": "warm"}', "$.degrees: 'warm' is not of type 'integer'"),
        ("{}", "'degrees' is a required property"),
    ],
)
async def test_an_answer_that_never_fits_is_an_error_that_keeps_the_text(text: str, problem: str) -> None:
    async with raw_server(said(text)) as (server, bridge):
        with pytest.raises(BridgeError) as caught:
            await ask(bridge, QUESTION)
    assert (caught.value.code, caught.value.partial["text"]) == (ErrorCode.UPSTREAM_ERROR, text)
    assert problem in caught.value.message
    first, second = (json.loads(request) for request in server.requests)
    assert problem in second["input"][-1]["content"][0]["text"]
    assert second["input"][0] == first["input"][0]


STRICT: list[tuple[dict[str, Any], bool]] = [
    ({"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}, True),
    ({"type": "object", "properties": {"a": {}}, "required": [], "additionalProperties": False}, False),
    ({"type": "object", "properties": {"a": {}}, "required": ["a"]}, False),
    ({"type": "object"}, False),
    ({"type": "array", "items": {"type": "object", "properties": {}}}, False),
    ({"type": "string", "enum": ["a"]}, True),
    ({"type": "object", "properties": {"a": {"oneOf": [{}]}}, "required": ["a"], "additionalProperties": False}, False),
    ({"type": "object", "properties": {"oneOf": {}}, "required": ["oneOf"], "additionalProperties": False}, True),
    ({"type": "array", "items": {"allOf": [{}]}}, False),
    ({"type": ["object", "null"], "properties": {"a": {}}}, False),
]


@pytest.mark.parametrize(("schema", "strict"), STRICT)
async def test_strict_is_asked_for_only_of_schemas_that_it_takes(schema: dict[str, Any], strict: bool) -> None:
    assert text_format(schema)["strict"] is strict


@pytest.mark.parametrize("target", ["file:///etc/passwd", "http://127.0.0.1:9/schema.json", "other.json"])
async def test_a_schema_that_refers_outside_itself_is_refused_and_nothing_is_fetched(target: str) -> None:
    async with raw_server(said("{}")) as (server, bridge):
        with pytest.raises(BridgeError) as caught:
            await ask(bridge, AskRequest(prompt="Hi", model="m", output_schema={"anyOf": [{"$ref": target}]}))
    assert caught.value.code == ErrorCode.INVALID_ARGUMENT
    assert target in caught.value.message
    assert server.requests == []


@pytest.mark.parametrize("target", ["#/$defs/missing", "#missing"])
async def test_a_schema_that_leads_nowhere_is_told_and_the_answer_kept(target: str) -> None:
    async with raw_server(said('{"degrees": 22}')) as (_, bridge):
        with pytest.raises(BridgeError) as caught:
            await ask(bridge, AskRequest(prompt="Hi", model="m", output_schema={"$ref": target}))
    assert (caught.value.code, caught.value.partial["text"]) == (ErrorCode.INVALID_ARGUMENT, '{"degrees": 22}')


@pytest.mark.parametrize("text", ["NaN", "[" * 100_000])
async def test_what_only_looks_like_json_is_no_answer(text: str) -> None:
    async with raw_server(said(text)) as (_, bridge):
        with pytest.raises(BridgeError) as caught:
            await ask(bridge, AskRequest(prompt="Hi", model="m", output_schema={}))
    assert caught.value.code == ErrorCode.UPSTREAM_ERROR


async def test_a_pattern_made_to_take_for_ever_stops_nobody() -> None:
    schema = {"type": "string", "pattern": "^(a+)+$"}
    with anyio.fail_after(DEADLINE_SECONDS):
        async with raw_server(said('"' + "a" * 40 + '!"')) as (_, bridge):
            outcome = await ask(bridge, AskRequest(prompt="Hi", model="m", output_schema=schema))
    assert outcome.parsed == ("a" * 40 + "!",)


async def test_a_repair_that_fails_keeps_the_first_answer() -> None:
    refusal = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nno"
    async with raw_server(refusal) as (server, bridge):
        server.first = [said('{"degrees": "warm"}')]
        with pytest.raises(BridgeError) as caught:
            await ask(bridge, QUESTION)
    assert caught.value.partial["text"] == '{"degrees": "warm"}'
