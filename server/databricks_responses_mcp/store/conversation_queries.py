"""Conversations and their turns: the statements of each transaction."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from databricks_responses_mcp.errors import quoted
from databricks_responses_mcp.store import usage_queries
from databricks_responses_mcp.store.interface import TurnConflictError
from databricks_responses_mcp.store.records import (
    ConversationState,
    ConversationSummary,
    StoredConversation,
    Turn,
    Usage,
)
from databricks_responses_mcp.store.statements import (
    Row,
    Transaction,
    Unread,
    Value,
    are_small,
    brief_if,
    fold_case,
    from_json,
    insert,
    name,
    one_statement,
    optional_name,
    placeholders,
    proven_by,
    size,
    to_json,
    tokens,
)

_SAME_TURN = """
    SELECT 1 FROM @turns
    WHERE owner = ? AND conversation_id = ? AND number = ? AND created_at = ? AND said = ? AND items = ?"""
_NEXT_TURN = """
    UPDATE @conversations SET turns = turns + 1, input_tokens = input_tokens + ?, output_tokens = output_tokens + ?,
        bytes = bytes + ?, endpoint = ?, model = ?, waiting = ?, updated_at = ?
    WHERE owner = ? AND conversation_id = ? AND turns = ?"""
_NEXT_WAITS = "UPDATE @conversations SET endpoint = ?, waiting = ? WHERE owner = ? AND conversation_id = ?"
_NEXT_STATE = "UPDATE @states SET state = ? WHERE owner = ? AND conversation_id = ?"
_CONVERSATION = """
    SELECT c.conversation_id, c.title, c.created_at, c.updated_at, s.state FROM @conversations c
    JOIN @states s ON s.owner = c.owner AND s.conversation_id = c.conversation_id
    WHERE c.owner = ? AND c.conversation_id = ?"""
_TURNS = """
    SELECT number, created_at, endpoint, model, status, response_id, said, items, usage FROM @turns
    WHERE owner = ? AND conversation_id = ? AND number > ? ORDER BY number"""
# REPLACE tests whether a text is contained: it is the same in both databases and has no wildcards.
# A conversation with 0 turns is being deleted, see `retention_queries`.
_SUMMARIES = """
    SELECT conversation_id, title, endpoint, model, turns, input_tokens, output_tokens, waiting, created_at, updated_at
    FROM @conversations WHERE owner = ? AND updated_at < ? AND turns > 0
        AND (? = '' OR REPLACE(folded_id, ?, '') <> folded_id OR REPLACE(folded_title, ?, '') <> folded_title)
    ORDER BY updated_at DESC, conversation_id DESC LIMIT ? OFFSET ?"""
_COUNT = """
    SELECT COUNT(*) FROM @conversations WHERE owner = ? AND updated_at < ? AND turns > 0
        AND (? = '' OR REPLACE(folded_id, ?, '') <> folded_id OR REPLACE(folded_title, ?, '') <> folded_title)"""
_ALL = "SELECT conversations FROM @totals WHERE owner = ?"
# Conversations that are being deleted are the oldest, and few: an interrupted sweep leaves one.
_HIDDEN = """
    SELECT COUNT(*) FROM (
        SELECT turns FROM @conversations WHERE owner = ? ORDER BY updated_at, conversation_id LIMIT 100
    ) AS oldest WHERE turns = 0"""
_EXISTING = "SELECT conversation_id FROM @conversations WHERE owner = ? AND conversation_id IN (:ids)"
_DELETE = "DELETE FROM @conversations WHERE owner = ? AND conversation_id IN (:ids)"


def _has_turn(owner: str, conversation_id: str, turn: Turn, *_: object) -> Transaction[bool]:
    """Return whether this very turn is stored, and not another one with its number."""
    this = (owner, name(conversation_id), turn.number, turn.created_at, to_json(turn.said), to_json(turn.items))
    found = yield _SAME_TURN, this
    return bool(found.rows)


def _is_short(owner: str, conversation_id: str, turn: Turn, state: ConversationState, *_: object) -> bool:
    return are_small(turn.said, turn.items, state.parameters, state.output_schema, state.pending)


@brief_if(_is_short)
@proven_by(_has_turn)
def add_turn(
    owner: str, conversation_id: str, turn: Turn, state: ConversationState, title: str, usage: Usage | None
) -> Transaction[None]:
    """See `Store.add_turn`. One statement checks and takes the number, so only one of several processes gets it."""
    this: dict[str, Value] = {"owner": owner, "conversation_id": name(conversation_id)}
    columns = _TurnColumns.of(turn, state)
    if turn.number == 1:
        titles = _title_columns(conversation_id, title)
        first = {**this, **titles, "created_at": turn.created_at, "turns": 1, **columns.counts, **columns.newest}
        taken = yield insert("@conversations", first, "ON CONFLICT (owner, conversation_id) DO NOTHING")
    else:
        values = (*columns.counts.values(), *columns.newest.values(), *this.values(), turn.number - 1)
        taken = yield _NEXT_TURN, values
    if taken.changed != 1:
        raise _turn_conflict(conversation_id, turn.number)
    yield Unread(*insert("@turns", {**this, **columns.turn}))
    replacing = "ON CONFLICT (owner, conversation_id) DO UPDATE SET state = excluded.state"
    yield Unread(*insert("@states", {**this, "state": _state_text(state)}, replacing))
    if usage is not None:
        yield from usage_queries.add_usage(owner, usage)


@brief_if(_is_short)
@proven_by(_has_turn)
@one_statement
def add_turn_by_function(
    owner: str, conversation_id: str, turn: Turn, state: ConversationState, title: str, usage: Usage | None
) -> Transaction[None]:
    """Do what `add_turn` does by one statement, in a database that has a function for it, see `schema`.

    A second time it does nothing, because the number is taken.
    """
    columns = _TurnColumns.of(turn, state)
    new: dict[str, Value] = {
        "owner": owner,
        "conversation_id": name(conversation_id),
        **_title_columns(conversation_id, title),
        **columns.counts,
        "waiting": len(state.pending),
        **columns.turn,
        "endpoint": name(state.endpoint),
        "turn_endpoint": name(turn.endpoint),
        "state": _state_text(state),
    }
    used = {} if usage is None else usage_queries.usage_columns(usage)
    parameters = [*(f"new_{column} => ?" for column in new), *(f"usage_{column} => ?" for column in used)]
    found = yield f"SELECT @add_turn({', '.join(parameters)})", (*new.values(), *used.values())
    if not found.rows[0][0]:
        raise _turn_conflict(conversation_id, turn.number)


@dataclass(frozen=True, slots=True)
class _TurnColumns:
    """The columns of a turn's rows.

    Attributes:
        counts: what it adds to its conversation.
        newest: what its conversation has of its newest turn.
        turn: its own row, without the owner and the conversation.
    """

    counts: Mapping[str, Value]
    newest: Mapping[str, Value]
    turn: Mapping[str, Value]

    @staticmethod
    def of(turn: Turn, state: ConversationState) -> "_TurnColumns":
        said, items = to_json(turn.said), to_json(turn.items)
        turn_usage = None if turn.usage is None else to_json(turn.usage)
        return _TurnColumns(
            counts={
                "input_tokens": tokens(turn.usage, "input_tokens"),
                "output_tokens": tokens(turn.usage, "output_tokens"),
                "bytes": size(said, items, turn_usage),
            },
            newest={
                "endpoint": name(state.endpoint),
                "model": name(turn.model),
                "waiting": len(state.pending),
                "updated_at": turn.created_at,
            },
            turn={
                "number": turn.number,
                "created_at": turn.created_at,
                "endpoint": name(turn.endpoint),
                "model": name(turn.model),
                "status": name(turn.status),
                "response_id": optional_name(turn.response_id),
                "said": said,
                "items": items,
                "usage": turn_usage,
            },
        )


def _title_columns(conversation_id: str, title: str) -> dict[str, Value]:
    return {"title": name(title), "folded_title": fold_case(title), "folded_id": fold_case(conversation_id)}


def _turn_conflict(conversation_id: str, number: int) -> TurnConflictError:
    """Return the error for a turn whose number is not the next one."""
    return TurnConflictError(
        f"Turn {number} of conversation {quoted(conversation_id)} cannot be added: another call continued"
        " the conversation or deleted it. Read it again and continue from its newest turn."
    )


def set_state(owner: str, conversation_id: str, state: ConversationState) -> Transaction[None]:
    """See `Store.set_state`."""
    this = (owner, name(conversation_id))
    yield Unread(_NEXT_WAITS, (name(state.endpoint), len(state.pending), *this))
    yield Unread(_NEXT_STATE, (_state_text(state), *this))


def conversation(owner: str, conversation_id: str, after: int) -> Transaction[StoredConversation | None]:
    """See `Store.conversation`."""
    this = (owner, name(conversation_id))
    found = yield _CONVERSATION, this
    if not found.rows:
        return None
    turns = yield _TURNS, (*this, after)
    stored_id, title, created_at, updated_at, state = found.rows[0]
    return StoredConversation(
        conversation_id=stored_id,
        title=title,
        created_at=created_at,
        updated_at=updated_at,
        state=_state(state),
        turns=[_turn(row) for row in turns.rows],
    )


def conversations(
    owner: str, limit: int, offset: int, contains: str, older_than: float | None
) -> Transaction[list[ConversationSummary]]:
    """See `Store.conversations`."""
    found = yield _SUMMARIES, (*_filter_values(owner, contains, older_than), max(0, limit), max(0, offset))
    return [_summary(*row) for row in found.rows]


@brief_if(lambda owner, contains, older_than: are_small(contains))
def count_conversations(owner: str, contains: str, older_than: float | None) -> Transaction[int]:
    """See `Store.count_conversations`. Counts them all by their running total, without reading them."""
    if not contains and older_than is None:
        total = yield _ALL, (owner,)
        hidden = yield _HIDDEN, (owner,)
        return int(total.rows[0][0]) - int(hidden.rows[0][0]) if total.rows else 0
    found = yield _COUNT, _filter_values(owner, contains, older_than)
    return int(found.rows[0][0])


def _are_deleted(owner: str, ids: Sequence[str]) -> Transaction[bool]:
    found = yield _EXISTING.replace(":ids", placeholders(len(ids))), (owner, *ids)
    return not found.rows


@proven_by(_are_deleted)
def delete_conversations(owner: str, ids: Sequence[str]) -> Transaction[list[str]]:
    """Delete one batch of `Store.delete_conversations`. Foreign keys delete their turns and states.

    One statement deletes all: in PostgreSQL the totals are locked after it, never between two deletions.

    Args:
        ids: at least one, without duplicates, as returned by `name`.
    """
    found = yield _EXISTING.replace(":ids", placeholders(len(ids))), (owner, *ids)
    existing = {row[0] for row in found.rows}
    yield Unread(_DELETE.replace(":ids", placeholders(len(ids))), (owner, *ids))
    return [conversation_id for conversation_id in ids if conversation_id in existing]


def _filter_values(owner: str, contains: str, older_than: float | None) -> Sequence[Value]:
    return (owner, math.inf if older_than is None else older_than, *[fold_case(contains)] * 3)


def _summary(
    conversation_id: str,
    title: str,
    endpoint: str,
    model: str,
    turns: int,
    input_tokens: int,
    output_tokens: int,
    waiting: int,
    created_at: float,
    updated_at: float,
) -> ConversationSummary:
    return ConversationSummary(
        conversation_id=conversation_id,
        title=title,
        endpoint=endpoint,
        model=model,
        turns=turns,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        waiting=waiting,
        created_at=created_at,
        updated_at=updated_at,
    )


def _turn(row: Row) -> Turn:
    number, created_at, endpoint, model, status, response_id, said, items, usage = row
    return Turn(
        number=number,
        created_at=created_at,
        endpoint=endpoint,
        model=model,
        status=status,
        response_id=response_id,
        said=from_json(said),
        items=from_json(items),
        usage=None if usage is None else from_json(usage),
    )


def _state_text(state: ConversationState) -> str:
    return to_json(
        {
            "endpoint": state.endpoint,
            "parameters": state.parameters,
            "mcp_servers": list(state.mcp_servers),
            "output_schema": state.output_schema,
            "pending": list(state.pending),
            "replay_from": state.replay_from,
        }
    )


def _state(text: str) -> ConversationState:
    state = from_json(text)
    return ConversationState(
        endpoint=state["endpoint"],
        parameters=state["parameters"],
        mcp_servers=tuple(state["mcp_servers"]),
        output_schema=state["output_schema"],
        pending=tuple(state["pending"]),
        replay_from=state.get("replay_from", 1),
    )
