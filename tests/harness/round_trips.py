"""A relay in front of a PostgreSQL server that counts the round trips of its clients."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import anyio
from anyio.abc import ByteStream, SocketAttribute, SocketStream

_QUERY, _PARSE = b"Q", b"P"
"""The first byte of what a client sends, and then waits for."""


@dataclass(slots=True)
class RoundTrips:
    """The number of queries since the last `take`."""

    count: int = 0

    def take(self) -> int:
        """Return the number, and begin again at 0."""
        count, self.count = self.count, 0
        return count


@asynccontextmanager
async def counted_round_trips(server_port: int) -> AsyncIterator[tuple[int, RoundTrips]]:
    """Listen for clients until the context ends; yields the port and the counter."""
    trips = RoundTrips()

    async def answers(server: SocketStream, client: ByteStream) -> None:
        with suppress(anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            while True:
                await client.send(await server.receive())

    async def serve(client: SocketStream) -> None:
        async with (
            client,
            await anyio.connect_tcp("127.0.0.1", server_port) as server,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(answers, server, client)
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                while True:
                    data = await client.receive()
                    trips.count += data[:1] in (_QUERY, _PARSE)
                    await server.send(data)
            tasks.cancel_scope.cancel()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield listener.extra(SocketAttribute.local_port), trips
        tasks.cancel_scope.cancel()
