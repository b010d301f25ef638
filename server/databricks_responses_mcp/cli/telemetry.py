"""Telemetry of a server, if its settings ask for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.workspace.settings import Settings

if TYPE_CHECKING:
    from databricks_responses_mcp.turns.observation import Observer


@asynccontextmanager
async def telemetry(settings: Settings) -> "AsyncIterator[Observer | None]":
    """Send telemetry for the time of the context, if the settings say so.

    Raises:
        BridgeError: ``not_configured`` if it cannot be sent.
    """
    if not settings.telemetry:
        yield None
        return
    try:
        # Imported here: it is optional, and most servers send none.
        from databricks_responses_mcp.service.telemetry import start_telemetry
    except ModuleNotFoundError as error:
        raise BridgeError(
            ErrorCode.NOT_CONFIGURED,
            f"RESPONSES_MCP_TELEMETRY is true, and a package for it is not installed ({error.name}).",
            "Install it: pip install 'databricks-responses-mcp[telemetry]'.",
        ) from error
    started = start_telemetry()
    try:
        yield started
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(started.close)
