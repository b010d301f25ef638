"""Conversations: what was said so far, kept here because the API stores nothing, and replayed with each turn.

The store has every turn before it is returned. What is in memory is what a running server looked at last.
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
        conversation_id: how callers name it.
        endpoint: the serving endpoint that answers in it.
        parameters: the request's other parameters (instructions, tools, …), sent again with each turn.
        mcp_servers: the names of the MCP servers that the model may use; their secrets are looked up for each turn.
        output_schema: the JSON Schema that its answers must fit, if any.
        pending: calls that wait for the caller, as ``Outcome.pending_calls`` gives them.
        replay_from: the number of the first turn that is sent again.
        history: every turn, in order.
        unkept: how many of the newest turns the store has not got.
        unkept_usage: what turns have cost, by their numbers, that is committed with them.
        unreadable: up to which turn the endpoint could not read its encrypted reasoning any more.
        replacements: `Store.replacements` when the store was last known to have the conversation.
        turn: held while a turn is under way: two at once would lose one.
        counted: how much of its weight the table that it is in has counted.
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
    turn: anyio.Lock = field(default_factory=anyio.Lock)
    counted: int = 0
    _weighed: tuple[int, int] = (0, 0)

    @property
    def weight(self) -> int:
        """About how many characters its turns are."""
        turns, characters = self._weighed
        characters += sum(_weight(turn.said) + _weight(turn.items) for turn in self.history[turns:])
        self._weighed = len(self.history), characters
        return characters

    def input_items(self) -> list[Item]:
        """Everything said, as the endpoint may be told it again; pictures as stubs that have no ``result``.

        Encrypted reasoning goes to the endpoint that it is from, and to no other.
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
        """The ids of all calls so far: an id that comes again is not the same call."""
        return {name for turn in self.history for name in call_ids(turn.items)}

    @property
    def state(self) -> ConversationState:
        """What the next turn takes over, without what MCP servers are signed in to with."""
        return ConversationState(
            endpoint=self.endpoint,
            parameters=without_tool_secrets(self.parameters),
            mcp_servers=tuple(self.mcp_servers),
            output_schema=self.output_schema,
            pending=self.pending,
            replay_from=self.replay_from,
        )

    def take_over(self, state: ConversationState) -> None:
        """Be in that state; what is signed in to with is known on, if it is."""
        self.endpoint = state.endpoint
        self.parameters = with_tool_secrets(state.parameters, self.parameters)
        self.mcp_servers = state.mcp_servers
        self.output_schema = state.output_schema
        self.pending = [dict(call) for call in state.pending]
        self.replay_from = state.replay_from

    def name_pending_calls(self) -> None:
        """Tell pending calls of one id apart, as they are sent: earlier versions kept ids that servers repeated."""
        names = [str(call.get("approval_request_id") or call.get("call_id")) for call in self.pending]
        if len(set(names)) < len(names):
            self.pending = pending_calls_of(unique_calls(self.input_items()))[-len(names) :]

    def add(self, said: Sequence[Item], outcome: Outcome) -> None:
        """Take in a turn that worked: what the caller said, what came back, what now waits."""
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
        # A choice is made for one turn: a model that must call a tool in every turn would never come to an answer.
        self.parameters = {
            name: value for name, value in self.parameters.items() if name != "tool_choice" or value == "none"
        }

    def add_summary(self, said: Sequence[Item], outcome: Outcome) -> None:
        """Let ``said`` stand for all turns so far, in what is sent from now on; the turns stay."""
        self.add(said, replace(outcome, items=[], pending_calls=[]))
        self.replay_from = len(self.history)

    @asynccontextmanager
    async def as_it_was_on_failure(self) -> AsyncIterator[None]:
        """Undo what a turn has changed of the settings if it ends without having been kept."""
        before, parameters, turns = self.state, self.parameters, len(self.history)
        try:
            yield
        finally:
            if len(self.history) == turns:
                self.parameters = parameters
                self.take_over(before)


def check_nothing_waits(conversation: Conversation) -> None:
    """Refuse a turn in words while calls wait for their outputs.

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
            "To give a call up, hand back an output that says so, or approve: false for an approval.",
            advice=(Advice(Action.CONTINUE_CALL, conversation.conversation_id),),
        )


class Conversations:
    """The conversations of a store, those that are in use in memory.

    Args:
        store: where they are kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._by_id: OrderedDict[str, Conversation] = OrderedDict()
        self._held = 0

    def new(self, endpoint: str, parameters: Mapping[str, Any]) -> Conversation:
        """A conversation that nobody knows yet: it can be found once it is kept."""
        return Conversation(_new_id(), endpoint, parameters, replacements=self._store.replacements)

    def in_memory(self, conversation_id: str) -> Conversation | None:
        """The conversation, if this process used it not long ago."""
        return self._by_id.get(conversation_id)

    @asynccontextmanager
    async def turn_of(self, conversation_id: str) -> AsyncIterator[Conversation]:
        """The conversation of that id, up to date, and nobody else's in this process while the context lasts.

        Raises:
            BridgeError: ``not_found``; ``internal`` if the store cannot be read.
        """
        while True:
            # In the table before it is read: two calls at once must meet at one lock.
            conversation = self._by_id.setdefault(conversation_id, Conversation(conversation_id))
            self._by_id.move_to_end(conversation_id)
            async with conversation.turn:
                # While this call waited it may have been deleted, or become a copy under another id.
                if self._by_id.get(conversation_id) is not conversation:
                    continue
                await self._bring_up_to_date(conversation)
                self._hold(conversation)
                self._forget_some()
                yield conversation
                return

    async def keep(self, conversation: Conversation) -> tuple[str, ...]:
        """Commit the turns that the store has not got; returns what the caller must be told if that failed.

        The caller holds ``conversation.turn``. Never fails: an answer that was paid for is returned in any case.
        """
        notes: tuple[str, ...] = ()
        # Shielded: whoever gives up now has paid for the turn all the same.
        with anyio.CancelScope(shield=True):
            try:
                with anyio.fail_after(_KEEP_SECONDS):
                    notes = await self._commit(conversation)
            except TimeoutError:
                notes = (_unkept(f"The store did not answer within {_KEEP_SECONDS:.0f} s."),)
            except StoreError as error:
                notes = (_unkept(str(error)),)
            except Exception as error:  # a defect of the store is no reason to lose what was paid for
                logger.exception("keeping a turn failed")
                notes = (_unkept(f"The store failed ({type(error).__name__})."),)
        self._hold(conversation)
        self._forget_some()
        return notes

    def forget(self, conversation_ids: Sequence[str]) -> None:
        """Have no more of these in memory: they were deleted."""
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
        """Let all turns be kept once more if the store has lost them; returns what the caller is told, if it has."""
        if conversation.replacements == self._store.replacements:
            return ""
        conversation.unkept = len(conversation.history)
        return _REPLACED

    async def _has(self, conversation_id: str, turn: Turn) -> bool:
        """Whether the store has that very turn: it may have been kept when it seemed not to be."""
        stored = await self._store.conversation(conversation_id, after=turn.number - 1)
        if stored is None or not stored.turns:
            return False
        kept = stored.turns[0]
        return (kept.created_at, kept.response_id) == (turn.created_at, turn.response_id)

    def _part_from(self, conversation: Conversation) -> str:
        """Make a conversation one of its own, because the other of its id has gone on without it."""
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
                return  # as it was when it was last here; whoever went on with it meanwhile is found when keeping
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
        """Let go of the oldest that are not in use, when they get too many or too large."""
        # Those that the store has first: of the others this is all there is.
        for with_unkept in (False, True):
            if len(self._by_id) <= _MAX_IN_MEMORY and self._held <= _MAX_CHARACTERS:
                return
            for conversation in list(self._by_id.values()):
                if len(self._by_id) <= _MAX_IN_MEMORY and self._held <= _MAX_CHARACTERS:
                    return
                if not conversation.turn.locked() and (conversation.unkept > 0) == with_unkept:
                    self._let_go(conversation.conversation_id)

    def _hold(self, conversation: Conversation) -> None:
        """Have a conversation in memory, as the newest, and count what it holds."""
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
    """Return the first words of a prompt. No more than its first characters are read: it may hold megabytes."""
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


def _weight(value: Sequence[Any]) -> int:
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
    return f"This turn could not be kept: {reason} The conversation can be continued until this process ends."
