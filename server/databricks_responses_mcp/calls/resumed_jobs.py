"""Calls whose server ended while their response ran in the background of the workspace: another server reads it.

The reading becomes a job of this process under the same id, so that it is waited for, handed over and cancelled like
any other.
"""

import time

import anyio

from databricks_responses_mcp.calls.jobs import (
    JobOfCall,
    ResultRecord,
    RunningJob,
    background_of,
)
from databricks_responses_mcp.calls.state import App
from databricks_responses_mcp.store.records import JOB_LEASE_SECONDS, Job
from databricks_responses_mcp.turns.background import cancel_background
from databricks_responses_mcp.turns.background_response import BackgroundResponse
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.deadline import Deadline
from databricks_responses_mcp.turns.partial_response import PartialResponse
from databricks_responses_mcp.turns.resumption import resume_background
from databricks_responses_mcp.turns.store_calls import result_of_store
from databricks_responses_mcp.workspace.surfaces.table import SURFACES

_CLAIMED_SECONDS = 0.5


async def resumed_job(app: App, stored: Job, *, cancel: bool = False) -> RunningJob | None:
    """Return the job that reads on in this process what a job of an ended one has left; None if it has left nothing.

    Of several processes only one reads. The others get None, and find the job running when they look again.

    Args:
        cancel: cancel the response; it is read all the same, because it may have been complete.

    Raises:
        BridgeError: ``internal`` if the store cannot be used.
    """
    background = background_of(stored)
    if background is None:
        return None
    now = time.time()
    claim = await result_of_store(
        app.jobs.store.claim_key(
            f"resume {stored.job_id} {stored.updated_at} {now // JOB_LEASE_SECONDS:.0f}", "", stored.job_id, now
        ),
        "The call cannot be resumed",
        "Fix the store (see RESPONSES_MCP_STORE) and ask again.",
    )
    if not claim.mine:
        await anyio.sleep(_CLAIMED_SECONDS)
        return app.jobs.here(stored.job_id)
    if cancel:
        await cancel_background(app.bridge.client, background, surface=SURFACES[background.surface])
    settings = app.bridge.settings
    job = RunningJob(stored.job_id, stored.tool, PartialResponse(settings.secrets), background=background)
    job.started_at = stored.created_at
    app.jobs.start(_read, app, job, background)
    await app.jobs.keep(job)
    return job


async def _read(app: App, job: RunningJob, background: BackgroundResponse) -> None:
    settings = app.bridge.settings
    deadline = Deadline(settings.timeout_seconds)
    context = CallContext(
        deadline=deadline,
        usage_label=job.tool,
        partial=job.partial,
        job=JobOfCall(app.jobs, job, deadline),
        secrets=settings.secrets,
    )
    async with app.jobs.running(job):
        outcome = await resume_background(app.bridge, background, context)
        job.record = ResultRecord(outcome.as_dict())
