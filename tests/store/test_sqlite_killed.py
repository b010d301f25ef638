"""``kill -9`` during writes: no acknowledged turn is lost, and the file is not damaged."""

import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from databricks_responses_mcp.store.factory import open_store

pytestmark = pytest.mark.anyio

CHILD = Path(__file__).parents[1] / "harness" / "store_child.py"


def killed_after(path: Path, lines: int, turns: int) -> list[int]:
    """Kill a process that appends turns once it has acknowledged ``lines`` of them; return all that it acknowledged."""
    child = subprocess.Popen(
        [sys.executable, str(CHILD), "append", str(path), str(turns)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == "ready\n"
        read = [line for _ in range(lines) if (line := child.stdout.readline())]
        child.kill()
        return [int(line) for line in [*read, *child.stdout]]


async def stored_turns(path: Path) -> list[int]:
    store = open_store(str(path))
    read = await store.conversation("conv")
    await store.aclose()
    return [turn.number for turn in read.turns] if read else []


async def survive(path: Path, kills: int, turns: int) -> None:
    acknowledged, chance, had_to_go_on = 0, random.Random(5), 0
    for _ in range(kills):
        said = killed_after(path, chance.randrange(turns // kills), turns)
        acknowledged = max([acknowledged, *said])
        found = await stored_turns(path)
        assert found == list(range(1, len(found) + 1))
        assert acknowledged <= len(found) <= acknowledged + 1
        had_to_go_on += len(found) < turns
        with sqlite3.connect(path) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        connection.close()
    assert had_to_go_on > kills // 2, "most were killed while they wrote"


async def test_a_killed_process_loses_no_acknowledged_turn(tmp_path: Path) -> None:
    await survive(tmp_path / "store.db", kills=3, turns=200)


@pytest.mark.slow
async def test_forty_kills_in_200_turns_lose_no_turn_and_damage_nothing(tmp_path: Path) -> None:
    await survive(tmp_path / "store.db", kills=40, turns=200)
