"""A proxy between the bridge and a server: it records the requests, and can hold or cut the answers."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.abc
from anyio.abc import SocketAttribute


@dataclass
class Request:
    """One forwarded request.

    Attributes:
        line: its first line.
        body: its JSON, or None.
        gone: set when the bridge has closed the connection of the request.
    """

    line: str
    body: Any
    gone: anyio.Event


@dataclass
class Hold:
    """The place at which an answer is held.

    Attributes:
        after: a pattern; the answer is held after the first event that contains it.
        reached: set when the answer is held.
        go_on: set it to forward the rest.
    """

    after: bytes
    reached: anyio.Event = field(default_factory=anyio.Event)
    go_on: anyio.Event = field(default_factory=anyio.Event)


class Wiretap:
    """Forwards requests and answers, one request at a time on a connection.

    Attributes:
        origin: its address.
        requests: the requests, in order.
        hold: the place at which the next answer is held; used once.
        paths: the server's path for each path of Databricks that differs.
        cut_after: a pattern; the connection is closed after the first event that contains it; used once.
    """

    def __init__(self, port: int, paths: Mapping[str, str]) -> None:
        self.origin = ""
        self.paths = paths
        self.requests: list[Request] = []
        self.hold: Hold | None = None
        self.cut_after: bytes | None = None
        self._port = port

    def posted(self) -> list[Request]:
        """The requests to a model."""
        return [request for request in self.requests if request.line.startswith("POST")]

    async def serve(self, near: anyio.abc.SocketStream) -> None:
        gone = anyio.Event()
        passed = bytearray()  # the forwarded part of the current answer
        async with near:
            try:
                far = await anyio.connect_tcp("127.0.0.1", self._port)
            except OSError:
                return  # the server is down
            async with far, anyio.create_task_group() as tasks:
                tasks.start_soon(self._answers, far, near, passed, tasks.cancel_scope)
                await self._questions(near, far, passed, gone)
                gone.set()
                tasks.cancel_scope.cancel()

    async def _questions(
        self, near: anyio.abc.SocketStream, far: anyio.abc.SocketStream, passed: bytearray, gone: anyio.Event
    ) -> None:
        received = b""
        try:
            while True:
                received += await near.receive()
                while (parts := _split(received)) is not None:
                    head, body, received = parts
                    line, _, fields = head.partition(b"\r\n")
                    passed.clear()
                    self.requests.append(Request(line.decode(), json.loads(body) if body else None, gone))
                    await far.send(b"\r\n".join((self._moved(line), fields)) + b"\r\n\r\n" + body)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            return

    def _moved(self, line: bytes) -> bytes:
        method, path, version = line.decode().split(" ")
        return f"{method} {self.paths.get(path, path)} {version}".encode()

    async def _answers(
        self,
        far: anyio.abc.SocketStream,
        near: anyio.abc.SocketStream,
        passed: bytearray,
        connection: anyio.CancelScope,
    ) -> None:
        try:
            while True:
                chunk = await far.receive()
                passed += chunk
                if (hold := self.hold) is not None and (end := _end_of_event(passed, hold.after)):
                    # The rest may have arrived in the same chunk, but the answer ends here.
                    rest = bytes(passed[end:])
                    self.hold = None
                    await near.send(chunk[: len(chunk) - len(rest)])
                    hold.reached.set()
                    await hold.go_on.wait()
                    chunk = rest
                if self.cut_after is not None and (end := _end_of_event(passed, self.cut_after)):
                    self.cut_after = None
                    await near.send(chunk[: len(chunk) - len(passed[end:])])
                    connection.cancel()
                    return
                if chunk:
                    await near.send(chunk)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            connection.cancel()


def _end_of_event(passed: bytearray, pattern: bytes) -> int:
    """Return the end of the event that contains the pattern; 0 if it was not forwarded."""
    found = re.search(pattern + rb".*?\n\r?\n", passed, re.DOTALL)
    return found.end() if found else 0


def _split(received: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Return the first request's head and body and the following bytes; None if it is incomplete."""
    head, separator, rest = received.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
    return (head, rest[:length], rest[length:]) if separator and len(rest) >= length else None


@asynccontextmanager
async def wiretap(port: int, paths: Mapping[str, str] | None = None) -> AsyncIterator[Wiretap]:
    """Run a wiretap in front of a server on loopback."""
    tap = Wiretap(port, paths or {})
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    tap.origin = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, tap.serve)
        yield tap
        tasks.cancel_scope.cancel()
