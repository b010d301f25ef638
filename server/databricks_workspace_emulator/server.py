"""Running the workspace on a loopback port, on the caller's event loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from databricks_workspace_emulator.app import create_app
from databricks_workspace_emulator.engines.base import Engine
from databricks_workspace_emulator.engines.rules import RulesEngine
from databricks_workspace_emulator.faults import Faults
from databricks_workspace_emulator.listening import address_of, listen
from databricks_workspace_emulator.state import EmulatorState
from databricks_workspace_emulator.switches import TokenKind, new_token

_CLOSING_SECONDS = 5.0


@dataclass(frozen=True)
class RunningEmulator:
    """A running workspace.

    Attributes:
        host: its address, ``http://127.0.0.1:PORT``.
        token: the accepted credential.
        engine_label: the name of its engine.
        state: its internal state: request log, faults, holds.
    """

    host: str
    token: str = field(repr=False)
    engine_label: str
    state: EmulatorState = field(repr=False)


@asynccontextmanager
async def run_emulator(
    *,
    engine: Engine | None = None,
    port: int = 0,
    listener: socket.socket | None = None,
    token: str | None = None,
    credential: TokenKind = "personal",
    faults: Faults | None = None,
) -> AsyncIterator[RunningEmulator]:
    """Serve a workspace while the context is open. Open streams are closed with it.

    Args:
        engine: writes the text; by default the rule engine. It is closed with the workspace.
        port: the port on 127.0.0.1; an unused one if 0.
        listener: where it listens, instead of a new socket; it is closed with the workspace.
        token: the accepted credential; by default a random one of the kind ``credential``.
        credential: the kind of a random token; apps take OAuth tokens only.
        faults: the faults to simulate.

    Raises:
        OSError: if the port is taken.
    """
    engine = engine if engine is not None else RulesEngine()
    queue = faults if faults is not None else Faults()
    state = EmulatorState(engine=engine, token=token or new_token(credential), faults=queue)
    listener = listen(port) if listener is None else listener
    server = _Server(state)
    try:
        async with anyio.create_task_group() as tasks:
            try:
                # Shielded: the server is itself, and ends only when told to, so a cancelled start would wait for it.
                with anyio.CancelScope(shield=True):
                    await tasks.start(server.run, listener)
                host = address_of(listener)
                yield RunningEmulator(host=host, token=state.token, engine_label=engine.label, state=state)
            finally:
                state.closing.set()
    finally:
        listener.close()
        with anyio.move_on_after(_CLOSING_SECONDS, shield=True):
            await engine.aclose()


class _WithAbort:
    """Lets the application close the connection of a request, which ASGI does not support."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = getattr(getattr(send, "__self__", None), "transport", None)
        if transport is not None:
            scope.setdefault("extensions", {})["emulator.abort"] = transport.abort
        await self._app(scope, receive, send)


class _Server(uvicorn.Server):
    """A uvicorn server that waits for an event instead of polling, ignores signals and does not wait for clients."""

    def __init__(self, state: EmulatorState) -> None:
        config = uvicorn.Config(
            _WithAbort(create_app(state)),
            log_config=None,
            log_level="critical",
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_keep_alive=120,
            http="h11",  # independent of what is installed
            ws="none",
        )
        super().__init__(config)
        self._state = state
        self._status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED

    async def run(self, listener: socket.socket, *, task_status: anyio.abc.TaskStatus[None]) -> None:  # type: ignore[override]
        self._status = task_status
        # Shielded: the caller's cancellation sets `closing`, and connections are then closed in order.
        with anyio.CancelScope(shield=True):
            await self.serve(sockets=[listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._status.started()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._state.closing.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        # The requests end by themselves at `closing`; uvicorn keeps them as asyncio tasks, so they are awaited as such.
        if self.server_state.tasks:
            await asyncio.wait(set(self.server_state.tasks), timeout=_CLOSING_SECONDS)
        for connection in list(self.server_state.connections):
            connection.shutdown()
            connection.transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
