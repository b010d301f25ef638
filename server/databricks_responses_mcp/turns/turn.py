"""One turn of a conversation: the whole history is sent, and the answer is stored."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import anyio.to_thread

from databricks_responses_mcp.errors import Action, Advice, BridgeError, Reason
from databricks_responses_mcp.responses.accumulator import Item
from databricks_responses_mcp.responses.request import build_request
from databricks_responses_mcp.responses.unique_ids import unique_calls
from databricks_responses_mcp.turns.background_response import BackgroundResponse, BackgroundTurn, ResumableJob
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.conversations import Conversation, weight_of
from databricks_responses_mcp.turns.outcome import Outcome, with_items
from databricks_responses_mcp.turns.pipeline import RequestParts, send_metered, send_without_refused_parts
from databricks_responses_mcp.turns.tool_secrets import usable_tools
from databricks_responses_mcp.turns.usage import TurnUsage

_LEFT_OUT = (
    "The model was not given the MCP servers {labels}: their credentials are never stored, and this process does not "
    "know them. Pass `tools` again to let it use them."
)

_MAX_CHARACTERS = 1_000_000
"""A turn with more is not stored with a job."""


class TurnJob:
    """The job of a call, which stores with a response the turn that it answers."""

    def __init__(self, job: ResumableJob, conversation: Conversation, said: Sequence[Item]) -> None:
        self._job, self._conversation, self._said = job, conversation, said

    async def keep_background(self, response: BackgroundResponse) -> None:
        """See `ResumableJob`."""
        if weight_of(self._said) <= _MAX_CHARACTERS:
            turn = BackgroundTurn(
                conversation_id=self._conversation.conversation_id,
                number=len(self._conversation.history) + 1,
                said=self._said,
                state=self._conversation.state,
            )
            response = replace(response, turn=turn)
        await self._job.keep_background(response)

    def is_left_to_others(self) -> bool:
        """See `ResumableJob`."""
        return self._job.is_left_to_others()


async def take_turn(
    bridge: Bridge,
    conversation: Conversation,
    said: Sequence[Item],
    call: CallContext,
    *,
    once: Mapping[str, Any] | None = None,
) -> Outcome:
    """Send the conversation with ``said`` at its end, store both sides of the turn, and return the answer.

    The caller holds ``conversation.turn``. A turn that fails leaves the conversation unchanged.

    Args:
        once: parameters for this turn only.

    Raises:
        BridgeError: for every failure; ``partial`` has what had arrived.
    """
    servers: list[dict[str, Any]] = []
    parameters, left_out = usable_tools({**conversation.parameters, **(once or {})})
    if bridge.policy is not None:
        # In a thread: a request may have any number of tools.
        await anyio.to_thread.run_sync(bridge.policy.check_defined_servers, parameters.get("tools"))
        for name in conversation.mcp_servers:
            bridge.policy.check_mcp_server(name)
    if conversation.mcp_servers:
        async with call.deadline.bounds("signing in to the MCP servers"):
            servers = await bridge.mcp_servers.resolve(conversation.mcp_servers, bridge.client.access)
        parameters = {**parameters, "tools": [*parameters.get("tools", ()), *servers]}
    parts = RequestParts(
        conversation=conversation,
        parameters=parameters,
        asks_for_encrypted_reasoning=True,
        has_default_cap=True,
    )
    async with TurnUsage(bridge.token_budget, conversation) as turn_usage:
        try:
            outcome = await send_without_refused_parts(
                bridge,
                parts,
                lambda history, sent: send_metered(
                    bridge,
                    build_request(conversation.endpoint, [*history, *said], sent),
                    _with_turn(call, conversation, said),
                    conversation_id=conversation.conversation_id,
                    turn_usage=turn_usage,
                ),
            )
        except BridgeError as error:
            if error.reason is Reason.CONTEXT_TOO_LONG and conversation.history:
                raise error.with_advice(Advice(Action.COMPACT, conversation.conversation_id)) from error
            raise
        items = unique_calls(outcome.items, conversation.call_ids)
        if any(item is not received for item, received in zip(items, outcome.items, strict=True)):
            outcome = with_items(outcome, items)
        conversation.add(said, outcome)
        notes = await bridge.conversations.keep(conversation)
    call.partial.conversation_id = conversation.conversation_id
    if left_out:
        notes = (*notes, _LEFT_OUT.format(labels=", ".join(left_out)))
    return replace(outcome, conversation_id=conversation.conversation_id, notes=(*outcome.notes, *notes))


def _with_turn(call: CallContext, conversation: Conversation, said: Sequence[Item]) -> CallContext:
    """Return the call, whose job stores the turn too if the response runs in the background."""
    return call if call.job is None else replace(call, job=TurnJob(call.job, conversation, said))
