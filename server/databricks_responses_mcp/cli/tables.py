"""Tables: coloured on a terminal, plain columns in a pipe."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from databricks_responses_mcp.cli.printing import write_out
from databricks_responses_mcp.cli.wrapping import columns_of
from databricks_responses_mcp.visible import visible

_GAP = 2
_LEAST = 8
_LEAST_PROSE = 16
"""Other columns are left out before a column of prose becomes narrower than this."""

_LEAST_BAR = 4
MAX_BAR_WIDTH = 20
"""In characters."""

_BLOCKS = " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table.

    Attributes:
        heading: shown in capitals in a pipe.
        style: its colour on a terminal.
        styles: the colours of certain values, which take precedence.
        numbers: whether it is aligned to the right.
        elastic: whether it is truncated, with an ellipsis, if the terminal is too narrow for all columns. Only for
            prose: a truncated id or name is useless.
        rank: if the terminal is too narrow, the columns of the highest rank are left out first; 0 is never left out.
    """

    heading: str
    style: str = ""
    styles: Mapping[str, str] = field(default_factory=dict)
    numbers: bool = False
    elastic: bool = False
    rank: int = 0


def on_terminal() -> bool:
    """Return whether stdout is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return lines with columns separated by two spaces, one for each row."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n" for row in rows
    )


def write_table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    *,
    total: Sequence[str] = (),
    shares: Sequence[float] = (),
) -> None:
    """Write rows to stdout.

    Args:
        total: a last row, set apart.
        shares: for each row the length, 0 to 1, of a bar behind it, if the terminal is wide enough.
    """
    clean = [[visible(" ".join(cell.split())) for cell in row] for row in (*rows, *([total] if total else []))]
    if not on_terminal():
        write_out(aligned([[column.heading.upper() for column in columns], *clean]))
        return
    # Imported here: rich takes a tenth of a second, and a pipe does not need it.
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    columns_there = columns_of(sys.stdout) or _LEAST
    everything = [(column.heading, *row) for column, row in zip(columns, zip(*clean, strict=True), strict=True)]
    widths = [max(map(cell_len, cells)) for cells in everything]
    shown = _that_fit(columns, widths, columns_there)
    taken = sum(widths[index] + _GAP for index in shown if not columns[index].elastic)
    space = columns_there - taken
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    for index in shown:
        column = columns[index]
        table.add_column(
            column.heading,
            justify="right" if column.numbers else "left",
            no_wrap=True,
            overflow="ellipsis",
            width=min(widths[index], max(space, _LEAST)) if column.elastic else widths[index],
        )
    bars = shares if space >= _LEAST_BAR else ()
    if bars:
        table.add_column("", width=min(space, MAX_BAR_WIDTH), no_wrap=True)
    for number, row in enumerate(clean):
        last = bool(total) and number == len(rows)
        texts = [
            Text(row[index], "bold" if last else columns[index].styles.get(row[index], columns[index].style))
            for index in shown
        ]
        if bars and not last:
            texts.append(Text(bar(bars[number], min(space, MAX_BAR_WIDTH)), "cyan"))
        table.add_row(*texts)
    # Wider than the terminal if necessary: rows are wrapped, and every id and name is complete. (Without a height rich
    # assumes 80 columns for a terminal of type dumb.)
    needed = taken + sum(_LEAST + _GAP for index in shown if columns[index].elastic)
    Console(width=max(columns_there, needed), height=25).print(table, soft_wrap=False)


def _that_fit(columns: Sequence[Column], widths: Sequence[int], available: int) -> list[int]:
    """Return the columns that fit on the terminal."""
    shown = list(range(len(columns)))

    def needed() -> int:
        least = (min(widths[index], _LEAST_PROSE) if columns[index].elastic else widths[index] for index in shown)
        return sum(width + _GAP for width in least) - _GAP

    while needed() > available and (most := max(columns[index].rank for index in shown)) > 0:
        shown = [index for index in shown if columns[index].rank != most]
    return shown


def bar(share: float, width: int) -> str:
    """Return a bar for this share, 0 to 1, of ``width`` characters, precise to an eighth of one."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + _BLOCKS[rest].strip()) if eighths else ""
