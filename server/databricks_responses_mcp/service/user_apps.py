"""The state that the calls of a signed-in user share: an `App` for each user, so that nothing else is shared."""

import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

import anyio
from anyio.abc import TaskGroup
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_REQUEST
from pydantic import SecretStr
from starlette.requests import Request

from databricks_responses_mcp.calls.edit_previews import EditPreviews
from databricks_responses_mcp.calls.memory_limit import MemoryLimit
from databricks_responses_mcp.calls.state import App, UnsavedPictures, UserFiles, write_journal_of
from databricks_responses_mcp.calls.stored_texts import StoredTexts
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.service.caller_credentials import CallerCredentials, ExchangedCredentials, TokenExchange
from databricks_responses_mcp.service.callers import Caller, caller_of
from databricks_responses_mcp.service.governance import Governance
from databricks_responses_mcp.service.settings import ServiceSettings
from databricks_responses_mcp.store.interface import Store, StoreError
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.observation import Observer
from databricks_responses_mcp.turns.retention import sweep_store
from databricks_responses_mcp.workspace.credentials import Credentials, credentials_for
from databricks_responses_mcp.workspace.host import WorkspaceHost, normalise_host
from databricks_responses_mcp.workspace.settings import Settings
from databricks_responses_mcp.workspace.transport import Transport

logger = logging.getLogger(__name__)

UNSAVED_BYTES: Final = 1_000_000_000
"""The most that all users together have in memory alone: images that could not be saved, and previews of edits."""

_DAY = 86_400.0
_MAX_CHECK_SECONDS = 60.0
_VOLUMES = "/Volumes/"
_LOCAL_FILE_TOOLS = frozenset({"edit_files"})


class WorkspaceIdentity(Enum):
    """As whom the workspace is called for a user."""

    USER = "user"
    """With the user's own token of the workspace, which each request brings (`Caller.workspace_token`)."""
    EXCHANGED = "exchanged"
    """As the user, with a token that `Caller.mcp_token` is exchanged for."""
    SERVICE = "service"
    """As the service, with the credentials that are configured."""


_NO_TOKEN: Final = {
    WorkspaceIdentity.USER: (
        "This request brought no token of yours for the workspace (X-Forwarded-Access-Token), and the service does not "
        "use its own in its place. A workspace administrator has to turn on user authorization for Databricks Apps, "
        "the app needs the scopes that its documentation names, and you have to agree to them; then sign in again."
    ),
    WorkspaceIdentity.EXCHANGED: (
        "This request was not signed in with an OAuth token, which could be exchanged for one of the workspace. Sign "
        "in through the OAuth issuer of this service."
    ),
}


@dataclass(eq=False)
class UserApp(App):
    """The `App` of one user.

    Attributes:
        take_token: gives the token of a newer request to the credentials; None if they need none.
    """

    take_token: Callable[[SecretStr], None] | None = field(default=None, kw_only=True)

    @property
    def keeps_unsaved(self) -> bool:
        """Whether something is stored in memory only."""
        return bool(self.unsaved.held or self.previews.held)


class UserApps:
    """Finds the `App` of the user that a request was authenticated as. See `AppSource`.

    Users share connections to the workspace and to the store's database, and the service's own credentials where the
    workspace is called as the service. Everything else is made for each user.

    An App is dropped when its user has sent no request for a while, or when too many others are newer. What its user
    has stored is found again by the next one. While a call or a job uses an App it remains the one of its user,
    whether it was dropped or not, because it is looked up by a weak reference.

    Args:
        settings: the settings for all users.
        environ: the environment that MCP servers' entries are filled from.
        service: the settings of the service.
        transport: the connections to the workspace.
        store: whose part of each user, `Store.for_owner`, shares the connections to the database.
        identity: as whom the workspace is called.
        observer: observes the requests to models.
        governance: the policy and the audit log; None for neither.
    """

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        service: ServiceSettings,
        *,
        transport: Transport,
        store: Store,
        identity: WorkspaceIdentity,
        observer: Observer | None = None,
        governance: Governance | None = None,
    ) -> None:
        self._observer = observer
        self._governance = governance
        self._settings = settings
        self._environ = environ
        self._service = service
        self._transport = transport
        self._store = store
        self._identity = identity
        self._unsaved_limit = MemoryLimit(UNSAVED_BYTES)
        self._shared: Credentials | None = None
        self._host: WorkspaceHost | None = None
        self._exchange: TokenExchange | None = None
        if identity is WorkspaceIdentity.SERVICE:
            self._shared = credentials_for(settings, environ)
        else:
            self._host = _configured_host(settings, environ)
            self._exchange = TokenExchange(self._host, transport, settings.auth_timeout_seconds)
        self._apps: WeakValueDictionary[str, UserApp] = WeakValueDictionary()
        # The least recently used first, each with the time of its user's last request.
        self._recent: OrderedDict[str, tuple[UserApp, float]] = OrderedDict()
        self._tasks: TaskGroup | None = None

    def app_for(self, request: Request | None) -> App:
        """See `AppSource.app_for`.

        Raises:
            MCPError: -32600 if the workspace is called as the user, and the request brought no token for that, even if
                an earlier one did.
        """
        assert request is not None
        caller = caller_of(request)
        token = self._token_of(caller)
        app = self._apps.get(caller.owner)
        if app is None:
            app = self._apps[caller.owner] = self._new_app(caller)
        elif self._governance is not None and app.user is not None and app.user.name != caller.name:
            # Rules may refer to the name, which another token may lack; so may the folder.
            self._governance.apply(app, caller)
            app.files = self._files_of(caller)
        if app.take_token is not None and token is not None:
            app.take_token(token)
        self._recent[caller.owner] = app, anyio.current_time()
        self._recent.move_to_end(caller.owner)
        if len(self._recent) > self._service.max_users:
            self._drop_one()
        return app

    def listed_tools(self, names: Iterable[str], request: Request | None) -> frozenset[str]:
        """See `AppSource.listed_tools`. Tools that need local files are listed to users who have a folder."""
        assert request is not None
        policy = None if self._governance is None else self._governance.policy_of(caller_of(request))
        hidden = _LOCAL_FILE_TOOLS if policy is None or policy.folder is None else frozenset()
        return frozenset(n for n in names if n not in hidden and (policy is None or policy.allows_tool(n)))

    def run_in(self, tasks: TaskGroup) -> None:
        """See `AppSource.run_in`."""
        self._tasks = tasks
        tasks.start_soon(self._drop_idle)

    def recover_writes(self) -> None:
        """See `AppSource.recover_writes`."""
        write_journal_of(self._settings).recover()

    async def sweep(self) -> None:
        """See `AppSource.sweep`."""
        await sweep_store(self._store, self._settings, every_owner=True)
        if self._service.audit_days:
            try:
                await self._store.delete_audit_records(time.time() - self._service.audit_days * _DAY)
            except StoreError as error:
                logger.warning("old records of the audit log could not be deleted: %s", error)

    def hand_over(self) -> None:
        """See `AppSource.hand_over`."""
        for app in tuple(self._apps.values()):
            app.hand_over()

    async def idle(self) -> None:
        """See `AppSource.idle`."""
        for app in tuple(self._apps.values()):
            await app.idle()

    def __len__(self) -> int:
        """Return the number of Apps, including those that were dropped and are still in use."""
        return len(self._apps)

    def _token_of(self, caller: Caller) -> SecretStr | None:
        """Return the token of a request that its workspace credentials need; None if they need none."""
        if self._identity is WorkspaceIdentity.SERVICE:
            return None
        token = caller.workspace_token if self._identity is WorkspaceIdentity.USER else caller.mcp_token
        if token is None or not token.get_secret_value():
            raise MCPError(code=INVALID_REQUEST, message=_NO_TOKEN[self._identity])
        return token

    def _new_app(self, caller: Caller) -> UserApp:
        pictures = self._service.pictures
        local = self._settings.image_dir if pictures is None or _is_in_volume(pictures) else Path(pictures)
        settings = self._settings.for_user(image_dir=local / caller.folder_name)
        credentials: Credentials
        take_token: Callable[[SecretStr], None] | None = None
        if self._shared is not None:
            credentials = self._shared
        else:
            assert self._host is not None
            assert self._exchange is not None
            own: CallerCredentials | ExchangedCredentials
            if self._identity is WorkspaceIdentity.USER:
                own = CallerCredentials(self._host, settings.secrets)
            else:
                own = ExchangedCredentials(self._exchange, settings.secrets)
            credentials, take_token = own, own.use
        store = self._store.for_owner(caller.owner)
        bridge = Bridge(
            settings,
            self._environ,
            credentials=credentials,
            store=store,
            transport=self._transport,
            observer=self._observer,
            has_shared_identity=self._shared is not None,
        )
        app = UserApp(
            bridge,
            long_texts=StoredTexts(store),
            unsaved=UnsavedPictures(self._unsaved_limit),
            previews=EditPreviews(self._unsaved_limit),
            files=self._files_of(caller),
            take_token=take_token,
        )
        if self._governance is not None:
            self._governance.apply(app, caller)
        bridge.read_picture = app.pictures.read_uri
        assert self._tasks is not None
        app.run_in(self._tasks)
        return app

    def _files_of(self, caller: Caller) -> UserFiles:
        pictures = self._service.pictures
        folder = None if self._governance is None else self._governance.folder_of(caller)
        in_volume = pictures is not None and _is_in_volume(pictures)
        return UserFiles(folder=folder, volume_folder=f"{pictures}/{caller.folder_name}" if in_volume else None)

    def _drop_one(self) -> None:
        """Drop the App of the user who was not seen for longest, one that keeps nothing in memory alone if there is."""
        newest = next(reversed(self._recent))
        droppable = (owner for owner, (app, _) in self._recent.items() if owner != newest and not app.keeps_unsaved)
        del self._recent[next(droppable, next(iter(self._recent)))]

    async def _drop_idle(self) -> None:
        """Drop the Apps of users who have sent no request for a while, now and then."""
        seconds = self._service.user_idle_seconds
        while True:
            await anyio.sleep(min(seconds / 2, _MAX_CHECK_SECONDS))
            oldest = anyio.current_time() - seconds
            while self._recent and next(iter(self._recent.values()))[1] < oldest:
                self._recent.popitem(last=False)


@asynccontextmanager
async def open_user_apps(
    settings: Settings,
    environ: Mapping[str, str],
    service: ServiceSettings,
    *,
    store: Store,
    identity: WorkspaceIdentity,
    observer: Observer | None = None,
    governance: Governance | None = None,
) -> AsyncIterator[UserApps]:
    """Yield the apps of all users for the lifetime of a server; see `UserApps` for the arguments.

    Raises:
        BridgeError: ``not_configured`` if the workspace is called as the user and DATABRICKS_HOST is not set.
    """
    transport = Transport(observer)
    try:
        yield UserApps(
            settings,
            environ,
            service,
            transport=transport,
            store=store,
            identity=identity,
            observer=observer,
            governance=governance,
        )
    finally:
        await transport.aclose()


def _is_in_volume(pictures: str) -> bool:
    return pictures.startswith(_VOLUMES)


def _configured_host(settings: Settings, environ: Mapping[str, str]) -> WorkspaceHost:
    if not settings.host:
        raise BridgeError(
            ErrorCode.NOT_CONFIGURED,
            "DATABRICKS_HOST is not set, and a user's token does not say which workspace it is for.",
            "Set DATABRICKS_HOST to the workspace's address.",
        )
    host = normalise_host(settings.host)
    return WorkspaceHost(host.origin, environ.get("DATABRICKS_WORKSPACE_ID", "").strip() or host.workspace_id)
