"""A user of a host who answers questions, and the MCP servers that the questions are about."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
from mcp.client import ClientRequestContext
from mcp.types import ElicitRequestFormParams, ElicitRequestParams, ElicitResult, ErrorData

from harness import Host

MCP_SECRET = "tok-3f9c2d71e8"
MCP_SERVERS = {
    "tickets": {"url": "https://mcp.example.com/tickets", "authorization": "${TICKETS_TOKEN}"},
    "docs": {"url": "https://mcp.example.com/docs", "headers": {"X-Key": "${TICKETS_TOKEN}"}},
    "free": {"url": "https://mcp.example.com/free", "require_approval": "never"},
}


class User:
    """Somebody in front of a host: what was asked, and what is answered by its number.

    Args:
        answers: an answer for each question; the last one for all that follow. ``True`` accepts, ``False`` declines;
            ``"wait"`` accepts once ``may_answer`` is set, ``"hang"`` never answers.
    """

    def __init__(self, *answers: Any) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.was_asked, self.may_answer = anyio.Event(), anyio.Event()

    async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult | ErrorData:
        assert isinstance(params, ElicitRequestFormParams)
        answer = self.answers[min(len(self.asked), len(self.answers) - 1)]
        self.asked.append(params.message)
        self.was_asked.set()
        assert params.requested_schema == {"type": "object", "properties": {}}
        if isinstance(answer, bool):
            return ElicitResult(action="accept" if answer else "decline")
        if answer == "hang":
            await anyio.sleep_forever()
        if answer == "wait":
            await self.may_answer.wait()
            return ElicitResult(action="accept")
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, ElicitResult | ErrorData) else ElicitResult(action=answer)


Connected = Callable[..., AbstractAsyncContextManager[Host]]
"""A host with somebody in front of it, or without: ``async with hosts(era, user, **settings)``."""
