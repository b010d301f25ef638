"""The generated part of the architecture page: the functions on the stack of a call when it sends its request."""

import ast
import asyncio
import inspect
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any

import anyio
import httpx
from mcp import Client

from databricks_responses_mcp.server import build_server
from databricks_responses_mcp.turns.bridge import open_bridge
from databricks_responses_mcp.workspace.direct_transport import DirectTransport
from databricks_responses_mcp.workspace.settings import load_settings
from databricks_workspace_emulator.server import run_emulator

BRIDGE = Path(__file__).parents[2] / "server" / "databricks_responses_mcp"
TOOL = "ask_databricks_model"


def call_path_part() -> str:
    """Return the functions of the bridge that are on the stack when a warm ``ask`` sends its request, in order."""
    waiting, sending = anyio.run(_stacks)
    parts = [_table("The task that the SDK runs for the request", waiting)] if waiting else []
    return "\n\n".join([*parts, _table("The task that sends", sending)])


def _table(title: str, stack: list[CodeType]) -> str:
    rows = [f"| {title} | what it does |", "|---|---|"]
    return "\n".join([*rows, *(f"| `{_file(code)}`: `{_name(code)}` | {_does(code)} |" for code in stack)])


async def _stacks() -> tuple[list[CodeType], list[CodeType]]:
    """Ask twice, and return the stacks of the second call: of the task that waits for it, and of the one that sends."""
    found: list[tuple[list[CodeType], list[CodeType]]] = []

    async def note(request: httpx.Request) -> None:
        if request.method == "POST":
            tasks = [
                _own(_awaited(task.get_coro())) for task in asyncio.all_tasks() if task is not asyncio.current_task()
            ]
            [waiting] = [stack for stack in tasks if any(code.co_name == "call_tool" for code in stack)] or [[]]
            found.append((waiting, _own(_current())))

    with tempfile.TemporaryDirectory() as folder:
        async with run_emulator() as emulator:
            environ = {"DATABRICKS_HOST": emulator.host, "DATABRICKS_TOKEN": emulator.token}
            settings = load_settings(environ, {"model": "databricks-gpt-5", "store": str(Path(folder) / "store.db")})
            exchange = DirectTransport.handle_async_request

            async def noted(self: DirectTransport, request: httpx.Request) -> httpx.Response:
                await note(request)
                return await exchange(self, request)

            DirectTransport.handle_async_request = noted  # type: ignore[method-assign]
            try:
                async with Client(build_server(lambda: open_bridge(settings, {}))) as client:
                    for _ in range(2):
                        await client.call_tool(TOOL, {"prompt": "[[say hello]]"})
            finally:
                DirectTransport.handle_async_request = exchange  # type: ignore[method-assign]
    return found[-1]


def _current() -> list[CodeType]:
    frame = inspect.currentframe()
    codes: list[CodeType] = []
    while frame is not None:
        codes.append(frame.f_code)
        frame = frame.f_back
    return codes[::-1]


def _awaited(coroutine: Any) -> list[CodeType]:
    """What a suspended coroutine waits in, the outermost first."""
    codes: list[CodeType] = []
    while coroutine is not None:
        code = getattr(coroutine, "cr_code", None) or getattr(coroutine, "ag_code", None)
        if code is not None:
            codes.append(code)
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "ag_await", None)
    return codes


def _own(codes: list[CodeType]) -> list[CodeType]:
    return [code for code in codes if Path(code.co_filename).is_relative_to(BRIDGE)]


def _file(code: CodeType) -> str:
    return Path(code.co_filename).relative_to(BRIDGE).as_posix()


def _name(code: CodeType) -> str:
    return code.co_qualname.replace(".<locals>", "")


def _does(code: CodeType) -> str:
    """The first sentence of a function's docstring."""
    name = code.co_name
    nodes = [
        node for node in ast.walk(_tree(code.co_filename)) if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)
    ]
    line = code.co_firstlineno
    [node] = [
        one for one in nodes if one.name == name and line in (one.lineno, *(d.lineno for d in one.decorator_list))
    ]
    text = " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())
    return text.replace("``", "`").replace("|", "\\|")


@cache
def _tree(file: str) -> ast.Module:
    return ast.parse(Path(file).read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.stdout.write(call_path_part() + "\n")
