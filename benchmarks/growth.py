"""Growth: what a call costs over the size of its prompt, its answer, its conversation, its store and its company.

Each size is measured in rounds beside its floor; the curves are plotted, and each has a row with its exponent.
"""

import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import anyio

from benchmarks.calls import run_calls
from benchmarks.canned import TEXT_MODEL, prose, sized_model
from benchmarks.continuing import Direct, fill, go_on
from benchmarks.measuring import Curve, Row, compare, forget_peak, peak_memory
from benchmarks.processes import (
    ASK,
    ASK_STREAMED,
    BRIDGE,
    FLOOR,
    LEGACY,
    McpServer,
    ServerDiedError,
    server_environ,
    upstream,
)
from benchmarks.running import Run

NAME = "growth"
_HANDS_OVER = "bare SDK server, the same stream by httpx-sse"
_LINEAR = "linear"
_MAX_EXPONENT = 1.1
_MAX_WAIT_MS = 50.0
_ROUNDS = 3
_CONVERSATIONS = 8
_PATIENCE_SECONDS = 900.0

Cost = Callable[[], float]
"""Measures one side once: milliseconds of CPU of a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Growth:
    """One curve to be measured.

    Attributes:
        name: of its plot.
        about: what is measured.
        quantity: what the sizes are.
        sizes: in ascending order; a quick run takes the first alone.
        target: of the ratio at the largest size; None where nothing was promised.
        beside: what the floor is.
        sides: gives the bridge and the floor, ready to be measured at a size.
    """

    name: str
    about: str
    quantity: str
    sizes: Sequence[int]
    target: float | None
    beside: str = _HANDS_OVER
    sides: Callable[["_Servers", int], tuple[Cost, Cost]]


@dataclass(slots=True)
class _Servers:
    """The two servers, and what they run in."""

    bridge: McpServer
    floor: McpServer
    environ: dict[str, str]
    workdir: Path
    others: list[McpServer] = field(default_factory=list)

    def start(self, more: dict[str, str]) -> McpServer:
        """Start another bridge; it ends with the benchmark."""
        server = McpServer(BRIDGE, {**self.environ, **more}, patience=_PATIENCE_SECONDS)
        self.others.append(server)
        server.list_tools(LEGACY)
        return server


def _asked(arguments: Callable[[int], dict[str, Any]]) -> Callable[[_Servers, int], tuple[Cost, Cost]]:
    """Both servers asked the same."""

    def sides(servers: _Servers, size: int) -> tuple[Cost, Cost]:
        given = arguments(size)
        return _cpu(servers.bridge, "ask_databricks_model", given), _cpu(servers.floor, "ask_output", given)

    return sides


def _answer(kind: str) -> Callable[[_Servers, int], tuple[Cost, Cost]]:
    return _asked(lambda size: {"prompt": "What is in the lake?", "model": sized_model(kind, size)})


def _cpu(server: McpServer, tool: str, arguments: dict[str, Any]) -> Cost:
    params = {"name": tool, "arguments": arguments}

    def cost() -> float:
        return _cpu_of(server, lambda: server.request("tools/call", params))

    return cost


def _cpu_of(server: McpServer, call: Callable[[], object]) -> float:
    """Milliseconds of CPU of a call: of several, while they are short."""
    started, before, count = perf_counter(), server.cpu(), 0
    while count == 0 or (count < 20 and perf_counter() - started < 0.15):
        call()
        count += 1
    after = server.cpu()
    if before is None or after is None:
        raise ServerDiedError("the CPU time of a process cannot be read here")
    return (after - before) * 1e3 / count


def _in_flight(servers: _Servers, size: int) -> tuple[Cost, Cost]:
    def side(server: McpServer, params: dict[str, Any]) -> Cost:
        return lambda: _cpu_of(server, lambda: run_calls((server, params), size, size))

    return side(servers.bridge, ASK[BRIDGE]), side(servers.floor, ASK_STREAMED)


def _turns(servers: _Servers, size: int) -> tuple[Cost, Cost]:
    path = servers.workdir / f"turns-{size}.db"
    anyio.run(fill, path, _CONVERSATIONS, size)
    bridge = servers.start({"RESPONSES_MCP_STORE": str(path)})
    direct = Direct(servers.environ, size)
    # Several, so that the short ones hardly grow while they are measured; all are in memory from here on.
    for number in range(_CONVERSATIONS):
        go_on(bridge, number)
    which = itertools.cycle(range(_CONVERSATIONS))

    def floor() -> float:
        started = process_time()
        for _ in range(5):
            direct.ask()
        return (process_time() - started) * 1e3 / 5

    return lambda: _cpu_of(bridge, lambda: go_on(bridge, next(which))), floor


def _stored(servers: _Servers, size: int) -> tuple[Cost, Cost]:
    path = servers.workdir / f"store-{size}.db"
    anyio.run(fill, path, size, 1)
    full = servers.start({"RESPONSES_MCP_STORE": str(path)})
    empty = servers.start({"RESPONSES_MCP_STORE": str(servers.workdir / f"empty-{size}.db")})
    listing = {"name": "manage_conversations", "arguments": {"action": "list"}}

    def side(server: McpServer) -> Cost:
        def call() -> None:
            server.request("tools/call", ASK[BRIDGE])
            server.request("tools/call", listing)

        return lambda: _cpu_of(server, call)

    return side(full), side(empty)


_GROWTHS = (
    _Growth(
        name="prompt",
        about="CPU of a call over its prompt",
        quantity="characters of the prompt",
        sizes=(100_000, 1_000_000, 10_000_000),
        target=2,
        sides=_asked(lambda size: {"prompt": prose(size), "model": sized_model("deltas", 20)}),
    ),
    _Growth(
        name="deltas",
        about="CPU of a call over the deltas of its answer",
        quantity="deltas",
        sizes=(1_000, 10_000, 100_000),
        target=1.2,
        sides=_answer("deltas"),
    ),
    _Growth(
        name="citations",
        about="CPU of a call over the citations of its answer",
        quantity="citations",
        sizes=(10, 100, 1_000),
        target=1.5,
        sides=_answer("citations"),
    ),
    _Growth(
        name="calls",
        about="CPU of a call over the function calls in its answer",
        quantity="function calls",
        sizes=(10, 100, 1_000),
        target=1.5,
        sides=_answer("calls"),
    ),
    _Growth(
        name="arguments",
        about="CPU of a call over the arguments of one function call",
        quantity="bytes of arguments",
        sizes=(10_000, 100_000, 1_000_000),
        target=2,
        sides=_answer("arguments"),
    ),
    _Growth(
        name="turns",
        about="CPU of going on over the turns so far, which are in memory",
        quantity="turns",
        sizes=(10, 30, 100, 300, 1_000),
        target=None,
        beside="the same request by httpx and httpx-sse",
        sides=_turns,
    ),
    _Growth(
        name="store",
        about="CPU of a call and a list over the conversations kept",
        quantity="conversations",
        sizes=(1_000, 10_000, 100_000),
        target=1.1,
        beside="the bridge with an empty store",
        sides=_stored,
    ),
    _Growth(
        name="in-flight",
        about="CPU of calls that are all under way at once",
        quantity="calls at once",
        sizes=(1, 4, 16, 64, 256),
        target=None,
        sides=_in_flight,
    ),
)


def steps(quick: bool) -> int:
    """How often progress is reported."""
    return 2 + sum(1 if quick else len(growth.sizes) for growth in _GROWTHS)


def run(run: Run) -> list[Row]:
    """Measure every curve, and what a prompt of 10 MB costs others."""
    rows: list[Row] = []
    with upstream() as port:
        environ = server_environ(port, run.workdir)
        with (
            McpServer(BRIDGE, environ, patience=_PATIENCE_SECONDS) as bridge,
            McpServer(FLOOR, environ, patience=_PATIENCE_SECONDS) as floor,
        ):
            servers = _Servers(bridge, floor, environ, run.workdir)
            try:
                for server, call in ((bridge, ASK[BRIDGE]), (floor, ASK_STREAMED)):
                    server.list_tools(LEGACY)
                    server.request("tools/call", call)
                for growth in _GROWTHS:
                    rows += _measured(run, growth, servers)
            finally:
                for server in servers.others:
                    server.__exit__()
        size = 100_000 if run.quick else 10_000_000
        rows.append(_memory(run, environ, size))
        run.advance()
        rows.append(_wait(run, environ, size))
        run.advance()
    return rows


def _measured(run: Run, growth: _Growth, servers: _Servers) -> list[Row]:
    sizes = growth.sizes[:1] if run.quick else growth.sizes
    ours: list[list[float]] = []
    floor: list[list[float]] = []
    for size in sizes:
        one, other = growth.sides(servers, size)
        one(), other()  # what a first call brings in is not measured
        mine, theirs = [], []
        for number in range(1 if run.quick else _ROUNDS):
            for cost, costs in ((one, mine), (other, theirs)) if number % 2 == 0 else ((other, theirs), (one, mine)):
                costs.append(cost())
        ours.append(mine)
        floor.append(theirs)
        run.advance()
    curve = Curve(
        growth.name,
        growth.about,
        growth.quantity,
        "ms",
        growth.beside,
        sizes,
        [statistics.median(costs) for costs in ours],
        [statistics.median(costs) for costs in floor],
    )
    measure = f"CPU, {sizes[-1]:,} {growth.quantity}"
    rows = [compare(NAME, measure, growth.beside, "ms", ours[-1], floor[-1], growth.target)]
    if not run.quick:
        run.curves.append(curve)
        spread = f"exponent, {sizes[0]:,} to {sizes[-1]:,} {growth.quantity}"
        rows.append(Row(NAME, spread, _LINEAR, "", curve.exponent, 1.0, curve.exponent, _MAX_EXPONENT))
    return rows


def _memory(run: Run, environ: dict[str, str], size: int) -> Row:
    """The most memory that a large prompt takes, each time in a new process."""
    given = {"prompt": prose(size), "model": TEXT_MODEL}
    peaks: dict[tuple[str, ...], list[float]] = {BRIDGE: [], FLOOR: []}
    for _ in range(1 if run.quick else _ROUNDS):
        for command, tool in ((BRIDGE, "ask_databricks_model"), (FLOOR, "ask_output")):
            with McpServer(command, environ) as server:
                server.list_tools(LEGACY)
                for _ in range(3):
                    server.request("tools/call", {"name": tool, "arguments": {**given, "prompt": "Hi"}})
                before = forget_peak(server.pid) or 0.0
                server.request("tools/call", {"name": tool, "arguments": given})
                peaks[command].append(max((peak_memory(server.pid) or 0.0) - before, 1.0) / 1e6)
    measure = f"peak memory, prompt of {size / 1e6:g} MB"
    return compare(NAME, measure, _HANDS_OVER, "MB", peaks[BRIDGE], peaks[FLOOR], 2)


def _wait(run: Run, environ: dict[str, str], size: int) -> Row:
    """The longest wait of a ping while a large prompt is handled: the best of the rounds, since others only add."""
    waits = []
    with McpServer(BRIDGE, environ) as server:
        server.list_tools(LEGACY)
        params = {"name": "ask_databricks_model", "arguments": {"prompt": prose(size), "model": TEXT_MODEL}}
        server.request("tools/call", params)
        for _ in range(1 if run.quick else 4 * _ROUNDS):
            asked, longest, done = server.send("tools/call", params), 0.0, False
            while not done:
                started, ping = perf_counter(), server.send("ping")
                while (number := server.receive()["id"]) != ping:
                    done = done or number == asked
                longest = max(longest, perf_counter() - started)
            waits.append(longest * 1e3)
    measure = f"longest wait of a ping beside a prompt of {size / 1e6:g} MB"
    return compare(NAME, measure, "what it may take", "ms", [min(waits)], [_MAX_WAIT_MS], 1)
