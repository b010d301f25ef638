"""Tools whose calls become tasks, each at a point of its own choice, as the conformance suite asks for by name."""

from typing import Any

import anyio
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from mcp.types import (
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
    TextContent,
)
from mcp_types import INTERNAL_ERROR

from databricks_responses_mcp.calls.running_task import hand_over
from databricks_responses_mcp.calls.state import AppSource
from databricks_responses_mcp.calls.tasks import TaskPolicy
from databricks_responses_mcp.server import BridgeServer

Ctx = Context[AppSource, Any]
Reply = CallToolResult | InputRequiredResult


def add_tasks(server: BridgeServer) -> None:
    """Register every tool of this file; all but ``greet`` may become tasks, two must."""
    for tool in (
        greet,
        slow_compute,
        failing_job,
        protocol_error_job,
        confirm_delete,
        multi_input,
        test_tool_with_task,
    ):
        server.tool(structured_output=False)(tool)
    for tool in (slow_compute, protocol_error_job, confirm_delete, multi_input):
        server.tasks.policies[tool.__name__] = TaskPolicy(after_seconds=60)
    for tool in (failing_job, test_tool_with_task):
        server.tasks.policies[tool.__name__] = TaskPolicy(after_seconds=60, required=True)


async def greet(name: str) -> str:
    """Never a task."""
    return f"Hello, {name}!"


async def slow_compute(ctx: Ctx, seconds: float, label: str = "") -> str:
    """Takes its time."""
    if seconds > 0:
        await hand_over(ctx)
    await anyio.sleep(seconds)
    return f"{label} took {seconds:g} s."


async def failing_job(ctx: Ctx) -> str:
    """Fails after a while."""
    await hand_over(ctx)
    await anyio.sleep(0.2)
    raise ToolError("This job always fails.")


async def protocol_error_job(ctx: Ctx) -> str:
    """Ends with an error of the protocol."""
    await hand_over(ctx)
    raise MCPError(code=INTERNAL_ERROR, message="This job breaks the protocol.")


async def confirm_delete(filename: str, ctx: Ctx) -> Reply:
    """Asks once, as a task."""
    await hand_over(ctx)
    match _content(ctx, "confirm"):
        case {"confirm": True}:
            return _done(f"{filename} would be gone.")
        case dict():
            return _done(f"{filename} stays.")
    return InputRequiredResult(input_requests={"confirm": _form(f"Delete {filename}?", confirm="boolean")})


async def multi_input(ctx: Ctx) -> Reply:
    """Asks two things at once, as a task."""
    await hand_over(ctx)
    first, second = _content(ctx, "first"), _content(ctx, "second")
    if first is not None and second is not None:
        return _done(f"{first['name']} and {second['name']}.")
    questions = {key: _form(f"The {key} name?", name="string", confirm="boolean") for key in ("first", "second")}
    return InputRequiredResult(input_requests={**questions})


async def test_tool_with_task(ctx: Ctx) -> Reply:
    """Asks before it is a task, and becomes one with the answer."""
    answer = _content(ctx, "user_name")
    if answer is None:
        return InputRequiredResult(input_requests={"user_name": _form("What is your name?", name="string")})
    await hand_over(ctx)
    return _done(f"Hello, {answer['name']}!")


def _done(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=text)])


def _form(message: str, **fields: str) -> ElicitRequest:
    properties = {name: {"type": kind} for name, kind in fields.items()}
    schema = {"type": "object", "properties": properties, "required": list(fields)[:1]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def _content(ctx: Ctx, key: str) -> dict[str, Any] | None:
    """What the user filled in; empty if that was nothing; None if nobody was asked."""
    match (ctx.input_responses or {}).get(key):
        case ElicitResult(content=content):
            return dict(content or {})
    return None
