"""Stores of version 0.1 are migrated in place by one of several processes, while older servers still write to them."""

import subprocess
import sys
import time
from pathlib import Path

import anyio
import psycopg
import pytest

from databricks_responses_mcp.store.factory import open_store
from databricks_responses_mcp.store.interface import StoreError
from harness.deadlines import DEADLINE_SECONDS
from harness.old_store import DAY, conversation, execute, make_old_store, usage
from harness.postgres_server import PostgresServer
from harness.store_records import STATE, a_turn, a_usage

pytestmark = pytest.mark.anyio

CHILD = Path(__file__).parents[1] / "harness" / "store_child.py"
WAITING = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.fixture(params=["sqlite", "postgres"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Create a store of version 0.1; return its setting."""
    setting = str(tmp_path / "store.db")
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        setting = server.new_database()
    make_old_store(setting)
    return setting


async def test_a_migrated_store_of_version_0_1_keeps_its_data_and_has_running_totals(old: str) -> None:
    store, theirs = open_store(old), open_store(old, owner="other")
    read = await store.conversation("conv-1")

    assert read is not None
    assert (read.title, read.state.replay_from, len(read.turns)) == ("Old", 1, 1)
    assert [found.conversation_id for found in await store.conversations()] == ["conv-2", "conv-1"]
    assert [await store.tokens_on_day(at) for at in (5.0, DAY)] == [30, 15]
    assert await theirs.tokens_on_day(5.0) == 15
    assert await store.sweep(now=3.0, keep_seconds=None, most_bytes=2000) == 0
    await store.add_turn("conv-2", a_turn(2, created_at=3.0), STATE, title="")
    assert await store.sweep(now=3.0, keep_seconds=None, most_bytes=2000) == 1
    assert [found.conversation_id for found in await store.conversations()] == ["conv-2"]
    assert await theirs.count_conversations() == 1
    await store.aclose()
    await theirs.aclose()


async def test_rows_that_a_server_of_version_0_1_writes_after_the_migration_are_counted(old: str) -> None:
    store = open_store(old)
    assert await store.tokens_on_day(1.0) == 30

    execute(
        old,
        [
            usage(3.0, "1970-01-01"),
            *conversation("conv-3", 3.0),
            "UPDATE @conversations SET bytes = bytes + 500 WHERE owner = '' AND conversation_id = 'conv-3'",
            "DELETE FROM @conversations WHERE owner = '' AND conversation_id = 'conv-1'",
        ],
    )

    assert await store.tokens_on_day(1.0) == 45
    assert await store.sweep(now=4.0, keep_seconds=None, most_bytes=2500) == 0
    assert await store.sweep(now=4.0, keep_seconds=None, most_bytes=2499) == 1
    assert [found.conversation_id for found in await store.conversations()] == ["conv-3"]
    await store.aclose()


@pytest.mark.parametrize(("seconds_ago", "status"), [(0, "running"), (60, "interrupted")])
async def test_a_job_of_a_server_without_leases_is_interrupted_after_its_last_heartbeat(
    old: str, seconds_ago: float, status: str
) -> None:
    store = open_store(old)
    await store.conversations()
    at = time.time() - seconds_ago
    columns = "owner, job_id, tool, status, created_at, updated_at, facts, lead, cancel_requested"
    execute(old, [f"INSERT INTO @jobs ({columns}) VALUES ('', 'job-1', 'ask', 'running', 1, {at}, '{{}}', '', 0)"])

    found = await store.job("job-1")

    assert found is not None
    assert found.status == status
    await store.aclose()


def children(setting: str, count: int) -> list[subprocess.Popen[str]]:
    """Start processes that use the store concurrently."""
    started = [
        subprocess.Popen(
            [sys.executable, str(CHILD), "race", setting, "3"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    for child in started:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in started:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    return started


@pytest.mark.slow
async def test_processes_that_start_at_once_migrate_once(old: str) -> None:
    ended = [(child.communicate(timeout=DEADLINE_SECONDS), child.returncode) for child in children(old, 5)]

    assert [(error, code) for (_, error), code in ended] == [("", 0)] * 5
    store = open_store(old)
    assert [await store.tokens_on_day(at) for at in (5.0, DAY)] == [30, 15], "each row is counted once"
    await store.aclose()


@pytest.mark.parametrize("is_old", [False, True])
def test_one_process_migrates_a_server_while_others_wait_for_it(postgres: PostgresServer, is_old: bool) -> None:
    """Block the migration of both processes: without the lock, both would create the same object."""
    url = postgres.new_database()
    if is_old:
        make_old_store(url)
    with psycopg.connect(url, autocommit=True) as admin:
        with psycopg.connect(url) as holder:
            # Not committed: a process that creates the same object waits for the end of this transaction.
            holder.execute(
                b"CREATE TABLE databricks_responses_mcp.totals (i int)"
                if is_old
                else b"CREATE SCHEMA databricks_responses_mcp"
            )
            both = children(url, 2)
            waiting = 0
            while waiting < 2:
                assert all(child.poll() is None for child in both)
                row = admin.execute(WAITING.encode()).fetchone()
                waiting = row[0] if row else 0
            holder.rollback()
        ended = [(child.communicate(timeout=DEADLINE_SECONDS)[1], child.returncode) for child in both]

    assert ended == [("", 0)] * 2


async def test_a_failed_migration_does_not_change_the_old_store(old: str) -> None:
    execute(old, ["CREATE TABLE @usage_days (in_the_way TEXT)"])
    store = open_store(old)
    with pytest.raises(StoreError):
        await store.conversations()
    execute(old, ["DROP TABLE @usage_days"])

    assert await store.count_conversations() == 2
    await store.aclose()


async def test_the_tokens_of_a_day_are_exact_when_several_stores_add_to_them_at_once(old: str) -> None:
    stores = [open_store(old) for _ in range(3)]
    async with anyio.create_task_group() as tasks:
        for number in range(30):
            tasks.start_soon(stores[number % 3].add_usage, a_usage(DAY))

    assert [await store.tokens_on_day(DAY) for store in stores] == [15 + 30 * 15] * 3
    for store in stores:
        await store.aclose()
