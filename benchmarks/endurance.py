"""Many calls of one process: resident memory afterwards, beside what it was after the first hundred."""

from pathlib import Path

from benchmarks.calls import run_calls
from benchmarks.measuring import Row, compare, resident_memory
from benchmarks.processes import ASK, BRIDGE, LEGACY, McpServer, server_environ, upstream
from benchmarks.running import Run

NAME = "endurance"
_CALLS, _FIRST, _PARTS, _IN_FLIGHT = 20_000, 100, 20, 8
_PATIENCE_SECONDS = 900.0
_HEAVY = ("httpx", "sqlite3", "PIL")


def steps(quick: bool) -> int:
    """How often progress is reported."""
    return 1 if quick else _PARTS


def run(run: Run) -> list[Row]:
    """Make 20,000 calls, eight at a time, and look at the memory; and what is loaded for ``tools/list``."""
    count = 200 if run.quick else _CALLS
    with upstream() as port:
        environ = server_environ(port, run.workdir)
        with McpServer(BRIDGE, environ, patience=_PATIENCE_SECONDS) as server:
            server.list_tools(LEGACY)
            run_calls((server, ASK[BRIDGE]), _FIRST, _IN_FLIGHT)
            before = resident_memory(server.pid)
            for _ in range(steps(run.quick)):
                run_calls((server, ASK[BRIDGE]), count // steps(run.quick), _IN_FLIGHT)
                run.advance()
            after = resident_memory(server.pid)
        loaded = _loaded_for_list(environ, run.workdir)
    rows = [Row(NAME, f"of {', '.join(_HEAVY)}, loaded for tools/list", "none", "", float(loaded), 0.0, loaded, 0)]
    if before is not None and after is not None:
        measure = f"memory after {count:,} calls"
        rows.insert(0, compare(NAME, measure, f"after {_FIRST}", "MB", [after / 1e6], [before / 1e6], 1.05))
    return rows


def _loaded_for_list(environ: dict[str, str], workdir: Path) -> int:
    """How many of the heavy modules a process has imported when it answers ``tools/list``."""
    log = workdir / "imports"
    with McpServer(BRIDGE, {**environ, "PYTHONVERBOSE": "1"}) as server:
        server.list_tools(LEGACY)
        log.write_bytes(server.errors())
    text = log.read_text(errors="replace")
    assert "import 'asyncio' " in text
    return sum(f"import '{name}' " in text for name in _HEAVY)
