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


@dataclass(frozen=True, slots=True)
class Curve:
    """How a cost grows with a size.

    Attributes:
        name: of its plot's file.
        about: what was measured, in a few words.
        quantity: what the sizes are.
        unit: of the costs.
        beside: what the floor is.
        sizes: in ascending order.
        ours: the bridge's cost at each size.
        floor: the floor's.
    """

    name: str
    about: str
    quantity: str
    unit: str
    beside: str
    sizes: Sequence[int]
    ours: Sequence[float]
    floor: Sequence[float]

    @property
    def exponent(self) -> float:
        """See `fitted_exponent`."""
        return fitted_exponent(self.sizes, self.ours)


_EXPONENTS = [n / 100 for n in range(5, 301)]


def fitted_exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The k of the curve ``fixed + factor * size ** k`` that is nearest to the costs; 0 if they do not grow.

    Errors are relative, and the fixed part is at least 0. Costs of which the last is less than a tenth more than the
    first do not grow.
    """
    if costs[-1] < 1.1 * costs[0]:
        return 0.0
    return min(_EXPONENTS, key=lambda k: _error(sizes, costs, k))


def _error(sizes: Sequence[float], costs: Sequence[float], k: float) -> float:
    """The squared relative error of the best curve with that exponent."""
    # Relative errors: fixed * (1 / cost) + factor * (size ** k / cost) is to be 1 everywhere.
    ones = [1 / cost for cost in costs]
    grown = [(size / sizes[-1]) ** k / cost for size, cost in zip(sizes, costs, strict=True)]
    aa, ab, bb = (sum(p * q for p, q in zip(*pair, strict=True)) for pair in ((ones,) * 2, (ones, grown), (grown,) * 2))
    a, b = sum(ones), sum(grown)
    determinant = aa * bb - ab * ab
    fixed = (a * bb - b * ab) / determinant if determinant > 1e-12 * aa * bb else 0.0
    fixed = max(fixed, 0.0)
    factor = (b - fixed * ab) / bb
    return sum((fixed * p + factor * q - 1) ** 2 for p, q in zip(ones, grown, strict=True))


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


def resident_memory(pid: int) -> float | None:
    """The resident memory of a process, in bytes."""
    try:
        return _status(pid, "VmRSS")
    except OSError:
        return None


def machine() -> str:
    """The machine and the interpreter, in one line."""
    import platform

    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"


def load_before() -> str:
    """How busy the machine is before the benchmarks make it so, in a sentence."""
    if not hasattr(os, "getloadavg"):
        return "Its load before is not known."
    _, load, _ = os.getloadavg()
    busy = "it was busy with other work: ratios count, times do not" if load > 0.5 else "it was idle"
    return f"Load before: {load:.1f} on {os.cpu_count()} CPUs, so {busy}."


def _status(pid: int, field: str) -> float | None:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return float(line.split()[1]) * 1024
    return None
