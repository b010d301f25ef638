"""The configured store, and the deletion of old data in it."""

import logging
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from databricks_responses_mcp.store.factory import open_store
from databricks_responses_mcp.store.interface import FreshSignIn, SignIn, Store, StoreError
from databricks_responses_mcp.workspace.host import DATABRICKS_DOMAINS
from databricks_responses_mcp.workspace.settings import Settings

if TYPE_CHECKING:
    from databricks_responses_mcp.workspace.credentials import Credentials

logger = logging.getLogger(__name__)

_DAY = 86_400


def open_configured_store(settings: Settings, credentials: "Callable[[], Credentials]") -> Store:
    """Return the store that the settings name. Nothing is opened before its first use.

    Args:
        credentials: of the workspace; a Lakebase database accepts their token as its password. It is sent to no other.

    Raises:
        BridgeError: ``invalid_argument`` if the setting names no kind of store.
    """
    setting = settings.store.get_secret_value() if settings.store is not None else None
    return open_store(setting, sign_in=workspace_sign_in(credentials) if accepts_token(setting) else None)


def workspace_sign_in(credentials: "Callable[[], Credentials]") -> FreshSignIn:
    """Return what signs in to a Lakebase database with the token of the workspace."""

    async def sign_in() -> SignIn:
        headers = await credentials().headers()
        return SignIn(password=headers.get("Authorization", "").removeprefix("Bearer "))

    return sign_in


def accepts_token(setting: str | None) -> bool:
    """Return whether a store is a database of Databricks, which accepts the token of the workspace.

    The token gives access to the whole workspace, so it is sent only to Databricks, and not instead of a password that
    was given.
    """
    try:
        url = urlsplit(setting or "")
    except ValueError:
        return False  # the store tells what is wrong with it
    if url.scheme not in ("postgres", "postgresql") or url.password is not None or os.environ.get("PGPASSWORD"):
        return False
    elsewhere = {"host", "hostaddr", "password", "passfile", "service"} & parse_qs(url.query).keys()
    host = url.hostname or ("" if url.netloc.rpartition("@")[2] else os.environ.get("PGHOST", ""))
    return not elsewhere and host.lower().endswith(DATABRICKS_DOMAINS)


async def sweep_store(store: Store, settings: Settings, *, every_owner: bool = False) -> None:
    """Delete data beyond the age and size of the settings; do nothing if the store cannot be used.

    Args:
        every_owner: sweep for all owners in the store, see `Store.sweep_all`; else only for the store's own.
    """
    days = settings.store_days
    sweep = store.sweep_all if every_owner else store.sweep
    try:
        gone = await sweep(
            now=time.time(), keep_seconds=days * _DAY if days else None, most_bytes=settings.store_max_bytes or None
        )
    except StoreError as error:
        logger.warning("the store could not be swept: %s", error)
    else:
        if gone:
            logger.info("%d old conversations were deleted", gone)
