"""The configured store, and the deletion of old data in it."""

import logging
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from databricks_responses_mcp.store.factory import open_store
from databricks_responses_mcp.store.interface import Store, StoreError
from databricks_responses_mcp.workspace.host import DATABRICKS_DOMAINS
from databricks_responses_mcp.workspace.settings import Settings

if TYPE_CHECKING:
    from databricks_responses_mcp.workspace.credentials import Credentials

logger = logging.getLogger(__name__)

_DAY = 86_400


def open_configured_store(settings: Settings, credentials: "Callable[[], Credentials]") -> Store:
    """Return the store that the settings name. Nothing is opened before its first use.

    Args:
        credentials: of the workspace; a Lakebase database gets their token as its password. No other store receives it.

    Raises:
        BridgeError: ``invalid_argument`` if the setting names no known kind of store.
    """
    setting = settings.store.get_secret_value() if settings.store is not None else None

    async def token() -> str:
        headers = await credentials().headers()
        return headers.get("Authorization", "").removeprefix("Bearer ")

    return open_store(setting, password=token if setting is not None and takes_token(setting) else None)


def takes_token(setting: str) -> bool:
    """Return whether a store is a database of Databricks, which accepts the workspace's token.

    The token gives access to the whole workspace: it is sent only to Databricks, and never in place of a given
    password.
    """
    url = urlsplit(setting)
    if url.scheme not in ("postgres", "postgresql") or url.password is not None or os.environ.get("PGPASSWORD"):
        return False
    elsewhere = {"host", "hostaddr", "password", "passfile", "service"} & parse_qs(url.query).keys()
    return not elsewhere and (url.hostname or "").endswith(DATABRICKS_DOMAINS)


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
