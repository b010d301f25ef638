"""The turn that gives a model the outputs of its pending calls."""

from collections.abc import Mapping, Sequence
from typing import Any

from databricks_responses_mcp.errors import Action, Advice, BridgeError, ErrorCode, quoted
from databricks_responses_mcp.responses.answers import answer_items, answer_problems
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.outcome import Outcome
from databricks_responses_mcp.turns.structured_output import fit_to_schema
from databricks_responses_mcp.turns.turn import take_turn


async def answer_calls(
    bridge: Bridge,
    conversation_id: str,
    outputs: Sequence[Any],
    call: CallContext | None = None,
    *,
    once: Mapping[str, Any] | None = None,
) -> Outcome:
    """Send the outputs of a conversation's pending calls, and return the model's next answer.

    Args:
        call: the call in flight; without it the function makes its own, with the time limit of the settings.
        once: parameters for this turn only.

    Raises:
        BridgeError: ``not_found`` for the conversation; ``invalid_argument``, naming each call without an output, with
            two outputs or not pending (no request is sent); every failure of a turn.
    """
    async with bridge.conversations.turn_of(conversation_id) as conversation:
        if not conversation.pending:
            raise BridgeError(
                ErrorCode.INVALID_ARGUMENT,
                f"No call waits in conversation {quoted(conversation_id)}.",
                "",
                advice=(Advice(Action.CONTINUE_CONVERSATION, conversation_id),),
            )
        if problems := answer_problems(conversation.pending, outputs):
            raise BridgeError(
                ErrorCode.INVALID_ARGUMENT,
                f"Nothing was sent: {'; '.join(problems[:10])}.",
                "Give one output for each pending call, in the shape that its answer_with shows.",
            )
        if bridge.policy is not None:
            bridge.policy.check_approvals(outputs)
        call = call or CallContext.start(bridge.settings)
        said = answer_items(conversation.pending, outputs)
        outcome = await take_turn(bridge, conversation, said, call, once=once)
        if conversation.output_schema is None:
            return outcome
        return await fit_to_schema(bridge, conversation, outcome, conversation.output_schema, call)
