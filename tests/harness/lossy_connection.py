"""A proxy in front of a PostgreSQL server that loses the connection when the client sends a certain statement."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
from anyio.abc import ByteStream, SocketAttribute, SocketStream


class Switch:
    """Whether the next connection that sends the statement is lost."""

    def __init__(self) -> None:
        self._on = False

    def set(self) -> None:
        """Lose the next one."""
        self._on = True

    def is_set(self) -> bool:
        """Return whether none was lost since `set`."""
        return self._on

    def take(self) -> bool:
        """Return whether this one is lost."""
        on, self._on = self._on, False
        return on


@asynccontextmanager
async def lossy_connection(
    server_port: int,
    *statements: str,
    reaches_server: bool,
    is_answered: bool = True,
    for_good: bool = False,
) -> AsyncIterator[tuple[int, Switch]]:
    """Listen for clients until the context ends.

    Args:
        *statements: a connection that sends one of these is lost.
        reaches_server: whether the server gets the statement before the connection is lost.
        is_answered: whether the server has answered it by then.
        for_good: refuse all later connections.

    Yields:
        The port, and what makes the next connection that sends one of the statements a lost one.
    """
    switch, ended = Switch(), anyio.Event()

    async def answers(server: SocketStream, client: ByteStream, lost: anyio.Event, answered: anyio.Event) -> None:
        with suppress(anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            while True:
                data = await server.receive()
                if lost.is_set():
                    answered.set()
                    return
                await client.send(data)

    async def serve(client: SocketStream) -> None:
        if ended.is_set():
            await client.aclose()
            return
        lost, answered = anyio.Event(), anyio.Event()
        async with (
            client,
            await anyio.connect_tcp("127.0.0.1", server_port) as server,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(answers, server, client, lost, answered)
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                while True:
                    data = await client.receive()
                    if any(statement.encode() in data for statement in statements) and switch.take():
                        if for_good:
                            ended.set()
                        lost.set()
                        if reaches_server:
                            await server.send(data)
                            if is_answered:
                                await answered.wait()
                        break
                    await server.send(data)
            tasks.cancel_scope.cancel()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield listener.extra(SocketAttribute.local_port), switch
        tasks.cancel_scope.cancel()
