"""``serve --http`` for a team: what its settings configure, put together."""

import logging
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass

import anyio
from mcp.server.auth.settings import AuthSettings
from mcp.server.request_state import RequestStateSecurity
from starlette.authentication import AuthenticationBackend

from databricks_responses_mcp.cli.garbage_collection import start_collecting
from databricks_responses_mcp.cli.options import SessionOptions
from databricks_responses_mcp.cli.session import Workspace, open_workspace
from databricks_responses_mcp.cli.telemetry import telemetry
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.hosts.server_info import SERVER
from databricks_responses_mcp.server import build_server_of
from databricks_responses_mcp.service.database import open_service_store
from databricks_responses_mcp.service.databricks_apps import AppsBackend, AppsPlatform, apps_platform
from databricks_responses_mcp.service.drain import Drain
from databricks_responses_mcp.service.governance import load_governance
from databricks_responses_mcp.service.health import Health, checks_of
from databricks_responses_mcp.service.host_check import AllowedAddresses
from databricks_responses_mcp.service.http_server import ServiceHttp, serve_service
from databricks_responses_mcp.service.issuer_keys import IssuerKeys
from databricks_responses_mcp.service.listening import Listener, connection_limit, listen
from databricks_responses_mcp.service.oauth import OAuthTokens, TokenRules
from databricks_responses_mcp.service.plain_http import PlainHttp
from databricks_responses_mcp.service.settings import ServiceSettings, load_service_settings
from databricks_responses_mcp.service.sign_in import BearerBackend, Verifiers
from databricks_responses_mcp.service.static_keys import KeyFile
from databricks_responses_mcp.service.user_apps import UserApps, WorkspaceIdentity, open_user_apps
from databricks_responses_mcp.tools.definitions import NAMES
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.workspace.host import is_loopback
from databricks_responses_mcp.workspace.settings import Settings

logger = logging.getLogger(__name__)

_EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - the platform's proxy connects from outside, and nobody else can


@dataclass(frozen=True, slots=True)
class TeamService:
    """The configured service for a team.

    Attributes:
        settings: of the workspace and the calls.
        service: of the service.
        platform: the Databricks App that this process is; None elsewhere.
    """

    settings: Settings
    service: ServiceSettings
    platform: AppsPlatform | None


def team_service(settings: Settings, environ: Mapping[str, str]) -> TeamService | None:
    """Return the service for a team that is configured; None if no sign-in is configured.

    Raises:
        BridgeError: ``invalid_argument`` or ``not_configured``, naming the setting that is wrong or missing.
    """
    service = load_service_settings(environ, secrets=settings.secrets)
    platform = apps_platform(environ)
    if platform is not None and (service.oauth_issuer or service.keys_file):
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            "In Databricks Apps the platform signs users in, and RESPONSES_MCP_SERVICE_OAUTH_ISSUER and "
            "RESPONSES_MCP_SERVICE_KEYS_FILE have no effect.",
            "Remove them from the app's configuration.",
        )
    if service.oauth_issuer is not None and service.public_url is None:
        raise BridgeError(
            ErrorCode.NOT_CONFIGURED,
            "RESPONSES_MCP_SERVICE_OAUTH_ISSUER is set and RESPONSES_MCP_SERVICE_PUBLIC_URL is not.",
            "Set RESPONSES_MCP_SERVICE_PUBLIC_URL to the URL of the MCP endpoint that clients use: tokens are issued "
            "for it.",
        )
    if platform is None and service.oauth_issuer is None and service.keys_file is None:
        if service.policy is not None or service.audit is not None:
            # Without users neither would have an effect, which an administrator would hardly expect.
            raise BridgeError(
                ErrorCode.NOT_CONFIGURED,
                "RESPONSES_MCP_SERVICE_POLICY or RESPONSES_MCP_SERVICE_AUDIT is set, and nothing says how users sign "
                "in.",
                "Set RESPONSES_MCP_SERVICE_OAUTH_ISSUER or RESPONSES_MCP_SERVICE_KEYS_FILE, or remove the setting.",
            )
        return None
    return TeamService(settings, service, platform)


def serve_team(team: TeamService, session: SessionOptions, address: tuple[str, int] | None) -> None:
    """Serve a team until a signal arrives.

    Args:
        session: the options of the command.
        address: where to listen; None for the address that the platform names.

    Raises:
        BridgeError: if it cannot be served like this.
    """
    if address is None:
        assert team.platform is not None
        address = (_EVERY_ADDRESS, team.platform.port)
    service = team.service
    if team.platform is None and not is_loopback(address[0]) and not (service.public_url or service.allowed_hosts):
        raise BridgeError(
            ErrorCode.NOT_CONFIGURED,
            "Nothing says by which name clients reach this service, so their requests would be refused.",
            "Set RESPONSES_MCP_SERVICE_PUBLIC_URL to the URL that clients use, or name the host in "
            "RESPONSES_MCP_SERVICE_ALLOWED_HOSTS.",
        )
    governance = load_governance(service, NAMES)
    outgoing = PlainHttp()
    auth = _auth(service)
    backend = _backend(team, auth, outgoing)
    health = Health()
    drain = Drain(health)

    @asynccontextmanager
    async def open_apps() -> AsyncIterator[UserApps]:
        async with (
            telemetry(team.settings) as observer,
            open_workspace(team.settings, session) as workspace,
            open_own(workspace, service) as own,
            open_user_apps(
                workspace.settings,
                workspace.environ,
                service,
                store=own.store,
                identity=_identity(team),
                observer=observer,
                governance=governance,
            ) as apps,
            drain.draining(apps),
        ):
            health.checks |= checks_of(own, outgoing)
            yield apps

    addresses = AllowedAddresses.of(service, team.platform)
    most = connection_limit(service.max_connections)
    if most < service.max_connections:
        logger.warning(
            "RESPONSES_MCP_SERVICE_MAX_CONNECTIONS is %d, and this process may open files for %d (ulimit -n).",
            service.max_connections,
            most,
        )
    http = ServiceHttp(addresses, backend, auth, health, drain, most)
    listener = listen(*address, loopback_only=False)

    async def serve() -> None:
        # Not in the lifespan of the web server, which would print a traceback of what is wrong with the settings.
        async with open_apps() as apps:
            server = build_server_of(lambda: nullcontext(apps), _state_security(team))
            _announce(team, listener)
            start_collecting()
            await serve_service(server, list(listener.sockets), http)

    anyio.run(serve)


@asynccontextmanager
async def open_own(workspace: Workspace, service: ServiceSettings) -> AsyncIterator[Bridge]:
    """Yield the workspace as the service itself reaches it, with the database that all users share."""

    def own() -> Bridge:
        return bridge

    store = open_service_store(workspace.settings, service, own, workspace.environ)
    bridge = Bridge(workspace.settings, workspace.environ, store=store)
    try:
        yield bridge
    finally:
        await bridge.aclose()
        await store.aclose()


def _identity(team: TeamService) -> WorkspaceIdentity:
    """Return the identity under which the workspace is called for a user."""
    if team.platform is not None:
        return WorkspaceIdentity.USER
    return WorkspaceIdentity.EXCHANGED if team.service.token_exchange else WorkspaceIdentity.SERVICE


def _auth(service: ServiceSettings) -> AuthSettings | None:
    """Return the requirements for OAuth tokens; None if there is no issuer."""
    if service.oauth_issuer is None:
        return None
    # From text: a URL object ends with a slash, and clients compare the issuer letter by letter.
    return AuthSettings.model_validate(
        {
            "issuer_url": service.oauth_issuer,
            "resource_server_url": service.public_url,
            "required_scopes": list(service.oauth_scopes),
            "validate_token_resource": True,
        }
    )


def _backend(team: TeamService, auth: AuthSettings | None, outgoing: PlainHttp) -> AuthenticationBackend:
    """Return the authentication backend, which finds the user of a request."""
    if team.platform is not None:
        return AppsBackend(team.platform)
    service = team.service
    keys = None
    if service.keys_file is not None:
        keys = KeyFile(service.keys_file, service.oauth_scopes, service.public_url)
    oauth = None
    if service.oauth_issuer is not None:
        resource = str(service.public_url)
        audiences = (service.oauth_audience,) if service.oauth_audience else (resource, f"{resource}/")
        rules = TokenRules(
            service.oauth_issuer, audiences, resource, service.oauth_algorithms, service.oauth_name_claim
        )
        oauth = OAuthTokens(rules, IssuerKeys(service.oauth_issuer, service.oauth_jwks_url, outgoing))
    resource_url = auth.resource_server_url if auth is not None and auth.validate_token_resource else None
    return BearerBackend(Verifiers(keys, oauth), resource_server_url=resource_url, keeps_token=service.token_exchange)


def _state_security(team: TeamService) -> RequestStateSecurity:
    """Return the sealing of the state that clients return with their users' answers."""
    audience = team.service.public_url or (team.platform.app_name if team.platform is not None else SERVER.distribution)
    if ring := team.service.state_key_ring:
        return RequestStateSecurity(keys=ring, audience=audience)
    logger.warning(
        "RESPONSES_MCP_SERVICE_STATE_KEYS is not set: with more than one replica, a user's answer to a question may "
        "reach one that cannot read it. Set the same key on all of them."
    )
    return RequestStateSecurity.ephemeral(audience=audience)


def _announce(team: TeamService, listener: Listener) -> None:
    """Print the address of the service and the methods of sign-in."""
    if team.platform is not None:
        methods = "their Databricks account"
    else:
        service = team.service
        given = (
            f"access tokens of {service.oauth_issuer}" if service.oauth_issuer else "",
            f"the keys of {service.keys_file}" if service.keys_file else "",
        )
        methods = " and ".join(filter(None, given))
    url = team.service.public_url or listener.url
    print(  # noqa: T201 - for the person at the terminal
        f"databricks-responses-mcp: serving a team at {url}, listening on {listener.name} port {listener.port}. "
        f"Users sign in with {methods}.",
        file=sys.stderr,
        flush=True,
    )
