"""Running a command to its end, or to the signal that ends it."""

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from databricks_responses_mcp.cli.garbage_collection import start_collecting
from databricks_responses_mcp.cli.printing import is_stuck

T = TypeVar("T")

INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM


class TerminatedError(Exception):
    """SIGTERM arrived; what the command had open has been closed."""


class StoppedError(Exception):
    """Ctrl-C was pressed while the command handled it itself; what it had open has been closed."""


def run_async(function: Callable[[], Awaitable[T]]) -> T:
    """Run a command's asynchronous part.

    Ctrl-C cancels it, so that connections and child processes are closed, and raises ``KeyboardInterrupt``; SIGTERM
    does the same, and raises `TerminatedError`.
    """
    start_collecting()
    try:
        return anyio.run(_supervised, function)
    except BaseException as error:
        if is_stuck():
            # A thread waits for a reader of stdout that reads no more: the interpreter would wait for the thread for
            # ever.
            sys.stderr.flush()
            os._exit(INTERRUPTED if _is_of_ctrl_c(error) else TERMINATED)
        raise


def _is_of_ctrl_c(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup((KeyboardInterrupt, StoppedError)) is not None
    return isinstance(error, KeyboardInterrupt | StoppedError)


async def _supervised(function: Callable[[], Awaitable[T]]) -> T:
    results: list[T] = []
    terminated = False

    async def watch(scope: anyio.CancelScope) -> None:
        nonlocal terminated
        with anyio.open_signal_receiver(signal.SIGTERM) as signals:
            async for _ in signals:
                terminated = True
                scope.cancel()

    async with anyio.create_task_group() as tasks:
        if sys.platform != "win32":
            tasks.start_soon(watch, tasks.cancel_scope)
        results.append(await function())
        tasks.cancel_scope.cancel()
    if not results:
        assert terminated
        raise TerminatedError
    return results[0]
