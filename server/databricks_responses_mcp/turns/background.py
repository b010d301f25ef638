"""Responses that run in the background of the Supervisor API: started, polled until they end, cancelled with the call.

The waiting call is a job like any other: a host that does not wait gets `running`, and the polling continues.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any

import anyio

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.workspace.http import WorkspaceClient

logger = logging.getLogger(__name__)

_RUNNING = ("queued", "in_progress")
_ID = re.compile(r"[A-Za-z0-9_-]{1,512}")
_FIRST_WAIT_SECONDS = 0.5
_MAX_WAIT_SECONDS = 10.0
MAX_FAILED_POLLS = 5
"""Consecutive failures after which polling stops."""
_CANCEL_SECONDS = 5.0


async def run_in_background(
    client: WorkspaceClient, body: Mapping[str, Any], *, path: str, model: str
) -> dict[str, Any]:
    """Start a response in the background and wait for its end. If this call is cancelled, the response is cancelled
    too.

    Args:
        body: a request with ``background``; it is sent without ``stream``, which cannot be combined with it.
        path: the path of the surface; a response is polled below it.

    Returns:
        The response object, in whatever status it ended.

    Raises:
        BridgeError: if it cannot be started or polled; ``partial`` has its id if it was started.
    """
    asked = {key: value for key, value in body.items() if key not in ("stream", "stream_options")}
    response: dict[str, Any] = {}
    async with client.responses(asked, model=model, path=path, is_gateway=True) as answer:
        async for event in answer.events():
            response = event if isinstance(event, dict) else {}
    if response.get("status") not in _RUNNING:
        return response
    response_id = response.get("id")
    if not isinstance(response_id, str) or not _ID.fullmatch(response_id):
        raise BridgeError(
            ErrorCode.UPSTREAM_ERROR,
            "The workspace started a response in the background and gave no id to ask for it.",
            "Ask without `background`.",
            partial={"status": "failed", "model": model, "endpoint": model},
        )
    where = f"{path}/{response_id}"
    try:
        return await _poll(client, where)
    except BridgeError as error:
        raise error.with_partial({"response_id": response_id, "endpoint": model, "model": model}) from error
    except anyio.get_cancelled_exc_class():
        await _cancel(client, where, model)
        raise


async def _poll(client: WorkspaceClient, where: str) -> dict[str, Any]:
    wait, failures = _FIRST_WAIT_SECONDS, 0
    while True:
        await anyio.sleep(wait)
        wait = min(wait * 1.5, _MAX_WAIT_SECONDS)
        try:
            response = await client.get_json(where)
        except BridgeError as error:
            failures += 1
            if not error.retryable or failures >= MAX_FAILED_POLLS:
                raise
            continue
        failures = 0
        if not isinstance(response, dict) or response.get("status") not in _RUNNING:
            return (
                response if isinstance(response, dict) else {"status": "failed", "error": {"message": "No response."}}
            )


async def _cancel(client: WorkspaceClient, where: str, model: str) -> None:
    with anyio.move_on_after(_CANCEL_SECONDS, shield=True):
        try:
            async with client.responses({}, model=model, path=f"{where}/cancel", is_gateway=True):
                return
        except BridgeError as error:
            logger.warning("a response in the background could not be cancelled: %s", error)
