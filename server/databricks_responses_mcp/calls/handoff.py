"""Calls held only as long as their host waits: before that ends, the caller gets a handle and the work goes on."""

import hashlib
import json
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import anyio
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult, ContentBlock

from databricks_responses_mcp.calls.job_results import asked, result_of_job
from databricks_responses_mcp.calls.jobs import Ended, RunningJob
from databricks_responses_mcp.calls.results import Lead, answer_result, error_result, running_result
from databricks_responses_mcp.calls.running_task import current_task
from databricks_responses_mcp.calls.state import App, app_of, reporter_of
from databricks_responses_mcp.calls.truncation import current_host
from databricks_responses_mcp.errors import BridgeError, ErrorCode, quoted
from databricks_responses_mcp.hosts.limits import HostLimits
from databricks_responses_mcp.store.interface import StoreError
from databricks_responses_mcp.store.records import KeyClaim
from databricks_responses_mcp.turns.call_context import CallContext, TakeImage
from databricks_responses_mcp.turns.partial_response import PartialResponse
from databricks_responses_mcp.turns.progress import Reporter
from databricks_responses_mcp.turns.store_calls import result_of_store, within_time_limit

logger = logging.getLogger(__name__)

current_call: ContextVar["Held"] = ContextVar("current_call")
"""The call that is being answered."""

_MOST_PATIENCE = 1800.0
_LOOK_SECONDS = 0.1
_VANISHED_SECONDS = 12.0
"""After which a claimed key whose call was never put down is free: longer than putting down may take."""


class Held:
    """One call of a tool, while its host waits.

    Args:
        tool: its name.
        arguments: as given; with the same ``idempotency_key``, the same ones are the same call.
    """

    def __init__(self, ctx: Context[App], tool: str, arguments: Mapping[str, Any]) -> None:
        self._ctx = ctx
        self._app = app_of(ctx)
        self._tool = tool
        self._arguments = arguments
        key = arguments.get("idempotency_key")
        # A host that calls again with its user's answers goes on with the same call.
        self._key = key if isinstance(key, str) and key and ctx.request_state is None else None
        self.reporter: Reporter | None = reporter_of(ctx)
        self._task = current_task.get()
        if self._task is not None and self.reporter is not None:
            self._task.silence_at_handover(self.reporter)
        self._end = anyio.current_time() + self._patience()
        self._partial = (
            self._task.job.partial if self._task is not None else PartialResponse(self._app.bridge.settings.secrets)
        )
        self._conclude: Callable[[Any, BridgeError | None], Ended] = plainly
        self._job_id = ""
        self._fingerprint = ""
        self._has_begun = False

    @property
    def job_id(self) -> str:
        """What the call is kept as from its beginning, if it has a key; else empty."""
        return self._job_id

    def go_on_as(self, job_id: str) -> None:
        """Be the same call as an earlier one, which was kept as that."""
        if self._task is None:
            self._job_id = job_id

    def start_work(self, take_image: TakeImage | None = None) -> CallContext:
        """Return the context of the call's next work, whose time limit starts now.

        Args:
            take_image: receives the images of the work.
        """
        return CallContext.start(
            self._app.bridge.settings,
            self._tool,
            reporter=self.reporter,
            take_image=take_image,
            partial=self._partial,
        )

    @property
    def seconds_left(self) -> float:
        """How long the host still waits, by what is known of it."""
        return max(self._end - anyio.current_time(), 0.0)

    async def first(self) -> CallToolResult | None:
        """The result of an earlier call with the same key; None if this is the first, or has none.

        Raises:
            BridgeError: ``invalid_argument`` if the earlier call had other arguments; ``internal`` if the store cannot
                tell.
        """
        if self._key is None:
            return None
        self._job_id = self._task.job.job_id if self._task is not None else self._app.jobs.new_id()
        self._fingerprint = fingerprint_of(self._tool, self._arguments)
        vanished_at: dict[str, float] = {}
        while True:
            claim = await self._claim(self._key)
            if claim.mine:
                return None
            if claim.fingerprint != self._fingerprint:
                raise BridgeError(
                    ErrorCode.INVALID_ARGUMENT,
                    f"idempotency_key {quoted(self._key)} was used for a call with other arguments.",
                    "Use a new key for a new call.",
                )
            jobs = self._app.jobs
            if jobs.here(claim.job_id) is not None or await asked(jobs.store.job(claim.job_id)) is not None:
                return await result_of_job(self._ctx, claim.job_id, self.seconds_left)
            # That call has not been put down yet, so it has not begun; or its process ended before it could.
            now = anyio.current_time()
            if now - vanished_at.setdefault(claim.job_id, now) > _VANISHED_SECONDS:
                await asked(jobs.store.release_key(self._key, claim.job_id))
            await anyio.sleep(_LOOK_SECONDS)

    async def refused(self) -> None:
        """The call failed; if that was before its work began, it may be made again with the same key."""
        if not self._has_begun:
            await self._release(self._job_id)

    def attach(self, error: BridgeError) -> BridgeError:
        """Return ``error`` with what the call has received so far, its pictures too."""
        return self._conclude(None, self._partial.attach(error)).error or error

    async def run(
        self, work: Callable[[], Awaitable[Any]], conclude: Callable[[Any, BridgeError | None], Ended]
    ) -> Any:
        """Do the work; its value, or a ``running`` result if the host would not wait for it.

        Args:
            conclude: makes what is kept, of the value or the error, should nobody wait any more.

        Raises:
            BridgeError: why the work failed.
        """
        jobs = self._app.jobs
        self._has_begun = True
        self._conclude = conclude
        if self._task is not None:
            self._task.conclude = conclude
            return await self._run_in_task(self._task.job, work)
        prepare = self._put_down if self._job_id else None
        job = await jobs.start(
            self._tool, work, conclude, job_id=self._job_id or None, partial=self._partial, prepare=prepare
        )
        try:
            problem = ""
            if not await job.wait(self.seconds_left) and not job.is_kept:
                problem = await jobs.keep(job)
        except BaseException:
            # The host has given up: nobody will ever see what this would cost.
            job.scope.cancel()
            if not job.partial.events:
                await self._release(job.job_id)
            raise
        if not job.done.is_set():
            if self.reporter is not None:
                self.reporter.silence()
            newest = job.partial.tail  # before the rest is kept, so that all of it is
            facts, unkept = await jobs.shown(job)
            elapsed = time.time() - job.started_at
            return running_result(self._app, job.job_id, facts, seconds=elapsed, tail=newest, problem=problem or unkept)
        if job.error is not None:
            raise job.error
        if job.ending != "completed":
            raise BridgeError(ErrorCode.CANCELLED, "The call was cancelled.", "Call again.", partial=job.so_far())
        return job.value

    async def result(
        self,
        work: Callable[[], Awaitable[Any]],
        conclude: Callable[[Any, BridgeError | None], Ended],
        *,
        blocks: Callable[[], Sequence[ContentBlock]] = tuple,
        lead: Lead = "",
    ) -> CallToolResult:
        """Do the work and say what it came to; as `run`, but for a failure, which is a result too.

        Args:
            blocks: pictures and links, made when the work is done.
            lead: as in `answer_result`; that of what was concluded, if it is empty.
        """
        try:
            value = await self.run(work, conclude)
        except BridgeError as error:
            ended = conclude(None, error)
        else:
            if isinstance(value, CallToolResult):
                return value
            ended = conclude(value, None)
        if ended.error is not None:
            return error_result(self._app, ended.error, blocks(), lead=lead or ended.lead)
        return answer_result(self._app, ended.facts, blocks(), lead=lead or ended.lead)

    async def _run_in_task(self, job: RunningJob, work: Callable[[], Awaitable[Any]]) -> Any:
        """The whole call is a job already, which nobody waits for in vain: do the work in it."""
        try:
            if self._job_id:
                await self._put_down(job)
            return await work()
        except anyio.get_cancelled_exc_class():
            if not job.partial.events:
                await self._release(job.job_id)
            raise
        except Exception as error:
            if not (isinstance(error, BridgeError) and error.may_be_paid):
                await self._release(job.job_id)
            raise

    async def _claim(self, key: str) -> KeyClaim:
        return await result_of_store(
            self._app.jobs.store.claim_key(key, self._fingerprint, self._job_id, time.time()),
            "Whether this call was made before cannot be looked up",
            "Fix the store (see RESPONSES_MCP_STORE), or leave idempotency_key out.",
        )

    async def _put_down(self, job: RunningJob) -> None:
        """Let others know of a call that must not be made twice, before it begins.

        Raises:
            BridgeError: ``internal`` if that cannot be done: then it must not begin.
        """
        job.key = self._key
        problem = "" if job.is_kept else await self._app.jobs.keep(job)
        if not problem and self._key is not None and (await self._claim(self._key)).job_id != job.job_id:
            problem = "Another call with this idempotency_key took its place."
        if problem:
            raise BridgeError(
                ErrorCode.INTERNAL,
                f"The call was not begun, because it might be made twice: {problem}",
                "Call again; if the store cannot be used, mend it or leave idempotency_key out.",
                retryable=True,
            )

    async def _release(self, job_id: str) -> None:
        """Let a call that came to nothing, and cost nothing, be made again with the same key."""
        if self._key is None:
            return
        if self._task is None:
            self._app.jobs.forget(job_id)
        with anyio.CancelScope(shield=True):
            try:
                await within_time_limit(self._app.jobs.store.release_key(self._key, job_id))
            except StoreError as error:
                logger.warning("an idempotency key could not be given back: %s", error)

    def _patience(self) -> float:
        """For how long a result is awaited: a little less than the host waits."""
        if self._task is not None:
            return math.inf
        settings = self._app.bridge.settings
        if settings.hand_over_seconds is not None:
            return settings.hand_over_seconds
        return patience_with(current_host.get(), has_progress=self.reporter is not None)


def fingerprint_of(tool: str, arguments: Mapping[str, Any]) -> str:
    """The same for the same call, and for no other."""
    return hashlib.sha256(json.dumps([tool, arguments], sort_keys=True).encode()).hexdigest()


def plainly(facts: dict[str, Any] | None, error: BridgeError | None) -> Ended:
    """What work that gives the result's facts came to."""
    return Ended(facts or {}) if error is None else Ended(error.partial, error=error)


def patience_with(host: HostLimits, *, has_progress: bool) -> float:
    """Seconds after which a call to that host is handed over."""
    if host.call_seconds is None or (host.progress_extends and has_progress):
        return _MOST_PATIENCE
    return host.call_seconds - min(max(host.call_seconds * 0.07, 10.0), 30.0)
