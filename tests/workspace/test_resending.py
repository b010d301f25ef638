"""What is sent again when a connection breaks: nothing that may have been read and may cost."""

import math
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.turns.bridge import Bridge, open_bridge
from databricks_responses_mcp.workspace import http
from databricks_responses_mcp.workspace.settings import load_settings
from harness.deadlines import DEADLINE_SECONDS

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("each_transport")]

BODY = {"model": "databricks-gpt-5", "input": [], "stream": True}
PATH = "/api/2.0/serving-endpoints"
GOOD = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 17\r\n\r\n{"endpoints": []}'
RESET = b"reset"

FAULTS = {
    "closed": b"",
    "reset": RESET,
    "partial status line": b"HTTP/1.1 20",
    "garbage": b"\x16\x03\x01 what is this\r\n\r\n",
    "wrong length": b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}",
}


class BreakingServer:
    """Reads every request whole. The first of all is answered; then ``fault`` is, ``breaks`` times.

    Args:
        fault: what is sent in place of an answer, before the connection is closed.
        breaks: how many requests after the first meet the fault.
        close_idle: whether the first connection is closed once it has answered.
        idle_seconds: how long a connection without a request is kept open.

    Attributes:
        answer: what is sent for each request that meets no fault.
        requests: which connection each request came on, counted from 1.
        closed: set when a connection that had answered was closed, where ``close_idle`` asks for that.
    """

    def __init__(self, fault: bytes, breaks: int, *, close_idle: bool = False, idle_seconds: float = math.inf) -> None:
        self.host = ""
        self.answer = GOOD
        self.requests: list[int] = []
        self.closed = anyio.Event()
        self._fault = fault
        self._breaks = breaks
        self._close_idle = close_idle
        self._idle_seconds = idle_seconds
        self._connections = 0

    async def serve(self, stream: anyio.abc.SocketStream) -> None:
        self._connections += 1
        connection = self._connections
        async with stream:
            received = b""
            while True:
                try:
                    with anyio.fail_after(self._idle_seconds):
                        received += await stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError, TimeoutError):
                    return
                head, separator, rest = received.partition(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
                if not separator or len(rest) < length:
                    continue
                received = b""
                self.requests.append(connection)
                if 1 < len(self.requests) <= 1 + self._breaks:
                    await self._break(stream)
                    return
                await stream.send(self.answer)
                if self._close_idle and not self.closed.is_set():
                    break
        self.closed.set()

    async def _break(self, stream: anyio.abc.SocketStream) -> None:
        if self._fault == RESET:
            raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif self._fault:
            await stream.send(self._fault)


@asynccontextmanager
async def breaking(
    fault: bytes, breaks: int, *, close_idle: bool = False, idle_seconds: float = math.inf
) -> AsyncIterator[tuple[BreakingServer, Bridge]]:
    """A server that breaks kept-alive connections, and the bridge to it."""
    server = BreakingServer(fault, breaks, close_idle=close_idle, idle_seconds=idle_seconds)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    server.host = f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
    settings = load_settings({"DATABRICKS_HOST": server.host, "DATABRICKS_TOKEN": "t", "RESPONSES_MCP_STORE": "off"})
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, server.serve)
        async with open_bridge(settings, {}) as bridge:
            yield server, bridge
        tasks.cancel_scope.cancel()


async def post(bridge: Bridge) -> None:
    async with bridge.client.responses(BODY) as stream:
        async for _ in stream.events():
            pass


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_a_model_request_that_the_server_received_is_never_sent_again(fault: bytes) -> None:
    with anyio.fail_after(DEADLINE_SECONDS):
        async with breaking(fault, breaks=9) as (server, bridge):
            await post(bridge)
            with pytest.raises(BridgeError) as caught:
                await post(bridge)
            assert server.requests == [1, 1]
    assert (caught.value.code, caught.value.retryable) == (ErrorCode.UPSTREAM_UNAVAILABLE, True)
    assert "may have been processed and billed" in caught.value.message


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_a_question_that_costs_nothing_is_asked_once_more_on_a_fresh_connection(fault: bytes) -> None:
    with anyio.fail_after(DEADLINE_SECONDS):
        async with breaking(fault, breaks=1) as (server, bridge):
            for _ in range(2):
                assert await bridge.client.get_json(PATH) == {"endpoints": []}
            assert server.requests == [1, 1, 2]


async def test_a_request_whose_connection_fails_twice_is_not_sent_a_third_time() -> None:
    with anyio.fail_after(DEADLINE_SECONDS):
        async with breaking(b"", breaks=9) as (server, bridge):
            await bridge.client.get_json(PATH)
            with pytest.raises(BridgeError) as caught:
                await bridge.client.get_json(PATH)
            assert server.requests == [1, 1, 2]
    assert caught.value.code is ErrorCode.UPSTREAM_UNAVAILABLE


async def test_a_connection_that_was_closed_while_idle_is_replaced_before_anything_is_written() -> None:
    with anyio.fail_after(DEADLINE_SECONDS):
        async with breaking(b"", breaks=0, close_idle=True) as (server, bridge):
            await post(bridge)
            await server.closed.wait()
            await post(bridge)
            assert server.requests == [1, 2]


@pytest.mark.slow
async def test_a_connection_that_the_server_is_about_to_close_for_idleness_is_not_used() -> None:
    # As uvicorn, Node and llama.cpp do. A request that meets the close fails, and cannot be sent again.
    with anyio.fail_after(DEADLINE_SECONDS):
        async with breaking(b"", breaks=0, idle_seconds=5) as (server, bridge):
            await post(bridge)
            await anyio.sleep(4.5)  # the idle time itself, not a wait for something
            await post(bridge)
            assert server.requests == [1, 2]


@pytest.mark.parametrize(
    ("keep_alive", "connections"),
    [
        ("timeout=1", [1, 2, 3, 4]),
        ("max=100, Timeout = 0", [1, 2, 3, 4]),
        ("timeout=5, max=100", [1, 1, 1, 1]),
        ("timeout=99999999999999999999", [1, 1, 1, 1]),
        ("timeout=-1; timeout=soon", [1, 1, 1, 1]),
    ],
)
async def test_a_server_says_how_long_its_idle_connections_may_be_used(keep_alive: str, connections: list[int]) -> None:
    with anyio.fail_after(DEADLINE_SECONDS):
        async with breaking(b"", breaks=0) as (server, bridge):
            server.answer = GOOD.replace(b"\r\n\r\n", b"\r\nkeep-alive: %b\r\n\r\n" % keep_alive.encode())
            for _ in connections:
                await post(bridge)
            assert server.requests == connections


@pytest.mark.parametrize("times", [1, 2])
async def test_a_request_that_a_busy_server_refuses_without_a_time_to_wait_is_sent_again(
    times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_backoff", lambda base: min(base, 0.001))
    busy = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    with anyio.fail_after(DEADLINE_SECONDS):
        async with breaking(busy, breaks=times) as (server, bridge):
            await post(bridge)
            await post(bridge)
    assert len(server.requests) == 2 + times


def test_a_wait_between_two_requests_is_random_about_its_base() -> None:
    waits = [http._backoff(2.0) for _ in range(100)]
    assert all(1.0 <= wait <= 3.0 for wait in waits)
    assert max(waits) - min(waits) > 0.1
