"""A progress line at the bottom of the terminal; nothing if stderr is not a terminal."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from databricks_responses_mcp.cli.printing import harmless
from databricks_responses_mcp.turns.progress import Reporter

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

_ELAPSED = re.compile(r", \d+ s(?=,|$)")


class Phases:
    """The progress line, while it is shown."""

    def __init__(self, bars: "Progress | None", total: int | None) -> None:
        self._bars = bars
        # A single task has no measurable progress: its bar pulses.
        self._countable = total if total is not None and total > 1 else None
        self._done = 0
        self._task = None if bars is None else bars.add_task("waiting", total=self._countable)

    def reporter(self) -> Reporter | None:
        """Return the receiver of a turn's progress. Call it on the event loop; None if nobody watches."""
        return Reporter(self._report) if self._bars is not None else None

    def picture_done(self) -> None:
        """Count one of several images as complete."""
        self._done += 1
        if self._bars is not None and self._task is not None and self._countable:
            self._bars.update(self._task, completed=self._done)

    def clear(self) -> None:
        """Remove the line for good."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    async def _report(self, _value: float, message: str) -> None:
        if self._bars is not None and self._task is not None:
            # The line has its own clock, which also runs while nothing is reported.
            self._bars.update(self._task, description=harmless(_ELAPSED.sub("", message)))


@contextmanager
def phases(*, bar: bool = False, total: int | None = None) -> Iterator[Phases]:
    """Show a line while the context is open.

    Args:
        bar: whether to show a bar; it pulses unless there are several items to count.
        total: the number of items.
    """
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield Phases(None, total)
        return
    shown = Phases(_progress(bar=bar, counted=bool(total and total > 1)), total)
    try:
        yield shown
    finally:
        shown.clear()


def _progress(*, bar: bool, counted: bool) -> "Progress":
    # Imported here: rich takes a tenth of a second, and most runs have no terminal.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column

    columns: list[ProgressColumn] = [SpinnerColumn()]
    if bar:
        columns.append(BarColumn(bar_width=24))
    if counted:
        columns.append(MofNCompleteColumn())
    columns.append(TimeElapsedColumn())
    columns.append(
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1))
    )
    progress = Progress(*columns, console=Console(stderr=True), transient=True, expand=True, redirect_stdout=False)
    progress.start()
    return progress
