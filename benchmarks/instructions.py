"""Instructions of a warm call, counted by callgrind where valgrind is installed: other load does not change them."""

import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import which
from typing import Any, TypeVar

from benchmarks.calls import PLAIN, STREAMED
from benchmarks.http_server import HttpServer
from benchmarks.measuring import Row
from benchmarks.processes import ASK, ASK_STREAMED, BRIDGE, FLOOR, LEGACY, McpServer, server_environ, upstream
from benchmarks.running import Run

NAME = "warm call"
TARGET = 1.5
PROGRESS_TARGET = 1.6
_WARM_UP, _CALLS = 10, 40
_PATIENCE_SECONDS = 900.0

_Server = TypeVar("_Server", McpServer, HttpServer)
_TOTALS = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)


def steps(quick: bool) -> int:
    """How often progress is reported."""
    return 4


def run(run: Run) -> list[Row]:
    """Count the instructions of calls, one after the other; no rows without valgrind, nor in a quick run."""
    if run.quick or which("valgrind") is None or which("callgrind_control") is None:
        return []
    with upstream() as port:
        # Without a fixed seed each process would look its names up in another order.
        environ = {**server_environ(port, run.workdir), "PYTHONHASHSEED": "0"}
        counts: list[float] = []
        with_progress = {**ASK[BRIDGE], "_meta": {"progressToken": 1}}
        sides = ((BRIDGE, ASK[BRIDGE]), (BRIDGE, with_progress), (FLOOR, ASK[FLOOR]), (FLOOR, ASK_STREAMED))
        for command, call in sides:
            counts.append(_instructions(command, call, environ, run.workdir))
            run.advance()
    ours, told, plain, streamed = counts
    return [
        Row(NAME, "instructions per call", PLAIN, "M", ours, plain, ours / plain, TARGET),
        Row(NAME, "instructions per call with progress", PLAIN, "M", told, plain, told / plain, PROGRESS_TARGET),
        Row(NAME, "instructions per call", STREAMED, "M", ours, streamed, ours / streamed),
    ]


def counted(serve: Callable[[tuple[str, ...]], _Server], call: Callable[[_Server], object], workdir: Path) -> float:
    """Millions of instructions of one call, all threads of the process together.

    Args:
        serve: gives the server, to be run by the tool whose command it is given.
        call: makes one call of it.
        workdir: where the counts are written.
    """
    out = workdir / "callgrind.out"
    tool = ("valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}", "--log-file=/dev/null")
    with serve(tool) as server:
        for _ in range(_WARM_UP):
            call(server)
        _control("--instr=on", server.pid)
        for _ in range(_CALLS):
            call(server)
        _control("--dump", server.pid)
    dumped = next(found for found in sorted(workdir.glob("callgrind.out.*")) if _TOTALS.search(found.read_text()))
    found = _TOTALS.search(dumped.read_text())
    assert found is not None
    for file in workdir.glob("callgrind.out*"):
        file.unlink()
    return int(found[1]) / _CALLS / 1e6


def _instructions(command: tuple[str, ...], call: dict[str, Any], environ: Mapping[str, str], workdir: Path) -> float:
    def serve(tool: tuple[str, ...]) -> McpServer:
        server = McpServer((*tool, *command), environ, patience=_PATIENCE_SECONDS)
        server.list_tools(LEGACY)
        return server

    return counted(serve, lambda server: server.request("tools/call", call), workdir)


def _control(what: str, pid: int) -> None:
    command = ["callgrind_control", what, str(pid)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
