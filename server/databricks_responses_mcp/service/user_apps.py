"""What the calls of each signed-in user share: an `App` for each user, so that nothing is shared by mistake."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from anyio.abc import TaskGroup
from starlette.requests import Request

from databricks_responses_mcp.calls.state import App
from databricks_responses_mcp.service.callers import Caller, caller_of
from databricks_responses_mcp.turns.bridge import Bridge

OpenBridge = Callable[[Caller], Bridge]
"""Makes the workspace as a user reaches it; nothing is connected before its first use."""


class UserApps:
    """Finds the `App` of the user that a request was authenticated as. See `AppSource`.

    Args:
        open_bridge: makes the workspace of a user at their first request.
    """

    def __init__(self, open_bridge: OpenBridge) -> None:
        self._open_bridge = open_bridge
        self._apps: dict[str, App] = {}
        self._tasks: TaskGroup | None = None

    def app_for(self, request: Request | None) -> App:
        """See `AppSource.app_for`."""
        assert request is not None
        caller = caller_of(request)
        app = self._apps.get(caller.owner)
        if app is None:
            app = self._apps[caller.owner] = App(self._open_bridge(caller))
            assert self._tasks is not None
            app.run_in(self._tasks)
        return app

    def run_in(self, tasks: TaskGroup) -> None:
        """See `AppSource.run_in`."""
        self._tasks = tasks

    def recover_writes(self) -> None:
        """See `AppSource.recover_writes`."""

    async def sweep(self) -> None:
        """See `AppSource.sweep`."""
        for app in tuple(self._apps.values()):
            await app.sweep()

    def hand_over(self) -> None:
        """See `AppSource.hand_over`."""
        for app in tuple(self._apps.values()):
            app.hand_over()

    async def idle(self) -> None:
        """See `AppSource.idle`."""
        for app in tuple(self._apps.values()):
            await app.idle()

    async def aclose(self) -> None:
        """Close the connections and stores of all users."""
        for app in self._apps.values():
            await app.bridge.aclose()


@asynccontextmanager
async def open_user_apps(open_bridge: OpenBridge) -> AsyncIterator[UserApps]:
    """Yield the apps of all users for the lifetime of a server."""
    apps = UserApps(open_bridge)
    try:
        yield apps
    finally:
        await apps.aclose()
