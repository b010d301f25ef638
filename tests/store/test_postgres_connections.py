"""Connections to PostgreSQL: opened when needed, few, replaced after a loss, encrypted; errors show no password."""

import signal
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import TypeVar

import anyio
import psycopg
import pytest
from anyio.abc import SocketStream
from inline_snapshot import snapshot

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.store import postgres_pool
from databricks_responses_mcp.store.factory import open_store
from databricks_responses_mcp.store.interface import SignIn, Store, StoreError
from databricks_responses_mcp.store.records import Admission, AdmissionRequest, RequestLimits
from databricks_responses_mcp.store.schema import VERSION
from harness.deadlines import DEADLINE_SECONDS
from harness.lossy_connection import lossy_connection
from harness.postgres_server import PostgresServer, postgres_server
from harness.round_trips import counted_round_trips
from harness.store_records import STATE, a_job, a_turn, a_usage
from harness.tls_front import tls_front

pytestmark = pytest.mark.anyio
T = TypeVar("T")

OURS = "FROM pg_stat_activity WHERE application_name = 'databricks-responses-mcp' AND datname = current_database()"


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.new_database()


@pytest.fixture
def admin(url: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """Open another connection to the database of `url`."""
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def one(admin: psycopg.Connection[tuple[object, ...]], sql: str) -> object:
    row = admin.execute(sql.encode()).fetchone()
    assert row is not None
    return row[0]


async def until(admin: psycopg.Connection[tuple[object, ...]], sql: str) -> None:
    with anyio.fail_after(DEADLINE_SECONDS):
        while not one(admin, sql):
            await anyio.lowlevel.checkpoint()


async def refusal(store: Store) -> str:
    with pytest.raises(StoreError) as refused:
        await store.add_turn("conv", a_turn(1), STATE, title="")
    await store.aclose()
    return str(refused.value)


@pytest.mark.slow
async def test_dropped_connections_are_replaced(url: str, admin: psycopg.Connection[tuple[object, ...]]) -> None:
    store = open_store(url)
    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(store.conversations)
    admin.execute(f"SELECT pg_terminate_backend(pid, 5000) {OURS}".encode())

    await store.add_turn("conv", a_turn(1), STATE, title="")

    assert await store.count_conversations() == 1
    await store.aclose()


async def test_a_connection_that_the_server_has_ended_is_not_used(
    url: str, admin: psycopg.Connection[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing is run again on a new connection.
    monkeypatch.setattr(postgres_pool, "_NEW_CONNECTIONS", 0)
    store = open_store(url)
    await store.add_turn("conv", a_turn(1), STATE, title="")
    admin.execute(f"SELECT pg_terminate_backend(pid, 5000) {OURS}".encode())

    await store.add_turn("conv", a_turn(2), STATE, title="")

    await store.aclose()


async def test_a_transaction_whose_connection_is_lost_is_run_once_more(
    url: str, admin: psycopg.Connection[tuple[object, ...]]
) -> None:
    store = open_store(url)
    await store.add_turn("conv", a_turn(1), STATE, title="")

    with psycopg.connect(url) as holder:
        holder.execute("SELECT 1 FROM databricks_responses_mcp.conversations FOR UPDATE")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: store.add_turn("conv", a_turn(2), STATE, title="", usage=a_usage()))
            await until(admin, f"SELECT COUNT(*) = 1 {OURS} AND wait_event_type = 'Lock'")
            admin.execute(f"SELECT pg_terminate_backend(pid) {OURS}".encode())
            await until(admin, f"SELECT COUNT(*) = 1 {OURS} AND wait_event_type = 'Lock'")
            holder.rollback()

    read = await store.conversation("conv")
    assert read is not None
    assert ([turn.number for turn in read.turns], await store.tokens_on_day(1.0)) == ([1, 2], 15)
    await store.aclose()


async def test_a_transaction_that_loses_two_new_connections_is_reported_after_a_while(
    url: str, admin: psycopg.Connection[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_pool, "_RECONNECT_SECONDS", 0.0)
    store = open_store(url)
    await store.add_turn("conv", a_turn(1), STATE, title="")
    await store.aclose()
    said = []

    async def add() -> None:
        with pytest.raises(StoreError) as refused:
            await store.add_turn("conv", a_turn(2), STATE, title="")
        said.append(str(refused.value))

    with psycopg.connect(url) as holder:
        holder.execute("SELECT 1 FROM databricks_responses_mcp.conversations FOR UPDATE")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(add)
            for _ in range(2):
                await until(admin, f"SELECT COUNT(*) = 1 {OURS} AND wait_event_type = 'Lock'")
                admin.execute(f"SELECT pg_terminate_backend(pid, 5000) {OURS}".encode())

    assert "cannot be reached (terminating connection due to administrator command)" in said[0]
    await store.add_turn("conv", a_turn(2), STATE, title="")
    await store.aclose()


async def test_a_call_waits_for_one_of_the_connections_only_for_a_while(
    url: str, admin: psycopg.Connection[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_pool, "_WAIT_SECONDS", 0.2)
    store = open_store(url, connections=2)
    await store.add_turn("conv", a_turn(1), STATE, title="")

    with psycopg.connect(url) as holder:
        holder.execute("SELECT 1 FROM databricks_responses_mcp.conversations FOR UPDATE")
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(store.set_state, "conv", STATE)
            await until(admin, f"SELECT COUNT(*) = 2 {OURS} AND wait_event_type = 'Lock'")
            with pytest.raises(StoreError) as refused:
                await store.count_conversations()
            holder.rollback()

    assert str(refused.value) == (
        f"All 2 connections to PostgreSQL at 127.0.0.1/{url.rpartition('/')[2]} were in use for 0.2 seconds. Try again."
        " RESPONSES_MCP_SERVICE_DATABASE_CONNECTIONS allows more."
    )
    assert await store.count_conversations() == 1
    await store.aclose()


async def test_brief_calls_need_no_thread_while_all_threads_are_busy(url: str) -> None:
    store = open_store(url)
    await store.conversations()
    threads = anyio.to_thread.current_default_thread_limiter()
    workers = [object() for _ in range(int(threads.total_tokens))]
    for worker in workers:
        threads.acquire_on_behalf_of_nowait(worker)
    try:
        with anyio.fail_after(DEADLINE_SECONDS):
            await store.add_usage(a_usage())
            assert (await store.claim_key("key", "print", "job", 1.0)).mine
            assert await store.tokens_on_day(1.0) == 15
    finally:
        for worker in workers:
            threads.release_on_behalf_of(worker)
    await store.aclose()


async def test_idle_connections_are_closed_without_another_call(
    url: str, admin: psycopg.Connection[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_pool, "_IDLE_SECONDS", 0.05)
    store = open_store(url)
    async with anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(store.put_text, f"text-{number}", "x", 1.0)

    await until(admin, f"SELECT COUNT(*) = 0 {OURS}")
    assert await store.text("text-3") == "x"
    await store.aclose()


async def test_a_statement_that_fails_leaves_nothing_that_users_wrote_in_the_log_of_the_server(
    url: str, postgres: PostgresServer, admin: psycopg.Connection[tuple[object, ...]]
) -> None:
    store = open_store(url)
    said = [{"role": "user", "content": "LOGGED-WORD"}]
    await store.add_turn("conv", a_turn(1), STATE, title="")
    await store.put_job(a_job())
    await store.put_text("text", "short", 1.0)
    writes: list[Callable[[], Awaitable[object]]] = [
        lambda: store.add_turn("conv", replace(a_turn(2), said=said), STATE, title="LOGGED-WORD"),
        lambda: store.set_state("conv", replace(STATE, parameters={"instructions": "LOGGED-WORD"})),
        lambda: store.put_job(a_job(structured={"text": "LOGGED-WORD"})),
        lambda: store.beat_job("job-1", 2.0, {"text": "LOGGED-WORD"}),
        lambda: store.ask_in_job("job-1", {"question": "LOGGED-WORD"}),
        lambda: store.put_text("text", "LOGGED-WORD", 2.0),
        lambda: store.count_conversations(contains="LOGGED-WORD"),
        lambda: store.conversations(contains="LOGGED-WORD"),
    ]
    failed = []

    async def fail(write: Callable[[], Awaitable[object]]) -> None:
        with pytest.raises(StoreError) as refused:
            await write()
        failed.append(str(refused.value))

    with psycopg.connect(url) as holder:
        for table in ("conversations", "states", "jobs", "texts"):
            holder.execute(f"LOCK TABLE databricks_responses_mcp.{table} IN ACCESS EXCLUSIVE MODE".encode())
        for write in writes:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(fail, write)
                await until(admin, f"SELECT COUNT(*) = 1 {OURS} AND wait_event_type = 'Lock'")
                admin.execute(f"SELECT pg_cancel_backend(pid) {OURS} AND wait_event_type = 'Lock'".encode())

    assert len(failed) == len(writes)
    assert all("canceling statement" in reason for reason in failed), failed
    log = postgres.log.read_text(encoding="utf-8", errors="replace")
    assert "canceling statement due to user request" in log
    assert "LOGGED-WORD" not in log
    await store.aclose()


async def test_a_short_transaction_takes_one_or_two_round_trips(url: str, postgres: PostgresServer) -> None:
    request = AdmissionRequest(
        admission_id="admission", call_id="call", least_tokens=1, wanted_tokens=100, lease_seconds=60.0
    )
    limits = RequestLimits(tokens_per_day=1000)
    async with counted_round_trips(postgres.port) as (port, trips):
        store = open_store(url.replace(f":{postgres.port}/", f":{port}/"))
        await store.count_conversations()
        trips.take()
        counted: dict[str, int] = {}

        async def counting(name: str, call: Awaitable[T]) -> T:
            result = await call
            counted[name] = trips.take()
            return result

        await counting("first turn", store.add_turn("conv", a_turn(1), STATE, title="", usage=a_usage()))
        await counting("next turn", store.add_turn("conv", a_turn(2), STATE, title="", usage=a_usage()))
        await counting("state", store.set_state("conv", STATE))
        await counting("conversation", store.conversation("conv"))
        await counting("usage", store.add_usage(a_usage()))
        await counting("job", store.put_job(a_job()))
        await counting("heartbeat", store.beat_job("job-1", 2.0, None))
        await counting("audit", store.add_audit_record(1.0, {"tool": "ask"}))
        admission = await counting("admission", store.admit_request(request, limits, limits))
        assert isinstance(admission, Admission)
        await counting("settlement", store.settle_request(admission, 30))
        await counting("text", store.put_text("text", "short", 1.0))
        await counting("long text", store.put_text("text", "long" * 100_000, 1.0))
        await store.aclose()

    assert counted == snapshot(
        {
            "first turn": 1,
            "next turn": 1,
            "state": 4,
            "conversation": 4,
            "usage": 2,
            "job": 4,
            "heartbeat": 4,
            "audit": 2,
            "admission": 4,
            "settlement": 2,
            "text": 4,
            "long text": 4,
        }
    )


@pytest.mark.parametrize("size", [1, 100_000])
@pytest.mark.parametrize("setting", ["standard_conforming_strings = off", "client_encoding = SJIS"])
async def test_texts_are_stored_unchanged_whatever_the_settings_of_the_database(
    url: str, admin: psycopg.Connection[tuple[object, ...]], size: int, setting: str
) -> None:
    admin.execute(f"ALTER DATABASE {one(admin, 'SELECT current_database()')} SET {setting}".encode())
    text = (
        "'); DROP TABLE turns; -- \\' \" %s %% %(x)s ? :x @turns $1 E'\\\\' /* \u8868 \u00a5 \U0001f433 \x00 \r\n"
        * size
    )
    said = [{"role": "user", "content": text}]
    store = open_store(url)

    await store.add_turn("c'onv\\", replace(a_turn(1), said=said, items=said), STATE, title=text[:100])

    read = await store.conversation("c'onv\\")
    assert read is not None
    assert [(turn.said, turn.items) for turn in read.turns] == [(said, said)]
    await store.aclose()


@pytest.mark.parametrize("commits", [True, False])
async def test_a_turn_is_stored_once_if_the_answer_to_its_commit_is_lost(
    url: str, postgres: PostgresServer, commits: bool
) -> None:
    async with lossy_connection(postgres.port, "COMMIT\0", "add_turn(", reaches_server=commits) as (port, lose):
        store = open_store(url.replace(f":{postgres.port}/", f":{port}/"))
        await store.add_turn("conv", a_turn(1), STATE, title="")
        lose.set()
        await store.add_turn("conv", a_turn(2), STATE, title="", usage=a_usage())
        assert not lose.is_set(), "it was lost"

        read = await store.conversation("conv")
        assert read is not None
        assert ([turn.number for turn in read.turns], await store.tokens_on_day(1.0)) == ([1, 2], 15)
        await store.aclose()


async def test_a_turn_is_stored_once_if_its_lost_transaction_still_runs(
    url: str, postgres: PostgresServer, admin: psycopg.Connection[tuple[object, ...]]
) -> None:
    async with lossy_connection(postgres.port, "COMMIT\0", "add_turn(", reaches_server=True, is_answered=False) as (
        port,
        lose,
    ):
        store = open_store(url.replace(f":{postgres.port}/", f":{port}/"))
        await store.add_turn("conv", a_turn(1), STATE, title="")
        with psycopg.connect(url) as holder:
            holder.execute("SELECT 1 FROM databricks_responses_mcp.conversations FOR UPDATE")
            lose.set()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: store.add_turn("conv", a_turn(2), STATE, title="", usage=a_usage()))
                await until(admin, f"SELECT COUNT(*) = 2 {OURS} AND wait_event_type = 'Lock'")
                holder.rollback()
        assert not lose.is_set(), "it was lost"

        read = await store.conversation("conv")
        assert read is not None
        assert ([turn.number for turn in read.turns], await store.tokens_on_day(1.0)) == ([1, 2], 15)
        await store.aclose()


@pytest.mark.parametrize("commits", [True, False])
async def test_each_write_is_made_once_if_a_crashed_server_gave_the_id_of_its_transaction_to_another(
    url: str, postgres: PostgresServer, admin: psycopg.Connection[tuple[object, ...]], commits: bool
) -> None:
    # As after a crash: another transaction with each id was committed.
    admin.execute("CREATE FUNCTION public.txid_status(bigint) RETURNS text LANGUAGE sql AS $$SELECT 'committed'$$")
    admin.execute(
        f"ALTER DATABASE {one(admin, 'SELECT current_database()')} SET search_path = public, pg_catalog".encode()
    )
    request = AdmissionRequest(
        admission_id="admission", call_id="call", least_tokens=1, wanted_tokens=100, lease_seconds=60.0
    )
    limits = RequestLimits(tokens_per_day=1000)
    async with lossy_connection(postgres.port, "COMMIT\0", "add_turn(", reaches_server=commits) as (port, lose):
        store = open_store(url.replace(f":{postgres.port}/", f":{port}/"))
        await store.add_turn("old", a_turn(1), STATE, title="")

        async def lossy(write: Awaitable[T]) -> T:
            lose.set()
            result = await write
            assert not lose.is_set(), "it was lost"
            return result

        await lossy(store.add_turn("new", a_turn(1), STATE, title=""))
        deleted = await lossy(store.delete_conversations(["old"]))
        await lossy(store.put_job(a_job()))
        claim = await lossy(store.claim_key("key", "print", "job-1", 1.0))
        await lossy(store.put_text("text", "long", 1.0))
        await lossy(store.add_usage(a_usage()))
        await lossy(store.add_audit_record(1.0, {"tool": "ask"}))
        admission = await lossy(store.admit_request(request, limits, RequestLimits()))
        assert isinstance(admission, Admission)
        reserved = one(admin, "SELECT tokens FROM databricks_responses_mcp.limit_scopes")
        await lossy(store.settle_request(admission, 30))

        assert {
            "deleted": deleted,
            "conversations": [found.conversation_id for found in await store.conversations()],
            "job": getattr(await store.job("job-1"), "job_id", None),
            "claimed": (claim.mine, (await store.claim_key("key", "print", "job-2", 2.0)).job_id),
            "text": await store.text("text"),
            "tokens": await store.tokens_on_day(1.0),
            "audit": one(admin, "SELECT COUNT(*) FROM databricks_responses_mcp.audit"),
            "reserved, used": (reserved, one(admin, "SELECT tokens FROM databricks_responses_mcp.limit_scopes")),
        } == {
            "deleted": ["old"],
            "conversations": ["new"],
            "job": "job-1",
            "claimed": (True, "job-1"),
            "text": "long",
            "tokens": 15,
            "audit": 1,
            "reserved, used": (100, 30),
        }
        await store.aclose()


async def test_a_lost_commit_that_cannot_be_looked_up_is_reported(
    url: str, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_pool, "_COMMIT_SECONDS", 0.3)
    async with lossy_connection(postgres.port, "COMMIT\0", "add_turn(", reaches_server=True, for_good=True) as (
        port,
        lose,
    ):
        store = open_store(url.replace(f":{postgres.port}/", f":{port}/"))
        await store.add_turn("conv", a_turn(1), STATE, title="")
        lose.set()
        with pytest.raises(StoreError) as refused:
            await store.add_turn("conv", a_turn(2), STATE, title="")
        await store.aclose()

    assert str(refused.value).endswith("whether it was made cannot be found out. Look before you try again.")


@pytest.mark.skipif(sys.platform == "win32", reason="the server is stopped otherwise there")
async def test_calls_survive_a_restart_of_the_server() -> None:
    with postgres_server() as server:
        url = server.new_database()
        stores = [open_store(url, owner=f"{number}", connections=3) for number in range(2)]
        acknowledged: set[tuple[int, str]] = set()
        stop = anyio.Event()
        workers = [(number, worker) for number in range(2) for worker in range(3)]
        more: dict[tuple[int, int], anyio.Semaphore] = {}

        async def add(number: int, worker: int) -> None:
            while not stop.is_set():
                conversation_id = f"conv-{worker}-{len(acknowledged)}"
                await stores[number].add_turn(conversation_id, a_turn(1), STATE, title="")
                assert await stores[number].conversation(conversation_id) is not None
                acknowledged.add((number, conversation_id))
                more[number, worker].release()

        async def each_adds_some() -> None:
            # A call survives one restart: the next one is only for calls that have begun after the one before.
            more.update({worker: anyio.Semaphore(0) for worker in workers})
            with anyio.fail_after(DEADLINE_SECONDS):
                for worker in workers:
                    for _ in range(5):
                        await more[worker].acquire()

        async with anyio.create_task_group() as tasks:
            more.update({worker: anyio.Semaphore(0) for worker in workers})
            for worker in workers:
                tasks.start_soon(add, *worker)
            for how in (signal.SIGINT, signal.SIGQUIT):
                await each_adds_some()
                await anyio.to_thread.run_sync(server.restart, how)
            await each_adds_some()
            stop.set()

        kept = [await store.conversations(limit=100_000) for store in stores]
        assert {(number, found.conversation_id) for number, some in enumerate(kept) for found in some} == acknowledged
        for store in stores:
            await store.aclose()


async def test_a_cancelled_call_leaves_no_connection_or_lock_on_the_server(
    url: str, admin: psycopg.Connection[tuple[object, ...]]
) -> None:
    store = open_store(url)
    await store.add_turn("conv", a_turn(1), STATE, title="")

    with psycopg.connect(url) as holder, anyio.fail_after(DEADLINE_SECONDS):
        holder.execute("SELECT 1 FROM databricks_responses_mcp.conversations FOR UPDATE")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(store.set_state, "conv", replace(STATE, endpoint="other"))
            await until(admin, f"SELECT COUNT(*) = 1 {OURS} AND wait_event_type = 'Lock'")
            tasks.cancel_scope.cancel()

    await until(admin, f"SELECT COUNT(*) = 0 {OURS}")
    read = await store.conversation("conv")
    assert read is not None
    assert read.state == STATE
    await store.aclose()


async def test_a_turn_is_either_stored_or_not_once_its_cancelled_call_has_ended(
    url: str, admin: psycopg.Connection[tuple[object, ...]]
) -> None:
    store = open_store(url)
    await store.add_turn("conv", a_turn(1), STATE, title="")

    with anyio.fail_after(DEADLINE_SECONDS):
        async with anyio.create_task_group() as tasks:
            with psycopg.connect(url) as holder:
                holder.execute("SELECT 1 FROM databricks_responses_mcp.conversations FOR UPDATE")
                tasks.start_soon(lambda: store.add_turn("conv", a_turn(2), STATE, title=""))
                await until(admin, f"SELECT COUNT(*) = 1 {OURS} AND wait_event_type = 'Lock'")
                tasks.cancel_scope.cancel()

    assert one(admin, "SELECT MAX(number) FROM databricks_responses_mcp.turns") == 2
    await store.aclose()


async def test_many_calls_share_few_connections_and_closing_ends_them(
    url: str, admin: psycopg.Connection[tuple[object, ...]]
) -> None:
    store = open_store(url)
    async with anyio.create_task_group() as tasks:
        for number in range(40):
            tasks.start_soon(store.claim_key, f"key-{number}", "print", "job", 1.0)

    assert 1 <= int(str(one(admin, f"SELECT COUNT(*) {OURS}"))) <= 4
    await store.aclose()
    await until(admin, f"SELECT COUNT(*) = 0 {OURS}")


async def test_each_connection_uses_a_fresh_password(
    url: str, postgres: PostgresServer, admin: psycopg.Connection[tuple[object, ...]]
) -> None:
    asked: list[str] = []

    async def sign_in() -> SignIn:
        asked.append("no+secret@all" if asked else "expired-token")
        return SignIn(password=asked[-1])

    store = open_store(url.replace(f":{postgres.password}@", "@"), sign_in=sign_in)
    with pytest.raises(StoreError) as refused:
        await store.conversations()
    assert "password authentication failed" in str(refused.value)
    assert "expired-token" not in "".join(traceback.format_exception(refused.value))

    await store.conversations()
    await store.conversations()
    assert len(asked) == 2
    admin.execute(f"SELECT pg_terminate_backend(pid, 5000) {OURS}".encode())
    await store.conversations()
    assert len(asked) == 3
    await store.aclose()


async def test_a_failure_to_get_a_password_is_reported(url: str) -> None:
    async def sign_in() -> SignIn:
        raise BridgeError(ErrorCode.UNAUTHENTICATED, "The login has expired.", "Log in again.")

    said = await refusal(open_store(url, sign_in=sign_in))

    assert said.startswith("There is no password for PostgreSQL at 127.0.0.1/test_")
    assert said.endswith(": The login has expired. Log in again.")


SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    "broken",
    [
        "postgresql://me:{secret}@127.0.0.1:{port}/postgres",
        "postgresql://me:{secret}@127.0.0.1:1/postgres",
        "postgresql://me:{secret}@127.0.0.1:{secret}/postgres",
        "postgresql://me:{secret}@[::1/postgres",
        "postgresql://me:{secret}@127.0.0.1/postgres?{secret}=x",
        "postgresql://me:x%zz{secret}@127.0.0.1/postgres",
        "postgresql://me:{secret}@127.0.0.1/postgres?sslmode={secret}",
        "postgresql://me:{secret}@no.such.host.invalid/postgres",
    ],
)
async def test_no_error_contains_the_password(postgres: PostgresServer, broken: str) -> None:
    store = open_store(broken.format(secret=SECRET, port=postgres.port))

    with pytest.raises(StoreError) as refused:
        await store.conversations()

    told = "".join(traceback.format_exception(refused.value)) + repr(store)
    assert SECRET not in told.replace(__file__, "")
    assert str(refused.value).count(". ") >= 1, "it says what happened and what to do"


async def test_tls_is_required_of_other_machines_unless_the_url_says_otherwise(url: str) -> None:
    elsewhere = url.replace("@127.0.0.1:", "@db.example:") + "?hostaddr=127.0.0.1"

    said = await refusal(open_store(elsewhere))
    plain = open_store(f"{elsewhere}&sslmode=disable")

    assert "server does not support SSL, but SSL was required" in said
    assert said.endswith("and that it supports TLS, or else set sslmode.")
    await plain.add_turn("conv", a_turn(1), STATE, title="")
    await plain.aclose()


async def test_tls_and_certificate_checks_follow_the_url(url: str, postgres: PostgresServer) -> None:
    async with tls_front("db.example", postgres.port) as front:
        elsewhere = url.replace(f"@127.0.0.1:{postgres.port}", f"@db.example:{front.port}") + "?hostaddr=127.0.0.1"
        encrypted = open_store(elsewhere)
        await encrypted.add_turn("conv", a_turn(1), STATE, title="")
        await encrypted.aclose()
        checked = open_store(f"{elsewhere}&sslmode=verify-full&sslrootcert={front.certificate}")
        assert await checked.count_conversations() == 1
        await checked.aclose()
        other_name = elsewhere.replace("@db.example", "@other.example")
        said = await refusal(open_store(f"{other_name}&sslmode=verify-full&sslrootcert={front.certificate}"))

    assert 'does not match host name "other.example"' in said


async def test_a_server_that_never_answers_leads_to_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_pool, "_DEADLINE_SECONDS", 0.2)
    held = anyio.Event()

    async def hold(stream: SocketStream) -> None:
        async with stream:
            await held.wait()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, hold)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)

        assert await refusal(open_store(f"postgresql://me@127.0.0.1:{port}/db")) == (
            "PostgreSQL at 127.0.0.1/db did not answer in 0.2 seconds. Try again; check that it runs and is reachable."
        )
        held.set()
        tasks.cancel_scope.cancel()


async def test_without_the_driver_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)

    assert await refusal(open_store("postgresql://me@127.0.0.1/db")) == (
        "RESPONSES_MCP_STORE names a PostgreSQL database, and the driver for it is not installed."
        " Install it: pip install 'databricks-responses-mcp[postgres]'."
    )


async def test_the_error_for_a_newer_schema_advises_an_upgrade(
    url: str, admin: psycopg.Connection[tuple[object, ...]]
) -> None:
    store = open_store(url)
    await store.conversations()
    await store.aclose()
    admin.execute("UPDATE databricks_responses_mcp.schema_version SET version = version + 1")

    assert f"written by a newer databricks-responses-mcp (schema {VERSION + 1}" in await refusal(open_store(url))


async def test_a_user_without_the_right_to_create_a_schema_can_use_an_existing_one(
    url: str, postgres: PostgresServer, admin: psycopg.Connection[tuple[object, ...]]
) -> None:
    user = url.rpartition("/")[2].replace("test", "user")
    admin.execute(f"CREATE ROLE {user} LOGIN PASSWORD 'pw'".encode())
    theirs = url.replace(f"postgres:{postgres.password}@", f"{user}:pw@")

    said = await refusal(open_store(theirs))
    admin.execute(f"CREATE SCHEMA databricks_responses_mcp AUTHORIZATION {user}".encode())
    store = open_store(theirs)
    await store.add_turn("conv", a_turn(1), STATE, title="")

    assert said.endswith("Grant it CREATE on the database, or make it the owner of a schema databricks_responses_mcp.")
    await store.aclose()


async def test_a_read_only_server_is_reported(url: str, admin: psycopg.Connection[tuple[object, ...]]) -> None:
    database = url.rpartition("/")[2]
    admin.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on".encode())

    assert await refusal(open_store(url)) == (
        f"PostgreSQL at 127.0.0.1/{database} is read-only. Give RESPONSES_MCP_STORE the URL of the primary server."
    )


async def test_a_user_learns_of_a_refused_change_nothing_about_the_database(
    url: str, admin: psycopg.Connection[tuple[object, ...]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    store = open_store(url)
    hers = store.for_owner("ann")
    await hers.put_job(a_job())
    await hers.ask_in_job("job-1", {"question": {}})
    said = []

    async def answer() -> None:
        with pytest.raises(StoreError) as refused:
            await hers.answer_job("job-1", {"question": "yes"})
        said.append(str(refused.value))

    with psycopg.connect(url) as sweep:
        sweep.execute("DELETE FROM databricks_responses_mcp.jobs")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answer)
            await until(admin, f"SELECT COUNT(*) = 1 {OURS} AND wait_event_type = 'Lock'")
            sweep.commit()

    assert said == snapshot(
        [
            (
                "the database of this service refused the change: another call changed or deleted the same data"
                " meanwhile. Look at it before you try again."
            )
        ]
    )
    assert "PostgreSQL at 127.0.0.1" in caplog.text
    await store.aclose()


async def test_damaged_data_in_the_database_is_reported(
    url: str, admin: psycopg.Connection[tuple[object, ...]]
) -> None:
    store = open_store(url)
    await store.add_turn("conv", a_turn(1), STATE, title="")
    admin.execute("UPDATE databricks_responses_mcp.turns SET items = '[{'")

    with pytest.raises(StoreError, match=r"The data in PostgreSQL at .* is damaged"):
        await store.conversation("conv")

    assert await store.count_conversations() == 1
    await store.aclose()
