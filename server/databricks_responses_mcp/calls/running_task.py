"""A call of a tool that may become a task, from its request to its end."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import Context
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
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS
from pydantic import TypeAdapter, ValidationError

from databricks_responses_mcp.calls.jobs import Jobs, RunningJob, first_of
from databricks_responses_mcp.calls.results import failure_result, in_thread_if_large, record_of
from databricks_responses_mcp.calls.state import AppSource, app_in, host_of
from databricks_responses_mcp.errors import BridgeError, quoted
from databricks_responses_mcp.turns.partial_response import PartialResponse
from databricks_responses_mcp.turns.progress import Reporter

if TYPE_CHECKING:
    from databricks_responses_mcp.workspace.settings import Settings

_KEPT_SECONDS = 7 * 86_400
_OFTEN_MS, _SELDOM_MS = 1000, 3000
_OFTEN_SECONDS = 30.0
_LOOK_SECONDS = 1.0
"""How often a task that waits for its user looks for answers that another process has received."""

Ctx = ServerRequestContext[AppSource, Any]
Value = CallToolResult | InputRequiredResult | ErrorData


@dataclass(kw_only=True)
class TaskRequestContext(ServerRequestContext[AppSource, Any]):
    """The context of a request whose call may become a task.

    Attributes:
        task: the call, if it may become a task.
    """

    task: "RunningTask"


def task_of(ctx: Ctx) -> "RunningTask | None":
    """Return the call of a request that may become a task; None if it cannot."""
    return ctx.task if isinstance(ctx, TaskRequestContext) else None


async def answer_call(
    after_seconds: float,
    params: CallToolRequestParams,
    ctx: Ctx,
    call_next: CallNext,
) -> HandlerResult:
    """Make a call; return its result, or a task.

    Args:
        after_seconds: how long to wait for the result.

    Raises:
        MCPError: as the call.
    """
    settings = app_in(ctx).bridge.settings
    if settings.hand_over_seconds is not None:
        after_seconds = min(after_seconds, settings.hand_over_seconds)
    return await RunningTask(params, ctx, call_next).answer(after_seconds)


async def hand_over(request: Context[AppSource, Any]) -> None:
    """Make the call of a request a task immediately, if it may become one.

    For a tool that knows that it will take long, or that it will ask its user a question only later.
    """
    if (task := task_of(request.request_context)) is not None:
        await task.hand_over()


class RunningTask:
    """One call that is, or may become, a task.

    Attributes:
        job: the job of the call, whose id the task has.
        questions: the open questions for its host, by a key that is used once in the task's life.
    """

    def __init__(self, params: CallToolRequestParams, ctx: Ctx, call_next: CallNext) -> None:
        self.questions: dict[str, InputRequest] = {}
        self._params, self._call_next = params, call_next
        self._ctx = ctx
        self._app = app_in(ctx)
        self._jobs: Jobs = self._app.jobs
        self._settings: Settings = self._app.bridge.settings
        self.job = RunningJob(Jobs.new_id(), params.name, PartialResponse(self._settings.secrets))
        self._responses: dict[str, InputResponse] = {}
        self._rounds = 0
        self._all_answered = anyio.Event()
        self._wanted, self._handed_over = anyio.Event(), anyio.Event()
        self._is_task = self._is_leaving = False
        self._reporter: Reporter | None = None

    def silence_at_handover(self, reporter: Reporter) -> None:
        """Send no more progress to ``reporter`` once the request has been answered with the task."""
        self._reporter = reporter
        if self._is_task:
            reporter.silence()

    async def hand_over(self) -> None:
        """Make the call a task now; see the function of that name."""
        self._wanted.set()
        await self._handed_over.wait()

    def respond(self, responses: Mapping[str, InputResponse]) -> None:
        """Accept answers to open questions; the call continues when all are answered."""
        for key, response in responses.items():
            if self.questions.pop(key, None) is not None:
                self._responses[key] = response
        if not self.questions:
            self._all_answered.set()

    async def answer(self, after_seconds: float) -> HandlerResult:
        """See `answer_call`."""
        job = self.job
        self._app.running_tasks[job.job_id] = self
        self._jobs.start(self._run)
        try:
            with self._jobs.waiting(after_seconds):
                await first_of(job.done, self._wanted)
            # Once the tool has returned, it is too late for a task.
            if not (self._is_leaving or job.done.is_set()):
                return await self._become_task()
            await job.done.wait()
        except BaseException:
            # The host gave up before it received a task: nobody would see the result.
            if not self._handed_over.is_set():
                job.scope.cancel()
            raise
        try:
            value: Value = job.returned()
        except BridgeError as error:
            make = partial(failure_result, self._app, host_of(self._ctx), error)
            failure = await in_thread_if_large(make, error.partial)
            await self._app.long_texts.save()
            return failure
        if isinstance(value, ErrorData):
            raise MCPError.from_error_data(value)
        return value

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

    async def _run(self) -> None:
        """Make the call in its job."""
        async with self._jobs.running(self.job):
            try:
                self.job.result = await self._rounds_of_call()
            except MCPError as error:
                self.job.result = error.error
            finally:
                self._is_leaving = True
                self._app.running_tasks.pop(self.job.job_id, None)
            self.job.record = record_of(self._params.name, self.job.result)

    async def _rounds_of_call(self) -> CallToolResult | InputRequiredResult:
        """Call the tool, and again with the user's answers after each of its questions."""
        context = TaskRequestContext(
            **{field.name: getattr(self._ctx, field.name) for field in fields(self._ctx)}, task=self
        )
        while True:
            result = await self._call_next(context)
            if not isinstance(result, InputRequiredResult):
                assert isinstance(result, CallToolResult)
                return result
            if not self._is_task:
                return result  # its host asks, and calls again: so this request ends before there is a task
            # `call_next` runs the tool with exactly these parameters.
            self._params.input_responses = await self._asked(result.input_requests or {})
            self._params.request_state = result.request_state

    async def _asked(self, requests: Mapping[str, InputRequest]) -> dict[str, InputResponse]:
        """Wait for the answers to the tool's questions; a user who does not answer in time has dismissed the question.

        Raises:
            MCPError: if another expected response does not arrive in time.
        """
        self._rounds += 1
        keys = {key if self._rounds == 1 else f"{key}.{self._rounds}": key for key in requests}
        self._responses, self._all_answered = {}, anyio.Event()
        self.questions = {key: requests[own] for key, own in keys.items()}
        if self.questions:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._look_for_answers_elsewhere)
                with anyio.move_on_after(self._settings.approval_timeout_seconds):
                    await self._all_answered.wait()
                tasks.cancel_scope.cancel()
            await self._jobs.publish_questions(self.job, {})
        unanswered, self.questions = self.questions, {}
        for key, request in unanswered.items():
            if not isinstance(request, ElicitRequest):
                raise MCPError(code=INTERNAL_ERROR, message=f"Nobody answered {request.method} {quoted(key)} in time")
            self._responses[key] = ElicitResult(action="cancel")
        return {keys[key]: response for key, response in self._responses.items()}

    async def _look_for_answers_elsewhere(self) -> None:
        """Show the questions to other processes, whom the host may ask about the task, and take their answers."""
        shown = {
            key: request.model_dump(by_alias=True, mode="json", exclude_none=True)
            for key, request in self.questions.items()
        }
        await self._jobs.publish_questions(self.job, self.job.partial.without_secrets(shown))
        while True:
            await anyio.sleep(_LOOK_SECONDS)
            answers = await self._jobs.answers_from_elsewhere(self.job)
            # They were validated before they were stored.
            self.respond({key: response_of(key, value) for key, value in answers.items() if key in self.questions})


def response_of(key: str, value: Any) -> InputResponse:
    """Return the answer to a question, as the host sent it.

    Raises:
        MCPError: -32602 if it is invalid.
    """
    try:
        response: InputResponse = TypeAdapter(InputResponse).validate_python(value, by_name=False)
    except ValidationError as error:
        raise MCPError(code=INVALID_PARAMS, message=f"The response to {quoted(key)} is none") from error
    return response


def task_fields(
    task_id: str, created_at: float, updated_at: float, settings: "Settings", *, is_over: bool
) -> dict[str, Any]:
    """Return the fields that every answer about a task has. Times are seconds since the epoch.

    An ended task is kept as long as an ended job, and its time to live counts from its creation: so it grows while the
    task runs.
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


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
