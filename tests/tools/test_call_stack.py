"""The path of a call through the code is short, and no context variable lies on it."""

import ast
import gc
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import httpx
import pytest
from inline_snapshot import snapshot

import databricks_responses_mcp
from databricks_responses_mcp.workspace.direct_transport import DirectTransport
from databricks_workspace_emulator.server import RunningEmulator
from harness import Connect, Host

pytestmark = pytest.mark.anyio

_ASK = "ask_databricks_model"
PACKAGE = Path(databricks_responses_mcp.__file__).parent


async def test_a_warm_ask_has_at_most_13_own_frames_when_its_request_is_sent(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = DirectTransport.handle_async_request
    stacks: list[list[str]] = []

    async def recorded(self: DirectTransport, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/responses"):
            stacks.append(
                [
                    f"{Path(frame.filename).relative_to(PACKAGE).as_posix()} {frame.name}"
                    for frame in traceback.extract_stack()
                    if Path(frame.filename).is_relative_to(PACKAGE)
                ]
            )
        return await exchange(self, request)

    monkeypatch.setattr(DirectTransport, "handle_async_request", recorded)
    async with connect() as host:
        for _ in range(2):
            await host.call("ask_databricks_model", prompt="[[say Hi]]")
    assert stacks[-1] == snapshot(
        [
            "calls/tool_call.py _run_in_job",
            "tools/ask_databricks_model.py ask_databricks_model",
            "turns/ask.py ask",
            "turns/turn.py take_turn",
            "turns/pipeline.py send_without_refused_parts",
            "turns/pipeline.py send_metered",
            "turns/pipeline.py send_with_surface_fallback",
            "turns/stream.py send_one_stream",
            "turns/stream.py _read_answer",
            "workspace/http.py responses",
            "workspace/http.py _exchange",
            "workspace/http.py _attempt",
            "workspace/transport.py send",
        ]
    )
    assert len(stacks[-1]) <= 13


async def test_an_ask_without_approvals_runs_nothing_of_elicitation(connect: Connect) -> None:
    files: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and (path := Path(frame.f_code.co_filename)).is_relative_to(PACKAGE):
            files.add(path.relative_to(PACKAGE).as_posix())

    async with connect() as host:
        await host.call("ask_databricks_model", prompt="[[say Hi]]")
        sys.setprofile(note)
        try:
            await host.call("ask_databricks_model", prompt="[[say Hi]]")
        finally:
            sys.setprofile(None)
    assert "calls/tool_call.py" in files
    assert files & {"calls/approvals.py", "calls/elicitation.py"} == set()


def test_no_context_variable_lies_on_the_path_of_a_call() -> None:
    created = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name) and node.id == "ContextVar"
    }
    assert created == set()


async def test_what_a_call_has_received_is_freed_without_the_garbage_collector(connect: Connect) -> None:
    async with connect() as host:
        await host.call("ask_databricks_model", prompt="[[say Hi]]")
        with left_to_the_collector() as left:
            await host.call("ask_databricks_model", prompt="[[say Hi]]")
    assert left == []


@pytest.mark.parametrize(
    ("tool", "fault"),
    [
        *((_ASK, fault) for fault in
          ("400", "body:wrong_surface", "500x9", "403", "drop", "garbage", "html:502", "cut:3", "malformed:2",
           "failed:2", "error_event:2", "no_terminal", "login", "body:too_large")),
        *(("generate_image", fault) for fault in ("400", "body:wrong_surface", "failed:2")),
    ],
)  # fmt: skip
async def test_what_a_failed_call_was_given_and_has_received_is_freed_without_the_garbage_collector(
    connect: Connect, emulator: RunningEmulator, tool: str, fault: str
) -> None:
    async def fail(host: Host) -> None:
        emulator.state.faults.add(fault)
        await host.call(tool, prompt="Hi")
        emulator.state.faults.clear()

    async with connect(max_retries=1) as host:
        await fail(host)
        await fail(host)
        with left_to_the_collector() as left:
            await fail(host)
    assert left == []


@contextmanager
def left_to_the_collector() -> Iterator[list[str]]:
    """Yield a list of what only the garbage collector frees of the work in the context: this package's objects."""
    left: list[str] = []
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)  # what the collector finds from here on is in `gc.garbage`
    try:
        yield left
        gc.collect()
        left += [name for name in map(_name_of, gc.garbage) if name.startswith(PACKAGE.name)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


def _name_of(thing: object) -> str:
    """Return the type of an object; of a frame, its function."""
    if isinstance(thing, FrameType):
        path = Path(thing.f_code.co_filename)
        inside = path.is_relative_to(PACKAGE)
        return f"{PACKAGE.name} frame {path.name} {thing.f_code.co_qualname}" if inside else path.name
    return f"{type(thing).__module__}.{type(thing).__name__}"
