"""The result of a call that was handed over: from this process, from another one, or from one that is gone."""

import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult

from databricks_responses_mcp.calls.edit_text import render_edit
from databricks_responses_mcp.calls.jobs import STALE_SECONDS, Ended, Ending
from databricks_responses_mcp.calls.results import Lead, answer_result, error_result, running_result
from databricks_responses_mcp.calls.state import App, app_of, reporter_of
from databricks_responses_mcp.errors import BridgeError, ErrorCode, quoted
from databricks_responses_mcp.store.records import Job
from databricks_responses_mcp.turns.store_calls import result_of_store

_NEWS_SECONDS = 10.0
_POLL_SECONDS = 0.5
_CANCEL_SECONDS = 10.0

WHOLE_RESULT = "call_tool_result"
"""The fact under which the result of a tool that is not ours is kept as it was."""

_INTERRUPTED = "The server that ran this call ended before it did; what had arrived is here. Nothing was asked anew."
_CANCELLED = "The call was cancelled; what had arrived is here."


async def result_of_job(ctx: Context[App], job_id: str, seconds: float, *, cancel: bool = False) -> CallToolResult:
    """What a call came to, in the contract of its own tool; or that it still runs.

    Args:
        seconds: how long to wait for its end.
        cancel: end it instead.

    Raises:
        BridgeError: ``not_found``; ``internal`` if the store cannot be read.
    """
    app = app_of(ctx)
    job = app.jobs.here(job_id)
    if job is None:
        return await _of_another_process(ctx, job_id, seconds, cancel=cancel)
    if cancel and not job.done.is_set():
        job.scope.cancel()
        seconds = _CANCEL_SECONDS

    async def look() -> bool:
        return await job.wait(_NEWS_SECONDS)

    async def tail() -> str:
        facts, _ = await app.jobs.shown(job)
        return str(facts.get("text", ""))

    await _watch(ctx, look, seconds, tail)
    if job.ending is None or not job.done.is_set():
        newest = job.partial.tail  # before the rest is kept, so that all of it is
        facts, problem = await app.jobs.shown(job)
        elapsed = time.time() - job.started_at
        return running_result(app, job_id, facts, seconds=elapsed, tail=newest, problem=problem)
    return await _told(app, job.tool, job.ending, job.ended)


async def _of_another_process(ctx: Context[App], job_id: str, seconds: float, *, cancel: bool) -> CallToolResult:
    app = app_of(ctx)
    stored = await stored_job(app, job_id)
    if cancel and runs(stored):
        await asked(app.jobs.store.cancel_job(job_id))
        seconds = _CANCEL_SECONDS

    async def look() -> bool:
        nonlocal stored
        if runs(stored):
            await anyio.sleep(_POLL_SECONDS)
            stored = await stored_job(app, job_id)
        return not runs(stored)

    async def tail() -> str:
        return str(stored.facts.get("text", ""))

    await _watch(ctx, look, seconds, tail)
    if runs(stored):
        return running_result(app, job_id, dict(stored.facts), seconds=time.time() - stored.created_at)
    return await _told(app, stored.tool, *ended_of(stored))


async def _watch(
    ctx: Context[App], look: Callable[[], Awaitable[bool]], seconds: float, tail: Callable[[], Awaitable[str]]
) -> None:
    """Look until there is an end to see or the time is up, and tell the host every few seconds that it is not there."""
    reporter = reporter_of(ctx)
    told = -math.inf
    with anyio.move_on_after(seconds):
        while True:
            if reporter is not None and anyio.current_time() - told >= _NEWS_SECONDS:
                told = anyio.current_time()
                await reporter.say(f"still running: …{' '.join((await tail()).split())[-120:]}")
            if await look():
                return


async def _told(app: App, tool: str, ending: Ending, ended: Ended) -> CallToolResult:
    result = await ended_result(app, tool, ending, ended)
    if WHOLE_RESULT in ended.facts:
        # Its structure is another contract's than that of the tool which is answering.
        facts = {"status": "failed" if result.is_error else "completed"}
        result = result.model_copy(update={"structured_content": facts})
    return result


async def ended_result(app: App, tool: str, ending: Ending, ended: Ended) -> CallToolResult:
    """The result of a call that has ended, in the contract of its tool, cut to what the host that asks takes."""
    if WHOLE_RESULT in ended.facts:
        return CallToolResult.model_validate(ended.facts[WHOLE_RESULT])
    from databricks_responses_mcp.calls.generated_images import blocks_again

    lead: Lead = render_edit if tool == "edit_files" else ended.lead
    blocks = await blocks_again(app, ended.facts.get("images", ()))
    if ended.error is not None:
        return error_result(app, ended.error, blocks, lead=lead)
    facts = ended.facts
    if ending in ("interrupted", "cancelled"):
        note = _INTERRUPTED if ending == "interrupted" else _CANCELLED
        facts = {**facts, "status": ending, "notes": [*facts.get("notes", []), note]}
    return answer_result(app, facts, blocks, lead=lead)


async def stored_job(app: App, job_id: str) -> Job:
    """The job as the store has it.

    Raises:
        BridgeError: ``not_found``; ``internal`` if the store cannot be read.
    """
    stored: Job | None = await asked(app.jobs.store.job(job_id))
    if stored is None:
        raise BridgeError(
            ErrorCode.NOT_FOUND,
            f"There is no running or finished call {quoted(job_id)}.",
            "Use the response_id of a result whose status is running; finished calls are kept for seven days.",
        )
    return stored


async def asked(question: Awaitable[Any]) -> Any:
    """Return what the store answers about a job.

    Raises:
        BridgeError: ``internal`` if it does not answer.
    """
    return await result_of_store(
        question,
        "The call cannot be looked up",
        "Fix the store (see RESPONSES_MCP_STORE) and ask again.",
    )


def ended_of(stored: Job) -> tuple[Ending, Ended]:
    """How a job of another process ended, and what it came to."""
    facts = dict(stored.facts)
    error = _error_of(facts.pop("error", None), facts)
    ending: Ending = "interrupted" if stored.status == "running" else stored.status
    return ending, Ended(facts, stored.lead, error)


def runs(job: Job) -> bool:
    """Whether a job of another process is alive."""
    return job.status == "running" and time.time() - job.updated_at < STALE_SECONDS


def _error_of(kept: Any, partial: dict[str, Any]) -> BridgeError | None:
    """The error of a failed call, as it was."""
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
