"""The extension ``io.modelcontextprotocol/tasks`` (SEP-2663): long calls as tasks, for hosts that declare it.

The server decides which calls become tasks. A call that ends, or asks its user a question, within
``TaskPolicy.after_seconds`` is answered directly, because a task would cost its host another request and a wait; a call
that takes longer becomes a task. That is early, not only shortly before the host would give up: from then on the call
needs no connection and is available by its id, even after its host has restarted. Its progress is the task's
``statusMessage``.

A task is a job (``calls/jobs.py``): its id is the job's, which ``get_response`` also accepts. Hosts that do not declare
the extension see nothing of this.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver.server import require_client_extension
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp.types import CallToolRequestParams, RequestParams
from mcp_types import HEADER_MISMATCH
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from databricks_responses_mcp.calls.state import AppSource

IDENTIFIER = "io.modelcontextprotocol/tasks"
AFTER_SECONDS = 2.0

Ctx = ServerRequestContext[AppSource, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPolicy:
    """When calls of a tool become tasks.

    Attributes:
        after_seconds: calls that end within that time are answered without a task. A tool may become a task earlier
            (``running_task.hand_over``).
        required: whether the tool is refused to hosts that do not declare the extension.
    """

    after_seconds: float = AFTER_SECONDS
    required: bool = False


LONG_RUNNING = (
    "ask_databricks_model",
    "continue_databricks_model",
    "generate_image",
    "search_web",
    "edit_files",
    "manage_conversations",  # compacting asks a model
)
"""The server's own tools whose calls may take longer than a host waits."""


class TaskParams(RequestParams):
    """Parameters of ``tasks/get`` and ``tasks/cancel``."""

    task_id: str


class UpdateParams(TaskParams):
    """Parameters of ``tasks/update``; each response is validated when its question is known."""

    input_responses: dict[str, Any]


class TasksExtension(Extension):
    """Serves tasks; one for each server.

    Attributes:
        policies: the tools whose calls may become tasks. Others that are registered on the server may be added.
    """

    identifier = IDENTIFIER

    def __init__(self) -> None:
        self.policies: dict[str, TaskPolicy] = {name: TaskPolicy() for name in LONG_RUNNING}

    def methods(self) -> Sequence[MethodBinding]:
        """Return the handlers of ``tasks/get``, ``tasks/update`` and ``tasks/cancel``, for connections of 2026-07-28
        and later.
        """
        versions = frozenset(MODERN_PROTOCOL_VERSIONS)
        return [
            MethodBinding("tasks/get", TaskParams, self._get, versions),
            MethodBinding("tasks/update", UpdateParams, self._update, versions),
            MethodBinding("tasks/cancel", TaskParams, self._cancel, versions),
        ]

    async def intercept_tool_call(self, params: CallToolRequestParams, ctx: Ctx, call_next: CallNext) -> HandlerResult:
        """Answer a call, with a task if it takes long and its host declares tasks.

        Raises:
            MCPError: -32021 if the tool requires tasks and the host does not declare the extension.
        """
        policy = self.policies.get(params.name)
        if policy is None:
            return await call_next(ctx)
        if not _is_declared(ctx):
            if policy.required:
                require_client_extension(ctx, IDENTIFIER)
            return await call_next(ctx)
        from databricks_responses_mcp.calls.running_task import answer_call

        return await answer_call(policy.after_seconds, params, ctx, call_next)

    async def _get(self, ctx: Ctx, params: TaskParams) -> HandlerResult:
        _admit(ctx, params)
        from databricks_responses_mcp.calls.task_queries import look_at

        return await look_at(ctx, params.task_id)

    async def _update(self, ctx: Ctx, params: UpdateParams) -> HandlerResult:
        _admit(ctx, params)
        from databricks_responses_mcp.calls.task_queries import update

        await update(ctx, params.task_id, params.input_responses)
        return {}

    async def _cancel(self, ctx: Ctx, params: TaskParams) -> HandlerResult:
        _admit(ctx, params)
        from databricks_responses_mcp.calls.task_queries import cancel

        await cancel(ctx, params.task_id)
        return {}


def _is_declared(ctx: Ctx) -> bool:
    capabilities = ctx.session.client_capabilities
    extensions = capabilities.extensions if capabilities is not None else None
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS and IDENTIFIER in (extensions or {})


def _admit(ctx: Ctx, params: TaskParams) -> None:
    """Refuse a request about a task if its host does not support tasks, or its header does not name that task.

    The SDK (mcp 2.3) applies that rule only to the methods that it knows.
    """
    require_client_extension(ctx, IDENTIFIER)
    headers = getattr(ctx.request, "headers", None)  # there is no HTTP request on stdio
    if headers is not None and decode_header_value(headers.get(MCP_NAME_HEADER)) != params.task_id:
        raise MCPError(code=HEADER_MISMATCH, message="The Mcp-Name header must be params.taskId")
