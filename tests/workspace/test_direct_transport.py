"""The transport that parses in C, beside httpx's own: both read the same answers, over real sockets."""

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx
import pytest

from databricks_responses_mcp.workspace.direct_transport import DirectTransport
from harness.deadlines import DEADLINE_SECONDS
from harness.tls_front import self_signed

pytestmark = pytest.mark.anyio

LIMITS = httpx.Limits(max_connections=4, max_keepalive_connections=2, keepalive_expiry=60)
OK = b"HTTP/1.1 200 OK\r\n"
ABC = b"Content-Length: 3\r\n\r\nabc"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"3\r\nabc\r\n0\r\n\r\n"
LONG = 400_000
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Read:
    """What came of one request: the head, the body as far as it came, and the error that ended it."""

    status: int | None
    headers: tuple[tuple[str, str], ...]
    body: bytes
    error: str | None


@asynccontextmanager
async def serving(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server of a few lines on loopback; gives its port."""
    tasks: set[asyncio.Task[None] | None] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            await serve(reader, writer)
            writer.close()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        running = [task for task in tasks if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running)
        await asyncio.sleep(0)


async def request_of(reader: asyncio.StreamReader) -> bytes:
    """The body of the next request."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
    return await reader.readexactly(length)


def answering(raw: bytes, *, pieces: int = 1) -> Serve:
    """Answer the first request of each connection with these bytes, in so many pieces, and close the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        size = max(len(raw) // pieces, 1)
        for start in range(0, len(raw), size):
            writer.write(raw[start : start + size])
            await asyncio.sleep(0)
        await writer.drain()

    return serve


async def read(transport: httpx.AsyncBaseTransport, port: int) -> Read:
    """Send one request and read its answer."""
    status, headers, body = None, [], b""
    try:
        async with httpx.AsyncClient(transport=transport, timeout=DEADLINE_SECONDS) as client:
            request = client.build_request("POST", f"http://127.0.0.1:{port}/a?b=c", content=b"{}")
            response = await client.send(request, stream=True)
            status, headers = response.status_code, response.headers.multi_items()
            async for piece in response.aiter_raw():
                body += piece
            await response.aclose()
    except httpx.HTTPError as exc:
        return Read(status, tuple(headers), body, type(exc).__name__)
    return Read(status, tuple(headers), body, None)


ALIKE = {
    "a length": OK + ABC,
    "no length": OK + b"\r\nabc",
    "a length of 0": OK + b"Content-Length: 0\r\n\r\n",
    "more than its length": OK + ABC + b"def",
    "less than its length": OK + b"Content-Length: 9\r\n\r\nabc",
    "another answer after it": (OK + ABC) * 2,
    "two lengths": OK + b"Content-Length: 4\r\n" + ABC,
    "a length of words": OK + b"Content-Length: many\r\n\r\nabc",
    "a negative length": OK + b"Content-Length: -1\r\n\r\nabc",
    "a signed length": OK + b"Content-Length: +3\r\n\r\nabc",
    "a length beyond reason": OK + b"Content-Length: 99999999999999999999999\r\n\r\nabc",
    "no value of a length": OK + b"Content-Length:\r\n\r\nabc",
    "chunks": CHUNKED + CHUNKS,
    "chunks and a length": OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "extensions of chunks": CHUNKED + b'3;a=b;c="d"\r\nabc\r\n0;x\r\n\r\n',
    "spaces after the size of a chunk": CHUNKED + b"3  \r\nabc\r\n0\r\n\r\n",
    "trailers": CHUNKED + b"3\r\nabc\r\n0\r\nX-Status: 500\r\nETag: x\r\n\r\n",
    "a chunk whose size is none": CHUNKED + b"3\r\nabc\r\nxyz\r\n",
    "a chunk longer than it says": CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    "a chunk that is cut": CHUNKED + b"3\r\nabc\r\n5\r\nab",
    "no last chunk": CHUNKED + b"3\r\nabc\r\n",
    "a coding besides chunked": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS,
    "a coding that is not chunked": OK + b"Transfer-Encoding: gzip\r\n\r\nabc",
    "chunked twice": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "chunked with a space before its colon": OK + b"Transfer-Encoding : chunked\r\n" + ABC,
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\nabc",
    "HTTP/1.0 kept alive": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + ABC,
    "HTTP/0.9": b"abc",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\n" + ABC,
    "lines that end with LF alone": b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc",
    "no reason": b"HTTP/1.1 200\r\n" + ABC,
    "an odd status": b"HTTP/1.1 999 Odd\r\n" + ABC,
    "a status of four digits": b"HTTP/1.1 2000 Odd\r\n" + ABC,
    "a status of two digits": b"HTTP/1.1 42 Odd\r\n" + ABC,
    "100 first": b"HTTP/1.1 100 Continue\r\n\r\n" + OK + ABC,
    "103 first, often": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 3 + OK + ABC,
    "101": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nabc",
    "an upgrade that is offered": OK + b"Upgrade: h2c\r\nConnection: upgrade\r\n" + ABC,
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "304 with a length": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n",
    "an error": b"HTTP/1.1 500 Oh no\r\n" + ABC,
    "the same header twice": OK + b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n" + ABC,
    "headers without values": OK + b"X-A:\r\nX-B: \r\nX-C:   \r\n" + ABC,
    "spaces around a value": OK + b"X-A: \t a b \t \r\n" + ABC,
    "bytes beyond ASCII in a value": OK + "X-A: ä€\r\n".encode() + ABC,
    "a NUL in a value": OK + b"X-A: a\0b\r\n" + ABC,
    "CR in a value": OK + b"X-A: a\rb\r\n" + ABC,
    "a name that is none": OK + b"X(A): 1\r\n" + ABC,
    "a header without a colon": OK + b"X-A\r\n" + ABC,
    "a header without a name": OK + b": x\r\n" + ABC,
    "thousands of headers": OK + b"".join(b"X-%d: x\r\n" % number for number in range(2000)) + ABC,
    "a long header": OK + b"X-A: " + b"a" * 60_000 + b"\r\n" + ABC,
    "a header beyond reason": OK + b"X-A: " + b"a" * LONG + b"\r\n" + ABC,
    "headers beyond reason": OK + b"X-A: aaaaaaa\r\n" * 30_000 + ABC,
    "trailers beyond reason": CHUNKED + b"3\r\nabc\r\n0\r\n" + b"X-A: aaaaaaa\r\n" * 200_000 + b"\r\n",
    "an extension beyond reason": CHUNKED + b"3;" + b"a" * LONG + b"\r\nabc\r\n0\r\n\r\n",
    "nothing": b"",
    "half a status line": b"HTTP/1.1 20",
    "half a head": OK + b"X-A: 1\r\n",
    "TLS where none is spoken": b"\x16\x03\x01 what\r\n\r\n",
    "a request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "megabytes": OK + b"Content-Length: 3000000\r\n\r\n" + b"z" * 3_000_000,
    "megabytes in chunks": CHUNKED + (b"10000\r\n" + b"y" * 65536 + b"\r\n") * 40 + b"0\r\n\r\n",
}
"""Answers that both transports read alike."""

REFUSED = Read(None, (), b"", "RemoteProtocolError")
OTHERWISE = {
    "one length, twice": (OK + b"Content-Length: 3\r\n" + ABC, REFUSED),
    "a list of one length": (OK + b"Content-Length: 3, 3\r\n\r\nabc", REFUSED),
    "a folded header": (OK + b"X-A: 1\r\n  2\r\n" + ABC, REFUSED),
    "a control character in a value": (OK + b"X-A: a\x01b\r\n" + ABC, REFUSED),
    "HTTP/1.2": (b"HTTP/1.2 200 OK\r\n" + ABC, REFUSED),
    "103 without end": (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 10_000 + OK + ABC, REFUSED),
    "an empty line first": (b"\r\n" + OK + ABC, Read(200, (("content-length", "3"),), b"abc", None)),
}
"""Answers that the direct transport reads otherwise than httpx's, and how."""


@pytest.mark.parametrize("pieces", [1, 300])
@pytest.mark.parametrize("raw", ALIKE.values(), ids=ALIKE.keys())
async def test_an_answer_is_read_as_by_the_transport_of_httpx(raw: bytes, pieces: int) -> None:
    with anyio.fail_after(DEADLINE_SECONDS):
        async with serving(answering(raw, pieces=pieces)) as port:
            expected = await read(httpx.AsyncHTTPTransport(limits=LIMITS), port)
            assert await read(DirectTransport(None, LIMITS), port) == expected


@pytest.mark.parametrize(("raw", "expected"), OTHERWISE.values(), ids=OTHERWISE.keys())
async def test_an_answer_that_few_servers_give_is_read_or_refused(raw: bytes, expected: Read) -> None:
    with anyio.fail_after(DEADLINE_SECONDS):
        async with serving(answering(raw)) as port:
            assert await read(DirectTransport(None, LIMITS), port) == expected


class Keeping:
    """A server that answers every request of a connection, and counts both.

    Attributes:
        extra: what is sent after each answer, in the same write.
    """

    def __init__(self, extra: bytes = b"") -> None:
        self.extra = extra
        self.connections = 0
        self.closed = 0
        self.requests = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                await request_of(reader)
                self.requests += 1
                writer.write(OK + ABC + self.extra)
        finally:
            self.closed += 1


async def ask(transport: httpx.AsyncBaseTransport, port: int, **timeouts: float) -> httpx.Response:
    """Send one request; its answer is not read."""
    address = f"http://127.0.0.1:{port}/"
    return await transport.handle_async_request(
        httpx.Request("POST", address, content=b"{}", extensions={"timeout": timeouts})
    )


async def test_an_answer_that_was_read_leaves_a_connection_that_is_used_again() -> None:
    server = Keeping()
    async with serving(server.serve) as port, DirectTransport(None, LIMITS) as transport:
        for _ in range(3):
            response = await ask(transport, port)
            assert await response.aread() == b"abc"
            await response.aclose()
        both = [await ask(transport, port), await ask(transport, port)]
        for response in both:
            await response.aread()
    assert (server.connections, server.requests) == (2, 5)


async def test_what_comes_after_an_answer_is_never_taken_for_the_next_one() -> None:
    server = Keeping(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nwrong")
    async with serving(server.serve) as port, DirectTransport(None, LIMITS) as transport:
        for number in range(1, 4):
            response = await ask(transport, port)
            assert (response.status_code, await response.aread()) == (200, b"abc")
            assert server.connections == number


async def test_a_server_that_sends_without_being_asked_is_not_read_for_ever() -> None:
    gone = asyncio.Event()

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(OK + ABC)
        await kept.wait()
        with suppress(ConnectionError):
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        gone.set()

    kept = asyncio.Event()
    with anyio.fail_after(DEADLINE_SECONDS):
        async with serving(flood) as port, DirectTransport(None, LIMITS) as transport:
            await (await ask(transport, port)).aread()
            kept.set()
            await gone.wait()


@pytest.mark.parametrize("closes", [False, True])
async def test_an_answer_that_comes_with_the_handshake_is_read(closes: bool, tmp_path: Path) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 503 Busy\r\n" + ABC)
        await writer.drain()
        if not closes:
            await reader.read()

    certificate = tmp_path / "certificate.pem"
    served = self_signed("localhost", certificate)
    # There the server is the last to speak in the handshake.
    served.maximum_version = ssl.TLSVersion.TLSv1_2
    trust = ssl.create_default_context(cafile=certificate)
    with anyio.fail_after(DEADLINE_SECONDS):
        async with serving(refuse, served) as port, DirectTransport(trust, LIMITS) as transport:
            request = httpx.Request("POST", f"https://localhost:{port}/", content=b"{}")
            response = await transport.handle_async_request(request)
            assert (response.status_code, await response.aread()) == (503, b"abc")


async def test_a_connection_that_was_kept_too_long_is_closed_when_another_is_kept() -> None:
    old, new = Keeping(), Keeping()
    short = httpx.Limits(max_connections=4, max_keepalive_connections=4, keepalive_expiry=1e-9)
    with anyio.fail_after(DEADLINE_SECONDS):
        async with serving(old.serve) as first, serving(new.serve) as second, DirectTransport(None, short) as transport:
            await (await ask(transport, first)).aread()
            await (await ask(transport, second)).aread()
            while not old.closed:
                await anyio.lowlevel.checkpoint()


async def test_an_answer_that_is_given_up_closes_its_connection_at_once() -> None:
    gone = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(CHUNKED + b"3\r\nabc\r\n")
        with suppress(ConnectionError):
            await reader.read()
        gone.set()

    with anyio.fail_after(DEADLINE_SECONDS):
        async with serving(endless) as port, DirectTransport(None, LIMITS) as transport:
            response = await ask(transport, port)
            await response.aclose()
            await gone.wait()


async def test_a_request_that_is_cancelled_frees_its_place_and_closes_its_connection() -> None:
    server = Keeping()
    gone = asyncio.Event()
    is_silent = True

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal is_silent
        if not is_silent:
            await server.serve(reader, writer)
        is_silent = False
        await request_of(reader)
        asked.set()
        with suppress(ConnectionError):
            await reader.read()
        gone.set()

    asked = asyncio.Event()
    one = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=60)
    with anyio.fail_after(DEADLINE_SECONDS):
        async with serving(serve) as port, DirectTransport(None, one) as transport:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask, transport, port)
                await asked.wait()
                tasks.cancel_scope.cancel()
            await gone.wait()
            assert await (await ask(transport, port)).aread() == b"abc"


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:0/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:1/",
        "https://[::1]:1/",
        "http://a..b/",
        f"http://{'a' * 64}/",
    ],
)
async def test_a_place_that_cannot_be_reached_was_sent_nothing_and_takes_no_place(address: str) -> None:
    one = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=60)
    async with DirectTransport(ssl.create_default_context(), one) as transport:
        for _ in range(2):
            with pytest.raises(httpx.ConnectError):
                await transport.handle_async_request(
                    httpx.Request("POST", address, content=b"{}", extensions={"timeout": {"pool": DEADLINE_SECONDS}})
                )


@pytest.mark.parametrize("is_encrypted", [False, True])
async def test_a_request_that_is_cancelled_at_any_step_leaves_nothing_behind(
    is_encrypted: bool, tmp_path: Path
) -> None:
    server = Keeping()
    certificate = tmp_path / "certificate.pem"
    served = self_signed("localhost", certificate) if is_encrypted else None
    trust = ssl.create_default_context(cafile=certificate) if is_encrypted else None
    if trust is not None:
        trust.check_hostname = False
    one = httpx.Limits(max_connections=1, max_keepalive_connections=0)
    with anyio.fail_after(DEADLINE_SECONDS):
        async with serving(server.serve, served) as port, DirectTransport(trust, one) as transport:
            address = f"{'https' if is_encrypted else 'http'}://127.0.0.1:{port}/"

            async def whole() -> bytes:
                response = await transport.handle_async_request(httpx.Request("POST", address, content=b"x" * 300_000))
                return await response.aread()

            for steps in range(60):
                task = asyncio.ensure_future(whole())
                for _ in range(steps):
                    await asyncio.sleep(0)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            assert await whole() == b"abc"
            while server.closed < server.connections:
                await anyio.lowlevel.checkpoint()


async def test_a_request_waits_for_a_place_as_long_as_it_may() -> None:
    server = Keeping()
    one = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=60)
    with anyio.fail_after(DEADLINE_SECONDS):
        async with serving(server.serve) as port, DirectTransport(None, one) as transport:
            first = await ask(transport, port)
            with pytest.raises(httpx.PoolTimeout):
                await ask(transport, port, pool=0.01)
            await first.aread()
            await (await ask(transport, port, pool=0.01)).aread()
    assert (server.connections, server.requests) == (1, 2)


async def test_no_more_idle_connections_are_kept_than_allowed() -> None:
    server = Keeping()
    with anyio.fail_after(DEADLINE_SECONDS):
        async with serving(server.serve) as port, DirectTransport(None, LIMITS) as transport:
            for _ in range(3):
                await (await ask(transport, port)).aread()
            for response in [await ask(transport, port) for _ in range(4)]:
                await response.aread()
            while server.closed < 2:
                await anyio.lowlevel.checkpoint()
            for response in [await ask(transport, port) for _ in range(2)]:
                await response.aread()
    assert (server.connections, server.requests) == (4, 9)


async def test_servers_that_are_asked_in_turn_share_the_places_of_idle_connections() -> None:
    servers = Keeping(), Keeping(), Keeping()
    one = httpx.Limits(max_connections=4, max_keepalive_connections=1, keepalive_expiry=60)
    with anyio.fail_after(DEADLINE_SECONDS):
        async with AsyncExitStack() as stack:
            ports = [await stack.enter_async_context(serving(server.serve)) for server in servers]
            transport = await stack.enter_async_context(DirectTransport(None, one))
            for port in ports * 2:
                assert await (await ask(transport, port)).aread() == b"abc"
    assert [(server.connections, server.requests) for server in servers] == [(2, 2)] * 3


async def test_a_connection_that_its_server_has_closed_is_not_used_even_if_the_event_loop_has_not_seen_it() -> None:
    """A request on it would fail after it was written, and then it may not be sent again."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE_SECONDS)

        def serve_one() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(OK + ABC)
                may_close.wait(DEADLINE_SECONDS)

        with ThreadPoolExecutor(2) as threads, anyio.fail_after(DEADLINE_SECONDS):
            async with DirectTransport(None, LIMITS) as transport:
                port = listener.getsockname()[1]
                for _ in range(3):
                    may_close = threading.Event()
                    served = threads.submit(serve_one)
                    assert await (await ask(transport, port)).aread() == b"abc"
                    may_close.set()
                    served.result()  # the event loop does not run meanwhile


async def test_an_answer_that_is_reset_in_the_middle_is_an_error() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(OK + b"Content-Length: 9\r\n\r\nabc")
        await has_begun.wait()
        now = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
        writer.transport.abort()

    has_begun = asyncio.Event()
    with anyio.fail_after(DEADLINE_SECONDS):
        async with serving(reset) as port, DirectTransport(None, LIMITS) as transport:
            pieces = (await ask(transport, port)).aiter_raw()
            assert await anext(pieces) == b"abc"
            has_begun.set()
            with pytest.raises(httpx.ReadError):
                await anext(pieces)


async def test_a_large_answer_that_is_taken_slowly_arrives_whole() -> None:
    body = bytes(range(256)) * 20_000

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(OK + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    taken = b""
    with anyio.fail_after(DEADLINE_SECONDS):
        async with serving(serve) as port, DirectTransport(None, LIMITS) as transport:
            async for piece in (await ask(transport, port)).aiter_raw():
                taken += piece
                for _ in range(50):  # long enough for more to arrive than is held at once
                    await anyio.lowlevel.checkpoint()
    assert taken == body


async def test_an_answer_is_read_no_faster_than_it_is_taken() -> None:
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await request_of(reader)
        writer.write(CHUNKED)
        while True:
            writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            with anyio.move_on_after(0.5) as scope:
                await writer.drain()
            if scope.cancelled_caught:
                full.set()
                return
            sent += 65536

    full = asyncio.Event()
    with anyio.fail_after(DEADLINE_SECONDS):
        async with serving(flood) as port, DirectTransport(None, LIMITS) as transport:
            response = await ask(transport, port)
            await full.wait()
            assert sent < 50_000_000
            pieces = response.aiter_raw()
            assert len(await anext(pieces)) < 1_000_000
            await response.aclose()


@pytest.mark.parametrize("reads_on", [True, False])
async def test_a_server_that_refuses_a_large_body_before_it_has_it_is_heard(reads_on: bool) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\n" + ABC)
        await writer.drain()
        await (reader.read() if reads_on else anyio.sleep_forever())

    with anyio.fail_after(DEADLINE_SECONDS):
        async with serving(refuse) as port, DirectTransport(None, LIMITS) as transport:
            request = httpx.Request("POST", f"http://127.0.0.1:{port}/", content=b"x" * 20_000_000)
            response = await transport.handle_async_request(request)
            assert (response.status_code, await response.aread()) == (413, b"abc")


@pytest.mark.parametrize(
    ("size", "times", "error"),
    [(2, {"read": 0.05}, httpx.ReadTimeout), (30_000_000, {"write": 0.05}, httpx.WriteTimeout)],
)
async def test_a_server_that_does_nothing_is_waited_for_as_long_as_it_may_take(
    size: int, times: dict[str, float], error: type[Exception]
) -> None:
    async def sleep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(DEADLINE_SECONDS)

    async with serving(sleep) as port, DirectTransport(None, LIMITS) as transport:
        request = httpx.Request("POST", f"http://127.0.0.1:{port}/", content=b"x" * size, extensions={"timeout": times})
        with pytest.raises(error):
            await transport.handle_async_request(request)


@pytest.mark.parametrize("is_encrypted", [False, True])
async def test_a_large_body_arrives_whole_and_its_connection_is_used_again(is_encrypted: bool, tmp_path: Path) -> None:
    body = bytes(range(256)) * 80_000
    got: list[bytes] = []
    connections = 0
    certificate = tmp_path / "certificate.pem"
    served = self_signed("localhost", certificate) if is_encrypted else None
    trust = ssl.create_default_context(cafile=certificate) if is_encrypted else None

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            got.append(await request_of(reader))
            writer.write(OK + ABC)

    with anyio.fail_after(DEADLINE_SECONDS):
        async with serving(keep, served) as port, DirectTransport(trust, LIMITS) as transport:
            address = f"{'https' if is_encrypted else 'http'}://localhost:{port}/"
            for content in (body, b"{}"):
                response = await transport.handle_async_request(httpx.Request("POST", address, content=content))
                assert await response.aread() == b"abc"
                await response.aclose()
    assert (got == [body, b"{}"], connections) == (True, 1)


@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "a\nb", "a\rb", "a\0b"])
async def test_no_value_of_a_header_becomes_another_header(value: str) -> None:
    server = Keeping()
    async with serving(server.serve) as port, DirectTransport(None, LIMITS) as transport:
        request = httpx.Request("POST", f"http://127.0.0.1:{port}/", headers={"x-tags": value}, content=b"{}")
        with pytest.raises(httpx.LocalProtocolError):
            await transport.handle_async_request(request)
    assert server.connections == 0


@pytest.mark.parametrize(
    ("name", "is_trusted", "reason"),
    [
        ("localhost", True, None),
        ("localhost", False, "CERTIFICATE_VERIFY_FAILED"),
        ("elsewhere.example", True, "CERTIFICATE_VERIFY_FAILED"),
    ],
)
async def test_a_certificate_is_checked_before_anything_is_written(
    name: str, is_trusted: bool, reason: str | None, tmp_path: Path
) -> None:
    server = Keeping()
    certificate = tmp_path / "certificate.pem"
    trust = ssl.create_default_context()
    with anyio.fail_after(DEADLINE_SECONDS):
        async with serving(server.serve, self_signed(name, certificate)) as port:
            if is_trusted:
                trust.load_verify_locations(certificate)
            async with DirectTransport(trust, LIMITS) as transport:
                request = httpx.Request("POST", f"https://localhost:{port}/", content=b"{}")
                if reason is None:
                    for _ in range(2):
                        assert await (await transport.handle_async_request(request)).aread() == b"abc"
                else:
                    with pytest.raises(httpx.ConnectError, match=reason):
                        await transport.handle_async_request(request)
    assert (server.connections, server.requests) == ((1, 2) if reason is None else (0, 0))


async def test_a_server_that_speaks_no_tls_was_sent_nothing() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(OK + ABC)

    with anyio.fail_after(DEADLINE_SECONDS):
        async with serving(plain) as port, DirectTransport(ssl.create_default_context(), LIMITS) as transport:
            with pytest.raises(httpx.ConnectError):
                await transport.handle_async_request(httpx.Request("GET", f"https://127.0.0.1:{port}/"))
