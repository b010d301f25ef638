"""A call of one of the server's tools in flight, from its arguments to its result.

The tool runs in a job, beside the request that made the call, because a call may take longer than its host waits. The
request waits for the job. Shortly before the host would give up, it is answered with status ``running`` and the id of
the job, which continues; `calls.job_results` returns its result later.
"""

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolResult, ContentBlock, InputRequiredResult

from databricks_responses_mcp.calls.call_log import CallLog, CallOutcome
from databricks_responses_mcp.calls.edit_text import choose_preamble
from databricks_responses_mcp.calls.generated_images import GeneratedImages
from databricks_responses_mcp.calls.idempotency import IdempotencyKey, fingerprint_of
from databricks_responses_mcp.calls.jobs import JobOfCall, Jobs, ResultRecord, RunningJob, first_of
from databricks_responses_mcp.calls.results import (
    Preamble,
    RecordedResult,
    answer_result,
    failure_result,
    in_thread_if_large,
    record_of,
    running_job_result,
)
from databricks_responses_mcp.calls.running_task import task_of
from databricks_responses_mcp.calls.state import AppSource, app_in, host_of, reporter_of
from databricks_responses_mcp.calls.tasks import LONG_RUNNING
from databricks_responses_mcp.errors import BridgeError, ErrorCode, convert_exceptions
from databricks_responses_mcp.hosts.limits import HostLimits
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.deadline import Deadline
from databricks_responses_mcp.turns.partial_response import PartialResponse

Result = CallToolResult | InputRequiredResult

_MAX_WAIT_SECONDS = 1800.0


class ToolCall:
    """One call of a tool. Every tool function gets it as its first argument.

    Attributes:
        request: the MCP request that made the call.
        app: what the server's calls share; its ``bridge`` is the workspace.
        tool: the name of the tool, which token usage is recorded for.
        host: what the calling host accepts.
        reporter: receives progress; None if the host asked for none.
        task: the MCP task that the call is, or may become; None if its host does not use tasks.
        job: where the call runs: its id, what it has received, its end.
        images: saves the images that the model generates; None if the tool takes none. See `add_images`.
        deadline: when the call ends, including all its requests to the workspace.
        is_handed_over: whether the request was answered with status ``running``: nobody waits for the result then, and
            the user cannot be asked.
        log: logs the call.
    """

    def __init__(self, request: Context[AppSource, Any], tool: str) -> None:
        self.request = request
        context = request.request_context
        self.app = app_in(context)
        self.tool = tool
        self.log = CallLog(self.app, context, tool)
        self.host: HostLimits = host_of(context)
        settings = self.app.bridge.settings
        self.reporter = reporter_of(context, settings.secrets)
        self.task = task_of(context)
        if self.task is not None:
            self.job = self.task.job
            if self.reporter is not None:
                self.task.silence_at_handover(self.reporter)
        else:
            self.job = RunningJob(Jobs.new_id(), tool, PartialResponse(settings.secrets))
        self.job.log_fields = self.log.fields
        self.deadline = Deadline(settings.timeout_seconds)
        self.is_handed_over = False
        self._answer_by = anyio.current_time() + self._patience()
        self.images: GeneratedImages | None = None
        self._key: IdempotencyKey | None = None
        self._is_keyed = False
        self._question: anyio.Event | None = None

    @property
    def seconds_left(self) -> float:
        """The seconds until the request must be answered; infinite in a task."""
        return max(self._answer_by - anyio.current_time(), 0.0)

    @property
    def keyed_job_id(self) -> str:
        """The id of the job if the call has an idempotency key; else empty."""
        return self.job.job_id if self._is_keyed else ""

    async def earlier_call(self, arguments: Mapping[str, Any]) -> str | None:
        """Claim the call's idempotency key; return the id of an earlier call with it, or None to continue.

        Args:
            arguments: the given arguments, including ``idempotency_key``.

        Raises:
            BridgeError: ``invalid_argument`` if the earlier call had other arguments; ``internal`` if the store fails.
        """
        key = arguments.get("idempotency_key")
        # A host that calls again with its user's answers continues the call that claimed the key.
        if not isinstance(key, str) or not key or self.request.request_state is not None:
            return None
        # In a thread, because a prompt may have megabytes.
        fingerprint = await anyio.to_thread.run_sync(fingerprint_of, self.tool, arguments)
        self._key = IdempotencyKey(key, fingerprint, self.app.jobs, self.log.fields)
        self._is_keyed = True
        return await self._key.claim(self.job.job_id)

    async def run(self, tool: Tool, arguments: Mapping[str, Any]) -> Result:
        """Run the tool; return its result, or one with status ``running`` if the host would not wait for it.

        Args:
            arguments: the validated arguments.

        Raises:
            BridgeError: the tool's exception, with all that the call had received.
        """
        if self.task is not None or self.tool not in LONG_RUNNING:
            async with self._attaching_received():
                result: Result = tool.fn_metadata.convert_result(await tool.fn(self, **arguments))
                await self.log_end(result)
                return result
        jobs, job = self.app.jobs, self.job
        jobs.start(self._run_in_job, tool, arguments)
        problem = ""
        try:
            await self._wait()
            if not job.done.is_set():
                self.is_handed_over = True
                if not job.is_kept:
                    problem = await jobs.keep(job)
        except BaseException:
            # The host has given up: nobody would see the result.
            job.scope.cancel()
            if self._key is not None and not job.partial.events:
                jobs.forget(job.job_id)
                await self.release_key()
            raise
        if not job.done.is_set():
            if self.reporter is not None:
                self.reporter.silence()
            return await running_job_result(self.app, self.host, job, problem)
        returned: Result = job.returned()
        return returned

    async def begin(self, images: GeneratedImages | None = None, *, job_id: str = "") -> CallContext:
        """Begin work that may cost something; return what functions of `turns` need of the call.

        A call with an idempotency key is stored first: from then on it is not made twice.

        Args:
            images: saves the images that the model generates; they become part of the result.
            job_id: the `keyed_job_id` of the request that this one continues with the user's answers.

        Raises:
            BridgeError: ``internal`` if a call with a key cannot be stored: then it must not begin.
        """
        if images is not None:
            self.add_images(images)
        if job_id:
            self._is_keyed = True
            if self.task is None and not self.job.is_kept:
                self.job.job_id = job_id
        await self.log.begin()
        if self._is_keyed:
            await self._store()
        return CallContext(
            deadline=self.deadline,
            usage_label=self.tool,
            reporter=self.reporter,
            take_image=self.images,
            partial=self.job.partial,
            job=JobOfCall(self.app.jobs, self.job, self.deadline),
            secrets=self.app.bridge.settings.secrets,
            record=self.log.record,
        )

    def add_images(self, images: GeneratedImages) -> None:
        """Make images part of the result."""
        self.images = self.job.images = images

    async def result(self, structured: dict[str, Any], *, preamble: Preamble = "") -> RecordedResult:
        """Return the result of a call that succeeded, with its images; a large one is made in a thread.

        Args:
            structured: the fields of the result.
            preamble: the text before the model's own text; by default the text that says where the images are.
        """
        blocks: Sequence[ContentBlock] = ()
        if self.images is not None:
            structured = self.images.extend(structured)
            blocks, preamble = self.images.blocks(), preamble or self.images.preamble()
        make = partial(answer_result, self.app, self.host, structured, blocks, preamble=preamble)
        return await in_thread_if_large(make, structured)

    async def failure(self, error: BridgeError) -> CallToolResult:
        """Return the result of a call that failed, with what it had received; a large one is made in a thread."""
        if not error.partial:
            error = self.job.attach(error)
        blocks, preamble = ((), "") if self.images is None else (self.images.blocks(), self.images.preamble())
        shown = choose_preamble(self.tool, preamble)
        make = partial(failure_result, self.app, self.host, error, blocks, preamble=shown)
        return await in_thread_if_large(make, error.partial)

    async def log_end(self, outcome: CallOutcome | Result, error: BridgeError | None = None) -> None:
        """Log the end of the call, once; a result says by itself what the outcome is."""
        if isinstance(outcome, InputRequiredResult):
            outcome = "asked_user"
        elif not isinstance(outcome, str):
            outcome = "completed"
        await self.log.end(outcome, error, job_id=self.job.job_id, conversation_id=self.job.partial.conversation_id)

    def open_question(self, record: ResultRecord | None) -> None:
        """Do not hand the call over while its user is asked: a question ends within `seconds_left`.

        Args:
            record: what is stored of the call if it ends before the user has answered.
        """
        self._question = anyio.Event()
        self.job.record = record

    def close_question(self) -> None:
        """Let the call be handed over again, because the user's answer is sent to the model."""
        if self._question is not None:
            self._question.set()
            self._question = self.job.record = None

    async def release_key(self) -> None:
        """Release the idempotency key, so that the call can be made again: it has cost nothing."""
        if self._key is not None:
            await self._key.release(self.job.job_id)

    async def _run_in_job(self, tool: Tool, arguments: Mapping[str, Any]) -> None:
        """Run the tool in the call's job."""
        async with self.app.jobs.running(self.job), self._attaching_received():
            self.job.result = tool.fn_metadata.convert_result(await tool.fn(self, **arguments))
            self.job.record = record_of(self.tool, self.job.result)
            await self.log_end(self.job.result)

    @asynccontextmanager
    async def _attaching_received(self) -> AsyncIterator[None]:
        """Add what the call has received to a failure; one that cost nothing releases the idempotency key.

        Raises:
            BridgeError: for every exception except `MCPError`.
        """
        try:
            with convert_exceptions(self.tool, passing=(MCPError,), log_fields=self.log.fields):
                yield
        except MCPError:
            await self.log_end("failed")
            raise
        except BridgeError as error:
            failure = self.job.attach(error)
            await self.log_end("failed", error)
            if not failure.may_be_paid:
                await self.release_key()
            if failure is error:
                raise
            raise failure from error
        except anyio.get_cancelled_exc_class():
            # The server's own end cancels the task group around the job, not the job.
            is_cancelled = self.job.scope.cancel_called or (self.task is None and self.tool not in LONG_RUNNING)
            await self.log_end("cancelled" if is_cancelled else "interrupted")
            if self.task is not None and not self.job.partial.events and self.job.background is None:
                await self.release_key()
            raise

    async def _store(self) -> None:
        """Store the call before it begins, so that a repeated one finds it.

        Raises:
            BridgeError: ``internal`` if that fails, or another call has claimed the key.
        """
        problem = "" if self.job.is_kept else await self.app.jobs.keep(self.job)
        if not problem and self._key is not None and not await self._key.belongs_to(self.job.job_id):
            problem = "Another call with this idempotency_key took its place."
        if problem:
            raise BridgeError(
                ErrorCode.INTERNAL,
                f"The call was not begun, because it might be made twice: {problem}",
                "Call again; if the store cannot be used, fix it (see RESPONSES_MCP_STORE), or omit idempotency_key.",
                retryable=True,
            )

    async def _wait(self) -> None:
        """Wait for the end of the job, at most until the request must be answered, or an open question ends."""
        with self.app.jobs.waiting(self.seconds_left):
            await self.job.done.wait()
        while not self.job.done.is_set() and self._question is not None:
            await first_of(self.job.done, self._question)
            with self.app.jobs.waiting(self.seconds_left):
                await self.job.done.wait()

    def _patience(self) -> float:
        if self.task is not None:
            return math.inf
        settings = self.app.bridge.settings
        if settings.hand_over_seconds is not None:
            return settings.hand_over_seconds
        return patience_with(self.host, has_progress=self.reporter is not None)


def patience_with(host: HostLimits, *, has_progress: bool) -> float:
    """Return the seconds after which a call of that host is handed over: a little less than the host waits."""
    if host.call_seconds is None or (host.progress_extends and has_progress):
        return _MAX_WAIT_SECONDS
    return host.call_seconds - min(max(host.call_seconds * 0.07, 10.0), 30.0)
