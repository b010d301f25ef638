"""A workspace whose model answers each request with the fault that its prompt names, over a real socket."""

import json
import re
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Literal

import anyio
import anyio.abc

from harness.raw_server import LISTING

End = Literal["keep", "close", "reset", "hang"]
"""The state of the connection after the bytes: kept for the next request, closed, reset, or silent."""

_NAMED = re.compile(rb"fault:(\d+):(\d+)")
_PIECES = 6


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request.

    Attributes:
        data: the bytes of the HTTP response.
        end: the state of the connection after them.
        cut: whether the bytes are sent in pieces, cut anywhere.
        piece: the size of each piece; 0 for a few pieces of random size.
    """

    data: bytes
    end: End = "keep"
    cut: bool = True
    piece: int = 0


class FaultServer:
    """Answers a request whose body has ``fault:NUMBER:EXCHANGE`` with the answer of that number; others with 0.

    Args:
        answers: for each number, the answers to the first, second … request of an exchange; the last one is repeated.
        seed: of the random positions at which the bytes are cut.

    Attributes:
        requests: the number of requests by exchange.
        bodies: the JSON of the requests, in order.
    """

    def __init__(self, answers: Sequence[Sequence[Answer]], seed: int) -> None:
        self._answers = answers
        self._random = Random(seed)
        self.host = ""
        self.requests: Counter[int] = Counter()
        self.bodies: list[bytes] = []

    async def serve(self, stream: anyio.abc.SocketStream) -> None:
        """Serve one connection."""
        async with stream:
            received = b""
            try:
                while True:
                    received += await stream.receive()
                    head, separator, rest = received.partition(b"\r\n\r\n")
                    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
                    if not separator or len(rest) < length:
                        continue
                    received = rest[length:]
                    if head.startswith(b"GET "):
                        await stream.send(LISTING)
                    elif not await self._answer(stream, rest[:length]):
                        return
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                return

    async def _answer(self, stream: anyio.abc.SocketStream, body: bytes) -> bool:
        """Answer one request; return whether the connection is kept."""
        # The newest prompt names the fault; the others are earlier messages of the conversation.
        number, exchange = map(int, ([(0, 0), *_NAMED.findall(body)])[-1])
        self.bodies.append(body)
        answers = self._answers[number]
        answer = answers[min(self.requests[exchange], len(answers) - 1)]
        self.requests[exchange] += 1
        for piece in self._pieces(answer):
            await stream.send(piece)
        if answer.end == "hang":
            await stream.receive()  # until the bridge closes the connection
        if answer.end == "reset":
            connection: socket.socket = stream.extra(anyio.abc.SocketAttribute.raw_socket)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return answer.end == "keep"

    def _pieces(self, answer: Answer) -> list[bytes]:
        data = answer.data
        if not answer.cut or len(data) < 2:
            return [data] if data else []
        if answer.piece:
            return [data[at : at + answer.piece] for at in range(0, len(data), answer.piece)]
        places = sorted(self._random.sample(range(1, len(data)), min(_PIECES, len(data) - 1)))
        return [data[begin:end] for begin, end in zip([0, *places], [*places, len(data)], strict=True)]


@asynccontextmanager
async def fault_server(answers: Sequence[Sequence[Answer]], seed: int) -> AsyncIterator[FaultServer]:
    """Run the server on a free port of this machine until the context ends."""
    server = FaultServer(answers, seed)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    server.host = f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, server.serve)
        yield server
        tasks.cancel_scope.cancel()


def said_by_user(body: bytes) -> list[str]:
    """Return the user's messages in a request, turn by turn."""
    return [item["content"][0]["text"] for item in json.loads(body)["input"] if item.get("role") == "user"]
