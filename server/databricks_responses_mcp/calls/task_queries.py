"""Requests about tasks: of this process, another one, or one that has ended."""

import time
from collections.abc import Mapping
from typing import Any

from mcp.server.context import HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolResult
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS

from databricks_responses_mcp.calls.advice import mcp_words
from databricks_responses_mcp.calls.job_results import ended_of, ended_result, stored_job
from databricks_responses_mcp.calls.jobs import Ending, ResultRecord, RunningJob, is_alive
from databricks_responses_mcp.calls.results import PROTOCOL_ERROR, dumped
from databricks_responses_mcp.calls.resumed_jobs import resumed_job
from databricks_responses_mcp.calls.running_task import RunningTask, response_of, task_fields
from databricks_responses_mcp.calls.state import App, AppSource, app_in, host_of
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.hosts.limits import HostLimits
from databricks_responses_mcp.store.records import Job

_TAIL_CHARACTERS = 120

Ctx = ServerRequestContext[AppSource, Any]


async def look_at(ctx: Ctx, task_id: str) -> HandlerResult:
    """Return the current state of a task.

    Raises:
        MCPError: -32602 if there is none; -32603 if that is unknown.
    """
    app = app_in(ctx)
    seen = await _seen(app, ctx, task_id)
    await app.long_texts.save()
    return seen


async def _seen(app: App, ctx: Ctx, task_id: str) -> HandlerResult:
    host = host_of(ctx)
    job = app.jobs.here(task_id) or await _resumed(app, await _stored(app, task_id))
    if job is None:
        return await _of_stored_job(app, host, await _stored(app, task_id))
    # It has ended once its end is stored, and so has the same state in every process.
    if not job.done.is_set() or job.ending is None or job.ended_at is None:
        return await _unfinished(app, job, app.running_tasks.get(task_id))
    fields = task_fields(task_id, job.started_at, job.ended_at, app.bridge.settings, is_over=True)
    if isinstance(job.result, CallToolResult):
        # As it was truncated for the calling host.
        return {**fields, "status": "completed", "result": dumped(job.result)}
    return {**fields, **await _over(app, host, task_id, job.tool, job.ending, job.ended)}


async def update(ctx: Ctx, task_id: str, responses: Mapping[str, Any]) -> None:
    """Give answers to a task that waits for them; answers to what it did not ask are ignored.

    Raises:
        MCPError: -32602 if there is no such task, or an answer is invalid; -32603 if that is unknown.
    """
    app = app_in(ctx)
    if app.jobs.here(task_id) is None:
        stored = await _stored(app, task_id)
        answers = {key: responses[key] for key in stored.questions if key in responses}
        for key, value in answers.items():
            response_of(key, value)
        if answers:
            try:
                await app.jobs.answer_elsewhere(task_id, answers)
            except BridgeError as error:
                raise _as_protocol_error(error) from error
    elif (task := app.running_tasks.get(task_id)) is not None:
        task.respond({key: response_of(key, value) for key, value in responses.items() if key in task.questions})


async def cancel(ctx: Ctx, task_id: str) -> None:
    """Cancel a task if it has not ended; its connection to the workspace is closed.

    Raises:
        MCPError: -32602 if there is no such task; -32603 if that is unknown.
    """
    app = app_in(ctx)
    job = app.jobs.here(task_id)
    if job is not None:
        job.scope.cancel()
        return
    stored = await _stored(app, task_id)
    if not is_alive(stored):
        await _resumed(app, stored, cancel=True)
    else:
        try:
            await app.jobs.request_cancellation(task_id)
        except BridgeError as error:
            raise _as_protocol_error(error) from error


async def _unfinished(app: App, job: RunningJob, task: RunningTask | None) -> dict[str, Any]:
    fields = task_fields(job.job_id, job.started_at, time.time(), app.bridge.settings, is_over=False)
    if task is not None and task.questions:
        asked = {
            key: request.model_dump(by_alias=True, mode="json", exclude_none=True)
            for key, request in task.questions.items()
        }
        return {**fields, **_waiting(asked)}
    structured, _ = await app.jobs.shown(job)
    return {**fields, "status": "working", "statusMessage": _progress(job.tool, str(structured.get("text", "")))}


def _waiting(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {"status": "input_required", "statusMessage": "Waiting for the user.", "inputRequests": dict(asked)}


async def _of_stored_job(app: App, host: HostLimits, stored: Job) -> dict[str, Any]:
    settings = app.bridge.settings
    if is_alive(stored):
        fields = task_fields(stored.job_id, stored.created_at, stored.updated_at, settings, is_over=False)
        if stored.questions:
            return {**fields, **_waiting(stored.questions)}
        message = _progress(stored.tool, str(stored.structured.get("text", "")))
        return {**fields, "status": "working", "statusMessage": message}
    fields = task_fields(stored.job_id, stored.created_at, stored.updated_at, settings, is_over=True)
    return {**fields, **await _over(app, host, stored.job_id, stored.tool, *ended_of(stored))}


async def _over(
    app: App, host: HostLimits, task_id: str, tool: str, ending: Ending, ended: ResultRecord
) -> dict[str, Any]:
    """Return how a task ended.

    ``failed`` is only for JSON-RPC errors: a tool's failure is a result, with what it had received. So is the
    interruption of a call, because an error could not contain its partial text.
    """
    if (error := ended.structured.get(PROTOCOL_ERROR)) is not None:
        return {"status": "failed", "statusMessage": str(ended.error), "error": error}
    if ending == "cancelled":
        message = f'Cancelled. get_response with response_id "{task_id}" returns what had arrived.'
        return {"status": "cancelled", "statusMessage": message}
    result = await ended_result(app, host, tool, ending, ended)
    if ending == "interrupted":
        result = result.model_copy(update={"is_error": True})
    return {"status": "completed", "result": dumped(result)}


async def _stored(app: App, task_id: str) -> Job:
    try:
        return await stored_job(app, task_id)
    except BridgeError as error:
        raise _as_protocol_error(error) from error


async def _resumed(app: App, stored: Job, *, cancel: bool = False) -> RunningJob | None:
    try:
        return await resumed_job(app, stored, cancel=cancel)
    except BridgeError as error:
        raise _as_protocol_error(error) from error


def _as_protocol_error(error: BridgeError) -> MCPError:
    code = INVALID_PARAMS if error.code is ErrorCode.NOT_FOUND else INTERNAL_ERROR
    return MCPError(code=code, message=error.text(mcp_words))


def _progress(tool: str, text: str) -> str:
    tail = " ".join(text.split())[-_TAIL_CHARACTERS:]
    return f"{tool} is running: …{tail}" if tail else f"{tool} is running."
