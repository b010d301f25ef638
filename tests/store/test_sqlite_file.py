"""The SQLite file is private, created at the first use and migrated; if it cannot be used, the error has advice."""

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from databricks_responses_mcp.store import sql_store, sqlite, sqlite_file
from databricks_responses_mcp.store.factory import open_store
from databricks_responses_mcp.store.interface import Store, StoreError
from databricks_responses_mcp.store.schema import VERSION
from harness.deadlines import DEADLINE_SECONDS
from harness.store_records import STATE, a_turn

pytestmark = pytest.mark.anyio

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps access to a user's folder by other means")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "store.db"


async def filled(path: Path) -> Store:
    store = open_store(str(path))
    await store.add_turn("conv", a_turn(1), STATE, title="Title")
    return store


async def test_nothing_is_created_before_the_first_use(path: Path) -> None:
    store = open_store(str(path))
    await store.aclose()

    assert not path.parent.exists()


@posix
async def test_only_the_user_can_read_the_file_and_its_folder(path: Path) -> None:
    before = os.umask(0)
    try:
        store = await filled(path)
    finally:
        os.umask(before)

    assert {found.name: oct(found.stat().st_mode & 0o777) for found in (path.parent, *path.parent.iterdir())} == {
        "folder": "0o700",
        "store.db": "0o600",
        "store.db-wal": "0o600",
        "store.db-shm": "0o600",
    }
    await store.aclose()


@posix
async def test_a_file_that_others_could_read_is_made_private(path: Path) -> None:
    await (await filled(path)).aclose()
    path.chmod(0o644)

    store = await filled_again(path)

    assert {oct(found.stat().st_mode & 0o777) for found in path.parent.iterdir()} == {"0o600"}
    await store.aclose()


async def filled_again(path: Path) -> Store:
    store = open_store(str(path))
    await store.add_turn("conv", a_turn(2), STATE, title="Title")
    return store


async def test_a_commit_is_synced_to_disk(path: Path) -> None:
    connection = sqlite_file.open_file(path)
    try:
        assert [connection.execute(f"PRAGMA {name}").fetchone() for name in ("journal_mode", "synchronous")] == [
            ("wal",),
            (2,),
        ]
    finally:
        connection.close()


async def refusal(path: Path) -> str:
    store = open_store(str(path))
    with pytest.raises(StoreError) as refused:
        await store.add_turn("conv", a_turn(1), STATE, title="")
    with pytest.raises(StoreError):
        await store.conversations()
    await store.aclose()
    return str(refused.value)


async def test_the_error_for_a_newer_schema_advises_an_upgrade(path: Path) -> None:
    await (await filled(path)).aclose()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()

    assert await refusal(path) == (
        f"The conversations in {path} were written by a newer databricks-responses-mcp (schema {VERSION + 1}, this one"
        f" knows {VERSION}). Upgrade this one, or set RESPONSES_MCP_STORE to another file."
    )


async def test_a_database_of_another_program_is_not_changed(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE history (url TEXT)")
    connection.close()

    assert await refusal(path) == (
        f"{path} is another program's database. Set RESPONSES_MCP_STORE to a file that does not exist: it is created."
    )
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("history",)]
    connection.close()


async def test_a_file_that_is_not_a_database_is_named_and_not_changed(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("Dear diary, " * 1000, encoding="utf-8")

    assert await refusal(path) == (
        f"{path} is damaged, or no file of conversations (file is not a database). Move it away, with its -wal and -shm"
        " files, and a new one is created; or restore a backup."
    )
    assert path.read_text(encoding="utf-8") == "Dear diary, " * 1000
    assert [found.name for found in path.parent.iterdir()] == ["store.db"]


async def test_a_file_with_damaged_pages_is_named(path: Path) -> None:
    store = open_store(str(path))
    for number in range(1, 30):
        await store.add_turn("conv", a_turn(number, said=[{"text": "x" * 3000}]), STATE, title="")
    await store.aclose()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))

    assert "is damaged, or no file of conversations" in await refusal(path)
    assert str(path) in await refusal(path)

    path.write_bytes(whole)
    read = await store.conversation("conv")
    assert read is not None
    assert len(read.turns) == 29, "a restored backup is used at once"
    await store.aclose()


async def test_a_row_that_does_not_parse_is_reported_as_damage(path: Path) -> None:
    store = await filled(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE turns SET items = '[{'")
    connection.close()

    with pytest.raises(StoreError, match="is damaged, or no file of conversations"):
        await store.conversation("conv")
    assert await store.count_conversations() == 1
    await store.aclose()


@posix
async def test_a_file_that_was_moved_away_is_not_written_any_more(path: Path) -> None:
    store = await filled(path)
    for found in list(path.parent.iterdir()):
        found.rename(found.with_name(f"old-{found.name}"))

    assert await store.conversation("conv") is None
    await store.add_turn("conv", a_turn(1), STATE, title="New")

    assert path.exists()
    await store.aclose()


async def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    said = await refusal(tmp_path / "file" / "store.db")

    assert str(tmp_path / "file" / "store.db") in said
    assert said.endswith("or set RESPONSES_MCP_STORE to another file, or to off.")


@pytest.mark.slow
async def test_a_file_that_another_program_keeps_locked_is_reported_as_locked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await filled(path)).aclose()
    monkeypatch.setattr(sqlite_file, "BUSY_SECONDS", 0.05)
    store = open_store(str(path))
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreError) as refused:
        await store.add_turn("conv", a_turn(2), STATE, title="")

    assert str(refused.value) == (f"{path} stayed locked by another program. Try again, or end that program.")
    read = await store.conversation("conv")
    assert read is not None, "readers do not wait"
    holder.execute("ROLLBACK")
    await store.add_turn("conv", a_turn(2), STATE, title="")
    holder.close()
    await store.aclose()


async def test_a_call_that_is_cancelled_while_it_waits_for_a_lock_ends_its_transaction(path: Path) -> None:
    store = await filled(path)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    with anyio.fail_after(DEADLINE_SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: store.add_turn("conv", a_turn(2), STATE, title=""))
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
            holder.execute("ROLLBACK")

    holder.execute("BEGIN IMMEDIATE")
    holder.execute("ROLLBACK")
    holder.close()
    read = await store.conversation("conv")
    assert read is not None
    assert [found.turns for found in await store.conversations()] == [len(read.turns)]
    await store.aclose()


async def test_the_file_shrinks_when_conversations_are_deleted(path: Path) -> None:
    store = open_store(str(path))
    for number in range(1, 60):
        await store.add_turn(f"conv-{number}", a_turn(1, said=[{"text": "x" * 50_000}]), STATE, title="")
    await store.sweep(now=1.0, keep_seconds=None, most_bytes=None)
    large = path.stat().st_size

    with anyio.fail_after(DEADLINE_SECONDS):
        # A sweep takes limited time, so a busy machine needs several.
        while path.stat().st_size > 400_000:
            await store.sweep(now=100.0, keep_seconds=1.0, most_bytes=None)

    assert large > 2_900_000
    assert b"xxxxxxxx" not in path.read_bytes() + path.with_name("store.db-wal").read_bytes(), "nor is it left in there"
    await store.aclose()


async def test_no_call_waits_while_a_sweep_writes_its_log_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await filled(path)
    began, may_end = threading.Event(), threading.Event()
    frames: list[tuple[int, int]] = []

    def write_back(of: Path) -> None:
        began.set()
        assert may_end.wait(DEADLINE_SECONDS)
        sqlite_file.write_back(of)
        with closing(sqlite3.connect(of)) as connection:
            _, logged, written = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        frames.append((logged, written))

    monkeypatch.setattr(sqlite, "write_back", write_back)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: store.sweep(now=100.0, keep_seconds=1.0, most_bytes=None))
        with anyio.fail_after(DEADLINE_SECONDS):
            assert await anyio.to_thread.run_sync(began.wait, DEADLINE_SECONDS)
            # Both a reader and a writer come through, although the log is still being written back.
            assert await store.conversations() == []
            await store.add_turn("conv-2", a_turn(1), STATE, title="meanwhile")
            may_end.set()
    await store.aclose()
    # Nothing was left in the log for a transaction to write back.
    assert frames
    assert all(logged == written for logged, written in frames)


def test_a_log_that_cannot_be_written_back_is_left_alone(path: Path) -> None:
    sqlite_file.write_back(path)
    assert not path.exists()
    path.parent.mkdir()
    path.write_text("not a database, but long enough to look at: " + "x" * 1000)
    sqlite_file.write_back(path)
    assert path.read_text().startswith("not a database")


async def test_a_sweep_does_not_wait_for_readers(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (sqlite_file, sqlite):  # a wait for a lock fails this test
        monkeypatch.setattr(module, "BUSY_SECONDS", 2.0 * DEADLINE_SECONDS)
    store = await filled(path)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM turns").fetchall()

    with anyio.fail_after(DEADLINE_SECONDS):
        assert await store.sweep(now=100.0, keep_seconds=1.0, most_bytes=None) == 1

    reader.close()
    await store.aclose()


SCRIPT = """
import anyio, os, sys
from pathlib import Path
from databricks_responses_mcp.store.interface import StoreError
from databricks_responses_mcp.store.factory import open_store
from databricks_responses_mcp.store.records import ConversationState, Turn

STATE = ConversationState(endpoint="gpt")

def a_turn(number, said=()):
    return Turn(
        number=number, endpoint="gpt", model="gpt-5", said=said, items=[], status="completed", created_at=float(number)
    )

def as_other_user():
    # Import lazily loaded modules before the process loses access to this user's folders.
    anyio.run(open_store("off").conversations)
    import platformdirs
    if os.geteuid() == 0:
        os.setegid(65534)
        os.seteuid(65534)

async def main():
"""


def run(script: str, *arguments: str) -> list[str]:
    body = "".join(f"    {line}\n" for line in script.strip().splitlines())
    begin = "as_other_user()\n" if arguments[0] == "as other user" else ""
    done = subprocess.run(
        [sys.executable, "-c", f"{SCRIPT}{body}\n{begin}anyio.run(main)\n", *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


TRY = """
store = open_store(sys.argv[2])
for what in (store.add_turn("conv", a_turn(2), STATE, title=""), store.conversations()):
    try:
        print(len(await what or []))
    except StoreError as error:
        print(error)
"""


def let_others_reach(folder: Path) -> None:
    """Give other users access to pytest's folders."""
    for parent in folder.parents:
        if os.access(parent, os.W_OK) and parent.stat().st_uid == os.geteuid() and "pytest" in str(parent):
            parent.chmod(0o755)


@posix
def test_a_read_only_folder_is_reported_at_once(path: Path) -> None:
    path.parent.mkdir(mode=0o555)
    let_others_reach(path.parent)

    said = run(TRY, "as other user", str(path))

    expected = (
        f"{path} cannot be created or opened (Permission denied). Make the file and its folder writable for this user,"
        " or set RESPONSES_MCP_STORE to another file, or to off."
    )
    assert said == [expected, expected]


@posix
async def test_a_read_only_file_is_reported_at_once(path: Path) -> None:
    await (await filled(path)).aclose()
    path.chmod(0o644 if os.geteuid() == 0 else 0o444)
    path.parent.chmod(0o555)
    let_others_reach(path.parent)

    said = run(TRY, "as other user", str(path))

    path.parent.chmod(0o755)
    for line in said:
        assert line.startswith(f"{path} cannot be ")
        assert line.endswith("or set RESPONSES_MCP_STORE to another file, or to off.")


FILL = """
store = open_store(sys.argv[2])
kept = 0
try:
    while kept < 1000:
        await store.add_turn("conv", a_turn(kept + 1, said=[{"text": "x" * 20_000}]), STATE, title="")
        kept += 1
except StoreError as error:
    print(error)
make_room()
read = await store.conversation("conv")
print(0 < kept < 1000, [turn.number for turn in read.turns] == list(range(1, kept + 1)))
await store.add_turn("conv", a_turn(kept + 1), STATE, title="")
await store.aclose()
print("continued")
"""


@posix
def test_a_failing_disk_is_reported_and_no_data_is_lost(path: Path) -> None:
    room = """
import resource, signal
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
make_room = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
"""
    said, *rest = run(room + FILL, "as myself", str(path))

    assert said == (
        f"The disk failed to read or write {path} (disk I/O error). It may be full or unavailable. Free some space, or"
        " set RESPONSES_MCP_STORE to another file, or to off."
    )
    assert rest == ["True True", "continued"]


@posix
def test_a_full_disk_is_reported_and_no_data_is_lost(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may make a small disk")
    try:
        path = disk / "store.db"
        room = "make_room = lambda: os.remove(os.path.join(os.path.dirname(sys.argv[2]), 'ballast'))"
        (disk / "ballast").write_bytes(bytes(1_000_000))
        said, *rest = run(f"{room}\n{FILL}", "as myself", str(path))
    finally:
        subprocess.run(["umount", str(disk)], check=True)

    assert said == (
        f"The disk of {path} is full. Free some space, or set RESPONSES_MCP_STORE to another file, or to off."
    )
    assert rest == ["True True", "continued"]


@pytest.mark.slow
async def test_after_one_call_has_waited_for_a_lock_the_next_ones_wait_briefly(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await filled(path)).aclose()
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 3.0)
    monkeypatch.setattr(sqlite, "_BRIEFLY_SECONDS", 0.001)
    store = open_store(str(path))
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    waited = []
    for number in range(4):
        began = anyio.current_time()
        assert await store.conversation("conv") is not None, "readers do not wait"
        with pytest.raises(StoreError, match="locked"):
            await store.add_turn("conv", a_turn(2 + number), STATE, title="")
        waited.append(anyio.current_time() - began)
    holder.execute("ROLLBACK")
    await store.add_turn("conv", a_turn(2), STATE, title="")
    holder.close()
    await store.aclose()

    assert waited[0] >= 3
    assert sum(waited[1:]) < 3


def test_the_timeout_is_brief_after_a_failure_until_a_call_succeeds_or_time_has_passed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(sql_store, "monotonic", lambda: now)
    timeout = sql_store.WaitTimeout(5.0, 0.2)
    seconds = [timeout.seconds]
    timeout.record_failure()
    seconds.append(timeout.seconds)
    now += 20
    timeout.record_failure()  # a call with a brief timeout, which does not count
    now += 20
    seconds.append(timeout.seconds)
    timeout.record_failure()
    seconds.append(timeout.seconds)
    timeout.record_success()
    seconds.append(timeout.seconds)
    assert seconds == [5.0, 0.2, 5.0, 0.2, 5.0]


@posix
@pytest.mark.parametrize("end", ["", "-wal", "-shm"])
@pytest.mark.parametrize("behind_link", [False, True])
async def test_a_path_that_is_not_a_regular_file_is_refused_and_unchanged(
    path: Path, end: str, behind_link: bool
) -> None:
    path.parent.mkdir()
    pipe = path.with_name("pipe") if behind_link else path.with_name(path.name + end)
    os.mkfifo(pipe, 0o666)
    pipe.chmod(0o666)
    if behind_link:
        path.with_name(path.name + end).symlink_to(pipe)
    store = open_store(str(path))

    with anyio.fail_after(DEADLINE_SECONDS), pytest.raises(StoreError, match="device, pipe or socket"):
        await store.add_turn("conv", a_turn(1), STATE, title="")

    assert oct(pipe.stat().st_mode & 0o777) == "0o666"
    await store.aclose()
