"""Views of one database for several owners, and long texts, which every store fulfils."""

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from databricks_responses_mcp.store import text_queries
from databricks_responses_mcp.store.factory import open_store
from databricks_responses_mcp.store.interface import Store
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
    monkeypatch.setattr(text_queries, "MOST_BYTES", 1000)
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
