"""The table, for people, for machines and for the README."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measuring import Curve, Row, machine
from benchmarks.plots import write_plots

README = Path(__file__).with_name("README.md")
_HEADINGS = ("benchmark", "measure", "beside", "ours", "floor", "ratio", "target", "met")
_END = "<!-- end of results -->"


def print_table(rows: Sequence[Row]) -> None:
    """Print the rows to stdout."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=machine(), title_justify="left")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right" if heading in ("ours", "floor", "ratio", "target") else "left")
    for row in rows:
        table.add_row(*_cells(row), style="red" if row.met is False else None)
    # Piped output has no width of its own, and a table folded at 80 columns is hard to read.
    Console(width=None if sys.stdout.isatty() else 180).print(table)


def as_json(rows: Sequence[Row]) -> str:
    """The rows as one JSON object."""
    return json.dumps({"machine": machine(), "rows": [{**asdict(row), "met": row.met} for row in rows]}, indent=2)


def publish(program: str, rows: Sequence[Row], curves: Sequence[Curve], load: str) -> None:
    """Put the rows and the plots in the README, in place of the ones of the same program.

    Args:
        program: the module that was run, such as ``benchmarks.team``.
        load: how busy the machine was.
    """
    write_plots(curves)
    text = README.read_text(encoding="utf-8")
    begin = f"<!-- results: python -m {program} --publish -->"
    before, rest = text.split(begin)
    after = rest.partition(_END)[2]
    lines = [f"| {' | '.join(cells)} |" for cells in (_HEADINGS, _RULE, *map(_cells, rows))]
    measured = f"Measured on {datetime.now(UTC):%Y-%m-%d}: {machine()}. {load}"
    plots = [f"![{curve.about}](plots/{curve.name}.svg)" for curve in curves]
    block = "\n".join([begin, "", measured, "", *lines, "", *plots, "", _END])
    README.write_text(f"{before}{block}{after}", encoding="utf-8")


_RULE = ("---", "---", "---", "---:", "---:", "---:", "---:", "---")


def _cells(row: Row) -> tuple[str, ...]:
    target = "" if row.target is None else f"≤ {row.target:g}"
    met = {None: "", True: "yes", False: "no"}[row.met]
    ours, floor = (f"{_number(value)} {row.unit}" for value in (row.ours, row.floor))
    return row.benchmark, row.measure, row.beside, ours, floor, f"{row.ratio:.2f}", target, met


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
