"""Warm calls: one after the other, and 32 in flight."""

from time import perf_counter
from typing import Any

from benchmarks.measuring import Row, compare, percentile, rows_measured
from benchmarks.processes import ASK, ASK_STREAMED, BRIDGE, FLOOR, LEGACY, McpServer, server_environ, upstream
from benchmarks.running import Run

CPU_TARGET = 1.5
IN_FLIGHT = 32
PLAIN = "bare SDK server, one httpx call"
STREAMED = "bare SDK server, the same stream by httpx-sse"
_WARM_UP = 20
_QUICK = (1, 5)
_ONE_BY_ONE = (15, 40)
_IN_FLIGHT = (9, 6 * IN_FLIGHT)
"""Rounds, and calls of each side in a round."""

Call = tuple[McpServer, dict[str, Any]]


class _Series:
    """Rounds of one side."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.seconds: list[float] = []
        self.cpu: list[float] = []


def steps_one_by_one(quick: bool) -> int:
    """How often progress is reported."""
    return 1 if quick else _ONE_BY_ONE[0]


def steps_in_flight(quick: bool) -> int:
    """How often progress is reported."""
    return 1 if quick else _IN_FLIGHT[0]


def one_by_one(run: Run) -> list[Row]:
    """Latency and CPU of a call when nothing else happens."""
    rounds, count = _QUICK if run.quick else _ONE_BY_ONE
    ours, plain, streamed = _measure(run, rounds, count, in_flight=1)
    name = "warm call"
    return rows_measured(
        [
            _latency("p50", 0.5, ours, plain),
            _latency("p95", 0.95, ours, plain),
            _cpu(name, ours, plain, PLAIN, CPU_TARGET),
            _cpu(name, ours, streamed, STREAMED, None),
        ]
    )


def without_store(run: Run) -> list[Row]:
    """CPU of a call whose conversation is kept in memory alone, beside one that is kept on disk."""
    rounds, count = _QUICK if run.quick else _ONE_BY_ONE
    off, kept = _Series(), _Series()
    with upstream() as port:
        environ = server_environ(port, run.workdir)
        with (
            McpServer(BRIDGE, {**environ, "RESPONSES_MCP_STORE": "off"}) as without,
            McpServer(BRIDGE, environ) as bridge,
        ):
            sides = [((without, ASK[BRIDGE]), off), ((bridge, ASK[BRIDGE]), kept)]
            for (server, call), _ in sides:
                server.list_tools(LEGACY)
                run_calls((server, call), 1 if run.quick else _WARM_UP, 1)
            for number in range(rounds):
                for side, series in sides if number % 2 == 0 else reversed(sides):
                    _round(side, series, count, 1)
                run.advance()
    return rows_measured([_cpu("warm call", off, kept, "the store on disk; ours is RESPONSES_MCP_STORE=off", 1.0)])


def in_flight(run: Run) -> list[Row]:
    """Calls a second with 32 of them under way at any time."""
    rounds, count = (1, 2 * IN_FLIGHT) if run.quick else _IN_FLIGHT
    ours, plain, streamed = _measure(run, rounds, count, in_flight=IN_FLIGHT)
    name = f"{IN_FLIGHT} in flight"
    rows: list[Row | None] = []
    for beside, series in ((PLAIN, plain), (STREAMED, streamed)):
        mine, theirs = [1 / s for s in ours.seconds], [1 / s for s in series.seconds]
        rows.append(compare(name, "calls a second (more is better)", beside, "/s", mine, theirs))
    rows.append(_cpu(name, ours, plain, PLAIN, CPU_TARGET))
    return rows_measured(rows)


def _measure(run: Run, rounds: int, count: int, *, in_flight: int) -> tuple[_Series, _Series, _Series]:
    with upstream() as port:
        environ = server_environ(port, run.workdir)
        with McpServer(BRIDGE, environ) as bridge, McpServer(FLOOR, environ) as floor:
            sides = [
                ((bridge, ASK[BRIDGE]), _Series()),
                ((floor, ASK[FLOOR]), _Series()),
                ((floor, ASK_STREAMED), _Series()),
            ]
            bridge.list_tools(LEGACY)
            floor.list_tools(LEGACY)
            for call, _ in sides:
                run_calls(call, in_flight if run.quick else max(_WARM_UP, 2 * in_flight), in_flight)
            for number in range(rounds):
                for call, series in sides if number % 2 == 0 else reversed(sides):
                    _round(call, series, count, in_flight)
                run.advance()
            ours, plain, streamed = (series for _, series in sides)
            return ours, plain, streamed


def _round(call: Call, series: _Series, count: int, in_flight: int) -> None:
    server, _ = call
    before, started = server.cpu(), perf_counter()
    series.latencies += run_calls(call, count, in_flight)
    series.seconds.append((perf_counter() - started) / count)
    after = server.cpu()
    if before is not None and after is not None:
        series.cpu.append((after - before) / count)


def run_calls(call: Call, count: int, in_flight: int) -> list[float]:
    """Make ``count`` calls; returns how long each took, in seconds."""
    server, params = call
    sent: dict[int, float] = {}
    latencies: list[float] = []
    for _ in range(min(in_flight, count)):
        sent[server.send("tools/call", params)] = perf_counter()
    while sent:
        answer = server.receive()
        latencies.append(perf_counter() - sent.pop(answer["id"]))
        if len(latencies) + len(sent) < count:
            sent[server.send("tools/call", params)] = perf_counter()
    return latencies


def _latency(name: str, share: float, ours: _Series, floor: _Series) -> Row:
    mine, theirs = percentile(ours.latencies, share) * 1e3, percentile(floor.latencies, share) * 1e3
    return Row("warm call", f"latency, {name}", PLAIN, "ms", mine, theirs, mine / theirs)


def _cpu(name: str, ours: _Series, floor: _Series, beside: str, target: float | None) -> Row | None:
    if not ours.cpu:
        return None
    mine, theirs = ([seconds * 1e3 for seconds in series.cpu] for series in (ours, floor))
    return compare(name, "CPU per call", beside, "ms", mine, theirs, target)
