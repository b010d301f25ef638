"""A call of a tool that may become a task, from its request to its end."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    ElicitRequest,
    ElicitResult,
    ErrorData,
    InputRequest,
    InputRequiredResult,
    InputResponse,
)
from mcp_types import INTERNAL_ERROR

from databricks_responses_mcp.calls.jobs import Ended, Jobs, RunningJob
from databricks_responses_mcp.calls.results import MadeResult, error_result
from databricks_responses_mcp.calls.state import App
from databricks_responses_mcp.errors import BridgeError, ErrorCode, quoted
from databricks_responses_mcp.turns.partial_response import PartialResponse
from databricks_responses_mcp.turns.progress import Reporter

if TYPE_CHECKING:
    from databricks_responses_mcp.workspace.settings import Settings

current_task: ContextVar["RunningTask | None"] = ContextVar("current_task", default=None)
"""The call that is running, if it may become a task."""

PROTOCOL_ERROR = "protocol_error"
"""The fact under which the JSON-RPC error is kept that a task failed with."""

_KEPT_SECONDS = 7 * 86_400
_OFTEN_MS, _SELDOM_MS = 1000, 3000
_OFTEN_SECONDS = 30.0

Ctx = ServerRequestContext[App, Any]
Value = CallToolResult | InputRequiredResult | ErrorData
Conclude = Callable[[Any, BridgeError | None], Ended]


async def answer_call(
    running: dict[str, "RunningTask"],
    after_seconds: float,
    params: CallToolRequestParams,
    ctx: Ctx,
    call_next: CallNext,
) -> HandlerResult:
    """Make a call; its result, or a task.

    Args:
        running: where the task is found while it runs.
        after_seconds: how long to wait for the result.

    Raises:
        MCPError: as the call does.
    """
    settings = ctx.lifespan_context.bridge.settings
    if settings.hand_over_seconds is not None:
        after_seconds = min(after_seconds, settings.hand_over_seconds)
    return await RunningTask(running, params, ctx, call_next).answer(after_seconds)


async def hand_over() -> None:
    """Make the call that is running a task now, if it may become one.

    For a tool that knows that it will take long, or that it will ask its user something only later.
    """
    if (task := current_task.get()) is not None:
        await task.hand_over()


class RunningTask:
    """One call that is, or may become, a task.

    Attributes:
        job: where its work runs, and what it is kept as.
        questions: what its host must ask, by a key that is used once in the task's life.
        conclude: how its tool says what had come before a failure; None as long as it has not begun its work.
    """

    job: RunningJob

    def __init__(
        self, running: dict[str, "RunningTask"], params: CallToolRequestParams, ctx: Ctx, call_next: CallNext
    ) -> None:
        self._running = running
        self.questions: dict[str, InputRequest] = {}
        self.conclude: Conclude | None = None
        self._params, self._ctx, self._call_next = params, ctx, call_next
        self._jobs: Jobs = ctx.lifespan_context.jobs
        self._settings: Settings = ctx.lifespan_context.bridge.settings
        self._responses: dict[str, InputResponse] = {}
        self._rounds = 0
        self._all_answered = anyio.Event()
        self._begun, self._wanted, self._handed_over = anyio.Event(), anyio.Event(), anyio.Event()
        self._is_task = self._is_leaving = False
        self._reporter: Reporter | None = None

    def silence_at_handover(self, reporter: Reporter) -> None:
        """Where the call's progress goes until its request has been answered."""
        self._reporter = reporter
        if self._is_task:
            reporter.silence()

    async def hand_over(self) -> None:
        """See the function of that name."""
        self._wanted.set()
        await self._handed_over.wait()

    def respond(self, responses: Mapping[str, InputResponse]) -> None:
        """Take answers to open questions; the work goes on when none is left."""
        for key, response in responses.items():
            if self.questions.pop(key, None) is not None:
                self._responses[key] = response
        if not self.questions:
            self._all_answered.set()

    async def answer(self, after_seconds: float) -> HandlerResult:
        """See `answer_call`."""
        self.job = job = await self._jobs.start(
            self._params.name, self._work, self._conclude, partial=PartialResponse(self._settings.secrets)
        )
        self._running[job.job_id] = self
        self._begun.set()
        try:
            with anyio.move_on_after(after_seconds):
                await _either(job.done, self._wanted)
            # Once its work has begun to leave, a call is too late for a task.
            if not (self._is_leaving or job.done.is_set()):
                return await self._become_task()
            await job.done.wait()
        except BaseException:
            # The host has given up before it was told of a task: nobody will ever see what this would cost.
            if not self._handed_over.is_set():
                job.scope.cancel()
            raise
        if isinstance(job.value, ErrorData):
            raise MCPError.from_error_data(job.value)
        if isinstance(job.value, CallToolResult | InputRequiredResult):
            return job.value
        if isinstance(job.error, Exception):
            raise job.error
        cancelled = BridgeError(ErrorCode.CANCELLED, "The call was cancelled.", "Call again.", partial=job.so_far())
        return error_result(self._ctx.lifespan_context, cancelled)

    async def _become_task(self) -> HandlerResult:
        self._is_task = True
        if self._reporter is not None:
            self._reporter.silence()
        problem = await self._jobs.keep(self.job)
        self._handed_over.set()
        created = self.job.started_at
        return {
            "resultType": "task",
            "status": "working",
            **task_fields(self.job.job_id, created, created, self._settings, is_over=False),
            **({"statusMessage": problem} if problem else {}),
        }

    async def _work(self) -> Value:
        try:
            await self._begun.wait()
            current_task.set(self)
            return await self._rounds_of_call()
        except MCPError as error:
            return error.error
        finally:
            self._is_leaving = True
            self._running.pop(self.job.job_id, None)

    async def _rounds_of_call(self) -> CallToolResult | InputRequiredResult:
        while True:
            result = await self._call_next(self._ctx)
            if not isinstance(result, InputRequiredResult):
                assert isinstance(result, CallToolResult)
                return result
            if not self._is_task:
                return result  # its host asks, and calls again: so it is done before there is a task
            # `call_next` runs the tool with these very parameters.
            self._params.input_responses = await self._asked(result.input_requests or {})
            self._params.request_state = result.request_state

    async def _asked(self, requests: Mapping[str, InputRequest]) -> dict[str, InputResponse]:
        """Answers to what the tool asks; those that do not come in time are a user's who went away.

        Raises:
            MCPError: if what does not come in time is no user's answer.
        """
        self._rounds += 1
        keys = {key if self._rounds == 1 else f"{key}.{self._rounds}": key for key in requests}
        self._responses, self._all_answered = {}, anyio.Event()
        self.questions = {key: requests[own] for key, own in keys.items()}
        with anyio.move_on_after(self._settings.approval_timeout_seconds):
            if self.questions:
                await self._all_answered.wait()
        unanswered, self.questions = self.questions, {}
        for key, request in unanswered.items():
            if not isinstance(request, ElicitRequest):
                raise MCPError(code=INTERNAL_ERROR, message=f"Nobody answered {request.method} {quoted(key)} in time")
            self._responses[key] = ElicitResult(action="cancel")
        return {keys[key]: response for key, response in self._responses.items()}

    def _conclude(self, value: Value | None, error: BridgeError | None) -> Ended:
        if isinstance(value, MadeResult):
            return Ended(value.made.facts, value.made.lead, value.made.error)
        if isinstance(value, CallToolResult):
            from databricks_responses_mcp.calls.job_results import WHOLE_RESULT

            return Ended({WHOLE_RESULT: dumped(value)})
        if isinstance(value, ErrorData):
            failed = BridgeError(
                ErrorCode.INTERNAL, f"{self._params.name} failed: {value.message}", "Correct the call and try again."
            )
            return Ended({PROTOCOL_ERROR: value.model_dump(mode="json", exclude_none=True)}, error=failed)
        if error is None:
            return Ended(self.job.so_far())
        return self.conclude(None, error) if self.conclude is not None else Ended(error.partial, error=error)


def dumped(result: CallToolResult) -> dict[str, Any]:
    """A result as it goes over the wire."""
    return result.model_dump(by_alias=True, mode="json", exclude_none=True)


def task_fields(
    task_id: str, created_at: float, updated_at: float, settings: "Settings", *, is_over: bool
) -> dict[str, Any]:
    """What every answer about a task carries. Times are seconds since the epoch.

    An ended task is kept for as long as an ended job, and the time to live counts from its creation: so that of a
    running one grows.
    """
    kept = min(_KEPT_SECONDS, settings.store_days * 86_400 or _KEPT_SECONDS)
    fields = {
        "taskId": task_id,
        "createdAt": _iso(created_at),
        "lastUpdatedAt": _iso(updated_at),
        "ttlMs": round((max(updated_at - created_at, 0) + kept) * 1000),
    }
    if not is_over:
        fields["pollIntervalMs"] = _OFTEN_MS if updated_at - created_at < _OFTEN_SECONDS else _SELDOM_MS
    return fields


async def _either(*events: anyio.Event) -> None:
    async with anyio.create_task_group() as waiting:

        async def wait(event: anyio.Event) -> None:
            await event.wait()
            waiting.cancel_scope.cancel()

        for event in events:
            waiting.start_soon(wait, event)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
