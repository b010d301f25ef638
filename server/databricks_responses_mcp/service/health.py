"""Health of a service: ``/healthz`` reports that the process answers, ``/readyz`` that it can serve calls.

Both are answered without signing in and with any Host header, because probes come by address. The result of the checks
of ``/readyz`` is cached for a few seconds, so that probes cannot put load on the workspace or the store.
"""

import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from databricks_responses_mcp.service.plain_http import PlainHttp, PlainHttpError
from databricks_responses_mcp.turns.bridge import Bridge

logger = logging.getLogger(__name__)

ALIVE_PATH = "/healthz"
READY_PATH = "/readyz"

_CHECK_SECONDS = 3.0
_REMEMBERED_SECONDS = 5.0
_WORKSPACE_PATH = "/api/2.0/serving-endpoints"
_PROBE_JOB = "job_of_the_readiness_probe"

Check = Callable[[], Awaitable[None]]
"""Raises an exception if a part of the service does not work."""


@dataclass
class Health:
    """The health of this process.

    Attributes:
        checks: the parts that must work for the service to be ready, by name.
        is_draining: whether the process ends soon, and takes no more requests.
    """

    checks: dict[str, Check] = field(default_factory=dict)
    is_draining: bool = False
    _states: dict[str, str] = field(default_factory=dict)
    _checked_at: float = float("-inf")
    _lock: anyio.Lock = field(default_factory=anyio.Lock)

    async def states(self) -> dict[str, str]:
        """Return ``ok`` or ``failed`` for each part, as it was at most a few seconds ago."""
        async with self._lock:
            if time.monotonic() - self._checked_at > _REMEMBERED_SECONDS:
                # Shielded, since a client may close its connection meanwhile, and the next one would start again.
                with anyio.CancelScope(shield=True):
                    async with anyio.create_task_group() as tasks:
                        for name, check in self.checks.items():
                            tasks.start_soon(self._look, name, check)
                self._checked_at = time.monotonic()
            return {name: self._states[name] for name in self.checks}

    async def _look(self, name: str, check: Check) -> None:
        try:
            with anyio.fail_after(_CHECK_SECONDS):
                await check()
            state = "ok"
        except Exception as error:  # the probe gets an answer even if a check has a defect
            state = "failed"
            if self._states.get(name) != state:
                logger.warning("not ready: the check of %s failed: %s", name, type(error).__name__, exc_info=True)
        self._states[name] = state


class HealthRoutes:
    """ASGI middleware that answers probes.

    Args:
        app: the application that answers all other requests.
        health: the state of the process.
    """

    def __init__(self, app: ASGIApp, health: Health) -> None:
        self._app = app
        self._health = health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] not in (ALIVE_PATH, READY_PATH):
            await self._app(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            await Response(status_code=405, headers={"Allow": "GET, HEAD"})(scope, receive, send)
        elif scope["path"] == ALIVE_PATH:
            await _answer(200, {"status": "alive"})(scope, receive, send)
        else:
            await (await self._readiness())(scope, receive, send)

    async def _readiness(self) -> Response:
        if self._health.is_draining:
            return _answer(503, {"status": "draining"})
        states = await self._health.states()
        is_ready = all(state == "ok" for state in states.values())
        return _answer(200 if is_ready else 503, {"status": "ready" if is_ready else "not ready", **states})


def checks_of(bridge: Bridge, http: PlainHttp) -> dict[str, Check]:
    """Return the checks of the store and of the workspace.

    Args:
        bridge: the bridge of the service itself; no request is sent in the name of a user.
        http: sends the request to the workspace.
    """

    async def store() -> None:
        # It changes nothing, as no job has this id; a store that cannot be written refuses it.
        await bridge.store.beat_job(_PROBE_JOB, time.time(), None)

    async def workspace() -> None:
        host = await bridge.credentials.host()
        # Without credentials: that it answers is enough, and nothing is done in anybody's name.
        status, _ = await http.get(f"{host.origin}{_WORKSPACE_PATH}", seconds=_CHECK_SECONDS, most_bytes=1)
        if status >= 500:
            raise PlainHttpError(f"the workspace answers with status {status}")

    return {"store": store, "workspace": workspace}


def _answer(status: int, body: dict[str, str]) -> Response:
    return Response(json.dumps(body), status, {"Cache-Control": "no-store"}, "application/json")
