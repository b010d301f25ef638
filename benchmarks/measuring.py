"""Numbers: rounds of pairs, medians, and what a process has used."""

import os
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        benchmark: which benchmark gave it.
        measure: what was measured.
        beside: what the floor is.
        unit: of both numbers.
        ours: the bridge's median.
        floor: the floor's median.
        ratio: the median of the rounds' ratios: both sides of one round saw the same machine.
        target: what the ratio should stay under; None where nothing was promised.
    """

    benchmark: str
    measure: str
    beside: str
    unit: str
    ours: float
    floor: float
    ratio: float
    target: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target."""
        return None if self.target is None else self.ratio <= self.target


def compare(
    benchmark: str,
    measure: str,
    beside: str,
    unit: str,
    ours: Sequence[float],
    floor: Sequence[float],
    target: float | None = None,
) -> Row:
    """A row from interleaved rounds: ``ours[n]`` and ``floor[n]`` were measured one after the other."""
    ratios = [one / other for one, other in zip(ours, floor, strict=True)]
    medians = statistics.median(ours), statistics.median(floor), statistics.median(ratios)
    return Row(benchmark, measure, beside, unit, *medians, target)


def rows_measured(rows: Iterable[Row | None]) -> list[Row]:
    """The rows that this platform could measure."""
    return [row for row in rows if row is not None]


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` (0 to 1) of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def cpu_seconds(pid: int) -> float | None:
    """CPU time that a process has used in all its threads, to the nanosecond; None where the system will not say."""
    if sys.platform != "linux":
        return None
    # A process's CPU clock has a number made of its id: see clock_getcpuclockid(3).
    return time.clock_gettime((~pid << 3) | 2)


def forget_peak(pid: int) -> float | None:
    """Begin a new peak of a process's resident memory; returns what is resident now, in bytes."""
    try:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
        return _status(pid, "VmRSS")
    except OSError:
        return None


def peak_memory(pid: int) -> float | None:
    """The most resident memory since ``forget_peak``, in bytes.

    Not ``ru_maxrss``: on Linux that of a child begins at what its parent had when it started it.
    """
    try:
        return _status(pid, "VmHWM")
    except OSError:
        return None


def machine() -> str:
    """The machine and the interpreter, in one line."""
    import platform

    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"


def _status(pid: int, field: str) -> float | None:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return float(line.split()[1]) * 1024
    return None
