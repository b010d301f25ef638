"""The store of conversations: a turn kept, a long list and a long conversation read, beside bare SQLite and json."""

import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import anyio

from benchmarks.measuring import Row, compare
from benchmarks.running import Run
from databricks_responses_mcp.store.factory import open_store
from databricks_responses_mcp.store.interface import Store
from databricks_responses_mcp.store.records import ConversationState, Turn

_ROUNDS, _TURNS, _CONVERSATIONS = 9, 200, 10_000
_TURN_MS, _LIST_MS, _LOAD_MS = 2.0, 50.0, 20.0
_STATE = ConversationState(endpoint="gpt", parameters={"instructions": "Answer briefly. " * 50})
_SAID = [{"role": "user", "content": "What is the capital of France? " * 10}]
_ITEMS = [
    {"type": "reasoning", "encrypted_content": "g" * 2000, "summary": []},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Paris. " * 300}]},
]


def steps(quick: bool) -> int:
    """How often progress is reported."""
    return 3 if quick else 2 * _ROUNDS + 1


def run(run: Run) -> list[Row]:
    """Keep a conversation turn by turn, in rounds of new files; then read it, and a list, several times."""
    return anyio.run(_measure, run)


async def _measure(run: Run) -> list[Row]:
    rounds, turns, conversations = (1, 100, 2000) if run.quick else (_ROUNDS, _TURNS, _CONVERSATIONS)
    kept, bare, waited = [], [], []
    for number in range(rounds):
        store = open_store(str(run.workdir / f"ours-{number}.db"))
        await store.conversations()
        started = perf_counter(), process_time()
        await _converse(store, "conv", turns)
        kept.append((process_time() - started[1]) * 1e3 / turns)
        waited.append((perf_counter() - started[0]) * 1e3 / turns)
        await store.aclose()
        bare.append(await anyio.to_thread.run_sync(_bare_inserts, run.workdir / f"bare-{number}.db", turns))
        run.advance()

    path = run.workdir / "list.db"
    store = open_store(str(path))
    await _converse(store, "long", turns)
    await anyio.to_thread.run_sync(_copy_conversations, path, conversations)
    run.advance()
    listed, selected, loaded, parsed = [], [], [], []
    for _ in range(rounds):
        listed.append(await _timed(lambda: store.conversations(limit=conversations)))
        selected.append(await anyio.to_thread.run_sync(_bare_select, path))
        loaded.append(await _timed(lambda: store.conversation("long")))
        parsed.append(await anyio.to_thread.run_sync(_bare_load, path))
        run.advance()
    await store.aclose()
    return [
        _row("CPU per turn kept", "sqlite3 + json: one INSERT, synced", kept, bare),
        _row("CPU per turn kept", "what it may cost", kept, [_TURN_MS] * rounds, 1),
        _row("time per turn kept", "its CPU", waited, kept),
        _row(f"time to list {conversations} conversations", "sqlite3: the same SELECT", listed, selected),
        _row(f"time to list {conversations} conversations", "what it may take", listed, [_LIST_MS] * rounds, 1),
        _row(f"time to load {turns} turns", "sqlite3 + json: the same rows", loaded, parsed),
        _row(f"time to load {turns} turns", "what it may take", loaded, [_LOAD_MS] * rounds, 1),
    ]


def _row(measure: str, beside: str, ours: list[float], floor: list[float], target: float | None = None) -> Row:
    return compare("store", measure, beside, "ms", ours, floor, target)


async def _converse(store: Store, conversation_id: str, turns: int) -> None:
    for number in range(1, turns + 1):
        turn = Turn(
            number=number,
            endpoint="gpt",
            model="gpt-5",
            said=_SAID,
            items=_ITEMS,
            status="completed",
            created_at=float(number),
            usage={"input_tokens": 100, "output_tokens": 50},
        )
        await store.add_turn(conversation_id, turn, _STATE, title="The capital of France")


def _bare_inserts(path: Path, turns: int) -> float:
    """Milliseconds of CPU per turn, for the least that keeps as much as safely."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE turns (number INTEGER PRIMARY KEY, said TEXT, items TEXT)")
        started = process_time()
        for number in range(1, turns + 1):
            row = number, json.dumps(_SAID), json.dumps(_ITEMS)
            connection.execute("INSERT INTO turns VALUES (?, ?, ?)", row)
        return (process_time() - started) * 1e3 / turns


def _copy_conversations(path: Path, count: int) -> None:
    """Fill the list: thousands that were made one by one would take minutes."""
    with closing(sqlite3.connect(path)) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(conversations)")]
        others = ", ".join(name for name in columns if name not in ("conversation_id", "updated_at"))
        connection.execute(
            f"INSERT INTO conversations (conversation_id, updated_at, {others}) WITH RECURSIVE numbers (n) AS"
            " (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)"
            f" SELECT printf('conv_%026d', n), n * 7919 % 100003, {others} FROM conversations, numbers",
            (count,),
        )
        connection.commit()


def _bare_select(path: Path) -> float:
    with closing(sqlite3.connect(path)) as connection:
        started = perf_counter()
        connection.execute("SELECT * FROM conversations ORDER BY updated_at DESC").fetchall()
        return (perf_counter() - started) * 1e3


def _bare_load(path: Path) -> float:
    with closing(sqlite3.connect(path)) as connection:
        started = perf_counter()
        for said, items in connection.execute("SELECT said, items FROM turns ORDER BY number"):
            json.loads(said)
            json.loads(items)
        return (perf_counter() - started) * 1e3


async def _timed(call: Callable[[], Awaitable[Any]]) -> float:
    """Milliseconds: the better of three, for other work on the machine only ever adds."""
    times = []
    for _ in range(3):
        started = perf_counter()
        await call()
        times.append((perf_counter() - started) * 1e3)
    return min(times)
