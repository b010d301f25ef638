"""The state of a running embedded workspace, in one object that tests and commands may change."""

import secrets
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio

from databricks_workspace_emulator.catalogue import Endpoint, ModelService
from databricks_workspace_emulator.default_endpoints import (
    default_apps,
    default_catalogue,
    default_mcp_services,
    default_services,
    retired_models,
)
from databricks_workspace_emulator.engines.base import Engine
from databricks_workspace_emulator.faults import Faults
from databricks_workspace_emulator.lakebase import Lakebase
from databricks_workspace_emulator.request_log import RequestLog
from databricks_workspace_emulator.switches import Switches, new_token
from databricks_workspace_emulator.users import User, Users
from databricks_workspace_emulator.volumes import Volume, default_volumes

MAX_REQUEST_BYTES = 32 * 1024 * 1024
_REMEMBERED = 200


class Hold:
    """Pauses answers at a point of their stream until it is released.

    Attributes:
        after_events: how many stream events are sent first; 0 pauses before the answer begins.
        reached: set when the first answer has reached the point.
    """

    def __init__(self, after_events: int = 0) -> None:
        self.after_events = after_events
        self.reached = anyio.Event()
        self._released = anyio.Event()

    def release(self) -> None:
        """Release all answers, now and later."""
        self._released.set()

    async def wait(self, events_sent: int) -> None:
        """Wait if this is the point of the hold."""
        if events_sent == self.after_events and not self._released.is_set():
            self.reached.set()
            await self._released.wait()


@dataclass(eq=False)
class BackgroundResponse:
    """A response of the Supervisor API that runs in the background.

    Attributes:
        response: its final state.
        polls_left: how many further polls find it running.
        is_cancelled: whether it was cancelled before it was done.
        cancelled: set when a client cancels it.
        polled: set when a client polls it.
    """

    response: dict[str, Any]
    polls_left: int
    is_cancelled: bool = False
    cancelled: anyio.Event = field(default_factory=anyio.Event)
    polled: anyio.Event = field(default_factory=anyio.Event)

    @property
    def is_done(self) -> bool:
        """Whether it has ended."""
        return self.is_cancelled or self.polls_left <= 0


@dataclass(eq=False)
class EmulatorState:
    """The workspace.

    Attributes:
        engine: writes the text.
        token: the credential of the first user.
        users: who may sign in.
        volumes: volumes of Unity Catalog, by ``catalog.schema.volume``.
        lakebase: databases of Lakebase.
        faults: the faults to simulate, in order.
        endpoints: serving endpoints by name; may be changed while it runs.
        retired: names of models that were retired; no endpoint has them.
        services: user-created model services of Unity Catalog, by name; each model also has one.
        mcp_services: MCP services of Unity Catalog, with their comments, by name.
        mcp_faults: methods of MCP services whose next requests fail, one for each entry.
        routed: how many requests each of them has had.
        apps: Databricks Apps that are agents, by name.
        request_log: the received requests.
        max_request_bytes: a larger body is refused, as the platform does at 32 MiB; 4 MB is its documented limit.
        switches: the features that are on.
        closing: set when the workspace shuts down; open streams end then.
        began_background: set when a response has begun in the background.
        background: responses that run in the background, by id.
        background_polls: how many polls find a new one of them running.
        remembered: what external models store for ``previous_response_id``: the input items and the output.
    """

    engine: Engine
    token: str = field(default_factory=new_token, repr=False)
    faults: Faults = field(default_factory=Faults)
    endpoints: dict[str, Endpoint] = field(default_factory=default_catalogue)
    retired: set[str] = field(default_factory=retired_models)
    services: dict[str, ModelService] = field(default_factory=default_services)
    mcp_services: dict[str, str] = field(default_factory=default_mcp_services)
    mcp_faults: list[str] = field(default_factory=list)
    routed: Counter[str] = field(default_factory=Counter)
    apps: dict[str, Endpoint] = field(default_factory=default_apps)
    request_log: RequestLog = field(default_factory=RequestLog)
    max_request_bytes: int = MAX_REQUEST_BYTES
    switches: Switches = field(default_factory=Switches)
    closing: anyio.Event = field(default_factory=anyio.Event)
    remembered: OrderedDict[str, list[dict[str, Any]]] = field(default_factory=OrderedDict)
    background: dict[str, BackgroundResponse] = field(default_factory=dict)
    background_polls: int = 1
    began_background: anyio.Event = field(default_factory=anyio.Event)
    users: Users = field(default_factory=Users)
    volumes: dict[str, Volume] = field(default_factory=default_volumes)
    lakebase: Lakebase = field(default_factory=Lakebase)
    _hold: Hold | None = None

    def user_of(self, token: str) -> User | None:
        """Return the user that a token signs in; None if it is wrong or has expired."""
        if secrets.compare_digest(token.encode(), self.token.encode()):
            return self.users.first
        return self.users.of_token(token)

    def visible_endpoints(self, user: User) -> dict[str, Endpoint]:
        """Return the serving endpoints that a user sees, by name."""
        return {name: endpoint for name, endpoint in self.endpoints.items() if name not in user.unseen_endpoints}

    @contextmanager
    def hold(self, after_events: int = 0) -> Iterator[Hold]:
        """Pause every model answer that begins in the context; all are released at its end."""
        hold = Hold(after_events)
        previous, self._hold = self._hold, hold
        try:
            yield hold
        finally:
            self._hold = previous
            hold.release()

    @property
    def current_hold(self) -> Hold | None:
        """Return the hold that applies to an answer which begins now."""
        return self._hold

    def remember(self, response_id: str, items: list[dict[str, Any]]) -> None:
        """Store a conversation for ``previous_response_id``; the oldest are removed when there are too many."""
        self.remembered[response_id] = items
        while len(self.remembered) > _REMEMBERED:
            self.remembered.popitem(last=False)
