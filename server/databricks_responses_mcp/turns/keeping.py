"""The store that is configured, and the sweep that keeps it small."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from databricks_responses_mcp.store.interface import Store, StoreError
from databricks_responses_mcp.store.opening import open_store
from databricks_responses_mcp.workspace.settings import Settings

if TYPE_CHECKING:
    from databricks_responses_mcp.workspace.credentials import Credentials

logger = logging.getLogger(__name__)

_DAY = 86_400


def open_configured_store(settings: Settings, credentials: "Callable[[], Credentials]") -> Store:
    """The store that the settings name. Nothing is opened before its first use.

    Args:
        credentials: of the workspace; a Lakebase database takes their token as its password.

    Raises:
        BridgeError: ``invalid_argument`` if the setting names no kind of store.
    """
    setting = settings.store.get_secret_value() if settings.store is not None else None

    async def token() -> str:
        headers = await credentials().headers()
        return headers.get("Authorization", "").removeprefix("Bearer ")

    password: Callable[[], Awaitable[str]] = token
    return open_store(setting, password=password)


async def sweep_store(store: Store, settings: Settings) -> None:
    """Delete what is older, or more, than the settings let be kept; a store that cannot be used is left alone."""
    days = settings.store_days
    try:
        gone = await store.sweep(
            now=time.time(), keep_seconds=days * _DAY if days else None, most_bytes=settings.store_max_bytes or None
        )
    except StoreError as error:
        logger.warning("the store could not be swept: %s", error)
    else:
        if gone:
            logger.info("%d old conversations were deleted", gone)
