"""Connections to `serve --http` that send no request, over real sockets."""

import contextlib
import http.client
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import anyio.to_thread
import pytest
import uvicorn
from anyio.abc import SocketStream
from mcp.server.auth.provider import AccessToken
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from databricks_responses_mcp.service.callers import Caller, SignedInUser
from databricks_responses_mcp.service.health import Health, HealthRoutes
from databricks_responses_mcp.service.http_server import BodyLimits
from databricks_responses_mcp.service.request_timeout import MAX_HEAD_BYTES, ServiceProtocol, TimedProtocol
from harness.deadlines import DEADLINE_SECONDS
from harness.http_process import http_server
from harness.stdio_process import environment

pytestmark = pytest.mark.anyio

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"


class Impatient(TimedProtocol):
    """A protocol with a brief deadline."""

    request_seconds = 0.2


class Patient(TimedProtocol):
    """A protocol whose deadline no test waits for."""

    request_seconds = 600


@asynccontextmanager
async def served(app: Any, protocol: type[TimedProtocol] = Impatient) -> AsyncIterator[int]:
    """Serve an application; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(app, http=protocol, log_config=None, timeout_keep_alive=600, lifespan="off")
        server = uvicorn.Server(config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listening])
            yield listening.getsockname()[1]
            server.should_exit = True


async def all_of(stream: SocketStream) -> bytes:
    """Read everything until the server closes the connection."""
    received = b""
    with anyio.fail_after(DEADLINE_SECONDS):
        try:
            while True:
                received += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return received


@pytest.mark.parametrize("sent", [b"", b"P", HEAD[:-2], HEAD + b"12"], ids=["nothing", "a byte", "half", "no body"])
async def test_a_connection_without_a_whole_request_is_closed(sent: bytes) -> None:
    async with served(PlainTextResponse("read nothing")) as port, await anyio.connect_tcp("127.0.0.1", port) as stream:
        if sent:
            await stream.send(sent)
        received = await all_of(stream)
    assert received.startswith(b"HTTP/1.1 200" if sent.startswith(HEAD) else b"")


async def test_slow_bytes_after_an_answer_do_not_keep_a_connection_open() -> None:
    async with served(PlainTextResponse("done")) as port, await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(HEAD + b"12345" + b"GET")
        assert b"done" in await all_of(stream)


async def test_the_deadline_does_not_apply_to_an_answer() -> None:
    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await anyio.sleep(3 * Impatient.request_seconds)
        await PlainTextResponse("late")(scope, receive, send)

    async with served(slow) as port, await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(HEAD + b"12345")
        assert b"late" in await all_of(stream)


@pytest.mark.slow  # as long as the server waits
async def test_idle_connections_do_not_block_other_clients(emulator: Any, tmp_path: Any) -> None:
    async with http_server(environment(emulator, tmp_path), "--http-max-sessions", "2") as serving:
        port = int(serving.url.rsplit(":", 1)[1].split("/")[0])
        silent = [await anyio.connect_tcp("127.0.0.1", port) for _ in range(120)]
        for stream in silent:
            assert await all_of(stream) == b""
            await stream.aclose()
        assert await serving.open_session()


async def test_white_space_around_a_header_value_is_not_part_of_it() -> None:
    async def echo(scope: Any, receive: Any, send: Any) -> None:
        values = [value for name, value in scope["headers"] if name == b"x-name"]
        await PlainTextResponse(repr(values))(scope, receive, send)

    request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Name: \t first, second \t \r\nX-NAME:third\r\n\r\n"
    async with served(echo, Patient) as port, await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(request)
        assert repr([b"first, second", b"third"]).encode() in await all_of(stream)


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\n", b"GET /"], ids=["headers", "address"])
async def test_a_request_whose_head_does_not_end_is_refused(start: bytes) -> None:
    asked: list[str] = []

    async def count(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])

    line = b"X-Filler: " + b"y" * 990 + b"\r\n" if start.endswith(b"\n") else b"y" * 1000
    async with served(count, Patient) as port, await anyio.connect_tcp("127.0.0.1", port) as stream:
        with suppress(anyio.BrokenResourceError):
            await stream.send(start)
            for _ in range(2 * MAX_HEAD_BYTES // 1000):
                await stream.send(line)
        received = await all_of(stream)
    assert received[:12] in (b"HTTP/1.1 400", b"")  # the refusal may be lost where it crosses what is still sent
    assert not asked


async def test_a_head_that_is_too_long_is_refused_even_if_it_arrives_at_once() -> None:
    asked = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope)

    async with served(app, Patient) as port, await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(HEAD[:-2] + b"X: " + b"y" * MAX_HEAD_BYTES + b"\r\n\r\n12345")
        received = await all_of(stream)
    assert received[:12] in (b"HTTP/1.1 400", b"")  # the refusal may be lost where it crosses what is still sent
    assert not asked


async def test_a_body_larger_than_the_limit_of_the_head_is_read() -> None:
    async def measure(scope: Any, receive: Any, send: Any) -> None:
        body = await Request(scope, receive).body()
        await PlainTextResponse(f"{len(body)} bytes")(scope, receive, send)

    size = 3 * MAX_HEAD_BYTES
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
    async with served(measure, Patient) as port, await anyio.connect_tcp("127.0.0.1", port) as stream:
        # The second request is read like the first.
        for _ in range(2):
            await stream.send(head + b"y" * size)
            received = b""
            while not received.endswith(f"{size} bytes".encode()):
                received += await stream.receive()


async def test_a_request_on_its_way_when_the_server_ends_is_answered() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(PlainTextResponse("in time"), http=ServiceProtocol, log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listening])
            fresh, used = [await anyio.connect_tcp("127.0.0.1", listening.getsockname()[1]) for _ in range(2)]
            await used.send(HEAD + b"12345")
            assert b"in time" in await used.receive()
            while len(server.server_state.connections) < 2:
                await anyio.lowlevel.checkpoint()
            server.should_exit = True
            while server.servers[0].is_serving():  # noqa: ASYNC110 - it has no event
                await anyio.sleep(0.01)
            for stream in (fresh, used):
                await stream.send(HEAD + b"12345")
                answer = await all_of(stream)
                assert b"in time" in answer
                assert b"connection: close" in answer
                await stream.aclose()


async def test_connections_beyond_the_limit_are_closed_at_once() -> None:
    def connect(port: int) -> int:
        """Open 200 connections; return how many of them the server closes."""
        with contextlib.ExitStack() as opened:
            streams = [
                opened.enter_context(socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS))
                for _ in range(200)
            ]
            return sum(_is_closed(stream) for stream in streams[60:])

    config = uvicorn.Config(
        PlainTextResponse("one of few"), http=ServiceProtocol, log_config=None, lifespan="off", limit_concurrency=10
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listening])
            assert await anyio.to_thread.run_sync(connect, listening.getsockname()[1]) == 140
            server.should_exit = True


async def test_a_service_with_all_its_connections_in_use_is_alive_and_not_ready() -> None:
    def statuses(port: int) -> dict[str, int]:
        with contextlib.ExitStack() as opened:
            for _ in range(3):
                opened.enter_context(socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS))
            found = {}
            for path in ("/healthz", "/readyz", "/mcp", "/healthz"):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS)
                opened.callback(connection.close)
                connection.request("GET", path)
                found[path] = connection.getresponse().status
            return found

    app = HealthRoutes(PlainTextResponse("an answer"), Health())
    config = uvicorn.Config(app, http=ServiceProtocol, log_config=None, lifespan="off", limit_concurrency=3)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listening])
            found = await anyio.to_thread.run_sync(statuses, listening.getsockname()[1])
            server.should_exit = True
    assert found == {"/healthz": 200, "/readyz": 503, "/mcp": 503}


def _is_closed(stream: socket.socket) -> bool:
    try:
        return stream.recv(1) == b""
    except ConnectionError:
        return True


async def test_an_idle_connection_is_kept_for_the_next_request_but_not_for_bytes_that_trickle_in() -> None:
    class Brief(ServiceProtocol):
        request_seconds = 0.2
        idle_seconds = 600.0

    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(
            PlainTextResponse("done"), http=Brief, log_config=None, lifespan="off", timeout_keep_alive=600
        )
        server = uvicorn.Server(config)
        async with (
            anyio.create_task_group() as tasks,
            await anyio.connect_tcp("127.0.0.1", listening.getsockname()[1]) as stream,
        ):
            tasks.start_soon(server.serve, [listening])
            await stream.send(HEAD + b"12345")
            assert b"done" in await stream.receive()
            await anyio.sleep(3 * Brief.request_seconds)
            await stream.send(HEAD + b"12345" + b"GET")
            assert b"done" in await all_of(stream)
            server.should_exit = True


async def test_a_client_that_does_not_read_its_answer_is_disconnected() -> None:
    class Brief(ServiceProtocol):
        unread_seconds = 0.2

    ended = anyio.Event()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await _received_at_once(receive)).get("type") != "http.disconnect":
            await send({"type": "http.response.body", "body": b"x" * 1_000_000, "more_body": True})
        ended.set()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(endless, http=Brief, log_config=None, lifespan="off"))
        async with (
            anyio.create_task_group() as tasks,
            await anyio.connect_tcp("127.0.0.1", listening.getsockname()[1]) as stream,
        ):
            tasks.start_soon(server.serve, [listening])
            await stream.send(HEAD + b"12345")
            with anyio.fail_after(DEADLINE_SECONDS):
                await ended.wait()
            server.should_exit = True


async def _received_at_once(receive: Any) -> dict[str, Any]:
    """Return the next message of a client, or nothing if there is none yet."""
    with anyio.move_on_after(0.01):
        message: dict[str, Any] = await receive()
        return message
    return {}


async def test_a_body_that_does_not_arrive_is_not_waited_for() -> None:
    async def reading(scope: Any, receive: Any, send: Any) -> None:
        await Request(scope, receive).body()

    async with (
        served(BodyLimits(reading, 0.2), Patient) as port,
        await anyio.connect_tcp("127.0.0.1", port) as stream,
    ):
        await stream.send(HEAD + b"1234")
        assert (await all_of(stream)).startswith(b"HTTP/1.1 408 ")


async def test_large_requests_at_once_do_not_take_more_memory_than_there_is_for_them() -> None:
    reading, answer = anyio.Event(), anyio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        body = await Request(scope, receive).body()
        reading.set()
        await answer.wait()
        await PlainTextResponse(f"read {len(body)}")(scope, receive, send)

    async with (
        served(BodyLimits(slow, 600, 8), Patient) as port,
        await anyio.connect_tcp("127.0.0.1", port) as first,
        await anyio.connect_tcp("127.0.0.1", port) as second,
    ):
        await first.send(HEAD + b"12345")
        await reading.wait()
        await second.send(HEAD + b"12345")
        refused = await all_of(second)
        answer.set()
        assert b"read 5" in await first.receive()
        async with await anyio.connect_tcp("127.0.0.1", port) as third:
            await third.send(HEAD + b"12345")
            assert b"read 5" in await third.receive()
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 5" in refused


async def test_large_requests_of_one_user_do_not_keep_others_from_sending_theirs() -> None:
    reading, answer = anyio.Event(), anyio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        body = await Request(scope, receive).body()
        reading.set()
        await answer.wait()
        await PlainTextResponse(f"read {len(body)}")(scope, receive, send)

    limits = BodyLimits(slow, 600, 100, 8)

    async def signed_in(scope: Any, receive: Any, send: Any) -> None:
        subject = dict(scope["headers"])[b"x-test-user"].decode()
        user = SignedInUser(Caller(issuer="x", subject=subject), AccessToken(token="", client_id="x", scopes=[]))
        await limits({**scope, "user": user}, receive, send)

    def request_of(user: str) -> bytes:
        return HEAD.replace(b"\r\n\r\n", b"\r\nX-Test-User: " + user.encode() + b"\r\n\r\n") + b"12345"

    async with (
        served(signed_in, Patient) as port,
        await anyio.connect_tcp("127.0.0.1", port) as first,
        await anyio.connect_tcp("127.0.0.1", port) as second,
        await anyio.connect_tcp("127.0.0.1", port) as other,
    ):
        await first.send(request_of("ada"))
        await reading.wait()
        await second.send(request_of("ada"))
        refused = await all_of(second)
        await other.send(request_of("bob"))
        answer.set()
        assert b"read 5" in await other.receive()
        assert b"read 5" in await first.receive()
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"of yours" in refused
