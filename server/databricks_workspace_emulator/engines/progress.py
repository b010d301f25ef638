"""The progress of a download on standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

Progress = Callable[[str, int, int], None]
"""Receives ``(name, bytes done, bytes in total)`` as a file arrives, from a worker thread."""

_STEP_PERCENT = 10


@contextmanager
def stderr_progress(stream: TextIO | None = None) -> Iterator[Progress]:
    """Yield a callback that shows downloads on standard error while the context is open.

    A terminal gets a bar, from the first call until everything has arrived; other output gets a line every ten percent.
    Nothing is written if nothing is fetched.

    Args:
        stream: the output instead of ``sys.stderr``.
    """
    out = stream if stream is not None else sys.stderr
    if out.isatty():
        with _bar(out) as callback:
            yield callback
    else:
        yield _lines(out)


def _lines(out: TextIO) -> Progress:
    shown: dict[str, int] = {}

    def callback(name: str, done: int, total: int) -> None:
        percent = 100 * done // total if total else 100
        step = percent - percent % _STEP_PERCENT
        if step > shown.get(name, -1):
            shown[name] = step
            out.write(f"fetching {name}: {step} % of {total / 1e6:.0f} MB\n")
            out.flush()

    return callback


@contextmanager
def _bar(out: TextIO) -> Iterator[Progress]:
    # Imported here: rich is slow to import, and most runs fetch nothing.
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    bars = Bars(
        TextColumn("fetching {task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(file=out),
        transient=True,
    )
    tasks: dict[str, TaskID] = {}

    def callback(name: str, done: int, total: int) -> None:
        if name not in tasks:
            tasks[name] = bars.add_task(name, total=total)
            bars.start()
        bars.update(tasks[name], completed=done)
        if all(task.finished for task in bars.tasks):
            # Each bar that ends removes the display: an answer may be printed next.
            bars.stop()

    try:
        yield callback
    finally:
        bars.stop()
