"""Going on with a conversation of 200 turns, beside the same request sent without the bridge."""

import json
import sqlite3
import statistics
from contextlib import closing
from pathlib import Path
from time import perf_counter, time
from typing import Any

import anyio

from benchmarks.canned import TEXT_MODEL
from benchmarks.measuring import Row, compare
from benchmarks.processes import BRIDGE, LEGACY, McpServer, server_environ, upstream
from benchmarks.running import Run
from databricks_responses_mcp.store.factory import open_store
from databricks_responses_mcp.store.records import ConversationState, Turn

_ROUNDS, _CALLS, _TURNS = 9, 6, 200
_BEYOND_MS = 20.0
_PATH = "/serving-endpoints/responses"
_DIRECT = "the same request by httpx and httpx-sse"
_MAY = "what it may take"


def steps(quick: bool) -> int:
    """How often progress is reported."""
    return 1 if quick else _ROUNDS


def run(run: Run) -> list[Row]:
    """Rounds of calls that go on with a conversation in memory, with others on disk, and that do without the bridge."""
    rounds, calls = (1, 2) if run.quick else (_ROUNDS, _CALLS)
    path = run.workdir / "conversations.db"
    anyio.run(fill, path, rounds * calls + 1, _TURNS)
    warm, cold, direct = [], [], []
    with upstream() as port:
        environ = {**server_environ(port, run.workdir), "RESPONSES_MCP_STORE": str(path)}
        with McpServer(BRIDGE, environ) as bridge, Direct(environ, _TURNS) as client:
            bridge.list_tools(LEGACY)
            for _ in range(1 if run.quick else 10):
                go_on(bridge, 0)
                client.ask()
            for number in range(rounds):
                of_this = range(1 + number * calls, 1 + (number + 1) * calls)
                direct.append(statistics.median(client.ask() for _ in of_this))
                warm.append(statistics.median(go_on(bridge, 0) for _ in of_this))
                cold.append(statistics.median(go_on(bridge, which) for which in of_this))
                run.advance()
    may = [_BEYOND_MS] * rounds
    beyond = {"in memory": warm, "on disk": cold}
    rows = [
        compare("continue", f"time, {_TURNS} turns {where}", _DIRECT, "ms", t, direct) for where, t in beyond.items()
    ]
    for where, times in beyond.items():
        more = [max(ours - theirs, 0.001) for ours, theirs in zip(times, direct, strict=True)]
        rows.append(compare("continue", f"time beyond it, {_TURNS} turns {where}", _MAY, "ms", more, may, 1))
    return rows


def go_on(bridge: McpServer, which: int) -> float:
    """Milliseconds of one call."""
    arguments = {"prompt": "And then?", "conversation_id": f"conv_{which}"}
    started = perf_counter()
    bridge.request("tools/call", {"name": "ask_databricks_model", "arguments": arguments})
    return (perf_counter() - started) * 1e3


class Direct:
    """A client without the bridge, which has the history already."""

    def __init__(self, environ: dict[str, str], turns: int) -> None:
        import httpx

        headers = {"authorization": f"Bearer {environ['DATABRICKS_TOKEN']}"}
        self._client = httpx.Client(base_url=environ["DATABRICKS_HOST"], headers=headers, timeout=60)
        said = [*_said(), *_items()] * turns
        self._body = {"model": TEXT_MODEL, "input": [*said, *_said()], "stream": True}

    def __enter__(self) -> "Direct":
        return self

    def __exit__(self, *exc: object) -> None:
        self._client.close()

    def ask(self) -> float:
        """Milliseconds of one request."""
        from httpx_sse import connect_sse

        started = perf_counter()
        with connect_sse(self._client, "POST", _PATH, json=self._body) as source:
            for sse in source.iter_sse():
                json.loads(sse.data)
        return (perf_counter() - started) * 1e3


async def fill(path: Path, conversations: int, turns: int) -> None:
    """Conversations as the bridge keeps them: one turn by its store, copied where the file lies."""
    store = open_store(str(path))
    state = ConversationState(endpoint=TEXT_MODEL, parameters={"instructions": "Answer briefly."})
    turn = Turn(
        number=1,
        endpoint=TEXT_MODEL,
        model="gpt-5",
        said=_said(),
        items=_items(),
        status="completed",
        created_at=time(),
        usage={"input_tokens": 100, "output_tokens": 50},
    )
    await store.add_turn("conv_0", turn, state, title="A long one")
    await store.aclose()
    await anyio.to_thread.run_sync(_copy, path, conversations, turns)


def _copy(path: Path, conversations: int, turns: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        _copy_rows(connection, "turns", "number", range(2, turns + 1), "?")
        connection.execute("UPDATE conversations SET turns = ?", (turns,))
        for table in ("conversations", "states", "turns"):
            _copy_rows(connection, table, "conversation_id", range(1, conversations), "'conv_' || ?")
        connection.commit()


def _copy_rows(connection: sqlite3.Connection, table: str, changed: str, values: range, becomes: str) -> None:
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    taken = ", ".join(becomes if name == changed else name for name in columns)
    rows = f"INSERT INTO {table} SELECT {taken} FROM {table} WHERE owner = '' AND conversation_id = 'conv_0'"
    one = " AND number = 1" if changed == "number" else ""
    connection.executemany(rows + one, [(value,) for value in values])


def _said() -> list[dict[str, Any]]:
    text = "What does the lake keep of what a stream brings? " * 4
    return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}]


def _items() -> list[dict[str, Any]]:
    part = {
        "type": "output_text",
        "text": "It keeps most of it, and says when each of them came. " * 12,
        "annotations": [],
    }
    return [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "g" * 1500},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]},
    ]
