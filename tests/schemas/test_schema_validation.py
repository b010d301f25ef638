"""Checks with schemas that take practically unlimited time do not block the server."""

import json
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from databricks_responses_mcp.schemas.validation import check_schema, check_values
from databricks_responses_mcp.schemas.validation_result import SchemaCheck, Verdict
from databricks_workspace_emulator.server import RunningEmulator
from harness import Connect
from harness.raw_server import answer, raw_server
from harness.stdio_process import ASK, environment, server

pytestmark = pytest.mark.anyio

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
UNIQUE = {"type": "array", "items": {"type": "object"}, "uniqueItems": True}
MANY = [{"number": number} for number in range(12_000)]
PATTERNS = {"patternProperties": {"^(a+)+$": {}}, "additionalProperties": False}
LIMIT = SchemaCheck(Verdict.LIMIT_EXCEEDED, "checking with it takes more than 5 s")


async def test_values_are_checked_and_the_first_match_is_returned() -> None:
    assert await check_schema(SCHEMA) == SchemaCheck(Verdict.MATCH)
    assert await check_schema({"type": "nothing"}) == SchemaCheck(
        Verdict.INVALID_SCHEMA, "$.type: 'nothing' is not valid under any of the given schemas"
    )
    assert await check_values(SCHEMA, ["x", {"n": 1}, {"n": 2}]) == SchemaCheck(Verdict.MATCH, number=1)
    assert await check_values(SCHEMA, [{"n": "\ud83d"}, 5]) == SchemaCheck(
        Verdict.NO_MATCH, "$.n: '\\ud83d' is not of type 'integer'"
    )
    assert await check_values({"$ref": "#/$defs/missing"}, [1]) == SchemaCheck(
        Verdict.UNUSABLE, "it refers to '/$defs/missing', which is not there"
    )
    assert (await check_values({"$ref": "#"}, [1])).verdict is Verdict.UNUSABLE
    assert (await check_values({"$ref": "https://127.0.0.1:9/schema"}, [1])).verdict is Verdict.UNUSABLE


async def test_nothing_is_imported_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jsonschema.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert (await check_values(SCHEMA, [{"n": 1}])).verdict is Verdict.MATCH
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="only the clock ends it there")
@pytest.mark.parametrize("kind", ["unique", "patterns"])
async def test_an_endless_check_is_ended_and_blocks_nothing(kind: str) -> None:
    schema, value = {"unique": (UNIQUE, MANY), "patterns": (PATTERNS, {"a" * 60 + "!": 1})}[kind]
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await anyio.sleep(0.01)
            turns += 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(turn)
        assert await check_values(schema, [value]) == LIMIT
        tasks.cancel_scope.cancel()
    assert turns > 20


async def test_a_cancelled_check_leaves_no_process() -> None:
    limiter = anyio.CapacityLimiter(1)
    with anyio.move_on_after(0.5) as scope:
        await check_values(UNIQUE, [MANY], limiter)
    assert scope.cancelled_caught
    assert limiter.borrowed_tokens == 0
    assert await check_values(SCHEMA, [{"n": 1}], limiter) == SchemaCheck(Verdict.MATCH)


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"$ref": "#"}, "output_schema has references that lead back to themselves without end"),
        ({"enum": list(range(2000))}, "output_schema has a list of 2000 entries"),
        ({"type": 5}, "output_schema is not a JSON Schema: $.type"),
        ({"required": [{"a": 1}]}, "output_schema is not a JSON Schema: $.required"),
        ({"$ref": "https://127.0.0.1:9/schema"}, "outside itself: nothing is fetched"),
    ],
)
async def test_an_unusable_schema_is_refused_before_a_billed_request(
    connect: Connect, emulator: RunningEmulator, schema: dict[str, Any], told: str
) -> None:
    async with connect() as host:
        content, facts, failed = await host.call(ASK, prompt="x", output_schema=schema)
    assert (failed, facts["error"]["code"]) == (True, "invalid_argument")
    assert told in content[0].text
    assert not list(emulator.state.request_log.to("/responses"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="only the clock ends it there")
async def test_pings_are_answered_while_an_answer_is_checked_and_the_answer_is_returned(tmp_path: Path) -> None:
    text = json.dumps(MANY)
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
    event = {"type": "response.completed", "response": {"status": "completed", "output": [message]}}
    said = answer(f"data: {json.dumps(event)}\n\n".encode(), "text/event-stream")
    async with raw_server(said) as (upstream, bridge):
        env = {
            **environment(RunningEmulatorAddress(bridge.settings.host), tmp_path),
            "RESPONSES_MCP_MODEL": "some-model",
            "RESPONSES_MCP_SURFACE": "responses",
        }
        async with server(env) as raw:
            await raw.initialize()
            call = {"name": ASK, "arguments": {"prompt": "x", "output_schema": UNIQUE}}
            await raw.send({"jsonrpc": "2.0", "id": "call", "method": "tools/call", "params": call})
            pings, result = 0, None
            while result is None:
                pings += 1
                await raw.send({"jsonrpc": "2.0", "id": pings, "method": "ping"})
                while (message := await raw.receive())["id"] != pings:
                    result = message["result"]
        assert len(upstream.requests) == 1
    facts = result["structuredContent"]
    assert facts["error"]["message"] == (
        "output_schema cannot be used to check an answer: checking with it takes more than 5 s."
    )
    assert facts["text"][:50] == text[:50]
    assert pings > 5


class RunningEmulatorAddress:
    """The attributes of a workspace that `environment` reads."""

    token = "dapi-test"

    def __init__(self, host: str | None) -> None:
        self.host = host
