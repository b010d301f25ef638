"""The doctor's check of a team's service: how its users sign in, and what its settings lack. Imports a web server."""

from collections.abc import Iterator, Mapping

import anyio.to_thread

from databricks_responses_mcp.cli.findings import NotApplicableError
from databricks_responses_mcp.cli.serve_team import team_service
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.service.database import open_service_store
from databricks_responses_mcp.service.databricks_apps import AppsPlatform, is_databricks_app
from databricks_responses_mcp.service.governance import load_governance
from databricks_responses_mcp.service.issuer_keys import IssuerKeys, IssuerUnavailableError
from databricks_responses_mcp.service.plain_http import PlainHttp
from databricks_responses_mcp.service.settings import ServiceSettings
from databricks_responses_mcp.service.static_keys import KeyFile, read_keys
from databricks_responses_mcp.tools.definitions import NAMES
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.workspace.settings import Settings


async def check_store_settings(settings: Settings, service: ServiceSettings, environ: Mapping[str, str]) -> None:
    """Check that the settings name one store for all users; it is not opened.

    Raises:
        BridgeError: ``invalid_argument`` or ``not_configured`` if they do not.
    """

    def own() -> Bridge:
        raise AssertionError("nothing is opened")

    await open_service_store(settings, service, own, environ).aclose()


async def examine_service(settings: Settings, service: ServiceSettings, environ: Mapping[str, str]) -> str:
    """Return how users sign in, and what else an administrator should know before the service starts.

    Raises:
        BridgeError: for each reason why the service would not start, and if the issuer's keys cannot be fetched.
        NotApplicableError: if no sign-in is configured.
    """
    if not (is_databricks_app(environ) or service.oauth_issuer or service.keys_file):
        raise NotApplicableError("no sign-in is configured, so `serve --http` serves one user of this machine")
    team = team_service(settings, environ)
    assert team is not None
    # The policy has a check of its own.
    await anyio.to_thread.run_sync(load_governance, service.model_copy(update={"policy": None}), NAMES)
    ways = await _ways_to_sign_in(service, team.platform)
    return f"users sign in with {' and '.join(ways)}" + "".join(f"\n  - {line}" for line in _remarks(settings, service))


async def _ways_to_sign_in(service: ServiceSettings, platform: AppsPlatform | None) -> list[str]:
    if platform is not None:
        return [f"their Databricks account, in the app {platform.app_name}"]
    ways = []
    if service.oauth_issuer is not None:
        number = await _keys_of_issuer(service.oauth_issuer, service)
        audience = service.oauth_audience or service.public_url
        ways.append(f"access tokens of {service.oauth_issuer} ({_counted(number)}) for the audience {audience}")
    if service.keys_file is not None:
        keys, wrong = await anyio.to_thread.run_sync(read_keys, service.keys_file)
        if wrong:
            await anyio.to_thread.run_sync(KeyFile, service.keys_file)  # raises the error of the start
        ways.append(f"static keys ({_counted(len(keys))} in {service.keys_file})")
    return ways


async def _keys_of_issuer(issuer: str, service: ServiceSettings) -> int:
    """Return the number of the issuer's keys that tokens may be signed with."""
    keys = IssuerKeys(issuer, service.oauth_jwks_url, PlainHttp())
    try:
        found = {id(key) for algorithm in service.oauth_algorithms for key in await keys.matching(None, algorithm)}
    except IssuerUnavailableError as error:
        raise BridgeError(
            ErrorCode.UPSTREAM_UNAVAILABLE,
            f"Nobody can sign in, because the keys of the OAuth issuer {issuer} cannot be fetched: {error}.",
            "Check RESPONSES_MCP_SERVICE_OAUTH_ISSUER, and that this machine reaches the issuer; "
            "RESPONSES_MCP_SERVICE_OAUTH_JWKS_URL names its keys if its metadata does not.",
        ) from error
    if not found:
        raise BridgeError(
            ErrorCode.NOT_CONFIGURED,
            f"Nobody can sign in: no key of {issuer} is for {', '.join(service.oauth_algorithms)}.",
            "Name the algorithm of its tokens in RESPONSES_MCP_SERVICE_OAUTH_ALGORITHMS.",
        )
    return len(found)


def _remarks(settings: Settings, service: ServiceSettings) -> Iterator[str]:
    """Yield what is right for some services and wrong for others."""
    if settings.store is None:
        yield "RESPONSES_MCP_STORE is not set: each replica has a database file of its own, so run one replica."
    elif service.state_keys is None:
        yield "RESPONSES_MCP_SERVICE_STATE_KEYS is not set: with several replicas, set the same keys on all of them."
    if service.policy is None:
        yield "RESPONSES_MCP_SERVICE_POLICY is not set: users may do what the server can do."
    if service.audit is None:
        yield "RESPONSES_MCP_SERVICE_AUDIT is not set: calls are not recorded."


def _counted(number: int) -> str:
    return f"{number} key" if number == 1 else f"{number} keys"
