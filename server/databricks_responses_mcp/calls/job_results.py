"""The result of a call that was handed over: from this process, another one, or one that has ended."""

import math
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import anyio
from mcp.types import CallToolResult

from databricks_responses_mcp.calls.edit_text import choose_preamble
from databricks_responses_mcp.calls.generated_images import blocks_of_saved_images
from databricks_responses_mcp.calls.jobs import (
    Ending,
    ResultRecord,
    RunningJob,
    background_of,
    is_alive,
    without_background,
)
from databricks_responses_mcp.calls.results import (
    WHOLE_RESULT,
    answer_result,
    error_result,
    in_thread_if_large,
    running_job_result,
    running_result,
)
from databricks_responses_mcp.calls.resumed_jobs import resumed_job
from databricks_responses_mcp.calls.state import App
from databricks_responses_mcp.calls.tool_call import ToolCall
from databricks_responses_mcp.errors import BridgeError, ErrorCode, quoted
from databricks_responses_mcp.hosts.limits import HostLimits
from databricks_responses_mcp.store.records import Job

_NEWS_SECONDS = 10.0
_POLL_SECONDS = 0.5
_CANCEL_SECONDS = 10.0

_INTERRUPTED = "The server that ran this call ended before it did; what had arrived is here. No request was repeated."
_CANCELLED = "The call was cancelled; what had arrived is here."


async def result_of_job(call: "ToolCall", job_id: str, seconds: float, *, cancel: bool = False) -> CallToolResult:
    """Return the result of an earlier call, in the contract of its tool, or the status that it is still running.

    Args:
        call: the current call.
        seconds: how long to wait for its end.
        cancel: cancel the earlier call instead.

    Raises:
        BridgeError: ``not_found``; ``internal`` if the store cannot be read.
    """
    app = call.app
    job = app.jobs.here(job_id)
    if job is None:
        return await _result_of_stored_job(call, job_id, seconds, cancel=cancel)
    return await _result_of_own_job(call, job, seconds, cancel=cancel)


async def _result_of_own_job(call: "ToolCall", job: RunningJob, seconds: float, *, cancel: bool) -> CallToolResult:
    app = call.app
    if cancel and not job.done.is_set():
        job.scope.cancel()
        seconds = _CANCEL_SECONDS

    async def look() -> bool:
        return await job.wait(_NEWS_SECONDS)

    async def tail() -> str:
        structured, _ = await app.jobs.shown(job)
        return str(structured.get("text", ""))

    await _watch(call, look, seconds, tail)
    if job.ending is None or not job.done.is_set():
        return await running_job_result(app, call.host, job)
    return await _ended_result_of_any_tool(call, job.tool, job.ending, job.ended)


async def _result_of_stored_job(call: "ToolCall", job_id: str, seconds: float, *, cancel: bool) -> CallToolResult:
    app = call.app
    stored = await stored_job(app, job_id)
    until = anyio.current_time() + seconds
    if cancel and is_alive(stored):
        await app.jobs.request_cancellation(job_id)
        seconds = _CANCEL_SECONDS

    async def look() -> bool:
        nonlocal stored
        if is_alive(stored):
            await anyio.sleep(_POLL_SECONDS)
            stored = await stored_job(app, job_id)
        return not is_alive(stored)

    async def tail() -> str:
        return str(stored.structured.get("text", ""))

    await _watch(call, look, seconds, tail)
    if (job := await resumed_job(app, stored, cancel=cancel)) is not None:
        left = _CANCEL_SECONDS if cancel else max(until - anyio.current_time(), 0.0)
        return await _result_of_own_job(call, job, left, cancel=False)
    if background_of(stored) is not None:
        stored = await stored_job(app, job_id)
    if is_alive(stored):
        # The clock of the process that runs it may be ahead.
        elapsed = max(0.0, time.time() - stored.created_at)
        structured = without_background(stored.structured)
        running = partial(running_result, app, call.host, job_id, structured, seconds=elapsed)
        return await in_thread_if_large(running, structured)
    return await _ended_result_of_any_tool(call, stored.tool, *ended_of(stored))


async def _watch(
    call: "ToolCall", look: Callable[[], Awaitable[bool]], seconds: float, tail: Callable[[], Awaitable[str]]
) -> None:
    """Wait until the job has ended or the time is over, with progress every few seconds."""
    reported = -math.inf
    with call.app.jobs.waiting(seconds):
        while True:
            if call.reporter is not None and anyio.current_time() - reported >= _NEWS_SECONDS:
                reported = anyio.current_time()
                await call.reporter.say(f"still running: …{' '.join((await tail()).split())[-120:]}")
            if await look():
                return


async def _ended_result_of_any_tool(call: "ToolCall", tool: str, ending: Ending, ended: ResultRecord) -> CallToolResult:
    result = await ended_result(call.app, call.host, tool, ending, ended)
    if WHOLE_RESULT in ended.structured:
        # Its structured output follows another contract than the current tool's.
        structured = {"status": "failed" if result.is_error else "completed"}
        result = result.model_copy(update={"structured_content": structured})
    return result


async def ended_result(app: App, host: HostLimits, tool: str, ending: Ending, ended: ResultRecord) -> CallToolResult:
    """Return the result of an ended call, in the contract of its tool, truncated to what ``host`` accepts."""
    if WHOLE_RESULT in ended.structured:
        return CallToolResult.model_validate(ended.structured[WHOLE_RESULT])
    preamble = choose_preamble(tool, ended.preamble)
    blocks = await blocks_of_saved_images(app, ended.structured.get("images", ()))
    if ended.error is not None:
        failed = partial(error_result, app, host, ended.error, blocks, preamble=preamble)
        return await in_thread_if_large(failed, ended.error.partial)
    structured = ended.structured
    if ending in ("interrupted", "cancelled"):
        note = _INTERRUPTED if ending == "interrupted" else _CANCELLED
        structured = {**structured, "status": ending, "notes": [*structured.get("notes", []), note]}
    answer = partial(answer_result, app, host, structured, blocks, preamble=preamble)
    return await in_thread_if_large(answer, structured)


async def stored_job(app: App, job_id: str) -> Job:
    """Return the job as the store has it.

    Raises:
        BridgeError: ``not_found``; ``internal`` if the store cannot be read.
    """
    stored = await app.jobs.stored(job_id)
    if stored is None:
        raise BridgeError(
            ErrorCode.NOT_FOUND,
            f"There is no running or finished call {quoted(job_id)}.",
            "Use the response_id of a result whose status is running; finished calls are kept for seven days.",
        )
    return stored


def ended_of(stored: Job) -> tuple[Ending, ResultRecord]:
    """Return how a job of another process ended, and its result."""
    structured = without_background(stored.structured)
    error = _error_of(structured.pop("error", None), structured)
    ending: Ending = "interrupted" if stored.status == "running" else stored.status
    return ending, ResultRecord(structured, stored.preamble, error)


def _error_of(kept: Any, partial: dict[str, Any]) -> BridgeError | None:
    """Return the error of a failed call, as it was stored."""
    if not isinstance(kept, Mapping):
        return None
    return BridgeError(
        ErrorCode(str(kept["code"])),
        str(kept["message"]),
        str(kept["hint"]),
        retryable=bool(kept["retryable"]),
        retry_after_seconds=kept.get("retry_after_seconds"),
        status=kept.get("status"),
        request_id=kept.get("request_id"),
        partial=partial,
    )
