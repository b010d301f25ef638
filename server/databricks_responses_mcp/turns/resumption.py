"""Reading a response that runs in the background of the workspace after the process that began it has ended."""

from dataclasses import replace

from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.responses.unique_ids import unique_calls
from databricks_responses_mcp.turns.background_response import BackgroundResponse, BackgroundTurn
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.conversations import Conversation
from databricks_responses_mcp.turns.outcome import Outcome, with_items
from databricks_responses_mcp.turns.pipeline import cleaned_outcome
from databricks_responses_mcp.turns.stream import send_one_stream
from databricks_responses_mcp.turns.structured_output import fit_to_schema
from databricks_responses_mcp.turns.usage import request_usage
from databricks_responses_mcp.workspace.surfaces.table import SURFACES

_RESUMED = "The server that began this call ended; the response was read from the workspace by another one."
_APART = "The answer is not part of a conversation: {reason}"


async def resume_background(bridge: Bridge, background: BackgroundResponse, call: CallContext) -> Outcome:
    """Read a response to its end, record its usage, and add the turn to its conversation.

    Raises:
        BridgeError: if it cannot be read, failed or was cancelled.
    """
    surface = SURFACES[background.surface]
    turn = background.turn
    conversation_id = None if turn is None else turn.conversation_id
    usage, model = None, background.model
    try:
        body = {"model": background.model}
        outcome = await send_one_stream(bridge.client, body, call, surface=surface, background=background)
        outcome = cleaned_outcome(outcome, call.secrets)
        usage, model = outcome.usage, outcome.model
    except BridgeError as error:
        cleaned = call.secrets.remove_from_error(error)
        usage = cleaned.partial.get("usage")
        raise cleaned from error
    finally:
        spent = request_usage(
            usage, label=call.usage_label, endpoint=background.model, model=model, conversation_id=conversation_id
        )
        if spent is not None:
            await bridge.token_budget.record(spent)
    outcome = replace(outcome, surface=surface.key, notes=(*outcome.notes, _RESUMED))
    if turn is None:
        return replace(outcome, notes=(*outcome.notes, _APART.format(reason="what was asked was too large to store.")))
    return await _add_turn(bridge, turn, outcome, call)


async def _add_turn(bridge: Bridge, turn: BackgroundTurn, outcome: Outcome, call: CallContext) -> Outcome:
    """Add the turn to its conversation, unless that was deleted or has continued without it."""
    if turn.number == 1:
        conversation = bridge.conversations.new(turn.state.endpoint, {})
        conversation.conversation_id = turn.conversation_id
        async with conversation.turn:
            return await _keep(bridge, conversation, turn, outcome, call)
    try:
        async with bridge.conversations.turn_of(turn.conversation_id) as conversation:
            if len(conversation.history) + 1 == turn.number:
                return await _keep(bridge, conversation, turn, outcome, call)
        reason = f"{turn.conversation_id} was continued meanwhile."
    except BridgeError as error:
        reason = error.message
    return replace(outcome, notes=(*outcome.notes, _APART.format(reason=reason)))


async def _keep(
    bridge: Bridge, conversation: Conversation, turn: BackgroundTurn, outcome: Outcome, call: CallContext
) -> Outcome:
    conversation.take_over(turn.state)
    items = unique_calls(outcome.items, conversation.call_ids)
    if any(item is not received for item, received in zip(items, outcome.items, strict=True)):
        outcome = with_items(outcome, items)
    conversation.add(turn.said, outcome)
    notes = await bridge.conversations.keep(conversation)
    call.partial.conversation_id = conversation.conversation_id
    outcome = replace(outcome, conversation_id=conversation.conversation_id, notes=(*outcome.notes, *notes))
    schema = conversation.output_schema
    return outcome if schema is None else await fit_to_schema(bridge, conversation, outcome, schema, call)
