"""Start-up: from the start of the process to its answer to ``tools/list``, and on to the answer of a first call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

from benchmarks.measuring import Row, compare, rows_measured
from benchmarks.processes import ASK, BRIDGE, FLOOR, LEGACY, MODERN, McpServer, server_environ, upstream
from benchmarks.running import Run

TARGET = 0.75
EMBEDDED_TARGET = 0.85
FIRST_ANSWER_TARGET = 1.0
BARE = "bare SDK server"
_ERAS = (LEGACY, MODERN)
_ROUNDS = 15
_EMBEDDED = (*BRIDGE, "--embedded", "--engine", "rules")


@dataclass(frozen=True, slots=True)
class _Start:
    """One start, in seconds since the process was begun; CPU is None where it cannot be measured."""

    listed: float
    listed_cpu: float | None
    answered: float
    answered_cpu: float | None


def steps(quick: bool) -> int:
    """How often progress is reported."""
    return len(_ERAS) + 1 if quick else (len(_ERAS) + 1) * _ROUNDS


def run(run: Run) -> list[Row]:
    """Start both servers again and again, in turns."""
    rows: list[Row | None] = []
    with upstream() as port:
        environ = server_environ(port, run.workdir)
        if not run.quick:
            for command in (BRIDGE, FLOOR):
                _start(command, LEGACY, environ)  # compiles and caches what is not yet
        for era in _ERAS:
            ours: list[_Start] = []
            floor: list[_Start] = []
            sides = [(BRIDGE, ours), (FLOOR, floor)]
            for number in range(1 if run.quick else _ROUNDS):
                for command, starts in sides if number % 2 == 0 else reversed(sides):
                    starts.append(_start(command, era, environ))
                run.advance()
            rows += [
                _row(f"time to tools/list, {era}", [s.listed for s in ours], [s.listed for s in floor], TARGET),
                _row(f"CPU to tools/list, {era}", [s.listed_cpu for s in ours], [s.listed_cpu for s in floor]),
            ]
            if era == LEGACY:
                # What was put off must not come back dearer: a first call that follows at once pays for it.
                rows += [
                    _row(
                        "time to a first answer",
                        [s.answered for s in ours],
                        [s.answered for s in floor],
                        FIRST_ANSWER_TARGET,
                    ),
                    _row("CPU to a first answer", [s.answered_cpu for s in ours], [s.answered_cpu for s in floor]),
                ]
        rows += _embedded(run, environ)
    return rows_measured(rows)


def _embedded(run: Run, environ: Mapping[str, str]) -> list[Row | None]:
    """Start the bridge with its embedded workspace; the floor has no workspace to start."""
    without_workspace = {name: value for name, value in environ.items() if not name.startswith("DATABRICKS_")}
    ours: list[_Start] = []
    floor: list[_Start] = []
    sides = [(_EMBEDDED, without_workspace, ours), (FLOOR, environ, floor)]
    for number in range(1 if run.quick else _ROUNDS):
        for command, given, starts in sides if number % 2 == 0 else reversed(sides):
            starts.append(_start(command, MODERN, given))
        run.advance()
    return [
        _row("time to tools/list, --embedded", [s.listed for s in ours], [s.listed for s in floor], EMBEDDED_TARGET),
        _row("CPU to tools/list, --embedded", [s.listed_cpu for s in ours], [s.listed_cpu for s in floor]),
    ]


def _start(command: tuple[str, ...], era: str, environ: Mapping[str, str]) -> _Start:
    started = perf_counter()
    with McpServer(command, environ) as server:
        server.list_tools(era)
        listed, listed_cpu = perf_counter() - started, server.cpu()
        if era == LEGACY:
            server.request("tools/call", ASK[command])
        return _Start(listed, listed_cpu, perf_counter() - started, server.cpu())


def _row(
    measure: str, ours: Sequence[float | None], floor: Sequence[float | None], target: float | None = None
) -> Row | None:
    mine = [value * 1e3 for value in ours if value is not None]
    theirs = [value * 1e3 for value in floor if value is not None]
    return compare("start-up", measure, BARE, "ms", mine, theirs, target) if mine else None
