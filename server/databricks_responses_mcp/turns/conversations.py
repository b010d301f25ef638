"""Conversations: what was said so far, kept here because the API stores nothing, and replayed with each turn.

They live in this process's memory, the oldest going first when there are too many.
"""

import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.responses.assembly import Item
from databricks_responses_mcp.responses.replay import replayable
from databricks_responses_mcp.turns.outcome import Outcome

_MOST_CONVERSATIONS = 500


@dataclass(eq=False)
class Conversation:
    """One conversation with one endpoint.

    Attributes:
        conversation_id: how callers name it.
        endpoint: the serving endpoint that answers in it.
        parameters: the request's other parameters (instructions, tools, …), sent again with each turn.
        mcp_servers: the names of the MCP servers that the model may use; their secrets are looked up for each turn.
        output_schema: the JSON Schema that its answers must fit, if any.
        items: everything said, as input items.
        pending: calls that wait for the caller, as ``Outcome.pending_calls`` gives them.
        turns: how many turns were kept.
        turn: held while a turn is under way: two at once would lose one.
    """

    conversation_id: str
    endpoint: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    mcp_servers: Sequence[str] = ()
    output_schema: Mapping[str, Any] | None = None
    items: list[Item] = field(default_factory=list)
    pending: list[dict[str, Any]] = field(default_factory=list)
    turns: int = 0
    turn: anyio.Lock = field(default_factory=anyio.Lock)

    def commit(self, said: Sequence[Item], outcome: Outcome) -> None:
        """Keep a turn that worked: what the caller said, what came back, what now waits."""
        self.items += [*said, *replayable(outcome.items)]
        self.pending = outcome.pending_calls
        self.turns += 1
        # A choice is made for one turn: a model that must call a tool in every turn would never come to an answer.
        self.parameters = {
            name: value for name, value in self.parameters.items() if name != "tool_choice" or value == "none"
        }

    @asynccontextmanager
    async def as_it_was_on_failure(self) -> AsyncIterator[None]:
        """Undo what a turn has changed of the settings if it ends without having been kept."""
        before = (self.endpoint, self.parameters, self.mcp_servers, self.output_schema)
        turns = self.turns
        try:
            yield
        finally:
            if self.turns == turns:
                self.endpoint, self.parameters, self.mcp_servers, self.output_schema = before


class Conversations:
    """The conversations of this process by id."""

    def __init__(self) -> None:
        self._by_id: OrderedDict[str, Conversation] = OrderedDict()

    def new(self, endpoint: str, parameters: Mapping[str, Any]) -> Conversation:
        """A conversation that nobody knows yet: it can be found once it is kept."""
        return Conversation(f"conv_{secrets.token_hex(8)}", endpoint, parameters)

    def keep(self, conversation: Conversation) -> None:
        """Make a conversation findable, as the newest."""
        self._by_id[conversation.conversation_id] = conversation
        self._by_id.move_to_end(conversation.conversation_id)
        while len(self._by_id) > _MOST_CONVERSATIONS:
            self._by_id.popitem(last=False)

    def get(self, conversation_id: str) -> Conversation:
        """The conversation of that id.

        Raises:
            BridgeError: ``not_found``.
        """
        conversation = self._by_id.get(conversation_id)
        if conversation is None:
            raise BridgeError(
                ErrorCode.NOT_FOUND,
                f"There is no conversation {conversation_id!r}.",
                "Conversations are kept while this server runs; begin a new one with ask_databricks_model.",
            )
        return conversation
