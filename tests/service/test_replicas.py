"""Two replicas of a service on one PostgreSQL database: whichever of them a request reaches, it finds the same."""

import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import psycopg
import pytest
from mcp import Client, MCPError
from mcp.client import ClientRequestContext
from mcp.types import ElicitRequestParams, ElicitResult, InputRequiredResult

from databricks_responses_mcp.store.records import JOB_LEASE_SECONDS
from databricks_workspace_emulator.server import RunningEmulator
from harness import Host
from harness.deadlines import DEADLINE_SECONDS
from harness.postgres_server import PostgresServer, postgres_server
from harness.stdio_process import ASK
from harness.tasks_client import TaskHost, task_client
from harness.team_service import TeamServer, bearer, keys_in, team_server

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MODERN = "2026-07-28"
GET = "get_response"
AFTER_WORDS = 9


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


Replicas = tuple[list[TeamServer], dict[str, str], str]
"""Two replicas, the keys of two users, and the URL of the database."""


@asynccontextmanager
async def two_replicas(
    emulator: RunningEmulator, tmp_path: Path, postgres: PostgresServer, **more: str
) -> AsyncIterator[Replicas]:
    keys = keys_in(tmp_path / "keys", "ada", "bob")
    url = postgres.new_database()
    given = {
        "RESPONSES_MCP_SERVICE_KEYS_FILE": str(tmp_path / "keys"),
        "RESPONSES_MCP_SERVICE_STATE_KEYS": "k" * 40,
        "RESPONSES_MCP_STORE": url,
        **more,
    }
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(team_server(emulator, tmp_path, **given)) for _ in range(2)]
        yield servers, keys, url


@pytest.fixture
async def replicas(emulator: RunningEmulator, tmp_path: Path, postgres: PostgresServer) -> AsyncIterator[Replicas]:
    async with two_replicas(emulator, tmp_path, postgres) as running:
        yield running


@pytest.fixture
async def impatient_replicas(
    emulator: RunningEmulator, tmp_path: Path, postgres: PostgresServer
) -> AsyncIterator[Replicas]:
    """Start replicas that hand calls over soon."""
    async with two_replicas(emulator, tmp_path, postgres, RESPONSES_MCP_HAND_OVER_SECONDS="0.5") as running:
        yield running


@asynccontextmanager
async def host_of(server: TeamServer, key: str) -> AsyncIterator[Host]:
    async def not_asked(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        raise AssertionError("the tests answer by themselves")

    async with Client(server.transport(bearer(key)), mode=MODERN, elicitation_callback=not_asked) as client:
        yield Host(client)


async def until_text(host: Host, response_id: str) -> dict[str, Any]:
    with anyio.fail_after(DEADLINE_SECONDS):
        while True:
            _, facts, failed = await host.call(GET, response_id=response_id, wait_seconds=0)
            assert not failed
            if facts.get("text"):
                return facts


async def test_a_call_is_read_and_cancelled_on_another_replica_and_unknown_to_another_user(
    impatient_replicas: Replicas, emulator: RunningEmulator
) -> None:
    (one, two), keys, _ = impatient_replicas
    async with host_of(one, keys["ada"]) as here, host_of(two, keys["ada"]) as there, host_of(two, keys["bob"]) as bob:
        with emulator.state.hold(AFTER_WORDS):
            _, running, _ = await here.call(ASK, prompt="[[words 200]]")
            seen = await until_text(there, running["response_id"])
            theirs = await bob.call(GET, response_id=running["response_id"])
            unknown = await bob.call(GET, response_id="job_0123456789abcdef")
            _, cancelled, _ = await there.call(GET, response_id=running["response_id"], cancel=True)
        _, ended, _ = await here.call(GET, response_id=running["response_id"])
    assert (running["status"], seen["status"]) == ("running", "running")
    assert seen["text"].startswith("word1")
    assert (cancelled["status"], ended["status"]) == ("cancelled", "cancelled")
    assert theirs[2] is unknown[2] is True
    assert theirs[0][0].text.replace(running["response_id"], "…") == unknown[0][0].text.replace(
        "job_0123456789abcdef", "…"
    )


async def test_the_calls_of_a_killed_replica_are_interrupted_when_their_lease_ends_and_others_run_on(
    impatient_replicas: Replicas, emulator: RunningEmulator
) -> None:
    (one, two), keys, url = impatient_replicas
    async with host_of(two, keys["ada"]) as there:
        with emulator.state.hold(AFTER_WORDS):
            async with host_of(one, keys["ada"]) as here:
                _, lost, _ = await here.call(ASK, prompt="[[words 200]]")
                await until_text(there, lost["response_id"])
            _, kept, _ = await there.call(ASK, prompt="[[words 200]]")
            one.process.send_signal(signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
            await one.process.wait()
            killed_at = anyio.current_time()
            _, found, _ = await there.call(GET, response_id=lost["response_id"], wait_seconds=0)
            assert found["status"] == "running", "its lease has not ended"
            with anyio.fail_after(JOB_LEASE_SECONDS + DEADLINE_SECONDS):
                while found["status"] == "running":
                    _, found, _ = await there.call(GET, response_id=lost["response_id"], wait_seconds=5)
            took = anyio.current_time() - killed_at
            _, still, _ = await there.call(GET, response_id=kept["response_id"], wait_seconds=0)
    assert found["status"] == "interrupted"
    assert found["text"].startswith("word1")
    assert took < JOB_LEASE_SECONDS + DEADLINE_SECONDS / 2
    assert still["status"] == "running", "it is older than a lease, and its replica lives"
    with psycopg.connect(url) as admin:
        assert admin.execute("SELECT COUNT(*) FROM databricks_responses_mcp.jobs").fetchone() == (2,)


async def test_a_key_that_reaches_two_replicas_at_once_sends_one_request(
    replicas: Replicas, emulator: RunningEmulator
) -> None:
    (one, two), keys, _ = replicas
    found: list[dict[str, Any]] = []

    async def call(host: Host, number: int) -> None:
        _, facts, failed = await host.call(ASK, prompt="[[say once]]", idempotency_key=f"key-{number}")
        assert not failed
        found.append(facts)

    async with host_of(one, keys["ada"]) as here, host_of(two, keys["ada"]) as there:
        for number in range(5):
            async with anyio.create_task_group() as tasks:
                for host in (here, there, here, there):
                    tasks.start_soon(call, host, number)
    assert len(emulator.state.request_log.to("/responses")) == 5
    assert len({facts["conversation_id"] for facts in found if facts.get("text") == "once"}) == 5


async def test_the_users_answer_to_a_question_may_reach_another_replica(
    replicas: Replicas, emulator: RunningEmulator
) -> None:
    (one, two), keys, _ = replicas
    arguments = {"prompt": "Search.", "mcp_servers": ["sql"]}
    async with host_of(one, keys["ada"]) as here, host_of(two, keys["ada"]) as there, host_of(two, keys["bob"]) as bob:
        asked = await here.client.session.call_tool(ASK, arguments, allow_input_required=True)
        assert isinstance(asked, InputRequiredResult)
        yes = {"approval_1": ElicitResult(action="accept", content={})}
        again = {"input_responses": yes, "request_state": asked.request_state}
        with pytest.raises(Exception, match="requestState"):
            await bob.client.session.call_tool(ASK, arguments, **again)
        result = await there.client.session.call_tool(ASK, arguments, **again)
        shown, _, failed = await here.call(
            "manage_conversations", action="show", conversation_id=result.structured_content["conversation_id"]
        )
    facts = result.structured_content
    assert not result.is_error
    assert [item["type"] for item in facts["output"]] == ["mcp_list_tools", "mcp_approval_request", "mcp_call"]
    assert facts["notes"][0].startswith("The user approved")
    assert not failed
    assert "Search." in shown[0].text


async def test_a_task_is_read_and_cancelled_on_another_replica(replicas: Replicas, emulator: RunningEmulator) -> None:
    (one, two), keys, _ = replicas
    async with (
        task_client(one.transport(bearer(keys["ada"]))) as first,
        task_client(two.transport(bearer(keys["ada"]))) as second,
    ):
        here, there = TaskHost(first), TaskHost(second)
        with emulator.state.hold(AFTER_WORDS):
            task_id = await here.start(ASK, prompt="[[words 200]]")
            with anyio.fail_after(DEADLINE_SECONDS):
                while "word1" not in (seen := await there.get(task_id))["statusMessage"]:
                    pass
            await there.cancel(task_id)
            await there.until(task_id, "cancelled")
        ended = await here.get(task_id)
    assert (seen["status"], ended["status"]) == ("working", "cancelled")


async def test_a_task_asks_its_user_through_any_replica(replicas: Replicas, emulator: RunningEmulator) -> None:
    async def not_asked(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        raise AssertionError("the test answers by itself")

    (one, two), keys, _ = replicas
    async with (
        task_client(one.transport(bearer(keys["ada"])), elicitation_callback=not_asked) as first,
        task_client(two.transport(bearer(keys["ada"])), elicitation_callback=not_asked) as second,
        task_client(two.transport(bearer(keys["bob"])), elicitation_callback=not_asked) as third,
    ):
        here, there, bob = TaskHost(first), TaskHost(second), TaskHost(third)
        with emulator.state.hold():
            task_id = await here.start(ASK, prompt="Search.", mcp_servers=["sql"])
        waiting = await here.until(task_id, "input_required")
        with anyio.fail_after(DEADLINE_SECONDS):
            while (seen := await there.get(task_id))["status"] != "input_required":
                pass
        with pytest.raises(MCPError, match="There is no running or finished call"):
            await bob.update(task_id, approval_1={"action": "accept"})
        with pytest.raises(MCPError, match="is none"):
            await there.update(task_id, approval_1="yes")
        await there.update(task_id, unheard_of={"action": "accept"}, approval_1={"action": "accept"})
        await there.update(task_id, approval_1={"action": "decline"})
        result = await there.result(task_id)
        again = await here.result(task_id)
    assert seen["inputRequests"] == waiting["inputRequests"]
    assert result["structuredContent"]["notes"][0].startswith("The user approved")
    assert again["structuredContent"]["text"] == result["structuredContent"]["text"]
