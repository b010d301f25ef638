"""Queries on stored conversations: finding, reading and deleting them, and their usage."""

import time
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

from databricks_responses_mcp.errors import Action, Advice, BridgeError, ErrorCode, quoted
from databricks_responses_mcp.store.memory import MemoryStore
from databricks_responses_mcp.store.records import ConversationSummary, Grouping, StoredConversation, UsageTotal
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.store_calls import result_of_store
from databricks_responses_mcp.turns.usage import DAY, midnight

_T = TypeVar("_T")
_SECONDS = 30.0

ALL = 10**9
"""No limit."""


async def find(
    bridge: Bridge, *, contains: str = "", older_than_days: float | None = None, limit: int = 20
) -> tuple[list[ConversationSummary], int]:
    """Return stored conversations, the newest first, and their total number.

    Raises:
        BridgeError: ``internal`` if the store cannot be read.
    """
    since = _before(older_than_days)
    found = await _asked(bridge.store.conversations(limit=limit, contains=contains, older_than=since))
    if len(found) < limit:
        return found, len(found)
    return found, await _asked(bridge.store.count_conversations(contains=contains, older_than=since))


async def read(bridge: Bridge, conversation_id: str) -> StoredConversation:
    """Return a whole conversation.

    Raises:
        BridgeError: ``not_found``; ``internal`` if the store cannot be read.
    """
    stored = await _asked(bridge.store.conversation(conversation_id))
    if stored is None:
        raise _not_found(conversation_id)
    return stored


async def to_delete(
    bridge: Bridge, conversation_id: str | None, older_than_days: float | None
) -> list[ConversationSummary]:
    """Return the conversations to delete: the named one, or those not used for the given time.

    Raises:
        BridgeError: ``invalid_argument`` unless exactly one of the two is given; ``not_found``.
    """
    if (conversation_id is None) == (older_than_days is None):
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            "Deleting requires one conversation, or an age.",
            "Give conversation_id, or older_than_days (0 means all), and not both.",
        )
    if conversation_id is None:
        found, _ = await find(bridge, older_than_days=older_than_days, limit=ALL)
        return found
    found, _ = await find(bridge, contains=conversation_id, limit=ALL)
    named = [summary for summary in found if summary.conversation_id == conversation_id]
    if not named:
        raise _not_found(conversation_id)
    return named


async def delete(bridge: Bridge, conversations: Sequence[ConversationSummary]) -> list[str]:
    """Delete these conversations; return the ids of those that existed.

    Raises:
        BridgeError: ``internal`` if the store cannot be written; ``permission_denied`` in read-only mode.
    """
    if bridge.policy is not None:
        bridge.policy.check_deletion()
    ids = [summary.conversation_id for summary in conversations]
    gone = await _asked(bridge.store.delete_conversations(ids))
    bridge.conversations.forget(ids)
    return gone


async def usage(bridge: Bridge, by: Grouping, *, days: int | None = None) -> list[UsageTotal]:
    """Return the recorded usage, in groups, of the last ``days`` days or of all time.

    Args:
        days: days in UTC, including today: 1 is today only.

    Raises:
        BridgeError: ``internal`` if the store cannot be read.
    """
    since = 0.0 if days is None else midnight() - (days - 1) * DAY
    return await _asked(bridge.store.usage(by, since=since))


async def tokens_today(bridge: Bridge) -> int:
    """Return the tokens used since midnight UTC, as the daily budget counts them.

    Raises:
        BridgeError: ``internal`` if the store cannot be read.
    """
    return await _asked(bridge.store.tokens_on_day(time.time()))


async def newest(bridge: Bridge) -> str:
    """Return the id of the conversation that was used last.

    Raises:
        BridgeError: ``not_found`` if none is stored; ``internal`` if the store cannot be read.
    """
    found, _ = await find(bridge, limit=1)
    if not found:
        raise BridgeError(
            ErrorCode.NOT_FOUND,
            "There is no conversation to continue: none is stored.",
            "Check that RESPONSES_MCP_STORE is not off.",
            advice=(Advice(Action.START_CONVERSATION),),
        )
    return found[0].conversation_id


def lasting(bridge: Bridge, structured: dict[str, Any]) -> dict[str, Any]:
    """Return a result's fields without the conversation id if the conversation is not stored, or not completely."""
    conversation = bridge.conversations.in_memory(str(structured.get("conversation_id")))
    if isinstance(bridge.store, MemoryStore) or (conversation is not None and conversation.unkept):
        return {name: value for name, value in structured.items() if name != "conversation_id"}
    return structured


def _not_found(conversation_id: str) -> BridgeError:
    return BridgeError(
        ErrorCode.NOT_FOUND,
        f"There is no conversation {quoted(conversation_id)}.",
        "",
        advice=(Advice(Action.LIST_CONVERSATIONS),),
    )


def _before(days: float | None) -> float | None:
    return None if days is None else time.time() - days * DAY


async def _asked(question: Awaitable[_T]) -> _T:
    return await result_of_store(
        question,
        "The store cannot be used",
        "Fix it, or set RESPONSES_MCP_STORE to another location.",
        seconds=_SECONDS,
    )
