"""Responses that run in the background of the Supervisor API: started, polled until they are done, cancelled with the
call.

The call that waits is a job like any other: a host that does not wait is answered with ``running``, and the polling
goes on. The response is stored with the job as soon as its id is known, so that a later process can read it.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import anyio.lowlevel

from databricks_responses_mcp.errors import BridgeError, ErrorCode, convert_exceptions
from databricks_responses_mcp.turns.background_response import BackgroundResponse, ResumableJob, is_response_id
from databricks_responses_mcp.workspace.http import OnWait, WorkspaceClient
from databricks_responses_mcp.workspace.surfaces.surface import Surface

logger = logging.getLogger(__name__)

_RUNNING = ("queued", "in_progress")
_FIRST_WAIT_SECONDS = 0.5
_MAX_WAIT_SECONDS = 10.0
_MAX_OUTAGE_SECONDS = 600.0
"""How long a workspace may fail to answer before polling stops: a restart or a lost network must not lose a response
that is paid for. The deadline of the call ends it earlier."""
_CANCEL_SECONDS = 8.0
"""How long a cancelled call may take to learn the id of its response and to cancel it."""


async def run_in_background(
    client: WorkspaceClient,
    body: Mapping[str, Any],
    *,
    surface: Surface,
    model: str,
    input_marks: Sequence[str] = (),
    job: ResumableJob | None = None,
    on_wait: OnWait | None = None,
) -> dict[str, Any]:
    """Start a response in the background and wait for its end. If the call is cancelled, so is the response.

    Args:
        body: a request with ``background``; it is sent without ``stream``, which cannot be combined with it.
        input_marks: of the request's input, for a process that reads the response later.
        job: stores the response; None if nobody can ask for it later.

    Returns:
        The response object, in whatever status it ended.

    Raises:
        BridgeError: if it cannot be started, or polled; ``partial`` has its id then.
    """
    start = _Start(client, body, path=surface.path(model), model=model, on_wait=on_wait)
    background: BackgroundResponse | None = None
    try:
        response = await start.run()
        response_id = response.get("id")
        if response.get("status") not in _RUNNING:
            return response
        if not isinstance(response_id, str) or not is_response_id(response_id):
            raise BridgeError(
                ErrorCode.UPSTREAM_ERROR,
                "The workspace started a response in the background and gave no id to ask for it.",
                "Ask without `background`.",
                partial={"status": "failed", "model": model, "endpoint": model},
            )
        background = BackgroundResponse(
            response_id=response_id, surface=surface.key, model=model, input_marks=input_marks
        )
        if job is not None:
            await job.keep_background(background)
    except anyio.get_cancelled_exc_class():
        if start.response.get("status") in _RUNNING and is_response_id(start.response.get("id")):
            await _cancel(client, f"{surface.path(model)}/{start.response['id']}", model, by=start.give_up_at)
        raise
    return await read_background(client, background, surface=surface, job=job)


async def read_background(
    client: WorkspaceClient, background: BackgroundResponse, *, surface: Surface, job: ResumableJob | None = None
) -> dict[str, Any]:
    """Wait for the end of a response that runs in the background; if the call is cancelled, cancel the response.

    Args:
        job: knows whether a later process reads the response.

    Returns:
        The response object, in whatever status it ended.

    Raises:
        BridgeError: if it cannot be polled; ``partial`` has its id.
    """
    model = background.model
    where = f"{surface.path(model)}/{background.response_id}"
    try:
        return await _poll(client, where)
    except BridgeError as error:
        raise error.with_partial({"response_id": background.response_id, "endpoint": model, "model": model}) from error
    except anyio.get_cancelled_exc_class():
        if job is None or not job.is_left_to_others():
            await _cancel(client, where, model)
        raise


async def cancel_background(client: WorkspaceClient, background: BackgroundResponse, *, surface: Surface) -> None:
    """Cancel a response that runs in the background. A failure is logged: the response tells how it ended."""
    model = background.model
    await _cancel(client, f"{surface.path(model)}/{background.response_id}", model)


class _Start:
    """The request that starts a response. Once it is sent, the answer is read even if the call is cancelled.

    Only its id lets the response be cancelled, which would otherwise run, and cost, to its end.

    Attributes:
        response: the answer; empty until it has come.
        give_up_at: when the cancelled call must have ended.
    """

    def __init__(
        self, client: WorkspaceClient, body: Mapping[str, Any], *, path: str, model: str, on_wait: OnWait | None
    ) -> None:
        self._client = client
        self._body = {key: value for key, value in body.items() if key not in ("stream", "stream_options")}
        self._path, self._model, self._on_wait = path, model, on_wait
        self._scope = anyio.CancelScope(shield=True)
        self._waits_until = 0.0
        self._failure: BridgeError | None = None
        self.response: dict[str, Any] = {}
        self.give_up_at = 0.0

    async def run(self) -> dict[str, Any]:
        """Send the request; returns the response object.

        Raises:
            BridgeError: if it fails.
        """
        self._scope.deadline = anyio.current_effective_deadline() + _CANCEL_SECONDS
        async with anyio.create_task_group() as tasks:
            answered = anyio.Event()
            tasks.start_soon(self._send, answered)
            try:
                await answered.wait()
            except anyio.get_cancelled_exc_class():
                now = anyio.current_time()
                self.give_up_at = now + _CANCEL_SECONDS
                # Between two attempts nothing is under way, and nothing must be sent any more.
                self._scope.deadline = now if now < self._waits_until else self.give_up_at
                raise
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        return self.response

    async def _send(self, answered: anyio.Event) -> None:
        # An exception must not leave the task group: it would come out wrapped in a group.
        with self._scope:
            try:
                with convert_exceptions(f"Starting a response of {self._model}"):
                    await self._post()
            except BridgeError as error:
                self._failure = error.with_traceback(None)
        answered.set()

    async def _post(self) -> None:
        async with self._client.responses(
            self._body, model=self._model, path=self._path, is_gateway=True, on_wait=self._before_wait
        ) as answer:
            async for event in answer.events():
                self.response = event if isinstance(event, dict) else {}

    async def _before_wait(self, reason: str, seconds: float) -> None:
        self._waits_until = anyio.current_time() + seconds
        if self.give_up_at:
            self._scope.cancel()
            await anyio.lowlevel.checkpoint()
        if self._on_wait is not None:
            await self._on_wait(reason, seconds)


async def _poll(client: WorkspaceClient, where: str) -> dict[str, Any]:
    wait, answered_at = _FIRST_WAIT_SECONDS, anyio.current_time()
    while True:
        await anyio.sleep(wait)
        wait = min(wait * 1.5, _MAX_WAIT_SECONDS)
        try:
            response = await client.get_json(where)
        except BridgeError as error:
            if not error.retryable or anyio.current_time() - answered_at > _MAX_OUTAGE_SECONDS:
                raise
            logger.debug("polling a response in the background failed: %s", error)
            continue
        answered_at = anyio.current_time()
        if not isinstance(response, dict) or response.get("status") not in _RUNNING:
            return (
                response if isinstance(response, dict) else {"status": "failed", "error": {"message": "No response."}}
            )


async def _cancel(client: WorkspaceClient, where: str, model: str, *, by: float = 0.0) -> None:
    """Cancel the response at a path.

    Args:
        by: when that must have ended; 0 for as long as it may take.
    """
    seconds = by - anyio.current_time() if by else _CANCEL_SECONDS
    with anyio.move_on_after(seconds, shield=True):
        try:
            async with client.responses({}, model=model, path=f"{where}/cancel", is_gateway=True):
                return
        except BridgeError as error:
            logger.warning("a response in the background could not be cancelled: %s", error)
