"""A workspace that starts when the first request arrives: its imports take longer than a host should wait."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from databricks_workspace_emulator.engines.base import Engine
from databricks_workspace_emulator.listening import address_of, listen
from databricks_workspace_emulator.switches import new_token

if TYPE_CHECKING:
    from databricks_workspace_emulator.server import RunningEmulator

_START_AFTER_SECONDS = 1.5
"""Without a request the workspace starts after this time, when the host has most likely received its list of tools."""


@dataclass(frozen=True)
class Address:
    """Where a workspace answers, or will.

    Attributes:
        host: its address, ``http://127.0.0.1:PORT``.
        token: the credential that it accepts.
    """

    host: str
    token: str = field(repr=False)


@asynccontextmanager
async def run_on_demand(make_engine: Callable[[], Engine]) -> AsyncIterator[Address]:
    """Provide a workspace while the context is open. It listens at once; connections wait until it has started.

    Args:
        make_engine: returns what writes the text. It is called in a thread.
    """
    listener, token = listen(0), new_token()

    async def serve() -> None:
        with anyio.move_on_after(_START_AFTER_SECONDS):
            await anyio.wait_readable(listener)
        run_emulator = await anyio.to_thread.run_sync(_import_server)
        engine = await anyio.to_thread.run_sync(make_engine)
        async with run_emulator(engine=engine, listener=listener, token=token):
            await anyio.sleep_forever()

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve)
            yield Address(address_of(listener), token)
            tasks.cancel_scope.cancel()
    finally:
        listener.close()


def _import_server() -> "Callable[..., AbstractAsyncContextManager[RunningEmulator]]":
    from databricks_workspace_emulator.server import run_emulator

    return run_emulator
