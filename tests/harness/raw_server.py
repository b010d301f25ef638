"""Minimal servers, for answers that the emulator does not give."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from databricks_responses_mcp.turns.bridge import Bridge, open_bridge
from databricks_responses_mcp.workspace.settings import load_settings

LISTING = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 17\r\n\r\n{"endpoints": []}'


class RawServer:
    """Answers every POST with the same bytes, records the requests and counts connections.

    Args:
        answer: the answer to every request after those in ``first`` are used up.
        each: the number of requests on a connection, which is closed then.

    Attributes:
        listing: the answer to every GET.
        gets: the number of GET requests.
    """

    def __init__(self, answer: bytes, each: int = 1000) -> None:
        self.answer = answer
        self.host = ""
        self.each = each
        self.connections = 0
        self.requests: list[bytes] = []
        self.first: list[bytes] = []
        self.listing = LISTING
        self.gets = 0

    def _next(self) -> bytes:
        return self.first.pop(0) if self.first else self.answer

    async def serve(self, stream: anyio.abc.SocketStream) -> None:
        self.connections += 1
        async with stream:
            received = b""
            answered = 0
            try:
                while True:
                    received += await stream.receive()
                    head, separator, rest = received.partition(b"\r\n\r\n")
                    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
                    if separator and len(rest) >= length:
                        self.requests.append(rest[:length])
                        received = rest[length:]
                        if answered == self.each:
                            return
                        answered += 1
                        self.gets += head.startswith(b"GET ")
                        await stream.send(self.listing if head.startswith(b"GET ") else self._next())
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return


@asynccontextmanager
async def raw_server(answer: bytes, each: int = 1000, **overrides: object) -> AsyncIterator[tuple[RawServer, Bridge]]:
    """Run a minimal server, and the bridge with it as workspace; ``overrides`` are settings."""
    server = RawServer(answer, each)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    server.host = f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
    settings = load_settings(
        {
            "DATABRICKS_HOST": server.host,
            "DATABRICKS_TOKEN": "t",
            "RESPONSES_MCP_STORE": "off",
            "RESPONSES_MCP_SURFACE": "responses",
        },
        overrides,
    )
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, server.serve)
        async with open_bridge(settings, {}) as bridge:
            yield server, bridge
        tasks.cancel_scope.cancel()


NO_LISTING = (
    b'HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 22\r\n\r\n{"detail":"Not Found"}'
)
"""The answer of a server that is not a workspace to a request for its endpoints."""


def answer(body: bytes, content_type: str) -> bytes:
    """Return a complete HTTP response in chunks."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
