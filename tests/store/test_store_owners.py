"""Views of one database for several owners, and long texts, which every store fulfils."""

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import psycopg
import pytest

from databricks_responses_mcp.store import text_queries
from databricks_responses_mcp.store.factory import open_store
from databricks_responses_mcp.store.interface import Store, StoreError
from databricks_responses_mcp.store.retention_queries import claim_lease
from databricks_responses_mcp.store.sql_store import SqlStore
from databricks_responses_mcp.store.statements import Transaction
from harness.postgres_server import PostgresServer
from harness.store_records import STATE, a_job, a_turn, a_usage

pytestmark = pytest.mark.anyio

DAY = 86_400.0
OURS = "FROM pg_stat_activity WHERE application_name = 'databricks-responses-mcp' AND datname = current_database()"


async def everything(store: Store) -> list[object]:
    return [
        await store.conversations(),
        await store.count_conversations(),
        await store.conversation("conv-1"),
        await store.job("job-1"),
        await store.text("text-1"),
        await store.tokens_on_day(0.0),
        await store.usage("model"),
    ]


@pytest.fixture
def her() -> str:
    """Return an owner that no other test has: all tests share the server."""
    return f"her {uuid.uuid4().hex}"


async def test_views_for_owners_of_one_database_see_only_their_own_rows(store: Store, her: str) -> None:
    hers, his = store.for_owner(her), store.for_owner(f"not {her}")
    await hers.add_turn("conv-1", a_turn(1), STATE, title="Hers")
    await hers.put_job(a_job())
    await hers.put_text("text-1", "Hers", 1.0)
    await hers.add_usage(a_usage())
    assert (await hers.claim_key("key", "print", "job-1", 1.0)).mine

    nothing = [[], 0, None, None, None, 0, []]
    assert await everything(his) == await everything(store) == nothing
    assert (await his.claim_key("key", "print", "job-2", 1.0)).mine
    await his.put_text("text-1", "His", 1.0)
    assert await hers.text("text-1") == "Hers"
    assert await everything(his.for_owner(her)) == await everything(hers)


async def test_a_user_is_told_of_a_value_that_cannot_be_stored(store: Store, her: str) -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    for its in (store, store.for_owner(her)):
        with pytest.raises(StoreError, match=r"nested too deeply.*Begin a new conversation without it"):
            await its.add_turn("conv-1", a_turn(1, items=nested), STATE, title="")
        await its.add_turn("conv-1", a_turn(1), STATE, title="")


async def test_closing_a_view_closes_nothing(store: Store, her: str) -> None:
    hers, his = store.for_owner(her), store.for_owner(f"not {her}")
    await hers.add_turn("conv-1", a_turn(1), STATE, title="")

    await his.aclose()
    await hers.aclose()
    await store.for_owner(her).aclose()

    assert await store.for_owner(her).count_conversations() == 1, "what is in memory would be lost"


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[tuple[str, psycopg.Connection[tuple[int]]]]:
    """Create a database; return its URL and another connection to it."""
    url = postgres.new_database()
    with psycopg.connect(url, autocommit=True) as admin:
        yield url, admin


async def test_views_share_the_connections_of_the_store_that_closes_them(
    database: tuple[str, psycopg.Connection[tuple[int]]],
) -> None:
    url, admin = database
    store = open_store(url)
    for number in range(20):
        view = store.for_owner(f"owner-{number}")
        await view.add_usage(a_usage())
        await view.aclose()

    assert admin.execute(f"SELECT COUNT(*) {OURS}".encode()).fetchone() == (1,)
    await store.aclose()
    while admin.execute(f"SELECT COUNT(*) {OURS}".encode()).fetchone() != (0,):
        pass


@pytest.mark.parametrize("text", ["", "Long. " * 50_000, "half \ud800, NUL \0, %s, ?, @texts"])
async def test_a_text_is_returned_unchanged(store: Store, text: str) -> None:
    await store.put_text("a?\0", "before", 1.0)
    await store.put_text("a?\0", text, 2.0)

    assert await store.text("a?\0") == text
    assert await store.text("b") is None


async def test_the_oldest_texts_of_an_owner_are_deleted_above_the_limit(
    store: Store, her: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_queries, "MAX_BYTES", 1000)
    other = store.for_owner(her)
    await other.put_text("text-1", "x" * 900, 1.0)
    for number in (1, 2, 3, 4):
        await store.put_text(f"text-{number}", "x" * 300, float(number))
    await store.put_text("text-2", "y" * 300, 5.0)

    kept = [number for number in range(1, 5) if await store.text(f"text-{number}") is not None]
    await store.put_text("large", "x" * 5000, 6.0)

    assert kept == [2, 3, 4]
    assert [await store.text(text_id) for text_id in ("large", "text-4")] == ["x" * 5000, None]
    assert await other.text("text-1") is not None


async def test_texts_are_deleted_after_seven_days(store: Store) -> None:
    await store.put_text("old", "Old", DAY - 1)
    await store.put_text("new", "New", DAY + 1)

    await store.sweep(now=8 * DAY, keep_seconds=None, most_bytes=None)

    assert [await store.text("old"), await store.text("new")] == [None, "New"]


async def test_the_tokens_of_a_day_are_counted_for_an_owner_and_for_everyone(store: Store, her: str) -> None:
    day = int(uuid.uuid4().hex[:4], 16) * DAY + 1.0  # one that no other test uses: all tests share the server
    assert await store.tokens_on_day(day, everyone=True) == 0
    await store.for_owner(her).add_usage(a_usage(day))
    await store.for_owner(f"not {her}").add_usage(a_usage(day, input_tokens=100))

    assert await store.tokens_on_day(day) == 0
    assert await store.for_owner(her).tokens_on_day(day) == 15
    assert await store.tokens_on_day(day, everyone=True) == await store.for_owner(her).tokens_on_day(day, everyone=True)
    assert await store.tokens_on_day(day, everyone=True) == 120


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def alone(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Callable[[], Store]]:
    """Return what opens a store that no other test uses."""
    if request.param == "memory":
        memory = open_store("off")
        yield lambda: memory
        await memory.aclose()
        return
    setting = str(tmp_path / "store.db")
    if request.param == "postgres":
        setting = request.getfixturevalue("postgres").new_database()
    opened: list[Store] = []

    def opens() -> Store:
        opened.append(open_store(setting))
        return opened[-1]

    yield opens
    for store in opened:
        await store.aclose()


async def test_a_sweep_for_all_deletes_what_is_too_old_or_too_much_of_every_owner(alone: Callable[[], Store]) -> None:
    store = alone()
    owners = [store.for_owner(owner) for owner in ("", "a", "b", "c \ud800")]
    for owner in owners:
        await owner.add_turn("old", a_turn(1, created_at=0.0), STATE, title="")
        await owner.add_turn("large", a_turn(1, created_at=9.0, said=[{"text": "x" * 9000}]), STATE, title="")
        await owner.add_turn("new", a_turn(1, created_at=10.0), STATE, title="")
    only_text, only_key = store.for_owner("text"), store.for_owner("zzz")
    await only_text.put_text("text-1", "Old", 0.0)
    await only_key.claim_key("key", "print", "job", 0.0)

    assert await store.for_owner("a").sweep_all(now=10.0, keep_seconds=5.0, most_bytes=5000) == 8
    assert [[found.conversation_id for found in await owner.conversations()] for owner in owners] == [["new"]] * 4
    assert await only_text.text("text-1") is None
    assert (await only_key.claim_key("key", "print", "other", 0.0)).mine


async def test_one_process_at_a_time_sweeps_for_all(alone: Callable[[], Store]) -> None:
    several = [alone() for _ in range(4)]
    for number in range(5):
        await several[0].for_owner(f"{number}").add_turn("old", a_turn(1, created_at=0.0), STATE, title="")
    deleted: list[int] = []

    async def sweep(store: Store) -> None:
        deleted.append(await store.sweep_all(now=10.0, keep_seconds=5.0, most_bytes=None))

    async with anyio.create_task_group() as tasks:
        for store in several:
            tasks.start_soon(sweep, store)
    assert sorted(deleted) == [0, 0, 0, 5]

    await several[0].add_turn("old", a_turn(1, created_at=0.0), STATE, title="")
    assert await several[1].sweep_all(now=10.0, keep_seconds=5.0, most_bytes=None) == 0, "it was swept just now"


@pytest.mark.parametrize(("seconds_left", "deleted"), [(600.0, 0), (-1.0, 1)])
async def test_a_sweep_is_taken_over_once_the_lease_of_a_killed_process_has_ended(
    alone: Callable[[], Store], seconds_left: float, deleted: int
) -> None:
    store = alone()
    assert isinstance(store, SqlStore)
    await store.add_turn("old", a_turn(1, created_at=0.0), STATE, title="")
    await store._database.write(claim_lease, "sweep", "killed", seconds_left)

    assert await store.sweep_all(now=10.0, keep_seconds=5.0, most_bytes=None) == deleted


@pytest.mark.parametrize("number", [3, 700])
async def test_old_records_of_the_audit_log_are_deleted_for_every_owner(
    alone: Callable[[], Store], number: int
) -> None:
    store = alone()
    assert isinstance(store, SqlStore)
    for at in range(number):
        await store.for_owner(f"{at % 3}").add_audit_record(float(at), {"tool": "ask"})
    await store.delete_audit_records(number - 1.5)
    assert await store._database.read(times_of_audit_records) == [number - 1.0]
    await alone().delete_audit_records(number + 1.0)
    assert await store._database.read(times_of_audit_records) == [number - 1.0], "old ones were deleted just now"


def times_of_audit_records() -> Transaction[list[Any]]:
    """Return when the records of all owners were made."""
    found = yield "SELECT created_at FROM @audit ORDER BY created_at", ()
    return [row[0] for row in found.rows]
