"""One turn of a conversation: everything said so far goes along, and what comes back is kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.responses.answers import answer_items, answer_problems
from databricks_responses_mcp.responses.assembly import Item
from databricks_responses_mcp.responses.request import build_request
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.conversations import Conversation
from databricks_responses_mcp.turns.exchange import TakePicture, exchange
from databricks_responses_mcp.turns.outcome import Outcome
from databricks_responses_mcp.turns.progress import Reporter


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Who is told what while a turn goes on; None for nobody.

    Attributes:
        reporter: told how it goes.
        on_text: given each piece of text as it arrives.
        take_picture: given each picture as soon as it is whole.
    """

    reporter: Reporter | None = None
    on_text: Callable[[str], None] | None = None
    take_picture: TakePicture | None = None


async def take_turn(
    bridge: Bridge, conversation: Conversation, said: Sequence[Item], *, watch: Watch, deadline_seconds: float
) -> Outcome:
    """Send the conversation with ``said`` at its end, keep both sides of the turn, and return the answer.

    The caller holds ``conversation.turn``. A turn that fails leaves the conversation as it was.

    Raises:
        BridgeError: for every failure; ``partial`` holds what had arrived.
    """
    body = build_request(conversation.endpoint, [*conversation.items, *said], conversation.parameters)
    outcome = await exchange(
        bridge.client,
        body,
        deadline_seconds=deadline_seconds,
        reporter=watch.reporter,
        on_text=watch.on_text,
        take_picture=watch.take_picture,
    )
    conversation.commit(said, outcome)
    bridge.conversations.keep(conversation)
    return replace(outcome, conversation_id=conversation.conversation_id)


async def answer_calls(
    bridge: Bridge,
    conversation_id: str,
    outputs: Sequence[Any],
    *,
    watch: Watch | None = None,
    deadline_seconds: float | None = None,
) -> Outcome:
    """Hand back the outputs of the calls that wait in a conversation, and read what the model makes of them.

    Raises:
        BridgeError: ``not_found`` for the conversation, ``invalid_argument`` naming each call that is missing, answered
            twice or not waiting (nothing is sent then), and every failure of a turn.
    """
    conversation = bridge.conversations.get(conversation_id)
    async with conversation.turn:
        if not conversation.pending:
            raise BridgeError(
                ErrorCode.INVALID_ARGUMENT,
                f"No call waits in conversation {conversation_id!r}.",
                "Go on with it in words: ask_databricks_model with this conversation_id.",
            )
        if problems := answer_problems(conversation.pending, outputs):
            raise BridgeError(
                ErrorCode.INVALID_ARGUMENT,
                f"Nothing was sent: {'; '.join(problems[:10])}.",
                "Give one output for each pending call, in the shape that its answer_with shows.",
            )
        return await take_turn(
            bridge,
            conversation,
            answer_items(conversation.pending, outputs),
            watch=watch or Watch(),
            deadline_seconds=deadline_seconds or bridge.settings.timeout_seconds,
        )
