"""``python -m benchmarks.team``: a team's service under load, beside a bare SDK server that stores and checks nothing.

The service has 64 users with keys and keeps every turn in PostgreSQL, which needs the ``test`` extra. Server, database,
upstream and load share the machine, so calls per second say less than the CPU of the server's process.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from benchmarks.http_server import BRIDGE_HTTP, FLOOR_HTTP, TOKEN, HttpServer
from benchmarks.load import Load, open_idle, run_load
from benchmarks.measuring import Row, load_before, resident_memory
from benchmarks.processes import ASK, BRIDGE, FLOOR, ROOT, server_environ, upstream
from benchmarks.report import as_json, print_table, publish

sys.path.append(str(ROOT / "tests"))

BARE = "bare SDK server over HTTP, one httpx call"
_IN_FLIGHT = (1, 16, 64, 256)
_CALLS = {1: 1000, 16: 1600, 64: 1600, 256: 2560}
_WARM_UP = 128
_WARM_UP_OF_ROUND = 32
"""While the other server was measured, the caches of the processor have forgotten this one."""
_ROUNDS = 3
_USERS = 64
_ENDURANCE = 50_000
_IDLE = 1000
_CPU_TARGET, _P99_TARGET, _MEMORY_TARGET = 1.8, 2.0, 1.05
_PATIENCE_SECONDS = 3600.0


def measure(workdir: Path, *, quick: bool, tell: Callable[[str], None]) -> list[Row]:
    """Run everything.

    Args:
        quick: as little as shows that it works; the numbers mean nothing.
        tell: receives the name of what is measured next.
    """
    from harness.postgres_server import postgres_server
    from harness.team_service import keys_in

    with ExitStack() as stack:
        tokens = list(keys_in(workdir / "keys", *(f"user{number}" for number in range(_USERS))).values())
        database = stack.enter_context(postgres_server()).new_database()
        environ = server_environ(stack.enter_context(upstream()), workdir)
        service = {
            **environ,
            "RESPONSES_MCP_STORE": database,
            "RESPONSES_MCP_SERVICE_KEYS_FILE": str(workdir / "keys"),
            "RESPONSES_MCP_SERVICE_STATE_KEYS": TOKEN,
        }

        def start(command: tuple[str, ...], environ: Mapping[str, str], token: str) -> HttpServer:
            return stack.enter_context(HttpServer(command, environ, patience=_PATIENCE_SECONDS, token=token))

        one = start(BRIDGE_HTTP, service, tokens[0])
        floor = start(FLOOR_HTTP, environ, TOKEN)
        sides = ((one, tokens, ASK[BRIDGE]), (floor, [TOKEN], ASK[FLOOR]))
        rows = []
        for in_flight in _IN_FLIGHT:
            tell(f"{in_flight} in flight")
            rows += _under_load(sides, in_flight, quick=quick)
        tell(f"{_IDLE} idle connections")
        rows.append(_beside_idle(one, tokens, _IDLE // 100 if quick else _IDLE))
        tell("two replicas")
        two = start(BRIDGE_HTTP, service, tokens[0])
        rows.append(_two_replicas(one, two, tokens, quick=quick))
        tell(f"{_ENDURANCE:,} calls")
        rows.append(_memory(one, tokens, 200 if quick else _ENDURANCE))
    return rows


def _under_load(
    sides: tuple[tuple[HttpServer, list[str], dict[str, object]], ...], in_flight: int, *, quick: bool
) -> list[Row]:
    """Calls per second, durations and CPU of both servers, in interleaved rounds."""
    count = in_flight if quick else _CALLS[in_flight]
    loads: tuple[list[Load], list[Load]] = ([], [])
    costs: tuple[list[float], list[float]] = ([], [])
    for server, tokens, call in sides:
        run_load([server.port], tokens, call, in_flight if quick else _WARM_UP, in_flight)
    for number in range(1 if quick else _ROUNDS):
        order = (0, 1) if number % 2 == 0 else (1, 0)
        for side in order:
            server, tokens, call = sides[side]
            run_load([server.port], tokens, call, in_flight if quick else max(_WARM_UP_OF_ROUND, in_flight), in_flight)
            before = server.cpu() or 0.0
            loads[side].append(run_load([server.port], tokens, call, count, in_flight))
            costs[side].append(((server.cpu() or 0.0) - before) * 1e3 / count)
    name = f"{in_flight} in flight"

    def row(measure: str, unit: str, ours: list[float], theirs: list[float], target: float | None = None) -> Row:
        middle = len(ours) // 2
        one, other = sorted(ours)[middle], sorted(theirs)[middle]
        ratio = sorted(a / b for a, b in zip(ours, theirs, strict=True))[middle]
        return Row(name, measure, BARE, unit, one, other, ratio, target)

    ours, theirs = loads
    return [
        row("CPU per call", "ms", *costs, _CPU_TARGET),
        row("calls per second", "1/s", [x.calls_per_second for x in ours], [x.calls_per_second for x in theirs]),
        row("p50", "ms", [x.p50 for x in ours], [x.p50 for x in theirs]),
        row("p99", "ms", [x.p99 for x in ours], [x.p99 for x in theirs], _P99_TARGET),
    ]


def _beside_idle(server: HttpServer, tokens: list[str], count: int) -> Row:
    """The median duration of a call while many connections are open, beside none."""
    alone = run_load([server.port], tokens, ASK[BRIDGE], 200, 1).p50

    async def with_idle() -> Load:
        writers = await open_idle(server.port, tokens[0], ASK[BRIDGE], count)
        load = await asyncio.to_thread(run_load, [server.port], tokens, ASK[BRIDGE], 200, 1)
        for writer in writers:
            writer.close()
        return load

    beside = asyncio.run(with_idle()).p50
    return Row(
        "idle connections", f"p50 beside {count:,} idle connections", "none open", "ms", beside, alone, beside / alone
    )


def _two_replicas(one: HttpServer, two: HttpServer, tokens: list[str], *, quick: bool) -> Row:
    """Calls per second of two replicas, beside one."""
    count, in_flight = (64, 16) if quick else (1600, 64)
    run_load([two.port], tokens, ASK[BRIDGE], in_flight if quick else _WARM_UP, in_flight)
    single = run_load([one.port], tokens, ASK[BRIDGE], count, in_flight).calls_per_second
    double = run_load([one.port, two.port], tokens, ASK[BRIDGE], count, in_flight).calls_per_second
    return Row(
        "replicas",
        f"calls per second, {in_flight} in flight, two replicas",
        "one",
        "1/s",
        double,
        single,
        double / single,
    )


def _memory(server: HttpServer, tokens: list[str], count: int) -> Row:
    """Resident memory after many calls, beside what it was after the load before."""
    before = resident_memory(server.pid) or 0
    run_load([server.port], tokens, ASK[BRIDGE], count, 16)
    after = resident_memory(server.pid) or 0
    return Row(
        "endurance",
        f"memory after {count:,} calls",
        "before",
        "MB",
        after / 1e6,
        before / 1e6,
        after / before,
        _MEMORY_TARGET,
    )


def main() -> int:
    """Run the benchmark; returns 0, also if a target is not met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.team", description="A team's service under load.")
    parser.add_argument("--quick", action="store_true", help="as little as shows that it works; numbers mean nothing")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--publish", action="store_true", help="put the results in benchmarks/README.md too")
    options = parser.parse_args()
    if options.publish and options.quick:
        parser.error("--publish publishes a whole run: not with --quick")
    load = load_before()
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as workdir:
        rows = measure(
            Path(workdir), quick=options.quick, tell=lambda what: print(f"{what} …", file=sys.stderr, flush=True)
        )
    if options.json:
        print(as_json(rows))
    else:
        print_table(rows)
    if options.publish:
        publish("benchmarks.team", rows, (), load)
    return 0


if __name__ == "__main__":
    sys.exit(main())
