"""The state that all turns of one user share: settings, connection to the workspace, facts about its endpoints."""

import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio

from databricks_responses_mcp.workspace.settings import Settings

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from databricks_responses_mcp.policy.access import AccessPolicy
    from databricks_responses_mcp.store.interface import Store
    from databricks_responses_mcp.turns.conversations import Conversations
    from databricks_responses_mcp.turns.document_text import DocumentTexts
    from databricks_responses_mcp.turns.history import ReadPicture
    from databricks_responses_mcp.turns.observation import Observer
    from databricks_responses_mcp.turns.request_limits import RequestLimiter
    from databricks_responses_mcp.turns.usage import TokenBudget
    from databricks_responses_mcp.workspace.catalog import Catalog
    from databricks_responses_mcp.workspace.credentials import Credentials
    from databricks_responses_mcp.workspace.endpoint_directory import EndpointDirectory
    from databricks_responses_mcp.workspace.endpoints import Endpoint
    from databricks_responses_mcp.workspace.http import WorkspaceClient
    from databricks_responses_mcp.workspace.mcp_servers import McpServers
    from databricks_responses_mcp.workspace.routing import Router
    from databricks_responses_mcp.workspace.transport import Transport


_MAX_SCHEMA_CHECKS = 4


class Bridge:
    """The workspace and store that turns use. The HTTP parts are imported and built at the first use.

    Attributes:
        settings: this process's settings.
        background: runs work that no call waits for; None outside a server.
        without_encrypted_reasoning: endpoints that were found to return no reasoning that can be sent again.
        without_default_cap: endpoints that were found to refuse the `max_output_tokens` that the bridge adds.
        without_documents: endpoints that were found to refuse documents, such as PDFs.
        read_picture: reads a picture of the user, for the history of a conversation; None if pictures are files of this
            machine.
        schema_checks: limits the number of processes that check answers at a time.
        observer: observes the requests to models; None for no observer.
        policy: the rules for the user; None for no restrictions.
        has_shared_identity: whether several users call the workspace with the same credentials: it cannot tell apart
            then what it stores for them.

    Args:
        environ: the environment that credentials are read from.
        credentials: the credentials of the user; None for the configured ones.
        store: the user's part of a store that others share; it is not closed with the bridge.
        transport: connections that others share; they are not closed with the bridge.
        observer: observes the requests to models, and instruments connections of the bridge's own.
    """

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        *,
        credentials: "Credentials | None" = None,
        store: "Store | None" = None,
        transport: "Transport | None" = None,
        observer: "Observer | None" = None,
        policy: "AccessPolicy | None" = None,
        has_shared_identity: bool = False,
    ) -> None:
        self.settings = settings
        self.policy = policy
        self.has_shared_identity = has_shared_identity
        settings.secrets.add_environment(environ)
        self._environ = environ
        self._client: WorkspaceClient | None = None
        self._credentials = credentials
        self._transport = transport
        self._endpoints: EndpointDirectory | None = None
        self._catalog: Catalog | None = None
        self._mcp_servers: McpServers | None = None
        self._router: Router | None = None
        self._store = store
        self._owns_store = store is None
        self._transport = transport
        self.observer = observer
        self._conversations: Conversations | None = None
        self._token_budget: TokenBudget | None = None
        self._request_limiter: RequestLimiter | None = None
        self._document_texts: DocumentTexts | None = None
        self.without_encrypted_reasoning: set[str] = set()
        self.without_default_cap: set[str] = set()
        self.without_documents: set[str] = set()
        self.background: TaskGroup | None = None
        self.read_picture: ReadPicture | None = None
        self.schema_checks = anyio.CapacityLimiter(_MAX_SCHEMA_CHECKS)

    @property
    def store(self) -> "Store":
        """The store of conversations, jobs and usage; opened at the first use."""
        if self._store is None:
            # Imported here: `tools/list` needs no database.
            from databricks_responses_mcp.turns.retention import open_configured_store

            self._store = open_configured_store(self.settings, lambda: self.credentials)
        return self._store

    @property
    def conversations(self) -> "Conversations":
        """The conversations of the user."""
        if self._conversations is None:
            from databricks_responses_mcp.turns.conversations import Conversations

            self._conversations = Conversations(self.store)
        return self._conversations

    @property
    def token_budget(self) -> "TokenBudget":
        """The daily token budget, and the record of usage."""
        if self._token_budget is None:
            from databricks_responses_mcp.turns.usage import TokenBudget

            self._token_budget = TokenBudget(self.store, self.settings)
        return self._token_budget

    @property
    def request_limiter(self) -> "RequestLimiter | None":
        """The limiter of requests by the user's policy; None if the policy has no limits."""
        policy = self.policy
        if policy is None or not (policy.user_limits or policy.total_limits):
            return None
        if self._request_limiter is None or self._request_limiter.policy is not policy:
            from databricks_responses_mcp.turns.request_limits import RequestLimiter

            self._request_limiter = RequestLimiter(self, policy)
        return self._request_limiter

    @property
    def credentials(self) -> "Credentials":
        """The credentials: host and authentication headers of the workspace."""
        if self._credentials is None:
            from databricks_responses_mcp.workspace.credentials import credentials_for

            self._credentials = credentials_for(self.settings, self._environ)
        return self._credentials

    @property
    def client(self) -> "WorkspaceClient":
        """The workspace's HTTP API."""
        if self._client is None:
            # Imported here: httpx takes a tenth of a second to import, and `tools/list` does not need it.
            from databricks_responses_mcp.workspace.http import WorkspaceClient

            self._client = WorkspaceClient(
                self.settings, self.credentials, transport=self._transport, instrumentation=self.observer
            )
        return self._client

    @property
    def endpoints(self) -> "EndpointDirectory":
        """The serving endpoints, cached for the configured time."""
        if self._endpoints is None:
            from databricks_responses_mcp.workspace.discovery import Discovery
            from databricks_responses_mcp.workspace.endpoint_directory import EndpointDirectory

            discovery = Discovery(self._get_json, self.catalog)
            self._endpoints = EndpointDirectory(
                discovery.listing,
                ttl_seconds=self.settings.endpoints_ttl_seconds,
                in_background=self._start,
                fetch_service=discovery.service,
                is_allowed=self._is_allowed,
            )
        return self._endpoints

    @property
    def catalog(self) -> "Catalog":
        """The services that Unity Catalog lists."""
        if self._catalog is None:
            from databricks_responses_mcp.workspace.catalog import Catalog

            self._catalog = Catalog(self._get_json, self.settings.model_schemas)
        return self._catalog

    def _is_allowed(self, endpoint: "Endpoint") -> bool:
        return self.policy is None or self.policy.allows_model(endpoint.name, endpoint.served)

    async def _get_json(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        return await self.client.get_json(path, params=params)

    def _start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Start background work; return False outside a server, where it cannot run."""
        if self.background is None:
            return False
        self.background.start_soon(work)
        return True

    @property
    def router(self) -> "Router":
        """The router, which selects the API surface of a model."""
        if self._router is None:
            from databricks_responses_mcp.workspace.routing import Router

            path = self.settings.responses_path
            self._router = Router(
                self.endpoints.get,
                setting=self.settings.surface,
                responses_path=path if "responses_path" in self.settings.model_fields_set else None,
                is_known=lambda: self.endpoints.is_known,
                app_url=self.client.apps.request_url,
            )
        return self._router

    @property
    def document_texts(self) -> "DocumentTexts":
        """The texts of documents, for models that take no documents."""
        if self._document_texts is None:
            from databricks_responses_mcp.turns.document_text import DocumentTexts

            self._document_texts = DocumentTexts()
        return self._document_texts

    @property
    def mcp_servers(self) -> "McpServers":
        """The MCP servers that calls may name."""
        if self._mcp_servers is None:
            from databricks_responses_mcp.workspace.mcp_server_entries import read_entries
            from databricks_responses_mcp.workspace.mcp_servers import McpServers

            setting = self.settings.mcp_servers
            entries = {} if setting is None else read_entries(setting.get_secret_value())
            self._mcp_servers = McpServers(entries, self._environ, self.settings.secrets)
        return self._mcp_servers

    async def aclose(self) -> None:
        """Close the connections and the store."""
        if self._client is not None:
            await self._client.__aexit__(None, None, None)
        if self._owns_store and self._store is not None:
            await self._store.aclose()


@asynccontextmanager
async def open_bridge(
    settings: Settings, environ: Mapping[str, str] | None = None, *, observer: "Observer | None" = None
) -> AsyncIterator[Bridge]:
    """Yield a bridge. Nothing is connected, and no credential asked for, before the first use.

    Args:
        observer: observes the requests to models.
    """
    bridge = Bridge(settings, os.environ if environ is None else environ, observer=observer)
    try:
        yield bridge
    finally:
        await bridge.aclose()
