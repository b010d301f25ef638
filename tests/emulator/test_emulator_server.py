"""The server itself: coming up, what it remembers of its visitors, holding answers, and leaving."""

import subprocess
import sys
from collections.abc import AsyncIterator

import anyio
import httpx
import pytest

from databricks_workspace_emulator.engines.base import TextRequest
from databricks_workspace_emulator.server import RunningEmulator, run_emulator
from harness.deadlines import DEADLINE_SECONDS

pytestmark = pytest.mark.anyio

RESPONSES = "/serving-endpoints/responses"
BODY = {"model": "databricks-gpt-5", "input": "[[words 500]]", "stream": True}


class Endless:
    """An engine that never comes to an end and tells when it is left."""

    label = "endless"

    def __init__(self) -> None:
        self.left = anyio.Event()
        self.closed = 0

    async def stream(self, request: TextRequest) -> AsyncIterator[str]:
        """One word, then silence."""
        try:
            yield "word "
            await anyio.sleep_forever()
        finally:
            self.left.set()

    async def aclose(self) -> None:
        """Counted."""
        self.closed += 1


class Broken:
    """An engine with a bug."""

    label = "broken"

    async def stream(self, request: TextRequest) -> AsyncIterator[str]:
        """Breaks."""
        yield "word "
        raise ZeroDivisionError

    async def aclose(self) -> None:
        """Nothing."""


def client_of(emulator: RunningEmulator) -> httpx.AsyncClient:
    """A client with the workspace's token."""
    return httpx.AsyncClient(
        verify=False,
        base_url=emulator.host,
        headers={"authorization": f"Bearer {emulator.token}"},
        timeout=DEADLINE_SECONDS,
    )


async def test_the_journal_keeps_what_was_received_without_credentials(emulator: RunningEmulator) -> None:
    async with client_of(emulator) as client:
        await client.post(f"{RESPONSES}?o=1", json={**BODY, "stream": False}, headers={"x-mine": "1", "cookie": "c"})
    (exchange,) = emulator.state.request_log.exchanges
    assert (exchange.number, exchange.method, exchange.path, exchange.query) == (1, "POST", RESPONSES, "o=1")
    assert (exchange.body, exchange.status, exchange.complete) == ({**BODY, "stream": False}, 200, True)
    assert exchange.headers["x-mine"] == "1"
    assert not {"authorization", "cookie"} & set(exchange.headers)
    with anyio.fail_after(DEADLINE_SECONDS):
        await exchange.finished.wait()
    assert not exchange.disconnected.is_set()


async def test_a_client_that_leaves_in_the_stream_is_noticed_and_the_engine_let_go() -> None:
    engine = Endless()
    async with run_emulator(engine=engine) as emulator, client_of(emulator) as client:
        with anyio.fail_after(DEADLINE_SECONDS):
            async with client.stream("POST", RESPONSES, json=BODY) as response:
                async for line in response.aiter_lines():
                    if "output_text.delta" in line:
                        break
            (exchange,) = emulator.state.request_log.to("/responses")
            await exchange.disconnected.wait()
            await engine.left.wait()
            await exchange.finished.wait()
        assert not exchange.complete
    assert engine.closed == 1


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_before_the_answer_is_noticed(emulator: RunningEmulator, stream: bool) -> None:
    with emulator.state.hold():
        async with client_of(emulator) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: client.post(RESPONSES, json={**BODY, "stream": stream}))
            with anyio.fail_after(DEADLINE_SECONDS):
                exchange = await emulator.state.request_log.wait_for()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(DEADLINE_SECONDS):
            await exchange.disconnected.wait()


async def test_an_answer_is_held_at_the_event_asked_for_until_it_is_released(emulator: RunningEmulator) -> None:
    async with client_of(emulator) as client:
        with emulator.state.hold(after_events=3) as hold, anyio.fail_after(DEADLINE_SECONDS):
            async with client.stream("POST", RESPONSES, json=BODY) as response:
                await hold.reached.wait()
                (exchange,) = emulator.state.request_log.to("/responses")
                assert exchange.events_sent == 3
                hold.release()
                text = "".join([part async for part in response.aiter_text()])
        assert "response.completed" in text


async def test_the_nth_request_can_be_awaited(emulator: RunningEmulator) -> None:
    async with client_of(emulator) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: client.post(RESPONSES, json={**BODY, "input": "one"}))
        tasks.start_soon(lambda: client.post(RESPONSES, json={**BODY, "input": "two"}))
        with anyio.fail_after(DEADLINE_SECONDS):
            second = await emulator.state.request_log.wait_for(2)
    assert second.number == 2


async def test_it_leaves_with_streams_open() -> None:
    engine = Endless()
    ended = anyio.Event()

    async def read(client: httpx.AsyncClient) -> None:
        with pytest.raises(httpx.HTTPError):
            await client.post(RESPONSES, json=BODY)
        ended.set()

    async with anyio.create_task_group() as tasks:
        async with run_emulator(engine=engine) as emulator:
            client = client_of(emulator)
            tasks.start_soon(read, client)
            with anyio.fail_after(DEADLINE_SECONDS):
                await emulator.state.request_log.wait_for()
        with anyio.fail_after(DEADLINE_SECONDS):
            await ended.wait()
        await client.aclose()


async def test_it_leaves_when_its_caller_is_cancelled() -> None:
    engine = Endless()
    ready = anyio.Event()

    async def serve() -> None:
        async with run_emulator(engine=engine):
            ready.set()
            await anyio.sleep_forever()

    with anyio.fail_after(DEADLINE_SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve)
            await ready.wait()
            tasks.cancel_scope.cancel()
    assert engine.closed == 1


async def test_a_taken_port_is_an_os_error_and_a_free_one_is_used() -> None:
    async with run_emulator() as emulator:
        port = int(emulator.host.rpartition(":")[2])
        with pytest.raises(OSError, match=r"\w"):
            async with run_emulator(port=port):
                pass
    async with run_emulator(port=port) as again:
        assert again.host == emulator.host


async def test_tokens_are_random_unless_given() -> None:
    async with run_emulator() as one, run_emulator() as other, run_emulator(token="dapi-mine") as given:
        assert one.token.startswith("dapi-embedded-")
        assert len({one.token, other.token}) == 2
        assert given.token == "dapi-mine"


async def test_a_bug_in_an_engine_ends_the_request_and_not_the_server() -> None:
    async with run_emulator(engine=Broken()) as emulator, client_of(emulator) as client:
        whole = await client.post(RESPONSES, json={**BODY, "stream": False})
        assert (whole.status_code, whole.json()["error_code"]) == (500, "INTERNAL_ERROR")
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post(RESPONSES, json=BODY)
        assert (await client.get("/api/2.0/serving-endpoints")).status_code == 200


async def test_a_hundred_streams_at_once_are_all_answered(emulator: RunningEmulator) -> None:
    done: list[bool] = []

    async def ask(client: httpx.AsyncClient, number: int) -> None:
        response = await client.post(RESPONSES, json={**BODY, "input": f"[[say answer {number}]]"})
        done.append(f'"text":"answer {number}"' in response.text and "response.completed" in response.text)

    async with client_of(emulator) as client, anyio.create_task_group() as tasks:
        for number in range(100):
            tasks.start_soon(ask, client, number)
    assert done == [True] * 100


async def test_nothing_is_printed_and_no_signal_handler_is_taken() -> None:
    script = """
import anyio, httpx, signal
from databricks_workspace_emulator.server import run_emulator
async def main():
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    async with run_emulator() as emulator:
        assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before
        async with httpx.AsyncClient(verify=False, timeout=None, base_url=emulator.host) as client:
            await client.get("/")
            try:
                await client.post("/serving-endpoints/responses", headers={"authorization": f"Bearer {emulator.token}",
                    "x-emulator-fault": "cut:1"}, json={"model": "databricks-gpt-5", "input": "Hi", "stream": True})
            except httpx.RemoteProtocolError:
                pass
anyio.run(main)
"""
    result = await anyio.run_process([sys.executable, "-c", script], stdin=subprocess.DEVNULL)
    assert (result.stdout, result.stderr) == (b"", b"")
