"""The database of a service, which all its users and replicas share."""

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qs, urlsplit

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.service.settings import ServiceSettings
from databricks_responses_mcp.store.factory import open_store
from databricks_responses_mcp.store.interface import FreshSignIn, SignIn, Store
from databricks_responses_mcp.turns.retention import accepts_token, workspace_sign_in
from databricks_responses_mcp.workspace.lakebase import Lakebase, LakebaseDatabase, LakebaseKind
from databricks_responses_mcp.workspace.settings import Settings

if TYPE_CHECKING:
    from databricks_responses_mcp.turns.bridge import Bridge

LAKEBASE = "lakebase"
"""The value of ``RESPONSES_MCP_STORE`` for the database that the other settings and the environment name."""

_DATABASE = "databricks_postgres"


def open_service_store(
    settings: Settings, service: ServiceSettings, own: "Callable[[], Bridge]", environ: Mapping[str, str] = os.environ
) -> Store:
    """Return the store of a service; `Store.for_owner` gives each user a view of it. Nothing is opened before its use.

    Args:
        own: returns the workspace as the service itself reaches it; a Lakebase database is signed in to as it.
        environ: the environment, whose ``PGHOST``, ``PGUSER``, ``PGDATABASE`` and ``PGPORT`` name a database too.

    Raises:
        BridgeError: ``invalid_argument`` if the settings name no store, or contradict each other.
    """
    setting = settings.store.get_secret_value().strip() if settings.store is not None else None
    database = _lakebase(service)
    if setting is not None and setting.lower() == LAKEBASE:
        if database is None and not environ.get("PGHOST"):
            raise BridgeError(
                ErrorCode.NOT_CONFIGURED,
                f"RESPONSES_MCP_STORE is {LAKEBASE}, and nothing names the database.",
                "Set RESPONSES_MCP_SERVICE_LAKEBASE_ENDPOINT. In a Databricks App, also add the database to the app's "
                "resources.",
            )
        setting = "postgresql:///" if environ.get("PGDATABASE") else f"postgresql:///{_DATABASE}"
    if database is None:
        sign_in = workspace_sign_in(lambda: own().credentials) if accepts_token(setting) else None
    else:
        url = _parts(setting)
        if url.scheme not in ("postgres", "postgresql"):
            raise BridgeError(
                ErrorCode.INVALID_ARGUMENT,
                "A Lakebase database is configured, and RESPONSES_MCP_STORE does not name it.",
                f"Set RESPONSES_MCP_STORE to {LAKEBASE}, or to postgresql://HOST/DATABASE.",
            )
        if url.password is not None:
            raise BridgeError(
                ErrorCode.INVALID_ARGUMENT,
                "RESPONSES_MCP_STORE has a password, and a Lakebase database is configured, which issues its own.",
                "Remove the password from the URL, or remove RESPONSES_MCP_SERVICE_LAKEBASE_ENDPOINT and "
                "RESPONSES_MCP_SERVICE_LAKEBASE_INSTANCE.",
            )
        sign_in = _lakebase_sign_in(Lakebase(database, lambda: own().client, environ), url, environ)
    return open_store(setting, sign_in=sign_in, connections=service.database_connections)


def _lakebase(service: ServiceSettings) -> LakebaseDatabase | None:
    """Return the Lakebase database of the settings, if they name one."""
    endpoint, instance = service.lakebase_endpoint, service.lakebase_instance
    if endpoint is not None and instance is not None:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            "RESPONSES_MCP_SERVICE_LAKEBASE_ENDPOINT and RESPONSES_MCP_SERVICE_LAKEBASE_INSTANCE name two databases.",
            "Set one of them.",
        )
    if endpoint is not None:
        return LakebaseDatabase(LakebaseKind.ENDPOINT, endpoint)
    return None if instance is None else LakebaseDatabase(LakebaseKind.INSTANCE, instance)


def _parts(setting: str | None) -> SplitResult:
    try:
        return urlsplit(setting or "")
    except ValueError:
        return urlsplit("postgresql:")  # opening the store reports the error in it


def _lakebase_sign_in(lakebase: Lakebase, url: SplitResult, environ: Mapping[str, str]) -> FreshSignIn:
    """Return the sign-in to a Lakebase database; host and user come from the workspace if they are not configured."""
    given = parse_qs(url.query).keys()
    has_host = bool(url.hostname or environ.get("PGHOST") or "host" in given)
    has_user = bool(url.username or environ.get("PGUSER") or "user" in given)

    async def sign_in() -> SignIn:
        return SignIn(
            password=await lakebase.password(),
            host=None if has_host else await lakebase.host(),
            user=None if has_user else await lakebase.user(),
            database=_DATABASE,
        )

    return sign_in
