"""A service for a team on a loopback port, whose users are signed in by a header that the test sets."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import uvicorn
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.auth.provider import AccessToken
from mcp.shared._httpx_utils import create_mcp_http_client
from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from databricks_responses_mcp.policy.rules import PolicyRules, Rules
from databricks_responses_mcp.server import build_server_of
from databricks_responses_mcp.service.callers import Caller, SignedInUser
from databricks_responses_mcp.service.governance import Governance
from databricks_responses_mcp.service.settings import load_service_settings
from databricks_responses_mcp.service.user_apps import UserApps, WorkspaceIdentity, open_user_apps
from databricks_responses_mcp.store.interface import Store
from databricks_responses_mcp.store.sqlite import SqliteStore
from databricks_workspace_emulator.server import RunningEmulator
from databricks_workspace_emulator.users import User
from harness import Host, settings_for
from harness.deadlines import DEADLINE_SECONDS

ISSUER = "https://issuer.example"
Extensions = Any


class _SignIn:
    """Signs in the user that the headers name."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            name = headers["x-test-user"]

            def secret(header: str) -> SecretStr | None:
                return SecretStr(headers[header]) if header in headers else None

            caller = Caller(
                issuer=ISSUER,
                subject=name,
                name=name,
                workspace_token=secret("x-test-workspace-token"),
                mcp_token=secret("x-test-mcp-token"),
            )
            token = AccessToken(token="t", client_id="test", scopes=[], subject=name, claims={"iss": ISSUER})
            scope = {**scope, "user": SignedInUser(caller, token)}
        await self._app(scope, receive, send)


@dataclass
class Team:
    """A running service.

    Attributes:
        apps: the users' Apps.
        url: the URL of its MCP endpoint.
    """

    apps: UserApps
    url: str

    @asynccontextmanager
    async def user(
        self, name: str, *, era: str = "2026-07-28", extensions: Extensions = None, **headers: str
    ) -> AsyncIterator[Host]:
        """Connect the host of a user; more headers with underscores for hyphens, without ``x-test-``."""
        sent = {"x-test-user": name} | {f"x-test-{key.replace('_', '-')}": value for key, value in headers.items()}
        async with create_mcp_http_client(headers=sent) as http:
            mode = "legacy" if era == "legacy" else era
            transport = streamable_http_client(self.url, http_client=http)
            async with Client(transport, mode=mode, extensions=extensions) as client:
                yield Host(client)


@asynccontextmanager
async def team(
    emulator: RunningEmulator,
    tmp_path: Path,
    *,
    identity: WorkspaceIdentity = WorkspaceIdentity.USER,
    service: dict[str, str] | None = None,
    user_folder: Path | None = None,
    store: Store | None = None,
    **overrides: object,
) -> AsyncIterator[Team]:
    """Serve a team while the context is open, stateless as behind several replicas.

    Args:
        service: the service's own settings, by environment variable.
        user_folder: the policy's folder, below which each user has a folder; None for no local files.
        store: the store of all users; one SQLite file in ``tmp_path`` if None.
        overrides: of the other settings.
    """
    settings = settings_for(emulator, tmp_path, **overrides)
    service_settings = load_service_settings(service or {}, secrets=settings.secrets)
    running: list[UserApps] = []
    async with AsyncExitStack() as stack:
        governance = None
        if user_folder is not None:
            rules = PolicyRules(default=Rules(folder=str(user_folder)))
            governance = Governance(rules, None, has_table=False, is_strict=False)
        if store is None:
            store = SqliteStore(tmp_path / "team.db", owner="")
            stack.push_async_callback(store.aclose)
        database = store

        @asynccontextmanager
        async def open_apps() -> AsyncIterator[UserApps]:
            async with open_user_apps(
                settings, {}, service_settings, store=database, identity=identity, governance=governance
            ) as apps:
                running.append(apps)
                yield apps

        server = build_server_of(open_apps)
        app = server.streamable_http_app(streamable_http_path="/mcp", stateless_http=True)
        async with serving(_SignIn(app)) as port:
            yield Team(running[0], f"http://127.0.0.1:{port}/mcp")


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[int]:
    """Serve an application on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = _Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listener])
            try:
                with anyio.fail_after(DEADLINE_SECONDS):
                    await server.is_started.wait()
                yield listener.getsockname()[1]
            finally:
                server.should_exit = True


class _Server(uvicorn.Server):
    """uvicorn that leaves signals to the tests, and says when the application's lifespan has begun."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_started = anyio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_started.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def add_user(emulator: RunningEmulator, name: str, **rights: Any) -> str:
    """Add a user to the workspace; returns the user's token."""
    token = f"eyJ-embedded-{name}-0123456789abcdef"
    emulator.state.users.add(User(name, **rights), token)
    return token
