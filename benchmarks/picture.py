"""A 20 MB picture: time and peak memory from the socket to the saved file and its thumbnail."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from benchmarks.canned import LARGE_PICTURE_MODEL, SMALL_PICTURE_MODEL, noise_png
from benchmarks.measuring import Row, compare, forget_peak, peak_memory, rows_measured
from benchmarks.processes import BRIDGE, LEGACY, ROOT, McpServer, server_environ, upstream
from benchmarks.running import Run

NAME = "20 MB picture"
TIME_TARGET = 2.0
MEMORY_TARGET = 3.0
_SIDE = 2581  # 3 bytes a pixel: 20 MB
_QUICK_SIDE = 700
_ROUNDS = 7
_WAYS = {
    "server": "stdio server",
    "bridge": "in process",
    "traced": "in process by tracemalloc",
    "decode": "base64 decode + write",
    "stream": "no bridge: httpx-sse + json + decode + write",
}

Measured = dict[str, float]
"""``seconds``, and ``peak`` in bytes where it could be measured."""


def steps(quick: bool) -> int:
    """How often progress is reported."""
    return len(_WAYS) * (1 if quick else _ROUNDS)


def run(run: Run) -> list[Row]:
    """Each round measures every way once, each in a fresh process, after a small picture has warmed it up."""
    rounds = 1 if run.quick else _ROUNDS
    side = _QUICK_SIDE if run.quick else _SIDE
    file = run.workdir / "noise.png"
    file.write_bytes(noise_png(side, side))
    base64_bytes = float((file.stat().st_size + 2) // 3 * 4)
    with upstream(file) as port:
        environ = server_environ(port, run.workdir)
        ways: dict[str, Callable[[], Measured]] = {
            "server": lambda: _server(environ, run.workdir),
            **{way: _child(way, environ, file, run.workdir) for way in _WAYS if way != "server"},
        }
        results: dict[str, list[Measured]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, measure in ways.items():
                results[way].append(measure())
                run.advance()

    def times(way: str, floor: str) -> Row:
        mine, theirs = ([r["seconds"] * 1e3 for r in results[w]] for w in (way, floor))
        return compare(NAME, f"time, {_WAYS[way]}", _WAYS[floor], "ms", mine, theirs, TIME_TARGET)

    def peaks(way: str, target: float | None = MEMORY_TARGET) -> Row | None:
        mine = [r["peak"] / 1e6 for r in results[way] if "peak" in r]
        if len(mine) != rounds:
            return None
        floor = [base64_bytes / 1e6] * rounds
        return compare(NAME, f"peak memory, {_WAYS[way]}", "the size of its base64", "MB", mine, floor, target)

    return rows_measured(
        [
            times("server", "decode"),
            times("bridge", "decode"),
            times("server", "stream"),
            times("bridge", "stream"),
            peaks("server"),
            peaks("bridge"),
            peaks("traced"),
            peaks("stream", target=None),
        ]
    )


def _server(environ: dict[str, str], workdir: Path) -> Measured:
    with McpServer(BRIDGE, environ) as server:
        server.list_tools(LEGACY)
        _draw(server, SMALL_PICTURE_MODEL)
        before = forget_peak(server.pid)
        started = perf_counter()
        _draw(server, LARGE_PICTURE_MODEL)
        seconds = perf_counter() - started
        peak = peak_memory(server.pid)
    _forget_pictures(workdir)
    return {"seconds": seconds, **({"peak": peak - before} if peak is not None and before is not None else {})}


def _draw(server: McpServer, model: str) -> None:
    result = server.request("tools/call", {"name": "generate_image", "arguments": {"prompt": "noise", "model": model}})
    assert result["structuredContent"]["images"][0]["path"]


def _child(way: str, environ: dict[str, str], file: Path, workdir: Path) -> Callable[[], Measured]:
    def measure() -> Measured:
        command = [sys.executable, "-m", "benchmarks.picture_child", way, str(file), str(workdir)]
        done = subprocess.run(command, env=environ, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=120)
        _forget_pictures(workdir)
        measured: Measured = json.loads(done.stdout)
        return measured

    return measure


def _forget_pictures(workdir: Path) -> None:
    """A picture that is there already would not be written again."""
    for saved in (workdir / "pictures").glob("*"):
        saved.unlink()
