"""The store that a setting selects, and the limits of the store in memory."""

import subprocess
import sys
from pathlib import Path

import pytest

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.store import memory
from databricks_responses_mcp.store.factory import open_store
from databricks_responses_mcp.store.interface import StoreError
from databricks_responses_mcp.store.memory import MemoryStore
from databricks_responses_mcp.store.records import UsageTotal
from harness.store_records import STATE, a_job, a_turn, a_usage

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("setting", "kind"),
    [
        (None, "SqliteStore"),
        ("off", "MemoryStore"),
        (" OFF ", "MemoryStore"),
        (str(Path.cwd() / "store.db"), "SqliteStore"),
        ("~/store.db", "SqliteStore"),
        ("postgres://me@db.example/db", "PostgresStore"),
        ("PostgreSQL://me@db.example/db", "PostgresStore"),
    ],
)
def test_a_setting_selects_the_kind_of_store(setting: str | None, kind: str) -> None:
    assert type(open_store(setting)).__name__ == kind


@pytest.mark.parametrize(
    "setting",
    [
        "",
        "  ",
        "mysql://me:hunter2@db.example/db",
        "postgresq://me:hunter2@db.example/db",
        "postgres:/me:hunter2@db.example/db",
        "postgresql//me:hunter2@db.example/db",
        "postgresql:me:hunter2@db.example/db",
        "'postgresql://me:hunter2@db.example/db'",
        "me:hunter2@db.example:5432/db",
        "/tmp/postgresql://me:hunter2@db.example/db",
        "file:///tmp/x",
        "store.db",
        "/tmp/a\0b",
    ],
)
def test_an_invalid_setting_is_refused_and_not_repeated(setting: str) -> None:
    with pytest.raises(BridgeError) as refused:
        open_store(setting)

    assert refused.value.code is ErrorCode.INVALID_ARGUMENT
    assert str(refused.value) == (
        "RESPONSES_MCP_STORE does not name a store: it is neither an absolute path nor a supported URL. "
        "Set it to the absolute path of a file, to postgresql://user:password@host:5432/database, to off, or leave it "
        "unset."
    )


async def test_a_folder_is_refused_with_the_name_of_a_file_in_it(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as refused:
        await open_store(str(tmp_path)).conversations()

    assert str(refused.value) == (
        f"{tmp_path} is a folder. Set RESPONSES_MCP_STORE to a file in it, such as {tmp_path / 'conversations.db'}."
    )


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the folder's place is set otherwise there")
async def test_the_default_store_is_a_file_in_the_users_data_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    store = open_store(None)

    await store.add_turn("conv", a_turn(1), STATE, title="")

    assert (tmp_path / "databricks-responses-mcp" / "conversations.db").exists()
    await store.aclose()


def test_choosing_a_store_imports_no_database_module(tmp_path: Path) -> None:
    """Check that the start of a server does not wait for modules that it may never need."""
    script = (
        "import sys; import databricks_responses_mcp.store.factory; print({'sqlite3', 'psycopg'} & set(sys.modules))"
    )

    assert (
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "set()\n"
    )


async def test_memory_keeps_the_newest_conversations() -> None:
    store = MemoryStore(most=3)
    for number in range(1, 6):
        await store.add_turn(f"conv-{number}", a_turn(1, created_at=float(number)), STATE, title="")

    assert [found.conversation_id for found in await store.conversations()] == ["conv-5", "conv-4", "conv-3"]
    await store.aclose()


async def test_memory_limits_the_size_of_conversations() -> None:
    store = MemoryStore(most_bytes=25_000)
    for number in range(1, 6):
        turn = a_turn(1, created_at=float(number), said=[{"text": "x" * 10_000}], items=[])
        await store.add_turn(f"conv-{number}", turn, STATE, title="")

    assert [found.conversation_id for found in await store.conversations()] == ["conv-5", "conv-4"]
    await store.aclose()


async def test_memory_keeps_the_newest_jobs_keys_and_usage_and_all_running_jobs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "MAX_OTHERS", 3)
    store = MemoryStore()
    await store.put_job(a_job("runs", updated_at=0.5))
    for number in range(1, 7):
        await store.claim_key(f"key-{number}", "p", "job", float(number))
        await store.add_usage(a_usage(float(number)))
        await store.put_job(a_job(f"job-{number}", status="completed", updated_at=float(number)))

    assert [n for n in range(1, 7) if await store.job(f"job-{n}")] == [4, 5, 6]
    assert await store.job("runs") is not None
    assert await store.usage("tool") == [
        UsageTotal(
            key="ask_databricks_model",
            requests=3,
            input_tokens=30,
            output_tokens=15,
            cached_tokens=0,
            reasoning_tokens=0,
        )
    ]
    assert await store.tokens_on_day(1.0) == 6 * 15, "what was spent stays spent"
    assert [n for n in range(1, 7) if not (await store.claim_key(f"key-{n}", "p", "new", 9.0)).mine] == [4, 5, 6]
    await store.aclose()


async def test_closing_a_memory_store_deletes_its_content() -> None:
    store = MemoryStore()
    await store.add_turn("conv", a_turn(1), STATE, title="")
    await store.aclose()

    assert await store.conversations() == []
    await store.aclose()
