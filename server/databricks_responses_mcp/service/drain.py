"""Ending a service that is in use, within the 15 seconds that Databricks Apps give a process after SIGTERM.

The process stops listening at once. Calls that run get nine seconds. Then each request that still waits is answered
with the id of its call, calls that still run are stored as interrupted with the content received, and the process ends.
"""

import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from databricks_responses_mcp.calls.state import AppSource
from databricks_responses_mcp.service.health import Health
from databricks_responses_mcp.service.refusals import refusal

RUN_SECONDS = 9.0
"""How long calls may run after the signal."""

ANSWER_SECONDS = 2.0
"""How long requests then have to be answered; after that they are cancelled."""

END_SECONDS = 14.0
"""The time after the signal when the process ends even if something hangs."""


class Drain:
    """The end of a service: the remaining work, and its deadlines.

    Args:
        health: says that the service takes no more requests.
        run_seconds: see `RUN_SECONDS`.
    """

    def __init__(self, health: Health, run_seconds: float = RUN_SECONDS) -> None:
        self._health = health
        self._run_seconds = run_seconds
        self._run_until: float | None = None
        self._apps: AppSource | None = None
        self._requests: set[anyio.CancelScope] = set()

    @asynccontextmanager
    async def draining(self, apps: AppSource) -> AsyncIterator[None]:
        """Look after the calls of these users in the context."""
        self._apps = apps
        try:
            yield
        finally:
            self._apps = None

    @contextmanager
    def request(self) -> Iterator[anyio.CancelScope]:
        """Answer a request in the context; it is cancelled if the process must end first."""
        with anyio.CancelScope() as scope:
            self._requests.add(scope)
            try:
                yield scope
            finally:
                self._requests.discard(scope)

    def begin(self) -> None:
        """Begin to end the process, from a signal handler; it ends in time even if the event loop is stuck."""
        if not self._health.is_draining:
            self._health.is_draining = True
            watch = threading.Timer(END_SECONDS - RUN_SECONDS + self._run_seconds, _end_process)
            watch.daemon = True
            watch.start()

    async def run(self) -> None:
        """Let calls run on, then have their requests answered, and cancel those that are not."""
        self._run_until = anyio.current_time() + self._run_seconds
        await anyio.sleep_until(self._run_until)
        if self._apps is not None:
            self._apps.hand_over()
        await anyio.sleep(ANSWER_SECONDS)
        for scope in tuple(self._requests):
            scope.cancel()

    async def finish_calls(self) -> None:
        """Wait for calls that were handed over before, as long as calls may run."""
        if self._apps is not None and self._run_until is not None:
            with anyio.move_on_after(self._run_until - anyio.current_time()):
                await self._apps.idle()


class DrainedRequests:
    """ASGI middleware under which requests and calls end in time.

    Args:
        app: the application.
        drain: says when.
    """

    def __init__(self, app: ASGIApp, drain: Drain) -> None:
        self._app = app
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or run the application's lifetime."""
        if scope["type"] == "lifespan":
            await self._app(scope, self._finishing(receive), send)
            return
        is_started = False

        async def noting(message: Message) -> None:
            nonlocal is_started
            is_started = True
            await send(message)

        with self._drain.request() as request:
            await self._app(scope, receive, noting)
        if request.cancelled_caught and not is_started and scope["type"] == "http":
            text = "The service is ending, and this request was not answered in time. Send it again."
            await refusal(503, text, {"Retry-After": "1"})(scope, receive, send)

    def _finishing(self, receive: Receive) -> Receive:
        async def finishing() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self._drain.finish_calls()
            return message

        return finishing


def _end_process() -> None:
    sys.stderr.flush()
    os._exit(1)
