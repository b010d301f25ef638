"""The store through a real pgbouncer in transaction mode, which keeps no state of a session."""

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import anyio
import psycopg
import pytest

from databricks_responses_mcp.store import postgres_pool, sql_store
from databricks_responses_mcp.store.factory import open_store
from databricks_responses_mcp.store.interface import Store, StoreError, TurnConflictError, UncertainChangeError
from harness.deadlines import DEADLINE_SECONDS
from harness.pgbouncer import PgBouncer, pgbouncer_of
from harness.postgres_server import PostgresServer, postgres_server
from harness.store_records import STATE, a_job, a_turn, a_usage

pytestmark = [pytest.mark.anyio, pytest.mark.service]

CHILD = Path(__file__).parents[1] / "harness" / "store_child.py"


@pytest.fixture
def bouncer(postgres: PostgresServer) -> Iterator[PgBouncer]:
    """Run pgbouncer with fewer connections to the server than the stores have to it."""
    with pgbouncer_of(postgres, connections=2) as running:
        yield running


@pytest.fixture
def url(postgres: PostgresServer, bouncer: PgBouncer) -> str:
    """Create a database; return its URL through pgbouncer."""
    return bouncer.url(postgres.new_database())


async def use(store: Store, owner: str) -> None:
    """Use all of a store."""
    mine = store.for_owner(owner)
    await mine.add_turn("conv", a_turn(1), STATE, title="Mine", usage=a_usage())
    with pytest.raises(TurnConflictError):
        await mine.add_turn("conv", a_turn(1), STATE, title="Mine")
    await mine.set_state("conv", STATE)
    await mine.put_job(a_job(structured={"text": owner}))
    assert await mine.cancel_job("job-1")
    assert await mine.beat_job("job-1", 2.0, None)
    assert (await mine.claim_key("key", "print", "job-1", 1.0)).mine
    await mine.put_text("text", owner * 10_000, 1.0)
    await mine.add_turn("old", a_turn(1, created_at=-1e9), STATE, title="")
    assert await mine.sweep(now=3.0, keep_seconds=100.0, most_bytes=None) == 1
    read, job = await mine.conversation("conv"), await mine.job("job-1")
    assert read is not None
    assert job is not None
    assert (len(read.turns), job.status, job.structured) == (1, "running", {"text": owner})
    assert (await mine.text("text"), await mine.tokens_on_day(1.0)) == (owner * 10_000, 15)


async def test_many_owners_on_two_replicas_share_two_connections_of_a_pooler(
    url: str, bouncer: PgBouncer, postgres: PostgresServer
) -> None:
    stores = [open_store(url, connections=10) for _ in range(2)]
    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(use, stores[number % 2], f"owner-{number}")

    assert await stores[0].tokens_on_day(1.0, everyone=True) == 20 * 15
    direct = f"postgresql://postgres:{postgres.password}@127.0.0.1:{postgres.port}/{url.rpartition('/')[2]}"
    with psycopg.connect(direct) as admin:
        row = admin.execute(
            "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
    assert row == (2,)
    for store in stores:
        await store.aclose()


async def test_no_state_of_a_session_is_left_on_a_connection_of_the_pooler(url: str) -> None:
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as fresh:
        before = settings_of(fresh)
    store = open_store(url)
    await use(store, "owner")
    await store.aclose()

    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as other:
        assert settings_of(other) == before
        assert other.execute("SELECT COUNT(*) FROM pg_prepared_statements").fetchone() == (0,)
        assert other.execute("SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)


def settings_of(connection: psycopg.Connection[tuple[object, ...]]) -> dict[object, object]:
    """Return what a session may set; an extension that was loaded adds its own settings."""
    query = "SELECT name, setting FROM pg_settings WHERE name <> 'application_name' AND name NOT LIKE 'plpgsql.%'"
    return {row[0]: row[1] for row in connection.execute(query)}


async def test_calls_survive_a_restart_of_the_pooler(url: str, bouncer: PgBouncer) -> None:
    store = open_store(url, connections=3)
    for number in (1, 2, 3):
        await store.add_turn("conv", a_turn(number), STATE, title="")
        await anyio.to_thread.run_sync(bouncer.restart)

    read = await store.conversation("conv")

    assert read is not None
    assert [turn.number for turn in read.turns] == [1, 2, 3]
    await store.aclose()


async def test_calls_survive_a_restart_of_the_server_behind_the_pooler() -> None:
    with postgres_server() as server, pgbouncer_of(server, connections=2) as bouncer:
        store = open_store(bouncer.url(server.new_database()), connections=3)
        await store.add_turn("conv", a_turn(1), STATE, title="")
        restarted = anyio.Event()

        async def restart() -> None:
            await anyio.to_thread.run_sync(server.restart, signal.SIGQUIT)
            restarted.set()

        added = 1
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(restart)
            after = 0
            while after < 5:
                after += restarted.is_set()
                added += 1
                await store.add_turn("conv", a_turn(added), STATE, title="")

        read = await store.conversation("conv")
        assert read is not None
        assert [turn.number for turn in read.turns] == list(range(1, added + 1))
        await store.aclose()


async def test_one_turn_at_most_is_uncertain_while_the_server_behind_the_pooler_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postgres_pool, "_COMMIT_SECONDS", 1.0)
    monkeypatch.setattr(postgres_pool, "_SLOW_SECONDS", 0.5)
    monkeypatch.setattr(postgres_pool, "_RECONNECT_SECONDS", 0.5)
    # The full timeout again at once.
    monkeypatch.setattr(sql_store, "_REMEMBERED_SECONDS", 0.0)
    with postgres_server() as server, pgbouncer_of(server, connections=2) as bouncer:
        store = open_store(bouncer.url(server.new_database()))
        await store.add_turn("conv", a_turn(1), STATE, title="")
        server.process.send_signal(signal.SIGINT)
        await anyio.to_thread.run_sync(server.process.wait, DEADLINE_SECONDS)
        errors = []
        for _ in range(3):
            with pytest.raises(StoreError) as refused:
                await store.add_turn("conv", a_turn(2), STATE, title="")
            errors.append(refused.type)
        await store.aclose()

    # To find out whether a turn was stored takes long, and cannot be cancelled.
    assert errors == [UncertainChangeError, StoreError, StoreError]


def test_processes_that_start_at_once_through_a_pooler_create_one_store(url: str) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, str(CHILD), "race", url, "10"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(5)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()

    lines = Counter(line for child in children for line in child.communicate(timeout=DEADLINE_SECONDS)[0].splitlines())

    assert [child.returncode for child in children] == [0] * 5
    assert lines == Counter(f"{what} {number}" for what in ("turn", "key") for number in range(1, 11))
