"""Compacting conversations: a summary by their own model replaces the earlier turns in later requests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from databricks_responses_mcp.errors import Action, Advice, BridgeError, ErrorCode, Reason, quoted
from databricks_responses_mcp.responses.accumulator import Item
from databricks_responses_mcp.responses.request import Prompt, build_request
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.conversations import Conversation, check_nothing_waits
from databricks_responses_mcp.turns.outcome import Outcome, add_usage
from databricks_responses_mcp.turns.pipeline import SURFACE, RequestParts, send_metered, send_without_refused_parts
from databricks_responses_mcp.turns.usage import TurnUsage

_ASK = """\
Sum this conversation up, so that it can be continued from your summary alone. Keep what was asked for and why, \
what was decided and found out, names, numbers, code and wording that still matter, and what is open. Leave out \
small talk and detours. Write only the summary."""
_MAX_SPLITS = 4
_GIVEN = "This is a summary of the conversation so far:\n\n{summary}"
_PARAMETERS = frozenset(
    {"instructions", "max_output_tokens", "temperature", "top_p", "reasoning", "service_tier", SURFACE}
)
"""Parameters of the conversation that a request for a summary also has. It has no tools and no schema."""


async def compact(bridge: Bridge, conversation_id: str, call: CallContext | None = None) -> Outcome:
    """Let the conversation's model write a summary, and send the summary in place of the earlier turns from now on.

    The earlier turns stay in the store, where they can be read.

    Args:
        call: the call in flight; without it the function makes its own, with the time limit of the settings.

    Raises:
        BridgeError: ``not_found``; ``invalid_argument`` if calls are pending, or there is nothing to summarise; every
            failure of a turn.
    """
    call = call or CallContext.start(bridge.settings)
    async with bridge.conversations.turn_of(conversation_id) as conversation, conversation.as_it_was_on_failure():
        check_nothing_waits(conversation)
        if conversation.replay_from == len(conversation.history) and not conversation.history[-1].items:
            raise BridgeError(
                ErrorCode.INVALID_ARGUMENT,
                f"Conversation {quoted(conversation_id)} already consists of a summary only.",
                "",
                advice=(Advice(Action.CONTINUE_CONVERSATION, conversation_id),),
            )
        parts = RequestParts(
            conversation=conversation,
            parameters={name: value for name, value in conversation.parameters.items() if name in _PARAMETERS},
            has_default_cap=True,
        )
        async with TurnUsage(bridge.token_budget, conversation) as turn_usage:
            outcome = await send_without_refused_parts(
                bridge,
                parts,
                lambda history, sent: _Summary(bridge, conversation, sent, call).of_all(history, turn_usage),
            )
            conversation.add_summary(_as_prompt(outcome), outcome)
            notes = await bridge.conversations.keep(conversation)
        return replace(outcome, conversation_id=conversation.conversation_id, notes=(*outcome.notes, *notes))


@dataclass(frozen=True, slots=True)
class _Summary:
    """The summary of one conversation.

    Attributes:
        parameters: the parameters of its requests.
    """

    bridge: Bridge
    conversation: Conversation
    parameters: Mapping[str, Any]
    call: CallContext

    async def of_all(self, items: Sequence[Item], turn_usage: TurnUsage) -> Outcome:
        """Return a summary of the items; they are summarised in parts, in order, if they exceed the model's context.

        Args:
            turn_usage: receives the usage if one request made the summary; the usage of parts is recorded immediately.
        """
        return await self._of(items, _MAX_SPLITS, turn_usage)

    async def _of(self, items: Sequence[Item], splits: int, turn_usage: TurnUsage | None = None) -> Outcome:
        try:
            return await self._whole(items, turn_usage)
        except BridgeError as error:
            parts = _halves(items) if error.reason is Reason.CONTEXT_TOO_LONG and splits else None
            if parts is None:
                raise
        earlier = await self._of(parts[0], splits - 1)
        try:
            later = await self._of([*_as_prompt(earlier), *parts[1]], splits - 1)
        except BridgeError as error:
            usage = add_usage(earlier.usage, error.partial.get("usage"))
            raise error.with_partial({**error.partial, "usage": usage}) from error
        return replace(later, usage=add_usage(earlier.usage, later.usage))

    async def _whole(self, items: Sequence[Item], turn_usage: TurnUsage | None) -> Outcome:
        outcome = await send_metered(
            self.bridge,
            build_request(self.conversation.endpoint, [*items, *Prompt(text=_ASK).items()], self.parameters),
            self.call,
            conversation_id=self.conversation.conversation_id,
            turn_usage=turn_usage,
        )
        if outcome.status != "completed" or not outcome.text:
            raise BridgeError(
                ErrorCode.UPSTREAM_ERROR,
                f"{outcome.endpoint} gave no whole summary ({outcome.incomplete_reason or outcome.status}).",
                "The conversation is as it was. Try again with another model, or begin a new conversation.",
                retryable=True,
                partial=outcome.as_dict(),
            )
        return outcome


def _as_prompt(summary: Outcome) -> list[Item]:
    return Prompt(text=_GIVEN.format(summary=summary.text)).items()


def _halves(items: Sequence[Item]) -> tuple[Sequence[Item], Sequence[Item]] | None:
    """Split the items before the user message nearest to the middle, so that calls stay with their outputs."""
    places = [n for n, item in enumerate(items) if n and item.get("type") == "message" and item.get("role") == "user"]
    if not places:
        return None
    middle = min(places, key=lambda place: abs(place - len(items) / 2))
    return items[:middle], items[middle:]
