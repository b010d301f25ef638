"""A host with the tasks extension, based on the SDK's client."""

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import anyio
from mcp import Client
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.client.session import ClientSession
from mcp.types import CallToolResult, Request, Result
from mcp_types.version import LATEST_MODERN_VERSION
from pydantic import BaseModel

IDENTIFIER = "io.modelcontextprotocol/tasks"
OVER = ("completed", "failed", "cancelled")


class CreatedTask(Result):
    """``CreateTaskResult`` for the client."""

    result_type: Literal["task"] = "task"
    task_id: str
    status: str
    status_message: str | None = None
    created_at: str
    last_updated_at: str
    ttl_ms: int
    poll_interval_ms: int | None = None


class Answer(BaseModel, extra="allow"):
    """Any answer."""


class TaskRequest(Request[dict[str, Any], str]):
    """A request about a task, whose id is also sent in a header."""

    name_param: ClassVar[str | None] = "taskId"
    method: str
    params: dict[str, Any]


class Tasks(ClientExtension):
    """Waits for tasks, so that ``Client.call_tool`` returns the result of one."""

    identifier = IDENTIFIER

    def claims(self) -> Sequence[ResultClaim[Any]]:
        return [ResultClaim(result_type="task", model=CreatedTask, resolve=self.finish)]

    async def finish(self, created: CreatedTask, context: ClaimContext) -> CallToolResult:
        task = await until(context.session, created.task_id, *OVER)
        return CallToolResult.model_validate(task["result"])


async def ask(session: ClientSession, method: str, **params: Any) -> dict[str, Any]:
    """Send one request about a task; return the answer without the server's name."""
    answer = (await session.send_request(TaskRequest(method=method, params=params), Answer)).model_dump()
    answer.pop("_meta", None)
    return answer


async def until(session: ClientSession, task_id: str, *statuses: str) -> dict[str, Any]:
    """Poll a task, as hosts do, until it has one of ``statuses``."""
    while (task := await ask(session, "tasks/get", taskId=task_id))["status"] not in statuses:
        assert task["status"] not in OVER, task
        await anyio.sleep(0.02)  # the protocol has no event to wait for
    return task


@dataclass
class TaskHost:
    """A host that manages tasks itself."""

    client: Client

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool; return the result as it was received, a task or not."""
        result = await self.client.session.call_tool(tool, arguments, allow_claimed=True, allow_input_required=True)
        dumped: dict[str, Any] = result.model_dump(mode="json", by_alias=True, exclude_none=True)
        dumped.pop("_meta", None)
        return dumped

    async def start(self, tool: str, **arguments: Any) -> str:
        """Call a tool that must become a task; return the task's id."""
        created = await self.call(tool, **arguments)
        assert created["resultType"] == "task", created
        return str(created["taskId"])

    async def get(self, task_id: str) -> dict[str, Any]:
        return await ask(self.client.session, "tasks/get", taskId=task_id)

    async def update(self, task_id: str, **responses: Any) -> dict[str, Any]:
        return await ask(self.client.session, "tasks/update", taskId=task_id, inputResponses=responses)

    async def cancel(self, task_id: str) -> dict[str, Any]:
        return await ask(self.client.session, "tasks/cancel", taskId=task_id)

    async def until(self, task_id: str, *statuses: str) -> dict[str, Any]:
        return await until(self.client.session, task_id, *statuses)

    async def result(self, task_id: str) -> dict[str, Any]:
        """Return the result of a task that must complete."""
        task = await self.until(task_id, "completed")
        result: dict[str, Any] = task["result"]
        return result


TaskHosts = Callable[..., AbstractAsyncContextManager[TaskHost]]
"""``async with task_hosts(client_name=…, **settings) as host``."""


def task_client(server: Any, **more: Any) -> Client:
    """Return a client that declares tasks."""
    return Client(server, mode=LATEST_MODERN_VERSION, extensions=[Tasks()], **more)


def shape(task: dict[str, Any]) -> dict[str, Any]:
    """Return a task with names for what differs between runs."""
    patterns = {"taskId": r"job_[0-9a-f]{16}", **dict.fromkeys(("createdAt", "lastUpdatedAt"), r"[\d-]{10}T[\d:.]+Z")}
    for name, pattern in patterns.items():
        assert re.fullmatch(pattern, task[name]), task
    return {**task, **dict.fromkeys(patterns, "…")}
