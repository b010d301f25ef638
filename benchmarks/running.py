"""What a benchmark is given to run with."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a benchmark.

    Attributes:
        quick: as little as shows that it works; the numbers mean nothing.
        workdir: a directory that is thrown away.
        advance: tell that one step is done.
    """

    quick: bool
    workdir: Path
    advance: Callable[[], None]
