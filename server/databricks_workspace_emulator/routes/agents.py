"""Agent endpoints, each in the format of its kind, streamed and not."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from databricks_workspace_emulator.agents import chat, plain, supervisor
from databricks_workspace_emulator.agents.asked import Asked, Chunk, read_chat_agent, read_responses_agent
from databricks_workspace_emulator.catalogue import Endpoint
from databricks_workspace_emulator.chunk_faults import play_in_chunks
from databricks_workspace_emulator.exchange import Aborted, Incoming, Reply, json_reply
from databricks_workspace_emulator.faults import first
from databricks_workspace_emulator.sse import CONTENT_TYPE, HEADERS


@dataclass(frozen=True, slots=True)
class _Dialect:
    chunks: Callable[[Asked], AsyncGenerator[Chunk]]
    whole: Callable[[Asked, Sequence[Chunk]], dict[str, Any]]


_PLAIN = _Dialect(plain.chunks, plain.whole)
_SUPERVISOR = _Dialect(supervisor.chunks, supervisor.whole)
_CHAT = {
    "agent/v2/chat": _Dialect(chat.chunks, chat.whole),
    "agent/v1/chat": _Dialect(chat.old_chunks, chat.old_whole),
}


async def respond(incoming: Incoming, endpoint: Endpoint, value: dict[str, Any]) -> Reply:
    """Answer like an agent that was deployed to the workspace."""
    engine = incoming.state.engine
    dialect = _CHAT.get(endpoint.task)
    if dialect is not None:
        asked = await read_chat_agent(value, engine)
    else:
        dialect = _SUPERVISOR if endpoint.style == "supervisor" else _PLAIN
        asked = await read_responses_agent(value, engine)
    chunks = dialect.chunks(asked)
    if asked.stream:
        return Reply(play_in_chunks(incoming, chunks), content_type=CONTENT_TYPE, headers=HEADERS)
    if first(incoming.faults, "cut", "no_terminal", "close"):
        raise Aborted
    async with aclosing(chunks):
        return json_reply(dialect.whole(asked, [chunk async for chunk in chunks]))
