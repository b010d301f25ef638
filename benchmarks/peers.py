"""Two other servers that ask a model, where they install: the same prompt to the same upstream, by CPU and time.

Each is installed into an environment of its own, which is thrown away. A peer that cannot be installed, or that does
not answer, has no rows.
"""

import statistics
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.calls import PLAIN, run_calls
from benchmarks.measuring import Row, compare
from benchmarks.processes import ASK, BRIDGE, FLOOR, LEGACY, McpServer, ServerDiedError, server_environ, upstream
from benchmarks.running import Run

NAME = "peers"
_ROUNDS, _CALLS = 9, 20
_INSTALL_SECONDS = 300
_PATIENCE_SECONDS = 600.0
_KEY = "sk-0123456789abcdef"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Peer:
    """One server of others.

    Attributes:
        package: what is installed, with its version.
        besides: what must be installed with it.
        program: its command, in the environment's folder of programs.
        environ: points it at the upstream of a port, and at a folder that it may use.
        call: asks it what the bridge is asked.
    """

    package: str
    besides: tuple[str, ...] = ()
    program: str
    environ: Callable[[int, Path], dict[str, str]]
    call: Callable[[Path], dict[str, Any]]


_PEERS = (
    _Peer(
        package="iflow-mcp-mcp-chatgpt-responses==0.1.0",
        besides=("mcp<2",),
        program="chatgpt-server",
        environ=lambda port, _: {"OPENAI_API_KEY": _KEY, "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1"},
        call=lambda _: {"name": "ask_chatgpt", "arguments": {"prompt": "What is in the lake?"}},
    ),
    _Peer(
        package="pal-mcp-server==11.8.2",
        program="pal-mcp-server",
        environ=lambda port, workdir: {
            "CUSTOM_API_URL": f"http://127.0.0.1:{port}/v1",
            "CUSTOM_API_KEY": _KEY,
            "CUSTOM_MODEL_NAME": "local-llama",
            "DEFAULT_MODEL": "local-llama",
            "LOG_LEVEL": "WARNING",
            "PAL_WORKSPACE_ROOT": str(workdir),
        },
        call=lambda workdir: {
            "name": "chat",
            "arguments": {
                "prompt": "What is in the lake?",
                "model": "local-llama",
                "working_directory_absolute_path": str(workdir),
            },
        },
    ),
)


def steps(quick: bool) -> int:
    """How often progress is reported."""
    return len(_PEERS)


def run(run: Run) -> list[Row]:
    """Install each peer and measure it beside the bridge; a quick run installs none."""
    rows: list[Row] = []
    with upstream() as port:
        environ = server_environ(port, run.workdir)
        for peer in _PEERS:
            folder = run.workdir / peer.program
            if not run.quick and _install(peer, folder):
                try:
                    rows += _measured(peer, folder, {**environ, **peer.environ(port, run.workdir)}, run.workdir)
                except ServerDiedError as error:
                    print(f"{peer.package} does not answer: {str(error)[:500]}", file=sys.stderr)
            run.advance()
    return rows


def _install(peer: _Peer, folder: Path) -> bool:
    command = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        venv.create(folder, with_pip=True)
        subprocess.run(
            [*command, peer.package, *peer.besides], check=True, timeout=_INSTALL_SECONDS, stderr=subprocess.DEVNULL
        )
    except (subprocess.SubprocessError, OSError) as error:
        print(f"{peer.package} cannot be installed: {error}", file=sys.stderr)
        return False
    return True


def _measured(peer: _Peer, folder: Path, environ: Mapping[str, str], workdir: Path) -> list[Row]:
    theirs = ((str(folder / "bin" / peer.program),), peer.call(workdir))
    ours = (BRIDGE, ASK[BRIDGE])
    bare = (FLOOR, ASK[FLOOR])
    starts: dict[tuple[str, ...], list[float]] = {command: [] for command, _ in (ours, theirs, bare)}
    for _ in range(3):
        for command in starts:
            starts[command].append(_start(command, environ))
    cpu: dict[tuple[str, ...], list[float]] = {command: [] for command in starts}
    times: dict[tuple[str, ...], list[float]] = {command: [] for command in starts}
    with (
        McpServer(ours[0], environ, patience=_PATIENCE_SECONDS) as bridge,
        McpServer(theirs[0], environ, patience=_PATIENCE_SECONDS) as other,
        McpServer(bare[0], environ, patience=_PATIENCE_SECONDS) as floor,
    ):
        sides = ((bridge, ours), (other, theirs), (floor, bare))
        for server, (_, call) in sides:
            server.list_tools(LEGACY)
            run_calls((server, call), _CALLS, 1)
        for _ in range(_ROUNDS):
            for server, (command, call) in sides:
                before = server.cpu() or 0.0
                times[command] += [statistics.median(run_calls((server, call), _CALLS, 1)) * 1e3]
                cpu[command].append(((server.cpu() or 0.0) - before) * 1e3 / _CALLS)
    rows = []
    for measure, costs, target in (
        ("CPU per call", cpu, None),
        ("latency, p50", times, None),
        ("time to tools/list", starts, 1.0),
    ):
        rows.append(compare(NAME, measure, peer.package, "ms", costs[ours[0]], costs[theirs[0]], target))
        if measure == "CPU per call":
            of_peer = f"{measure} of {peer.package}"
            rows.append(compare(NAME, of_peer, PLAIN, "ms", costs[theirs[0]], costs[bare[0]]))
    return rows


def _start(command: tuple[str, ...], environ: Mapping[str, str]) -> float:
    started = perf_counter()
    with McpServer(command, environ) as server:
        server.list_tools(LEGACY)
        return (perf_counter() - started) * 1e3
