"""Calls that may outlive the request that made them: they run in the server's own task group, and can be come back to.

A call is written to the store when it is handed over (or at once, if it must not be made twice), and again while it
goes on, so that another process, or the next one, can say what became of it.
"""

import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import anyio
import anyio.abc

from databricks_responses_mcp.errors import BridgeError, ErrorCode, coded, coding
from databricks_responses_mcp.store.interface import Store, StoreError
from databricks_responses_mcp.store.records import Job
from databricks_responses_mcp.turns.partial_response import PartialResponse
from databricks_responses_mcp.turns.store_calls import within_time_limit

logger = logging.getLogger(__name__)

BEAT_SECONDS = 3.0
"""How often a running job says that it runs."""

STALE_SECONDS = 30.0
"""A job that has not said so for this long was interrupted."""

_MOST_REMEMBERED = 100
_MOST_WHOLE = 8
"""Of the ended jobs that the store has: it can tell as well."""

_UNKEPT = "This call could not be kept"
_WHILE_RUNNING = "It can be asked for while this server runs."

Ending = Literal["completed", "failed", "cancelled", "interrupted"]


@dataclass(frozen=True, slots=True)
class Ended:
    """What a call came to, in a form that can be kept.

    Attributes:
        facts: the result contract's fields; of a failure, of what was received before it.
        lead: what is said before the model's own words.
        error: why it failed.
    """

    facts: dict[str, Any]
    lead: str = ""
    error: BridgeError | None = None


@dataclass(eq=False)
class RunningJob:
    """A call that runs, or ran, in this process.

    Attributes:
        job_id: how callers name it.
        tool: the tool that was called.
        conclude: makes what is kept of its value or its error.
        partial: what has arrived of its answers.
        done: set when it has ended, and is kept if it is to be.
        value: what its work gave; None if it failed.
        error: why it failed.
        ending: how it ended; None while it runs.
        is_kept: whether the store knows of it.
        is_stored: whether the store has its end.
        key: the idempotency key that it holds; given back if the job comes to nothing and cost nothing.
        started_at: seconds since the epoch.
        ended_at: the same; None while it runs.
    """

    job_id: str
    tool: str
    conclude: Callable[[Any, BridgeError | None], Ended]
    partial: PartialResponse = field(default_factory=PartialResponse)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    done: anyio.Event = field(default_factory=anyio.Event)
    value: Any = None
    error: BridgeError | None = None
    ending: Ending | None = None
    is_kept: bool = False
    is_stored: bool = False
    key: str | None = None
    started_at: float = field(default_factory=time.time)
    ended_at: float | None = None

    @property
    def ended(self) -> Ended:
        """What it came to; the job must have ended."""
        if self.ending in ("cancelled", "interrupted"):
            return Ended(self.so_far())
        return self.conclude(self.value if self.error is None else None, self.error)

    @property
    def is_free(self) -> bool:
        """Whether it failed before anything was done that costs."""
        return self.ending == "failed" and not (self.error is not None and self.error.may_be_paid)

    def so_far(self) -> dict[str, Any]:
        """What has arrived, in the result contract's fields; pictures that were saved are among it."""
        return self.conclude(None, _cancelled(self.partial.facts())).facts

    async def wait(self, seconds: float) -> bool:
        """Wait for the end; False if it has not come by then."""
        with anyio.move_on_after(seconds):
            await self.done.wait()
        return self.done.is_set()


class Jobs:
    """The jobs of one process.

    Args:
        store: where those are kept that may be asked for later.
        tasks: where they run: they end with it.
    """

    def __init__(self, store: Callable[[], Store], tasks: anyio.abc.TaskGroup) -> None:
        self._open_store = store
        self._tasks = tasks
        self._jobs: OrderedDict[str, RunningJob] = OrderedDict()

    @property
    def store(self) -> Store:
        """Where jobs are kept."""
        return self._open_store()

    @staticmethod
    def new_id() -> str:
        """An id that nobody has."""
        return f"job_{secrets.token_hex(8)}"

    async def start(
        self,
        tool: str,
        work: Callable[[], Awaitable[Any]],
        conclude: Callable[[Any, BridgeError | None], Ended],
        *,
        job_id: str | None = None,
        partial: PartialResponse | None = None,
        prepare: Callable[[RunningJob], Awaitable[None]] | None = None,
    ) -> RunningJob:
        """Begin a call's work.

        Args:
            partial: what had arrived before, if this is not the first work of the call.
            prepare: done before; if it fails, so does this, and no work is done.
        """
        job = RunningJob(job_id or self.new_id(), tool, conclude, partial or PartialResponse())
        if prepare is not None:
            try:
                await prepare(job)
            except BaseException as error:
                await self._abandon(job, error)
                raise
        self._tasks.start_soon(self._run, job, work)
        return job

    def here(self, job_id: str) -> RunningJob | None:
        """The job, if it was kept and runs, or ran, in this process."""
        return self._jobs.get(job_id)

    async def keep(self, job: RunningJob) -> str:
        """Let the store know of a running job from now on; returns what the caller must be told if it cannot."""
        problem = await self._put(job) if not job.done.is_set() else ""
        job.is_kept = True
        self._jobs[job.job_id] = job
        self._forget_some()
        if job.done.is_set():
            await self._put(job)  # it ended meanwhile
        else:
            self._tasks.start_soon(self._beat, job)
        return problem

    async def shown(self, job: RunningJob) -> tuple[dict[str, Any], str]:
        """Return what has arrived of a kept job, once the store has it; and what the caller must be told if it cannot.

        Whatever was shown of a call can so be found again after this process was killed.
        """
        facts = job.so_far()
        return facts, await self._say_alive(job, facts)

    async def _abandon(self, job: RunningJob, error: BaseException) -> None:
        """End a job whose work never began."""
        job.error = coded(error, job.tool) if isinstance(error, Exception) else _cancelled({})
        job.ending, job.ended_at = "failed", time.time()
        with anyio.CancelScope(shield=True):
            await self._put(job)
            await self._give_back(job)
        job.done.set()
        self.forget(job.job_id)

    def forget(self, job_id: str) -> None:
        """Nobody will ask for the job again."""
        if (job := self._jobs.pop(job_id, None)) is not None:
            job.is_kept = False

    def _forget_some(self) -> None:
        """Let go of ended jobs, the oldest first: all but a few that the store has, of the others what is too much."""
        ended = [job for job in self._jobs.values() if job.done.is_set()]
        stored = [job for job in ended if job.is_stored][:-_MOST_WHOLE]
        unstored = [job for job in ended if not job.is_stored][:-_MOST_REMEMBERED]
        for job in (*stored, *unstored):
            del self._jobs[job.job_id]

    async def _run(self, job: RunningJob, work: Callable[[], Awaitable[Any]]) -> None:
        ending: Ending = "interrupted"
        try:
            # One net under everything that a call does once its work has begun: what arrived is never lost.
            with job.scope, coding(job.tool):
                job.value = await work()
            ending = "cancelled" if job.scope.cancelled_caught else "completed"
        except BridgeError as error:
            job.error, ending = job.partial.attach(error), "failed"
        finally:
            job.ending, job.ended_at = ending, time.time()
            if job.is_kept:
                with anyio.CancelScope(shield=True):
                    await self._put(job)
                    await self._give_back(job)
            job.done.set()
            self._forget_some()

    async def _give_back(self, job: RunningJob) -> None:
        """Let a call that came to nothing, and cost nothing, be made again with the same key."""
        if job.key is None or not job.is_free:
            return
        try:
            await within_time_limit(self.store.release_key(job.key, job.job_id))
        except StoreError as error:
            logger.warning("an idempotency key could not be given back: %s", error)
        except Exception:  # the caller is told of its own failure, not of this one
            logger.exception("giving an idempotency key back failed")

    async def _put(self, job: RunningJob) -> str:
        """Write a job as it is now; returns what the caller must be told if that cannot be done."""

        async def put() -> None:
            record = _record(job)
            await self.store.put_job(record)
            job.is_stored = record.status != "running"

        return await _problem_of_storing(put())

    async def _beat(self, job: RunningJob) -> None:
        """Say every few seconds that the job runs and what has come; end it when somebody else asks for that."""
        seen = -1
        while not await job.wait(BEAT_SECONDS):
            events = job.partial.events
            if not await self._say_alive(job, job.so_far() if events != seen else None):
                seen = events

    async def _say_alive(self, job: RunningJob, facts: Mapping[str, Any] | None) -> str:
        """Write that a job runs, and what has come; returns what the caller must be told if that cannot be done."""

        async def beat() -> None:
            if await self.store.beat_job(job.job_id, time.time(), facts):
                job.scope.cancel()

        return await _problem_of_storing(beat())


async def _problem_of_storing(call: Awaitable[None]) -> str:
    """Return what the caller must be told if a call of the store fails; empty if it does not."""
    try:
        await within_time_limit(call)
    except StoreError as error:
        logger.warning("a running call could not be stored: %s", error)
        return f"{_UNKEPT}: {error} {_WHILE_RUNNING}"
    except Exception as error:  # a defect of the store is no reason to lose what was paid for, or to end the server
        logger.exception("storing a running call failed")
        return f"{_UNKEPT} ({type(error).__name__}). {_WHILE_RUNNING}"
    return ""


def _cancelled(received: dict[str, Any]) -> BridgeError:
    return BridgeError(ErrorCode.CANCELLED, "The call was cancelled.", "Call again.", partial=received)


def _record(job: RunningJob) -> Job:
    """A job as it is kept."""
    if job.ending is None:
        return Job(
            job_id=job.job_id,
            tool=job.tool,
            status="running",
            created_at=job.started_at,
            updated_at=time.time(),
            conversation_id=job.partial.conversation_id,
            facts=job.so_far(),
        )
    ended = job.ended
    facts = ended.facts if ended.error is None else {**ended.facts, "error": ended.error.as_dict()}
    return Job(
        job_id=job.job_id,
        tool=job.tool,
        status=job.ending,
        created_at=job.started_at,
        updated_at=job.ended_at or time.time(),
        conversation_id=job.partial.conversation_id or facts.get("conversation_id"),
        facts=facts,
        lead=ended.lead,
    )
