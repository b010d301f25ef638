"""``kill -9`` at any moment: no turn that was acknowledged is lost, none is there twice, nothing shown is gone.

More kills than the bounded run: ``pytest -m slow -n 0 tests/faults/test_kills.py --kills 100 --seed 7``.
"""

from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest

from harness.deadlines import LONG_DEADLINE_SECONDS
from harness.fault_classes import ASK, TEXT, WORDS, chunked, events, sse
from harness.fault_server import Answer, FaultServer, fault_server, said_by_user
from harness.mcp_process import McpProcess, faults_environment, mcp_process

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

WHOLE = Answer(chunked(sse(events())), piece=40)
HALF = Answer(chunked(sse(events()[:4]), last=b""), "hang")
MAX_SECONDS = 0.4
"""After a request has gone out, the latest moment of a kill."""


def prompt(number: int, exchange: int) -> str:
    return f"fault:{number}:{exchange}"


async def killed(
    client: McpProcess, conversation_id: str | None, exchange: int, seconds: float
) -> dict[str, Any] | None:
    """Make a call and kill the server after a time; the call's result, if it came before."""
    result: dict[str, Any] | None = None

    async def call() -> None:
        nonlocal result
        given = {"conversation_id": conversation_id} if conversation_id is not None else {}
        try:
            result = (await client.call(ASK, prompt=prompt(0, exchange), **given))["structuredContent"]
        except EOFError:
            return

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        await anyio.sleep(seconds)  # the point of chance itself, not a wait for something
        await client.kill()
    return result


async def test_no_acknowledged_turn_is_lost_and_none_is_doubled(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    chance = Random(request.config.getoption("--seed"))
    conversation_id: str | None = None
    acknowledged: list[int] = []
    exchange = 0
    async with fault_server([[WHOLE]], 1) as server:
        env = faults_environment(server.host, tmp_path)
        for _ in range(request.config.getoption("--kills")):
            with anyio.fail_after(LONG_DEADLINE_SECONDS):
                async with mcp_process(env, tmp_path / "stderr.txt") as client:
                    for _ in range(chance.randrange(1, 3)):
                        exchange += 1
                        given = {"conversation_id": conversation_id} if conversation_id is not None else {}
                        facts = (await client.call(ASK, prompt=prompt(0, exchange), **given))["structuredContent"]
                        assert facts["text"] == TEXT, facts
                        assert "notes" not in facts
                        conversation_id = facts["conversation_id"]
                        acknowledged.append(exchange)
                        check(server, acknowledged)
                    exchange += 1
                    came = await killed(client, conversation_id, exchange, chance.uniform(0, MAX_SECONDS))
                    if came is not None:
                        acknowledged.append(exchange)
    assert set(server.requests.values()) == {1}


def check(server: FaultServer, acknowledged: list[int]) -> None:
    """The newest request holds every acknowledged turn once and in order; turns that were cut short may be there."""
    said = [int(text.rpartition(":")[2]) for text in said_by_user(server.bodies[-1])]
    assert said == sorted(set(said))
    assert set(acknowledged) <= set(said)


async def test_what_was_shown_of_a_running_call_outlives_its_server(tmp_path: Path) -> None:
    async with fault_server([[HALF]], 1) as server:
        env = faults_environment(server.host, tmp_path, hand_over_seconds="0.2")
        log = tmp_path / "stderr.txt"
        with anyio.fail_after(LONG_DEADLINE_SECONDS):
            async with mcp_process(env, log) as client:
                facts = (await client.call(ASK, prompt=prompt(0, 1)))["structuredContent"]
                job_id = facts["response_id"]
                while not facts["text"]:
                    facts = (await client.call("get_response", response_id=job_id, wait_seconds=0.1))[
                        "structuredContent"
                    ]
                await client.kill()
            assert facts["text"] == WORDS[0] + WORDS[1]
            async with mcp_process(env, log) as client:
                found = (await client.call("get_response", response_id=job_id, wait_seconds=0))["structuredContent"]
    assert found["text"] == facts["text"]
    assert set(server.requests.values()) == {1}
