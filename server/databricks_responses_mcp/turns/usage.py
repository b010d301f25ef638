"""Usage of requests: limits are checked before a request is sent, its usage is recorded after it."""

import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any

import anyio

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.responses.chat_usage import token_count
from databricks_responses_mcp.store.interface import Store, StoreError
from databricks_responses_mcp.store.records import Usage
from databricks_responses_mcp.turns.conversations import Conversation
from databricks_responses_mcp.turns.store_calls import result_of_store, within_time_limit
from databricks_responses_mcp.workspace.settings import Settings

logger = logging.getLogger(__name__)

SMALLEST_ANSWER = 16
"""In tokens. The Responses API refuses a smaller maximum."""

DAY = 86_400
"""In seconds."""

_LOWERED = (
    "RESPONSES_MCP_DAILY_TOKEN_BUDGET left {left} tokens for the rest of the day (UTC), and no more for this answer."
)


class TokenBudget:
    """Keeps the requests of a process within the token limits.

    Args:
        store: the store of the usage, including that of other processes.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._limit = settings.max_output_tokens
        self._budget = settings.daily_token_budget
        self._reserved = 0

    def within_limits(self, body: dict[str, Any]) -> AbstractAsyncContextManager[str]:
        """Admit a request: its ``max_output_tokens`` may be lowered to the rest of today's budget.

        Yields a note for the caller in case that limit truncates the answer, else an empty text.

        Raises:
            BridgeError: ``budget_exceeded``, before the request is sent.
        """
        self._hold_to_limit(body)
        return nullcontext("") if self._budget is None else self._within_budget(body, self._budget)

    @asynccontextmanager
    async def _within_budget(self, body: dict[str, Any], budget: int) -> AsyncIterator[str]:
        # The store's answer may include what was reserved meanwhile, or not: it is not counted twice.
        reserved_before = self._reserved
        left = budget - await self._spent_today() - max(reserved_before, self._reserved)
        if left < SMALLEST_ANSWER:
            raise BridgeError(
                ErrorCode.BUDGET_EXCEEDED,
                f"Today's budget of {budget} tokens is spent.",
                "Wait until midnight UTC, or raise RESPONSES_MCP_DAILY_TOKEN_BUDGET.",
                retryable=True,
                retry_after_seconds=float(DAY - int(time.time()) % DAY),
            )
        wanted = body.get("max_output_tokens")
        reserved = min(wanted, left) if isinstance(wanted, int) else left
        body["max_output_tokens"] = reserved
        self._reserved += reserved
        try:
            yield _LOWERED.format(left=left) if reserved != wanted else ""
        finally:
            self._reserved -= reserved

    def is_limit(self, body: Mapping[str, Any]) -> bool:
        """Return whether a request asks for as many tokens as this server allows for one answer."""
        return self._limit is not None and body.get("max_output_tokens") == self._limit

    def reserve(self, usage: Usage) -> None:
        """Count the usage of a request until `release`: it is not in the store's total yet."""
        self._reserved += _tokens(usage)

    def release(self, usage: Usage) -> None:
        """Stop counting the usage of a request here, now that storing it has been tried."""
        self._reserved -= _tokens(usage)

    async def record(self, usage: Usage, log_fields: Mapping[str, str] | None = None) -> None:
        """Store the usage of a request. A failing store must not lose an answer: it is logged.

        Args:
            log_fields: what the line of the log has besides.
        """
        extra = {"fields": log_fields or {}}
        with anyio.CancelScope(shield=True):
            try:
                await within_time_limit(self._store.add_usage(usage))
            except StoreError as error:
                logger.warning("the usage of a request could not be stored: %s", error, extra=extra)
            except Exception:  # a defect of the store must not lose a paid answer
                logger.exception("keeping the usage of a request failed", extra=extra)

    def _hold_to_limit(self, body: dict[str, Any]) -> None:
        if self._limit is None:
            return
        wanted = body.setdefault("max_output_tokens", self._limit)
        if isinstance(wanted, int) and wanted > self._limit:
            raise BridgeError(
                ErrorCode.BUDGET_EXCEEDED,
                f"max_output_tokens {wanted} is over this server's limit of {self._limit}.",
                "Ask for less, or raise RESPONSES_MCP_MAX_OUTPUT_TOKENS.",
            )

    async def _spent_today(self) -> int:
        return await result_of_store(
            self._store.tokens_on_day(time.time()),
            "What was spent today cannot be read, so nothing more is spent",
            "Fix the store (see RESPONSES_MCP_STORE), or unset RESPONSES_MCP_DAILY_TOKEN_BUDGET.",
            code=ErrorCode.BUDGET_EXCEEDED,
        )


class TurnUsage:
    """The usage of the request for a conversation's next turn: committed with the turn, or alone if there is no turn.

    Use as an async context manager, around the request and the commit of its turn.

    Args:
        conversation: the conversation, whose turn the caller holds.
    """

    def __init__(self, token_budget: TokenBudget, conversation: Conversation) -> None:
        self._token_budget = token_budget
        self._conversation = conversation
        self._number = len(conversation.history) + 1
        self._taken: Usage | None = None

    def take(self, usage: Usage) -> None:
        """Record the usage of the request, once."""
        self._taken = self._conversation.unkept_usage[self._number] = usage
        self._token_budget.reserve(usage)

    async def __aenter__(self) -> "TurnUsage":
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._taken is None:
            return
        if len(self._conversation.history) < self._number:
            del self._conversation.unkept_usage[self._number]
            await self._token_budget.record(self._taken)
        self._token_budget.release(self._taken)


def request_usage(
    usage: Mapping[str, Any] | None, *, label: str, endpoint: str, model: str, conversation_id: str | None
) -> Usage | None:
    """Return the usage of a request as it is stored; None if the endpoint did not report it.

    Args:
        usage: token counts under the API's names.
        label: the tool or command that the request was made for.
    """
    if usage is None:
        return None
    return Usage(
        created_at=time.time(),
        tool=label,
        endpoint=endpoint,
        model=model,
        conversation_id=conversation_id,
        input_tokens=token_count(usage.get("input_tokens")) or 0,
        output_tokens=token_count(usage.get("output_tokens")) or 0,
        cached_tokens=token_count(_detail(usage, "input_tokens_details", "cached_tokens")) or 0,
        reasoning_tokens=token_count(_detail(usage, "output_tokens_details", "reasoning_tokens")) or 0,
    )


def _tokens(usage: Usage) -> int:
    return usage.input_tokens + usage.output_tokens


def midnight() -> float:
    """Return when today began in UTC, in seconds since the epoch."""
    return time.time() // DAY * DAY


def _detail(usage: Mapping[str, Any], group: str, name: str) -> object:
    details = usage.get(group)
    return details.get(name) if isinstance(details, Mapping) else None
