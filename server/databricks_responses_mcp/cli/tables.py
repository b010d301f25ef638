"""Tables: in colour where somebody looks at them, plain columns in a pipe."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from databricks_responses_mcp.cli.printing import harmless, write_out

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
    columns: Sequence[Column], rows: Sequence[Sequence[str]], *, total: Sequence[str] | None = None
) -> None:
    """Write rows to stdout.

    Args:
        total: a last row, set apart.
    """
    clean = [[" ".join(harmless(cell).split()) for cell in row] for row in (*rows, *([total] if total else []))]
    if not on_terminal():
        write_out(aligned([[column.heading.upper() for column in columns], *clean]))
        return
    # Imported here: rich costs a tenth of a second, and a pipe does without.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column, cells in zip(columns, zip(*clean, strict=True), strict=True):
        table.add_column(
            column.heading,
            justify="right" if column.numbers else "left",
            no_wrap=True,
            overflow="ellipsis",
            min_width=None if column.elastic else max(map(len, cells)),
        )
    last = len(clean) - 1 if total else -1
    for number, row in enumerate(clean):
        table.add_row(
            *(Text(cell, "bold" if number == last else column.style) for cell, column in zip(row, columns, strict=True))
        )
    Console().print(table)


def bar(share: float, width: int) -> str:
    """A bar that fills this share, 0 to 1, of ``width`` characters, to an eighth of one."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + _BLOCKS[rest].strip()) if eighths else ""
