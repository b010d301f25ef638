"""Tests hold on a busy machine: what they wait for has the harness's generous deadline, and none of their own."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SHORT_SECONDS = 100
"""A number below this is a deadline that a busy machine misses."""


def _number(node: ast.expr | None) -> float | None:
    """The number that is written there, if one is."""
    value = node.value if isinstance(node, ast.Constant) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def tight_deadlines(source: str) -> Iterator[int]:
    """Yield the line of each deadline written as a small number.

    What ends by itself is no deadline: ``move_on_after`` without a raise, a poll of less than a second.
    """
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        first = _number(node.args[0]) if node.args else None
        limits = [_number(keyword.value) for keyword in node.keywords if keyword.arg == "timeout"]
        if name in ("fail_after", "wait"):
            limits.append(first)
        if any(limit is not None and 1 <= limit < SHORT_SECONDS for limit in limits):
            yield node.lineno


@pytest.mark.parametrize(
    "source",
    ["anyio.fail_after(10)", "process.wait(5)", "subprocess.run([], timeout=30)", "httpx.AsyncClient(timeout=5.0)"],
)
def test_a_tight_deadline_is_found(source: str) -> None:
    assert list(tight_deadlines(source)) == [1]


def test_no_test_has_a_tight_deadline_of_its_own() -> None:
    found = [
        f"{file.relative_to(HERE).as_posix()}:{line}"
        for file in sorted(HERE.rglob("*.py"))
        for line in tight_deadlines(file.read_text(encoding="utf-8"))
    ]
    assert found == [], "take DEADLINE_SECONDS of harness.deadlines, or set the clock with harness.clock"
