"""Tables: in colour where somebody looks at them, plain columns in a pipe."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from databricks_responses_mcp.cli.printing import harmless, write_out

_GAP = 2
_LEAST = 8
_LEAST_BAR = 4
LONGEST_BAR = 20
"""Characters."""

_BLOCKS = " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table.

    Attributes:
        heading: in capitals in a pipe.
        style: its colour on a terminal.
        numbers: set to the right.
        elastic: cut, with an ellipsis, where the terminal is too narrow for all.
    """

    heading: str
    style: str = ""
    numbers: bool = False
    elastic: bool = False


def on_terminal() -> bool:
    """Whether somebody looks at stdout."""
    return sys.stdout is not None and sys.stdout.isatty()


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns parted by two spaces, a line a row."""
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
        shares: for each row how long, 0 to 1, a bar behind it is on a terminal that has room for one.
    """
    clean = [[" ".join(harmless(cell).split()) for cell in row] for row in (*rows, *([total] if total else []))]
    if not on_terminal():
        write_out(aligned([[column.heading.upper() for column in columns], *clean]))
        return
    # Imported here: rich costs a tenth of a second, and a pipe does without.
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    cells = [(column.heading, *row) for column, row in zip(columns, zip(*clean, strict=True), strict=True)]
    widths = [max(map(cell_len, column)) for column in cells]
    # Rich would make all columns narrower alike.
    taken = sum(width + _GAP for width, column in zip(widths, columns, strict=True) if not column.elastic)
    room = console.width - taken
    for column, width in zip(columns, widths, strict=True):
        table.add_column(
            column.heading,
            justify="right" if column.numbers else "left",
            no_wrap=True,
            overflow="ellipsis",
            width=min(width, max(room, _LEAST)) if column.elastic else width,
        )
    bars = shares if room >= _LEAST_BAR else ()
    if bars:
        table.add_column("", width=min(room, LONGEST_BAR), no_wrap=True)
    for number, row in enumerate(clean):
        last = bool(total) and number == len(rows)
        texts = [Text(cell, "bold" if last else column.style) for cell, column in zip(row, columns, strict=True)]
        if bars and not last:
            texts.append(Text(bar(bars[number], min(room, LONGEST_BAR)), "cyan"))
        table.add_row(*texts)
    console.print(table)


def bar(share: float, width: int) -> str:
    """A bar that fills this share, 0 to 1, of ``width`` characters, to an eighth of one."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + _BLOCKS[rest].strip()) if eighths else ""
