"""Warm calls over Streamable HTTP, beside a bare server of the SDK that serves the same: alone, and 16 at a time."""

from pathlib import Path
from shutil import which
from typing import Any

from benchmarks.http_server import BRIDGE_HTTP, FLOOR_HTTP, HttpServer
from benchmarks.instructions import counted
from benchmarks.measuring import Row, compare, rows_measured
from benchmarks.processes import ASK, BRIDGE, FLOOR, LEGACY, MODERN, server_environ, upstream
from benchmarks.running import Run

NAME = "HTTP"
TARGET = 1.8
IN_FLIGHT = 16
BARE = "bare SDK server over HTTP, one httpx call"
_ERAS = (LEGACY, MODERN)
_ROUNDS = 7
_CALLS = 48
_WARM_UP = 32
_PATIENCE_SECONDS = 600.0
_SIDES = ((BRIDGE_HTTP, ASK[BRIDGE]), (FLOOR_HTTP, ASK[FLOOR]))


def steps(quick: bool) -> int:
    """How often progress is reported."""
    return len(_ERAS) * 2 * (1 if quick else _ROUNDS)


def steps_counted(quick: bool) -> int:
    """How often progress is reported."""
    return len(_ERAS) * len(_SIDES)


def run(run: Run) -> list[Row]:
    """CPU of a call in interleaved rounds, of both protocol eras."""
    with upstream() as port:
        environ = server_environ(port, run.workdir)
        with (
            HttpServer(BRIDGE_HTTP, environ, patience=_PATIENCE_SECONDS) as bridge,
            HttpServer(FLOOR_HTTP, environ, patience=_PATIENCE_SECONDS) as floor,
        ):
            rows = [_measured(run, bridge, floor, era, in_flight) for in_flight in (1, IN_FLIGHT) for era in _ERAS]
    return rows_measured(rows)


def run_counted(run: Run) -> list[Row]:
    """Instructions of a call, of both protocol eras; no rows without valgrind, nor in a quick run."""
    if run.quick or which("valgrind") is None or which("callgrind_control") is None:
        return []
    rows = []
    with upstream() as port:
        environ = {**server_environ(port, run.workdir), "PYTHONHASHSEED": "0"}
        for era in _ERAS:
            counts = []
            for command, call in _SIDES:
                counts.append(_instructions(command, era, call, environ, run.workdir))
                run.advance()
            ours, theirs = counts
            rows.append(Row(NAME, f"instructions per call, {era}", BARE, "M", ours, theirs, ours / theirs, TARGET))
    return rows


def _measured(run: Run, bridge: HttpServer, floor: HttpServer, era: str, in_flight: int) -> Row | None:
    ours: list[float] = []
    theirs: list[float] = []
    sides = ((bridge, ASK[BRIDGE], ours), (floor, ASK[FLOOR], theirs))
    for server, call, _ in sides:
        server.calls(era, call, in_flight if run.quick else _WARM_UP, in_flight)
    for number in range(1 if run.quick else _ROUNDS):
        for server, call, costs in sides if number % 2 == 0 else reversed(sides):
            count = in_flight if run.quick else _CALLS
            before = server.cpu()
            server.calls(era, call, count, in_flight)
            after = server.cpu()
            if before is not None and after is not None:
                costs.append((after - before) * 1e3 / count)
        run.advance()
    measure = f"CPU per call, {era}" + (f", {in_flight} in flight" if in_flight > 1 else "")
    return compare(NAME, measure, BARE, "ms", ours, theirs, TARGET) if ours else None


def _instructions(
    command: tuple[str, ...], era: str, call: dict[str, Any], environ: dict[str, str], workdir: Path
) -> float:
    def serve(tool: tuple[str, ...]) -> HttpServer:
        return HttpServer(command, environ, tool=tool, patience=_PATIENCE_SECONDS)

    return counted(serve, lambda server: server.call(era, call), workdir)
