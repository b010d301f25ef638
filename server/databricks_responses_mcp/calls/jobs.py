"""Jobs: calls that may outlive the request that made them, because they run in the server's own task group.

A job is stored when its call is handed over (or before the call begins, if it has an idempotency key), and again while
it runs, so that another process, or a later one, knows its state.
"""

import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import anyio
import anyio.abc

from databricks_responses_mcp.calls.advice import mcp_words
from databricks_responses_mcp.errors import BridgeError, ErrorCode, convert_exceptions, forget_origin
from databricks_responses_mcp.store.interface import Store, StoreError
from databricks_responses_mcp.store.memory import MemoryStore
from databricks_responses_mcp.store.records import Job
from databricks_responses_mcp.turns.background_response import BackgroundResponse
from databricks_responses_mcp.turns.deadline import Deadline
from databricks_responses_mcp.turns.partial_response import PartialResponse
from databricks_responses_mcp.turns.store_calls import result_of_store, within_time_limit

logger = logging.getLogger(__name__)

BEAT_SECONDS = 3.0
"""How often a running job renews its lease in the store, see `JOB_LEASE_SECONDS`."""

_WRITTEN_PER_SECOND = 20_000
"""How many characters of a running job's text are written to the store each second, on average."""
_MAX_UNWRITTEN_SECONDS = 60.0

_MAX_REMEMBERED = 100
_MAX_WHOLE = 8
"""For ended jobs that the store also has."""

_UNKEPT = "This call could not be stored"
_UNREADABLE = "The call cannot be looked up"
_FIX_STORE = "Fix the store (see RESPONSES_MCP_STORE) and ask again."
_WHILE_RUNNING = "It is available while this server runs."

_BACKGROUND = "background"
"""Where the JSON of a job has its response in the background; no result has a field of this name."""

Ending = Literal["completed", "failed", "cancelled", "interrupted"]


@dataclass(frozen=True, slots=True)
class ResultRecord:
    """The result of a call in a form that can be stored, before it is truncated to what a host accepts.

    Attributes:
        structured: the fields of the result; for a failure, those of what was received before it.
        preamble: the text before the model's own text.
        error: why the call failed.
    """

    structured: dict[str, Any] = field(default_factory=dict)
    preamble: str = ""
    error: BridgeError | None = None


class ReceivedImages(Protocol):
    """The images that a call has received, as `calls.generated_images.GeneratedImages` saves them."""

    def extend(self, structured: dict[str, Any]) -> dict[str, Any]:
        """Return ``structured`` with the images in it."""

    def attach(self, error: BridgeError) -> BridgeError:
        """Return ``error`` with the images in what was received before it."""

    def preamble(self) -> str:
        """Return the text that says where the images are."""


@dataclass(eq=False)
class RunningJob:
    """A call that runs, or ran, in this process.

    Attributes:
        job_id: its id for callers.
        tool: the tool that was called.
        partial: what has arrived of the answers to its requests.
        images: the images that it has received; None if it accepts none.
        background: the response that runs in the background of the workspace; None if there is none.
        scope: cancels its work.
        done: set when it has ended, and its end is stored if the job is.
        result: what the tool returned; None if it raised an error or was cancelled.
        record: the result as it is stored; while the user is asked, what is stored without an answer; else None.
        error: the tool's exception, with what had been received.
        ending: how it ended; None while it runs.
        is_kept: whether it is available by its id, here and through the store.
        is_stored: whether the store has its end.
        started_at: seconds since the epoch.
        ended_at: the same; None while it runs.
        log_fields: what lines of the log about it have besides.
    """

    job_id: str
    tool: str
    partial: PartialResponse = field(default_factory=PartialResponse)
    images: ReceivedImages | None = None
    background: BackgroundResponse | None = None
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    done: anyio.Event = field(default_factory=anyio.Event)
    result: Any = None
    record: ResultRecord | None = None
    error: BridgeError | None = None
    ending: Ending | None = None
    is_kept: bool = False
    is_stored: bool = False
    started_at: float = field(default_factory=time.time)
    ended_at: float | None = None
    log_fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def ended(self) -> ResultRecord:
        """The result as it is stored; the job must have ended."""
        if self.error is not None:
            return ResultRecord(self.error.partial, self.images.preamble() if self.images else "", self.error)
        return ResultRecord(self.so_far()) if self.record is None else self.record

    def returned(self) -> Any:
        """Return the tool's result; the job must have ended.

        Raises:
            BridgeError: the tool's exception; ``cancelled`` if it was ended before it returned.
        """
        if self.error is not None:
            raise self.error.with_traceback(None)
        if self.result is None:
            raise BridgeError(ErrorCode.CANCELLED, "The call was cancelled.", "Call again.", partial=self.so_far())
        return self.result

    def so_far(self) -> dict[str, Any]:
        """Return what has arrived, as fields of the result, including saved images."""
        structured = self.partial.structured()
        return structured if self.images is None else self.images.extend(structured)

    def attach(self, error: BridgeError) -> BridgeError:
        """Return ``error`` with what the call has received."""
        error = self.partial.attach(error)
        return error if self.images is None else self.images.attach(error)

    async def wait(self, seconds: float) -> bool:
        """Wait for the end; return False if it has not ended in time."""
        with anyio.move_on_after(seconds):
            await self.done.wait()
        return self.done.is_set()


class Jobs:
    """The jobs of one process.

    Args:
        store: the store of jobs that are available later.
        tasks: the task group in which they run, and with which they end.
    """

    def __init__(self, store: Callable[[], Store], tasks: anyio.abc.TaskGroup) -> None:
        self._open_store = store
        self._tasks = tasks
        self._jobs: OrderedDict[str, RunningJob] = OrderedDict()
        self._running: set[RunningJob] = set()
        self._waits: set[anyio.CancelScope] = set()
        self._is_ending = False

    @property
    def store(self) -> Store:
        """The store of jobs."""
        return self._open_store()

    @staticmethod
    def new_id() -> str:
        """Return an id that no job has."""
        return f"job_{secrets.token_hex(8)}"

    def start(self, work: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
        """Run the work of a job beside the request that made it, in the context of `running`."""
        self._tasks.start_soon(work, *arguments)

    @asynccontextmanager
    async def running(self, job: RunningJob) -> AsyncIterator[None]:
        """Run the work of a job in the context: in every case the job has ended afterwards, and is stored if it is
        kept.
        """
        ending: Ending = "interrupted"
        self._running.add(job)
        try:
            # Every exception of a call is caught here, so that what it received is not lost and the server continues.
            with job.scope, convert_exceptions(job.tool):
                yield
            ending = "cancelled" if job.scope.cancelled_caught else "completed"
        except BridgeError as error:
            job.error, ending = job.partial.attach(error), "failed"
            forget_origin(job.error)
            forget_origin(error)
        finally:
            if job.error is None and job.record is not None:
                ending = "completed" if job.record.error is None else "failed"
            job.ending, job.ended_at = ending, time.time()
            if job.is_kept:
                with anyio.CancelScope(shield=True):
                    await self._put(job)
            job.done.set()
            self._running.discard(job)
            self._forget_some()

    @contextmanager
    def waiting(self, seconds: float) -> Iterator[None]:
        """Wait in the context for the end of a job: at most for so many seconds, and not after `hand_over`."""
        with anyio.move_on_after(0 if self._is_ending else seconds) as scope:
            self._waits.add(scope)
            try:
                yield
            finally:
                self._waits.discard(scope)

    def hand_over(self) -> None:
        """End all waiting for jobs, now and later, because the process will end."""
        self._is_ending = True
        for scope in self._waits:
            scope.deadline = anyio.current_time()

    async def idle(self) -> None:
        """Wait until no job runs."""
        for job in tuple(self._running):
            await job.done.wait()

    def here(self, job_id: str) -> RunningJob | None:
        """Return the job, if it is kept and is, or was, of this process."""
        return self._jobs.get(job_id)

    async def stored(self, job_id: str) -> Job | None:
        """Return the job from the store, whichever process runs it; None if the store does not have it.

        Raises:
            BridgeError: ``internal`` if the store cannot be read.
        """
        return await result_of_store(self.store.job(job_id), _UNREADABLE, _FIX_STORE)

    async def request_cancellation(self, job_id: str) -> None:
        """Ask the process that runs a job to end it.

        Raises:
            BridgeError: ``internal`` if the store cannot be written.
        """
        await result_of_store(self.store.cancel_job(job_id), _UNREADABLE, _FIX_STORE)

    async def publish_questions(self, job: RunningJob, questions: Mapping[str, Any]) -> None:
        """Let other processes see what the host of a job must ask. Failures are logged: this one shows it anyway."""
        await _problem_of_storing(self.store.ask_in_job(job.job_id, questions), job.log_fields)

    async def answer_elsewhere(self, job_id: str, answers: Mapping[str, Any]) -> None:
        """Give answers to a job that runs in another process, which looks for them while it waits.

        Raises:
            BridgeError: ``internal`` if the store cannot be written.
        """
        await result_of_store(self.store.answer_job(job_id, answers), _UNREADABLE, _FIX_STORE)

    async def answers_from_elsewhere(self, job: RunningJob) -> Mapping[str, Any]:
        """Return the answers that other processes have received for a job; none if the store cannot be read."""
        try:
            return await within_time_limit(self.store.answers_to_job(job.job_id))
        except StoreError as error:
            logger.warning("the answers to a running call cannot be read: %s", error, extra={"fields": job.log_fields})
        except Exception:  # a defect of the store is no reason to lose what was paid for
            logger.exception("reading the answers to a running call failed", extra={"fields": job.log_fields})
        return {}

    async def keep(self, job: RunningJob) -> str:
        """Make a job available by its id from now on; return a note for the caller if it cannot be stored."""
        problem = await self._put(job) if not job.done.is_set() else ""
        job.is_kept = True
        self._jobs[job.job_id] = job
        self._forget_some()
        if job.done.is_set():
            await self._put(job)  # it has ended meanwhile
        else:
            self._tasks.start_soon(self._beat, job)
        return problem

    async def keep_background(self, job: RunningJob, background: BackgroundResponse) -> None:
        """Store with a job, at once if it is kept, the response that runs in the background of the workspace."""
        job.background = background
        if job.is_kept:
            await self._put(job)

    async def shown(self, job: RunningJob) -> tuple[dict[str, Any], str]:
        """Return what has arrived of a kept job, once that is stored, and a note for the caller if it cannot be.

        So whatever was shown of a call is available after this process was killed.
        """
        structured = job.so_far()
        return structured, await self._mark_alive(job, structured)

    def forget(self, job_id: str) -> None:
        """Make a job unavailable."""
        if (job := self._jobs.pop(job_id, None)) is not None:
            job.is_kept = False

    def _forget_some(self) -> None:
        """Remove ended jobs, the oldest first: all except a few that the store has, of the others those above the
        limit.
        """
        ended = [job for job in self._jobs.values() if job.done.is_set()]
        stored = [job for job in ended if job.is_stored][:-_MAX_WHOLE]
        unstored = [job for job in ended if not job.is_stored][:-_MAX_REMEMBERED]
        for job in (*stored, *unstored):
            del self._jobs[job.job_id]

    async def _put(self, job: RunningJob) -> str:
        """Store the current state of a job; return a note for the caller if that fails."""

        async def put() -> None:
            record = _record(job)
            await self.store.put_job(record)
            job.is_stored = record.status != "running"

        return await _problem_of_storing(put(), job.log_fields)

    async def _beat(self, job: RunningJob) -> None:
        """Renew the job's lease every few seconds, with what has arrived; cancel it when another process
        requests that.

        A longer text is written less often, because it is written completely each time.
        """
        seen, due = -1, 0.0
        while not await job.wait(BEAT_SECONDS):
            events, now = job.partial.events, anyio.current_time()
            structured = job.so_far() if events != seen and now >= due else None
            if not await self._mark_alive(job, structured) and structured is not None:
                seen = events
                due = now + min(len(str(structured.get("text", ""))) / _WRITTEN_PER_SECOND, _MAX_UNWRITTEN_SECONDS)

    async def _mark_alive(self, job: RunningJob, structured: Mapping[str, Any] | None) -> str:
        """Store that a job is running, and what has arrived; return a note for the caller if that fails."""

        async def beat() -> None:
            stored = None if structured is None else _with_background(job, structured)
            if await self.store.beat_job(job.job_id, time.time(), stored):
                job.scope.cancel()

        return await _problem_of_storing(beat(), job.log_fields)


class JobOfCall:
    """The job of a call as `turns` sees it; see `turns.background_response.ResumableJob`."""

    def __init__(self, jobs: Jobs, job: RunningJob, deadline: Deadline) -> None:
        self._jobs, self._job, self._deadline = jobs, job, deadline

    async def keep_background(self, response: BackgroundResponse) -> None:
        """See `ResumableJob`."""
        await self._jobs.keep_background(self._job, response)

    def is_left_to_others(self) -> bool:
        """See `ResumableJob`."""
        job = self._job
        is_ended_by_call = job.scope.cancel_called or self._deadline.seconds_left <= 0
        return job.is_kept and not is_ended_by_call and not isinstance(self._jobs.store, MemoryStore)


def is_alive(stored: Job) -> bool:
    """Return whether a stored job runs in some process."""
    return stored.status == "running"


def background_of(stored: Job) -> BackgroundResponse | None:
    """Return the response in the background that a job has left to other processes; None if there is none."""
    value = stored.structured.get(_BACKGROUND) if stored.status == "interrupted" else None
    return BackgroundResponse.from_json(value)


def without_background(structured: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a stored job has of its result."""
    return {key: value for key, value in structured.items() if key != _BACKGROUND}


def _with_background(job: RunningJob, structured: Mapping[str, Any]) -> dict[str, Any]:
    return {**structured, **({_BACKGROUND: job.background.to_json()} if job.background is not None else {})}


async def first_of(*events: anyio.Event) -> None:
    """Wait until one of the events is set."""
    async with anyio.create_task_group() as waiting:

        async def wait(event: anyio.Event) -> None:
            await event.wait()
            waiting.cancel_scope.cancel()

        for event in events:
            waiting.start_soon(wait, event)


async def _problem_of_storing(call: Awaitable[None], log_fields: Mapping[str, str]) -> str:
    """Return a note for the caller if a call of the store fails; empty if it does not."""
    try:
        await within_time_limit(call)
    except StoreError as error:
        logger.warning("a running call could not be stored: %s", error, extra={"fields": log_fields})
        return f"{_UNKEPT}: {error} {_WHILE_RUNNING}"
    except Exception as error:  # a defect of the store must not lose a paid answer or end the server
        logger.exception("storing a running call failed", extra={"fields": log_fields})
        return f"{_UNKEPT} ({type(error).__name__}). {_WHILE_RUNNING}"
    return ""


def _record(job: RunningJob) -> Job:
    """Return the stored form of a job."""
    if job.ending is None:
        return Job(
            job_id=job.job_id,
            tool=job.tool,
            status="running",
            created_at=job.started_at,
            updated_at=time.time(),
            conversation_id=job.partial.conversation_id,
            structured=_with_background(job, job.so_far()),
        )
    ended = job.ended
    structured = _with_background(job, ended.structured) if job.ending == "interrupted" else ended.structured
    if ended.error is not None:
        structured = {**structured, "error": ended.error.as_dict(mcp_words)}
    return Job(
        job_id=job.job_id,
        tool=job.tool,
        status=job.ending,
        created_at=job.started_at,
        updated_at=job.ended_at or time.time(),
        conversation_id=job.partial.conversation_id or structured.get("conversation_id"),
        structured=structured,
        preamble=ended.preamble,
    )
