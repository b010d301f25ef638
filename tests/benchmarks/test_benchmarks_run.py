"""The benchmarks run: each, made as small as it gets, completes and prints its table. No number is asserted."""

import json
import subprocess
import sys
from math import isfinite
from pathlib import Path

import pytest

from harness.deadlines import DEADLINE_SECONDS

ROOT = Path(__file__).parents[2]
MEASURES = {
    "start-up": "time to tools/list, 2026-07-28",
    "warm-call": "latency, p95",
    "in-flight": "calls a second (more is better)",
    "deltas": "CPU per 1000 deltas, 64 KiB a read",
    "picture": "time, stdio server",
    "store": "CPU per turn kept",
    "continue": "time beyond it, 200 turns on disk",
}


def benchmarks(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=DEADLINE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.replace("┃", "│").strip("│").split("│")]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "warm-call" else [pytest.mark.slow]) for name in MEASURES]
)
def test_a_benchmark_completes_and_prints_its_table(name: str) -> None:
    printed = benchmarks("--only", name)

    heading, *rows = [cells(line) for line in printed.splitlines() if line.startswith(("┃", "│"))]
    assert heading == ["benchmark", "measure", "beside", "ours", "floor", "ratio", "target", "met"]
    assert MEASURES[name] in [row[1] for row in rows]
    # A number: as the difference of two times, which a busy machine may turn round, it need not be above 0.
    assert all(isfinite(float(row[5])) for row in rows)


def test_results_come_as_json_for_machines() -> None:
    results = json.loads(benchmarks("--only", "deltas", "--json"))

    assert [(row["measure"], row["target"], row["met"] == (row["ratio"] <= 1.5)) for row in results["rows"]] == [
        ("CPU per 1000 deltas, one event a read", 1.5, True),
        ("CPU per 1000 deltas, 64 KiB a read", 1.5, True),
    ]
