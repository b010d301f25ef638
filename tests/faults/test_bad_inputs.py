"""Bad input of a host in both protocol revisions: each request gets one answer, and the server lives."""

import json
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest

from databricks_responses_mcp.tools.registry import all_tools
from harness.deadlines import LONG_DEADLINE_SECONDS
from harness.fault_classes import TOKEN, chunked, events, sse
from harness.fault_server import Answer, fault_server
from harness.mcp_process import HANDSHAKE, NO_HANDSHAKE, McpProcess, faults_environment, mcp_process

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    10**30,
    1.5,
    "",
    "x",
    "x" * 100_000,
    "a\0b",
    "\u202e\u2028",
    "../../etc/passwd",
    "file:///dev/zero",
    "{}",
    "[1]",
    [],
    [None],
    [[[[]]]],
    ["x"] * 1000,
    {},
    {"a": {"b": [1]}},
    {"type": "function"},
    [{"type": "function", "name": "\0"}],
]


def odd_arguments(chance: Random) -> list[tuple[str, dict[str, Any]]]:
    """Each argument of each tool with each odd value, the others as the schema wants them where it wants any."""
    calls: list[tuple[str, dict[str, Any]]] = []
    for tool in all_tools():
        required = tool.parameters.get("required", ())
        given = {name: "fault:0:0" if name in ("prompt", "question", "instruction") else "x" for name in required}
        for name in [*tool.parameters["properties"], "no_such_argument"]:
            calls += [(tool.name, {**given, name: value}) for value in chance.sample(VALUES, 8)]
        calls += [(tool.name, {}), (tool.name, {"a": 1})]
    calls += [("no_such_tool", {}), ("", {}), ("x" * 100_000, {"a": 1})]
    chance.shuffle(calls)
    return calls


def odd_methods(chance: Random) -> list[tuple[str, Any]]:
    """Requests that are well-formed and make no sense."""
    methods = [
        "tools/call",
        "tools/list",
        "resources/read",
        "prompts/get",
        "completion/complete",
        "no/such",
        "tasks/get",
    ]
    parameters: list[Any] = [
        {},
        {"name": None},
        {"name": 7, "arguments": []},
        {"name": "ask_databricks_model", "arguments": "text"},
        {"uri": "answer://1"},
        {"uri": "image://../../etc/passwd"},
        {"uri": "conversation://" + "x" * 5000},
        {"uri": 7},
        {"name": "review_diff", "arguments": {"diff": 7}},
        {"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "y", "value": "z"}},
        {"taskId": "x" * 5000},
        {"cursor": "odd"},
        {"_meta": {"progressToken": {"a": 1}}},
    ]
    return [(method, params) for method in methods for params in chance.sample(parameters, 6)]


async def check(client: McpProcess, method: str, params: Any) -> None:
    """One request: one answer, which is a result or an error with a code, and the process goes on."""
    message = await client.request(method, params)
    assert ("result" in message) != ("error" in message), message
    if "error" in message:
        assert isinstance(message["error"]["code"], int)
        assert len(json.dumps(message)) < 20_000, message["error"]["message"][:200]
    elif message["result"].get("isError"):
        error = message["result"]["structuredContent"]["error"]
        assert error["code"] != "internal", (method, params, error)
        assert error["hint"]
        assert len(json.dumps(error)) < 10_000


@pytest.mark.parametrize("revision", [HANDSHAKE, NO_HANDSHAKE])
async def test_every_bad_input_gets_one_answer(revision: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    chance = Random(request.config.getoption("--seed"))
    requests = [("tools/call", {"name": name, "arguments": given}) for name, given in odd_arguments(chance)]
    requests += odd_methods(chance)
    chance.shuffle(requests)
    log = tmp_path / "stderr.txt"
    async with fault_server([[Answer(chunked(sse(events())))]], 1) as server:
        env = faults_environment(server.host, tmp_path)
        async with mcp_process(env, log, revision=revision) as client:
            with anyio.fail_after(LONG_DEADLINE_SECONDS):
                for number, (method, params) in enumerate(requests):
                    await check(client, method, params)
                    if number % 20 == 0:
                        await client.ping()
                await client.ping()
            assert set(client.answers.values()) == {1}
            assert not client.strays
    for written in (bytes(client.output), log.read_bytes()):
        assert TOKEN.encode() not in written
    assert b"Traceback" not in client.output
