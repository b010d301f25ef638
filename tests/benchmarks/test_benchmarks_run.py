"""The benchmarks run: each, made as small as it gets, completes and prints its table. No number is asserted."""

import json
import subprocess
import sys
from math import isfinite
from pathlib import Path
from xml.etree import ElementTree

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
    "store-off": "CPU per call",
    "growth": "CPU, 1,000 conversations",
    "http": "CPU per call, 2026-07-28, 16 in flight",
    "sweep": "what is kept",
    "endurance": "of httpx, sqlite3, PIL, loaded for tools/list",
}


def benchmarks(*arguments: str, program: str = "benchmarks") -> str:
    done = subprocess.run(
        [sys.executable, "-m", program, "--quick", *arguments],
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


FITTED = """
from benchmarks.measuring import fitted_exponent
sizes = (10, 100, 1000)
print([fitted_exponent(sizes, [5 + 0.001 * size**k for size in sizes]) for k in (1.0, 1.5, 2.0)])
print([fitted_exponent(sizes, [3.0, 3.1, 2.9])])
"""
DRAWN = """
from benchmarks.measuring import Curve
from benchmarks.plots import svg
print(svg(Curve("calls", "CPU & more", "calls", "ms", "a <floor>", (10, 100, 1000), (4.1, 5, 14), (2, 4, 30))))
"""


def printed_by(code: str) -> str:
    # In a process of its own: here the name of the package is that of this folder.
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, encoding="utf-8").stdout


def test_the_exponent_of_a_curve_does_not_depend_on_what_every_call_costs() -> None:
    growing, constant = map(json.loads, printed_by(FITTED).splitlines())

    assert growing == [pytest.approx(k, abs=0.02) for k in (1.0, 1.5, 2.0)]
    assert constant == [0.0]


def test_a_plot_shows_each_point_of_both_sides() -> None:
    drawn = ElementTree.fromstring(printed_by(DRAWN))

    names = [element.tag.rpartition("}")[2] for element in drawn.iter()]
    texts = {element.text for element in drawn.iter() if element.text}
    assert (names.count("circle"), names.count("polyline")) == (6, 2)
    assert {"bridge", "a <floor>", "10", "100", "1,000", "calls", "CPU & more: exponent 1.00"} <= texts


@pytest.mark.slow
def test_the_load_on_a_teams_service_completes_and_prints_its_table() -> None:
    rows = json.loads(benchmarks("--json", program="benchmarks.team"))["rows"]

    assert [row["benchmark"] for row in rows if row["measure"] == "CPU per call"] == [
        f"{number} in flight" for number in (1, 16, 64, 256)
    ]
    assert all(isfinite(row["ratio"]) for row in rows)
