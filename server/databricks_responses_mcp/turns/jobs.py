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

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.store.interface import Store, StoreError
from databricks_responses_mcp.store.records import Job
from databricks_responses_mcp.turns.sight import Sight, current_sight

logger = logging.getLogger(__name__)

BEAT_SECONDS = 3.0
"""How often a running job says that it runs."""

STALE_SECONDS = 30.0
"""A job that has not said so for this long was interrupted."""

_STORE_SECONDS = 10.0
_MOST_REMEMBERED = 100

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
        sight: how far it has come.
        done: set when it has ended, and is kept if it is to be.
        value: what its work gave; None if it failed.
        error: why it failed; a `BridgeError` unless the bridge has a defect.
        ending: how it ended; None while it runs.
        is_kept: whether the store knows of it.
        started_at: seconds since the epoch.
    """

    job_id: str
    tool: str
    conclude: Callable[[Any, BridgeError | None], Ended]
    sight: Sight = field(default_factory=Sight)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    done: anyio.Event = field(default_factory=anyio.Event)
    value: Any = None
    error: BaseException | None = None
    ending: Ending | None = None
    is_kept: bool = False
    started_at: float = field(default_factory=time.time)

    @property
    def ended(self) -> Ended:
        """What it came to; the job must have ended."""
        if self.ending in ("cancelled", "interrupted"):
            return Ended(self.sight.facts())
        if self.error is None:
            return self.conclude(self.value, None)
        error = self.error
        if not isinstance(error, BridgeError):
            error = BridgeError(
                ErrorCode.INTERNAL,
                f"{self.tool} failed inside the bridge ({type(error).__name__}).",
                "This is a defect of the bridge: the server's log on stderr has the details; please report it.",
            )
        return self.conclude(None, error)

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
    ) -> RunningJob:
        """Begin a call's work.

        Args:
            job_id: keep the job under this id from the start: it must not be done twice, whatever happens.
        """
        job = RunningJob(job_id or self.new_id(), tool, conclude)
        if job_id is not None:
            await self.keep(job)
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
        while len(self._jobs) > _MOST_REMEMBERED:
            oldest = next((key for key, known in self._jobs.items() if known.done.is_set()), None)
            if oldest is None:
                break
            del self._jobs[oldest]
        if job.done.is_set():
            await self._put(job)  # it ended meanwhile
        else:
            self._tasks.start_soon(self._beat, job)
        return problem

    def forget(self, job_id: str) -> None:
        """Nobody will ask for the job again."""
        if (job := self._jobs.pop(job_id, None)) is not None:
            job.is_kept = False

    async def _run(self, job: RunningJob, work: Callable[[], Awaitable[Any]]) -> None:
        # Set here, in the job's own task: whoever started it sees nothing of it.
        current_sight.set(job.sight)
        ending: Ending = "interrupted"
        try:
            with job.scope:
                job.value = await work()
            ending = "cancelled" if job.scope.cancelled_caught else "completed"
        except BridgeError as error:
            job.error, ending = error, "failed"
        except Exception as error:
            job.error, ending = error, "failed"
            if job.is_kept:
                logger.exception("a %s that nobody waits for crashed", job.tool)
        finally:
            job.ending = ending
            if job.is_kept:
                with anyio.CancelScope(shield=True):
                    await self._put(job)
            job.done.set()

    async def _put(self, job: RunningJob) -> str:
        """Write a job as it is now."""
        now = time.time()
        if job.ending is None:
            record = Job(
                job_id=job.job_id,
                tool=job.tool,
                status="running",
                created_at=job.started_at,
                updated_at=now,
                conversation_id=job.sight.conversation_id,
                facts=job.sight.facts(),
            )
        else:
            ended = job.ended
            facts = ended.facts if ended.error is None else {**ended.facts, "error": ended.error.as_dict()}
            record = Job(
                job_id=job.job_id,
                tool=job.tool,
                status=job.ending,
                created_at=job.started_at,
                updated_at=now,
                conversation_id=job.sight.conversation_id or facts.get("conversation_id"),
                facts=facts,
                lead=ended.lead,
            )
        try:
            with anyio.fail_after(_STORE_SECONDS):
                await self.store.put_job(record)
        except (StoreError, TimeoutError) as error:
            logger.warning("a running call could not be kept: %s", error)
            reason = str(error) or "the store did not answer."
            return f"This call could not be kept: {reason} It can be asked for while this server runs."
        except Exception as error:  # a defect of the store is no reason to lose what was paid for
            logger.exception("keeping a running call failed")
            return f"This call could not be kept ({type(error).__name__}). It can be asked for while this server runs."
        return ""

    async def _beat(self, job: RunningJob) -> None:
        """Say every few seconds that the job runs and what has come; end it when somebody else asks for that."""
        seen = -1
        while not await job.wait(BEAT_SECONDS):
            events = job.sight.events
            facts: Mapping[str, Any] | None = job.sight.facts() if events != seen else None
            seen = events
            try:
                with anyio.fail_after(_STORE_SECONDS):
                    if await self.store.beat_job(job.job_id, time.time(), facts):
                        job.scope.cancel()
            except (StoreError, TimeoutError) as error:
                logger.warning("a running call could not be kept: %s", error)
