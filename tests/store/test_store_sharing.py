"""Concurrent tasks, stores and processes with shared data; cancellation of a running call."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from databricks_responses_mcp.store.interface import Store, TurnConflictError
from harness.deadlines import DEADLINE_SECONDS
from harness.postgres_server import PostgresServer
from harness.store_records import STATE, a_job, a_turn

pytestmark = pytest.mark.anyio

CHILD = Path(__file__).parents[1] / "harness" / "store_child.py"


async def test_one_of_many_concurrent_calls_adds_a_turn(stores: Callable[[], Store]) -> None:
    several = [stores() for _ in range(3)]
    got: Counter[int] = Counter()

    async def add(store: Store, number: int) -> None:
        try:
            await store.add_turn("conv", a_turn(number), STATE, title="")
        except TurnConflictError:
            return
        got[number] += 1

    for number in range(1, 8):
        async with anyio.create_task_group() as tasks:
            for store in several * 3:
                tasks.start_soon(add, store, number)

    assert got == Counter(dict.fromkeys(range(1, 8), 1))
    read = await several[0].conversation("conv")
    assert read is not None
    assert [turn.number for turn in read.turns] == list(range(1, 8))


async def test_one_of_many_concurrent_claims_gets_a_key(stores: Callable[[], Store]) -> None:
    several = [stores() for _ in range(3)]
    claims = []

    async def claim(store: Store, job_id: str) -> None:
        claims.append((job_id, await store.claim_key("key", "print", job_id, 1.0)))

    async with anyio.create_task_group() as tasks:
        for number in range(12):
            tasks.start_soon(claim, several[number % 3], f"job-{number}")

    (winner,) = [job_id for job_id, got in claims if got.mine]
    assert {got.job_id for _, got in claims} == {winner}


async def test_a_key_has_one_holder_at_a_time_while_it_is_claimed_and_released_concurrently(
    stores: Callable[[], Store],
) -> None:
    holders: set[str] = set()
    most = 0

    async def work(store: Store, job_id: str) -> None:
        nonlocal most
        for _ in range(10):
            if (await store.claim_key("key", "print", job_id, 1.0)).mine:
                holders.add(job_id)
                most = max(most, len(holders))
                holders.remove(job_id)
                await store.release_key("key", job_id)

    async with anyio.create_task_group() as tasks:
        for number in range(6):
            tasks.start_soon(work, stores(), f"job-{number}")

    assert most == 1


async def test_a_store_reads_what_another_one_has_written(stores: Callable[[], Store], kind: str) -> None:
    one, other = stores(), stores()
    await other.conversations()

    await one.add_turn("conv", a_turn(1), STATE, title="")
    await one.put_job(a_job())
    await one.aclose()
    if kind == "memory":
        assert await other.conversation("conv") is None, "what is in memory ends with its store"
        return

    assert await other.conversation("conv") is not None
    assert await other.cancel_job("job-1")
    # A closed store reopens.
    assert await one.beat_job("job-1", 2.0, None)


async def test_a_cancelled_turn_is_committed_or_rolled_back_and_the_store_still_works(
    stores: Callable[[], Store],
) -> None:
    store, number, cancelled = stores(), 1, 0
    await store.conversations()
    for attempt in range(60):
        with anyio.move_on_after(attempt % 20 / 5000) as scope:
            await store.add_turn("conv", a_turn(number, said=[{"text": "x" * 100_000}]), STATE, title="")
        cancelled += scope.cancelled_caught
        read = await store.conversation("conv", after=number - 1)
        counted = sum(found.turns for found in await store.conversations())
        kept = 0 if read is None else len(read.turns)
        assert counted == number - 1 + kept
        assert kept or scope.cancelled_caught
        number += kept

    assert cancelled


def start(what: str, setting: str, turns: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(CHILD), what, setting, str(turns)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the setting of a store that does not exist yet: processes that start at once create it."""
    if request.param == "sqlite":
        return str(tmp_path / "new" / "store.db")
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.mark.slow
def test_processes_that_start_at_once_create_one_store_and_get_each_turn_and_key_once(shared: str) -> None:
    children = [start("race", shared, 25) for _ in range(3)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()

    lines = Counter(line for child in children for line in child.communicate(timeout=DEADLINE_SECONDS)[0].splitlines())

    assert [child.returncode for child in children] == [0, 0, 0]
    assert lines == Counter(f"{what} {number}" for what in ("turn", "key") for number in range(1, 26))
