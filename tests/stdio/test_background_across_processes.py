"""Responses in the background of the workspace whose server is shut down or killed: the next server reads them."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from databricks_workspace_emulator.server import RunningEmulator
from databricks_workspace_emulator.state import BackgroundResponse
from harness.deadlines import DEADLINE_SECONDS
from harness.leases import end_leases
from harness.process_host import ENDS, GET, ProcessHost, start_host
from harness.stdio_process import ASK, environment, server

pytestmark = pytest.mark.anyio

PATH = "/ai-gateway/mlflow/v1/responses"
QUESTION: dict[str, Any] = {
    "prompt": "[[say done]]",
    "model": "system.ai.claude-sonnet-4-5",
    "surface": "supervisor",
    "extra": {"background": True},
}
RESUMED = "The server that began this call ended; the response was read from the workspace by another one."


@pytest.fixture(autouse=True)
def _supervisor(emulator: RunningEmulator) -> None:
    emulator.state.switches.supervisor = True
    emulator.state.background_polls = 10_000


def env(emulator: RunningEmulator, tmp_path: Path) -> dict[str, str]:
    store = str(tmp_path / "store" / "c.db")
    return environment(emulator, tmp_path, RESPONSES_MCP_STORE=store, RESPONSES_MCP_HAND_OVER_SECONDS="0.2")


async def begun(host: ProcessHost, emulator: RunningEmulator, **more: Any) -> tuple[str, BackgroundResponse]:
    """Begin a call; return its id, and its response once the server polls it."""
    facts = await host.call(ASK, **QUESTION, **more)
    assert facts["status"] == "running"
    assert "background" not in facts
    with anyio.fail_after(DEADLINE_SECONDS):
        await emulator.state.began_background.wait()
        (response,) = emulator.state.background.values()
        await response.polled.wait()
    return facts["response_id"], response


async def ended(host: ProcessHost, job_id: str) -> dict[str, Any]:
    """Ask for a call until it has ended; return its result."""
    with anyio.fail_after(DEADLINE_SECONDS):
        while True:
            found = await host.call(GET, response_id=job_id)
            if found["status"] != "running":
                return found


def prompts(emulator: RunningEmulator) -> list[list[str]]:
    """What users said in each request."""
    return [
        [item["content"][0]["text"] for item in exchange.body["input"] if item["role"] == "user"]
        for exchange in emulator.state.request_log.to(PATH)
    ]


@pytest.mark.parametrize(
    "how", [pytest.param(how, marks=[] if how == ENDS[-1] else [pytest.mark.slow]) for how in ENDS]
)
async def test_the_next_server_reads_the_response_and_continues_its_conversation(
    emulator: RunningEmulator, tmp_path: Path, how: str
) -> None:
    async with server(env(emulator, tmp_path)) as raw:
        host = await start_host(raw)
        job_id, response = await begun(host, emulator)
        await host.end(how)
    assert not response.is_cancelled
    if how == "SIGKILL":
        end_leases(tmp_path / "store" / "c.db")
    async with server(env(emulator, tmp_path)) as raw:
        host = await start_host(raw)
        running = await host.call(GET, response_id=job_id, wait_seconds=0)
        response.polls_left = 0
        found = await ended(host, job_id)
        listed = await host.call("manage_conversations", action="list")
        emulator.state.background_polls = 0
        again = await host.call(ASK, prompt="[[say more]]", conversation_id=found["conversation_id"])
        if again["status"] == "running":
            again = await ended(host, again["response_id"])
    assert (running["status"], running["response_id"]) == ("running", job_id)
    assert (found["status"], found["text"], found["notes"]) == ("completed", "done", [RESUMED])
    assert [one["conversation_id"] for one in listed["conversations"]] == [found["conversation_id"]]
    assert (again["status"], again["text"]) == ("completed", "more")
    assert prompts(emulator) == [["[[say done]]"], ["[[say done]]", "[[say more]]"]]


@pytest.mark.slow
async def test_a_server_without_a_store_that_ends_cancels_the_response(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    async with server({**env(emulator, tmp_path), "RESPONSES_MCP_STORE": "off"}) as raw:
        host = await start_host(raw)
        _, response = await begun(host, emulator)
        await host.end("stdin closed")
    assert response.is_cancelled


@pytest.mark.slow
async def test_two_servers_that_are_asked_for_it_add_one_turn_between_them(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    async with server(env(emulator, tmp_path)) as raw:
        job_id, response = await begun(await start_host(raw), emulator)
        raw.process.kill()
    end_leases(tmp_path / "store" / "c.db")
    results: list[dict[str, Any]] = []
    async with server(env(emulator, tmp_path)) as one, server(env(emulator, tmp_path)) as other:
        hosts = [await start_host(raw) for raw in (one, other)]
        async with anyio.create_task_group() as tasks:
            for host in hosts:
                tasks.start_soon(_read, host, job_id, results)
            response.polls_left = 1
        listed = await hosts[0].call("manage_conversations", action="list")
    assert [result["text"] for result in results] == ["done", "done"]
    assert [(one["turns"], one["output_tokens"]) for one in listed["conversations"]] == [(1, 1)]
    assert len(emulator.state.request_log.to(PATH)) == 1


async def _read(host: ProcessHost, job_id: str, results: list[dict[str, Any]]) -> None:
    results.append(await ended(host, job_id))


@pytest.mark.slow
async def test_the_next_server_can_cancel_the_response(emulator: RunningEmulator, tmp_path: Path) -> None:
    async with server(env(emulator, tmp_path)) as raw:
        job_id, response = await begun(await start_host(raw), emulator)
        raw.process.kill()
    end_leases(tmp_path / "store" / "c.db")
    async with server(env(emulator, tmp_path)) as raw:
        host = await start_host(raw)
        found = await host.call(GET, response_id=job_id, cancel=True)
        again = await host.call(GET, response_id=job_id)
    assert response.is_cancelled
    assert found == again
    assert found["error"]["code"] == "cancelled"


@pytest.mark.slow
async def test_a_repeated_call_with_the_key_of_a_killed_one_reads_its_response(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    async with server(env(emulator, tmp_path)) as raw:
        _, response = await begun(await start_host(raw), emulator, idempotency_key="once")
        raw.process.kill()
    end_leases(tmp_path / "store" / "c.db")
    response.polls_left = 1
    async with server(env(emulator, tmp_path)) as raw:
        host = await start_host(raw)
        found = await host.call(ASK, **QUESTION, idempotency_key="once")
        if found["status"] == "running":
            found = await ended(host, found["response_id"])
    assert (found["text"], len(emulator.state.request_log.to(PATH))) == ("done", 1)
