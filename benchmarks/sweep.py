"""Deleting old conversations from a large store: how long its callers wait meanwhile, and that it ends."""

import sqlite3
import statistics
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from time import perf_counter, time

import anyio

from benchmarks.continuing import fill
from benchmarks.measuring import Row, compare, percentile
from benchmarks.running import Run
from databricks_responses_mcp.store.factory import open_store
from databricks_responses_mcp.store.interface import Store
from databricks_responses_mcp.store.records import Usage

NAME = "sweep"
_CONVERSATIONS = 20_000
_ROUNDS = 3
_MAX_WAIT_MS = 50.0
_CALL_EVERY_SECONDS = 0.002


def steps(quick: bool) -> int:
    """How often progress is reported."""
    return 1 if quick else _ROUNDS


def run(run: Run) -> list[Row]:
    """Sweep stores of which half is over the limit, while a reader and a writer call; then let them call alone."""
    return anyio.run(_measure, run)


async def _measure(run: Run) -> list[Row]:
    count = 1_000 if run.quick else _CONVERSATIONS
    beside: list[list[float]] = []
    alone: list[list[float]] = []
    kept: list[float] = []
    for number in range(steps(run.quick)):
        path = run.workdir / f"sweep-{number}.db"
        await fill(path, count, 1)
        most = await anyio.to_thread.run_sync(_bytes, path) // 2
        store = open_store(str(path))
        await store.conversations(limit=1)  # the file is opened

        async def sweep(swept: Store = store, most: int = most) -> None:
            await swept.sweep(now=time(), keep_seconds=None, most_bytes=most)

        started = perf_counter()
        beside.append(await _waits(store, sweep))
        seconds = perf_counter() - started

        async def rest(seconds: float = seconds) -> None:
            await anyio.sleep(seconds)

        alone.append(await _waits(store, rest))
        kept.append(await anyio.to_thread.run_sync(_bytes, path) / most)
        await store.aclose()
        run.advance()
    longest, longest_alone = [max(waits) for waits in beside], [max(waits) for waits in alone]
    may, measure = [_MAX_WAIT_MS], f"longest wait of a caller, {count:,} conversations, half deleted"
    return [
        # The best of the rounds: other programs on the machine only ever add.
        compare(NAME, measure, "what it may take", "ms", [min(longest)], may, 1),
        compare(NAME, measure, "the same calls without a sweep", "ms", longest, longest_alone),
        compare(
            NAME,
            "99 % of the waits are shorter than",
            "what it may take",
            "ms",
            [statistics.median(percentile(waits, 0.99) for waits in beside)],
            may,
            1,
        ),
        compare(NAME, "what is kept", "the limit", "", kept, [1.0] * len(kept), 1),
    ]


async def _waits(store: Store, work: Callable[[], Awaitable[None]]) -> list[float]:
    """Milliseconds that each call of a reader and of a writer takes until the work has ended."""
    waits: list[float] = []
    done = anyio.Event()
    usage = Usage(
        created_at=time(),
        tool="ask",
        endpoint="gpt",
        model="gpt-5",
        conversation_id=None,
        input_tokens=1,
        output_tokens=1,
        cached_tokens=0,
        reasoning_tokens=0,
    )

    async def call(one: Callable[[], Awaitable[object]]) -> None:
        while not done.is_set():
            started = perf_counter()
            await one()
            waits.append((perf_counter() - started) * 1e3)
            await anyio.sleep(_CALL_EVERY_SECONDS)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call, lambda: store.conversation("conv_1"))
        tasks.start_soon(call, lambda: store.add_usage(usage))
        await work()
        done.set()
    return waits


def _bytes(path: Path) -> int:
    """Bytes of the turns of all conversations."""
    with closing(sqlite3.connect(path)) as connection:
        (total,) = connection.execute("SELECT SUM(bytes) FROM conversations").fetchone()
    return int(total)
