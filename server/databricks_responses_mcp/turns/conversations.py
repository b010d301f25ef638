"""Conversations: stored here because the API stores nothing, and sent again with each turn.

Every turn is in the store before it is returned. Memory holds the conversations that a running server used last.
"""

import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import anyio

from databricks_responses_mcp.errors import Action, Advice, BridgeError, ErrorCode, quoted
from databricks_responses_mcp.responses.accumulator import Item
from databricks_responses_mcp.responses.output import pending_calls_of
from databricks_responses_mcp.responses.replay import from_last_compaction, replayable, without_reasoning
from databricks_responses_mcp.responses.unique_ids import call_ids, unique_calls
from databricks_responses_mcp.store.interface import Store, StoreError, TurnConflictError
from databricks_responses_mcp.store.records import ConversationState, Turn, Usage
from databricks_responses_mcp.turns.outcome import Outcome
from databricks_responses_mcp.turns.store_calls import within_time_limit
from databricks_responses_mcp.turns.tool_secrets import with_tool_secrets, without_tool_secrets

logger = logging.getLogger(__name__)

_MAX_IN_MEMORY = 200
_MAX_CHARACTERS = 64_000_000
_KEEP_SECONDS = 15.0
_LOAD_SECONDS = 15.0
_TITLE_CHARACTERS = 80
_TITLE_SOURCE_CHARACTERS = 2000
_REPLACED = (
    "The store was deleted or replaced while this server ran; the conversation was in memory and was stored again."
)


@dataclass(eq=False)
class Conversation:
    """One conversation.

    Attributes:
        conversation_id: its id for callers.
        endpoint: the serving endpoint that answers in it.
        parameters: the request's other parameters (instructions, tools, …), sent again with each turn.
        mcp_servers: the names of the MCP servers that the model may use; their secrets are looked up for each turn.
        output_schema: the JSON Schema that its answers must match, if any.
        pending: calls that wait for the caller, as in ``Outcome.pending_calls``.
        replay_from: the number of the first turn that is sent again.
        history: every turn, in order.
        unkept: the number of newest turns that are not in the store yet.
        unkept_usage: the usage of turns, by turn number, that is committed with them.
        unreadable: the number of the last turn whose encrypted reasoning the endpoint could no longer read.
        replacements: the value of `Store.replacements` when the store was last known to have the conversation.
        turn: the lock that is held during a turn: of two concurrent turns, one would be lost.
        counted: the part of its weight that its table in memory has counted.
    """

    conversation_id: str
    endpoint: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    mcp_servers: Sequence[str] = ()
    output_schema: Mapping[str, Any] | None = None
    pending: list[dict[str, Any]] = field(default_factory=list)
    replay_from: int = 1
    history: list[Turn] = field(default_factory=list)
    unkept: int = 0
    unkept_usage: dict[int, Usage] = field(default_factory=dict)
    unreadable: int = 0
    replacements: int = 0
    turn: anyio.Lock = field(default_factory=lambda: anyio.Lock(fast_acquire=True))
    counted: int = 0
    _weighed: tuple[int, int] = (0, 0)

    @property
    def weight(self) -> int:
        """The approximate size of its turns, in characters."""
        turns, characters = self._weighed
        characters += sum(weight_of(turn.said) + weight_of(turn.items) for turn in self.history[turns:])
        self._weighed = len(self.history), characters
        return characters

    def input_items(self) -> list[Item]:
        """Return all items to send to the endpoint; images are placeholders without ``result``.

        Encrypted reasoning is sent only to the endpoint that produced it.
        """
        items: list[Item] = []
        for turn in self.history[self.replay_from - 1 :]:
            answer = replayable(turn.items)
            if turn.endpoint != self.endpoint or turn.number <= self.unreadable:
                answer = without_reasoning(answer)
            items += [*turn.said, *answer]
        return from_last_compaction(items)

    @property
    def call_ids(self) -> set[str]:
        """The ids of all calls so far: a repeated id must not mean the same call."""
        return {name for turn in self.history for name in call_ids(turn.items)}

    @property
    def state(self) -> ConversationState:
        """The state that the next turn inherits, without the credentials of MCP servers."""
        return ConversationState(
            endpoint=self.endpoint,
            parameters=without_tool_secrets(self.parameters),
            mcp_servers=tuple(self.mcp_servers),
            output_schema=self.output_schema,
            pending=self.pending,
            replay_from=self.replay_from,
        )

    def take_over(self, state: ConversationState) -> None:
        """Restore this state; credentials of MCP servers that are still known are kept."""
        self.endpoint = state.endpoint
        self.parameters = with_tool_secrets(state.parameters, self.parameters)
        self.mcp_servers = state.mcp_servers
        self.output_schema = state.output_schema
        self.pending = [dict(call) for call in state.pending]
        self.replay_from = state.replay_from

    def name_pending_calls(self) -> None:
        """Make the ids of pending calls unique, as they are sent: earlier versions stored ids that servers repeated."""
        names = [str(call.get("approval_request_id") or call.get("call_id")) for call in self.pending]
        if len(set(names)) < len(names):
            self.pending = pending_calls_of(unique_calls(self.input_items()))[-len(names) :]

    def add(self, said: Sequence[Item], outcome: Outcome) -> None:
        """Add a successful turn: what the caller said, the answer, the calls that are now pending."""
        self.history.append(
            Turn(
                number=len(self.history) + 1,
                endpoint=self.endpoint,
                model=outcome.model,
                said=list(said),
                items=outcome.items,
                status=outcome.status,
                created_at=time.time(),
                response_id=outcome.response_id,
                usage=outcome.usage,
            )
        )
        self.unkept += 1
        self.pending = outcome.pending_calls
        # A tool choice applies to one turn: a model that must call a tool in every turn would never answer.
        self.parameters = {
            name: value for name, value in self.parameters.items() if name != "tool_choice" or value == "none"
        }

    def add_summary(self, said: Sequence[Item], outcome: Outcome) -> None:
        """Send ``said`` in place of all turns so far from now on; the turns themselves are kept."""
        self.add(said, replace(outcome, items=[], pending_calls=[]))
        self.replay_from = len(self.history)

    @asynccontextmanager
    async def as_it_was_on_failure(self) -> AsyncIterator[None]:
        """Restore the settings that a turn has changed if it ends without being stored."""
        before, parameters, turns = self.state, self.parameters, len(self.history)
        try:
            yield
        finally:
            if len(self.history) == turns:
                self.parameters = parameters
                self.take_over(before)


def check_nothing_waits(conversation: Conversation) -> None:
    """Refuse a turn while calls wait for their outputs.

    Raises:
        BridgeError: ``invalid_argument``, naming the calls.
    """
    if conversation.pending:
        waiting = ", ".join(
            str(call.get("call_id") or call.get("approval_request_id")) for call in conversation.pending
        )
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"The conversation waits for the outputs of {waiting}.",
            "To skip a call, return an output that says so; to decline an approval, return approve: false.",
            advice=(Advice(Action.CONTINUE_CALL, conversation.conversation_id),),
        )


class Conversations:
    """The conversations of a store; those in use are held in memory.

    Args:
        store: the store of the conversations.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._by_id: OrderedDict[str, Conversation] = OrderedDict()
        self._held = 0

    def new(self, endpoint: str, parameters: Mapping[str, Any]) -> Conversation:
        """Return a new conversation, which can be found once it is stored."""
        return Conversation(_new_id(), endpoint, parameters, replacements=self._store.replacements)

    def in_memory(self, conversation_id: str) -> Conversation | None:
        """Return the conversation if it is in this process's memory."""
        return self._by_id.get(conversation_id)

    @asynccontextmanager
    async def turn_of(self, conversation_id: str) -> AsyncIterator[Conversation]:
        """Yield the conversation of an id, up to date; no other call of this process can use it in the context.

        Raises:
            BridgeError: ``not_found``; ``internal`` if the store cannot be read.
        """
        while True:
            # Added to the table before it is read: two concurrent calls must use the same lock.
            conversation = self._by_id.setdefault(conversation_id, Conversation(conversation_id))
            self._by_id.move_to_end(conversation_id)
            async with conversation.turn:
                # While this call waited, the conversation may have been deleted, or have become a copy with another id.
                if self._by_id.get(conversation_id) is not conversation:
                    continue
                await self._bring_up_to_date(conversation)
                self._hold(conversation)
                self._forget_some()
                yield conversation
                return

    async def keep(self, conversation: Conversation) -> tuple[str, ...]:
        """Commit the turns that the store does not have; return a note for the caller if that failed.

        The caller holds ``conversation.turn``. Never raises: a paid answer is returned in any case.
        """
        notes: tuple[str, ...] = ()
        # Shielded: a caller that cancels now has still paid for the turn.
        with anyio.move_on_after(_KEEP_SECONDS, shield=True) as scope:
            try:
                notes = await self._commit(conversation)
            except StoreError as error:
                notes = (_unkept(str(error)),)
            except Exception as error:  # a defect of the store must not lose a paid answer
                logger.exception("keeping a turn failed")
                notes = (_unkept(f"The store failed ({type(error).__name__})."),)
        if scope.cancelled_caught:
            notes = (_unkept(f"The store did not answer within {_KEEP_SECONDS:.0f} s."),)
        self._hold(conversation)
        self._forget_some()
        return notes

    def forget(self, conversation_ids: Sequence[str]) -> None:
        """Remove deleted conversations from memory."""
        for conversation_id in conversation_ids:
            self._let_go(conversation_id)

    async def _commit(self, conversation: Conversation) -> tuple[str, ...]:
        notes: tuple[str, ...] = ()
        while conversation.unkept:
            turn = conversation.history[-conversation.unkept]
            try:
                # The store keeps the title of the first turn.
                title = _title(turn.said) if turn.number == 1 else ""
                usage = conversation.unkept_usage.get(turn.number)
                if usage is not None:
                    usage = replace(usage, conversation_id=conversation.conversation_id)
                await self._store.add_turn(
                    conversation.conversation_id, turn, conversation.state, title=title, usage=usage
                )
            except TurnConflictError:
                if not await self._has(conversation.conversation_id, turn):
                    if notes:
                        raise
                    notes = (self._keep_anew(conversation) or self._part_from(conversation),)
                    continue
            conversation.unkept -= 1
            conversation.unkept_usage.pop(turn.number, None)
        if conversation.replacements != self._store.replacements:
            conversation.replacements = self._store.replacements
            notes = notes or (_REPLACED,)
        return notes

    def _keep_anew(self, conversation: Conversation) -> str:
        """Mark all turns as not stored if the store has lost them; return a note for the caller in that case."""
        if conversation.replacements == self._store.replacements:
            return ""
        conversation.unkept = len(conversation.history)
        return _REPLACED

    async def _has(self, conversation_id: str, turn: Turn) -> bool:
        """Return whether the store has exactly this turn: it may have been stored although storing seemed to fail."""
        stored = await self._store.conversation(conversation_id, after=turn.number - 1)
        if stored is None or not stored.turns:
            return False
        kept = stored.turns[0]
        return (kept.created_at, kept.response_id) == (turn.created_at, turn.response_id)

    def _part_from(self, conversation: Conversation) -> str:
        """Give a conversation a new id, because another process has continued the one with its id."""
        old = conversation.conversation_id
        self._let_go(old)
        conversation.conversation_id = _new_id()
        conversation.unkept = len(conversation.history)
        new = conversation.conversation_id
        return f"Another process continued {old} at the same time: this turn starts {new}, a copy."

    async def _bring_up_to_date(self, conversation: Conversation) -> None:
        if conversation.unkept:
            return
        conversation_id = conversation.conversation_id
        known = len(conversation.history)
        try:
            stored = await within_time_limit(self._store.conversation(conversation_id, after=known), _LOAD_SECONDS)
        except StoreError as error:
            if known:
                return  # as when it was last loaded; a continuation by another process is detected when storing
            self._let_go(conversation_id)
            raise BridgeError(
                ErrorCode.INTERNAL,
                f"Conversation {quoted(conversation_id)} cannot be read: {error}",
                "Fix the store (see RESPONSES_MCP_STORE), or start a new conversation.",
                retryable=True,
            ) from error
        if stored is None and known and self._keep_anew(conversation):
            return
        if stored is None:
            self._let_go(conversation_id)
            raise BridgeError(
                ErrorCode.NOT_FOUND,
                f"There is no conversation {quoted(conversation_id)}.",
                "",
                advice=(Advice(Action.LIST_CONVERSATIONS), Advice(Action.START_CONVERSATION)),
            )
        conversation.replacements = self._store.replacements
        conversation.history += stored.turns
        conversation.take_over(stored.state)
        conversation.name_pending_calls()

    def _forget_some(self) -> None:
        """Remove the oldest conversations that are not in use from memory when they are too many or too large."""
        # Stored conversations first: the others exist only here.
        for with_unkept in (False, True):
            if len(self._by_id) <= _MAX_IN_MEMORY and self._held <= _MAX_CHARACTERS:
                return
            while (found := self._oldest_unused(with_unkept=with_unkept)) is not None:
                self._let_go(found.conversation_id)
                if len(self._by_id) <= _MAX_IN_MEMORY and self._held <= _MAX_CHARACTERS:
                    return

    def _oldest_unused(self, *, with_unkept: bool) -> Conversation | None:
        """Return the oldest conversation that no call uses, among the stored ones or among the others."""
        for conversation in self._by_id.values():
            if not conversation.turn.locked() and (conversation.unkept > 0) == with_unkept:
                return conversation
        return None

    def _hold(self, conversation: Conversation) -> None:
        """Keep a conversation in memory, as the newest, and count its size."""
        if self._by_id.get(conversation.conversation_id) is not conversation:
            self._let_go(conversation.conversation_id)
            self._by_id[conversation.conversation_id] = conversation
            conversation.counted = 0
        self._by_id.move_to_end(conversation.conversation_id)
        weight = conversation.weight
        self._held += weight - conversation.counted
        conversation.counted = weight

    def _let_go(self, conversation_id: str) -> None:
        if (conversation := self._by_id.pop(conversation_id, None)) is not None:
            self._held -= conversation.counted


def _title(said: Sequence[Item]) -> str:
    """Return the first words of a prompt. Only its first characters are read: it may have megabytes."""
    for item in said:
        content = item.get("content")
        parts = content if isinstance(content, list) else [{"text": content}]
        read, left = [], _TITLE_SOURCE_CHARACTERS
        for part in parts:
            text = part.get("text") if isinstance(part, dict) else None
            if isinstance(text, str) and text and left > 0:
                read.append(text[:left])
                left -= len(text)
        if words := " ".join(" ".join(read).split()):
            return words if len(words) <= _TITLE_CHARACTERS else f"{words[: _TITLE_CHARACTERS - 1]}…"
    return "(no words)"


def weight_of(value: Sequence[Any]) -> int:
    """Return about how many characters a JSON value has."""
    characters = 0
    left: list[Any] = [value]
    while left:
        one = left.pop()
        for part in one.values() if isinstance(one, dict) else one:
            if isinstance(part, str):
                characters += len(part)
            elif isinstance(part, dict | list | tuple):
                left.append(part)
            else:
                characters += 1
    return characters


def _new_id() -> str:
    return f"conv_{secrets.token_hex(8)}"


def _unkept(reason: str) -> str:
    only = "This process can continue the conversation until it ends; no other can."
    return f"This turn could not be stored: {reason} {only}"
