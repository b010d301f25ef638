"""What a benchmark is given to run with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measuring import Curve


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a benchmark.

    Attributes:
        quick: as little as shows that it works; the numbers mean nothing.
        workdir: a directory that is thrown away.
        advance: tell that one step is done.
        curves: to be plotted; the benchmark adds its own.
    """

    quick: bool
    workdir: Path
    advance: Callable[[], None]
    curves: list[Curve] = field(default_factory=list)
