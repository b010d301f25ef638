"""Conversations made shorter: a summary by their own model stands for the turns so far."""

from dataclasses import replace

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.responses.request import Prompt, build_request
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.clock import Clock
from databricks_responses_mcp.turns.conversations import check_nothing_waits
from databricks_responses_mcp.turns.converse import Watch, paid_exchange
from databricks_responses_mcp.turns.outcome import Outcome
from databricks_responses_mcp.turns.progress import Reporter
from databricks_responses_mcp.turns.replaying import input_of

_ASK = """\
Sum this conversation up, so that it can be gone on with from your summary alone. Keep what was asked for and why, \
what was decided and found out, names, numbers, code and wording that still matter, and what is open. Leave out \
small talk and detours. Write only the summary."""
_GIVEN = "This is a summary of the conversation so far:\n\n{summary}"
_KEPT = frozenset({"instructions", "max_output_tokens", "temperature", "top_p", "reasoning", "service_tier"})
"""Parameters that go along: no tools are called for a summary, and it fits no schema."""


async def compact(bridge: Bridge, conversation_id: str, *, reporter: Reporter | None = None) -> Outcome:
    """Have the conversation's model sum it up, and send the summary in place of the earlier turns from now on.

    The earlier turns stay where they are kept, to be read.

    Raises:
        BridgeError: ``not_found``; ``invalid_argument`` if calls wait, or there is nothing to sum up; every failure
            of a turn.
    """
    clock = Clock(bridge.settings.timeout_seconds)
    async with bridge.conversations.turn_of(conversation_id) as conversation, conversation.as_it_was_on_failure():
        check_nothing_waits(conversation)
        if conversation.replay_from == len(conversation.history) and not conversation.history[-1].items:
            raise BridgeError(
                ErrorCode.INVALID_ARGUMENT,
                f"Conversation {conversation_id!r} is nothing but a summary already.",
                "Go on with it: ask_databricks_model with this conversation_id.",
            )
        parameters = {name: value for name, value in conversation.parameters.items() if name in _KEPT}
        items = [*await input_of(conversation, {}), *Prompt(text=_ASK).items()]
        outcome = await paid_exchange(
            bridge,
            build_request(conversation.endpoint, items, parameters),
            watch=Watch(reporter=reporter),
            deadline_seconds=clock.left,
            conversation_id=conversation_id,
        )
        if outcome.status != "completed" or not outcome.text:
            raise BridgeError(
                ErrorCode.UPSTREAM_ERROR,
                f"{outcome.endpoint} gave no whole summary ({outcome.incomplete_reason or outcome.status}).",
                "The conversation is as it was. Try again with another model, or begin a new conversation.",
                retryable=True,
                partial=outcome.as_dict(),
            )
        conversation.add_summary(Prompt(text=_GIVEN.format(summary=outcome.text)).items(), outcome)
        notes = await bridge.conversations.keep(conversation)
        return replace(outcome, conversation_id=conversation.conversation_id, notes=(*outcome.notes, *notes))
