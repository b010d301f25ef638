"""One turn of a conversation: everything said so far goes along, and what comes back is kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.responses.answers import answer_items, answer_problems
from databricks_responses_mcp.responses.assembly import Item
from databricks_responses_mcp.responses.request import build_request
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.clock import Clock
from databricks_responses_mcp.turns.conversations import Conversation
from databricks_responses_mcp.turns.exchange import TakePicture, exchange
from databricks_responses_mcp.turns.outcome import Outcome
from databricks_responses_mcp.turns.progress import Reporter
from databricks_responses_mcp.workspace.mcp_servers import secrets_of, without_secrets


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
    clock = Clock(deadline_seconds)
    servers: list[dict[str, Any]] = []
    parameters = conversation.parameters
    if conversation.mcp_servers:
        async with clock.bounds("signing in to the MCP servers"):
            servers = await bridge.mcp_servers.resolve(conversation.mcp_servers, bridge.credentials)
        parameters = {**parameters, "tools": [*parameters.get("tools", ()), *servers]}
    body = build_request(conversation.endpoint, [*conversation.items, *said], parameters)
    try:
        outcome = await exchange(
            bridge.client,
            body,
            deadline_seconds=clock.left,
            reporter=watch.reporter,
            on_text=watch.on_text,
            take_picture=watch.take_picture,
        )
    except BridgeError as error:
        _veil(error, servers)
        raise
    if servers:
        outcome = _veiled(outcome, servers)
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
        clock = Clock(deadline_seconds or bridge.settings.timeout_seconds)
        watch = watch or Watch()
        said = answer_items(conversation.pending, outputs)
        outcome = await take_turn(bridge, conversation, said, watch=watch, deadline_seconds=clock.left)
        if conversation.output_schema is None:
            return outcome
        # Here, not above: fitting an answer takes turns itself.
        from databricks_responses_mcp.turns.schema_answers import fit_to_schema

        return await fit_to_schema(
            bridge, conversation, outcome, conversation.output_schema, watch=watch, deadline_seconds=clock.left
        )


def _veil(error: BridgeError, servers: Sequence[dict[str, Any]]) -> None:
    """Take out of an error what an upstream repeated of the servers' secrets."""
    if servers:
        secrets = secrets_of(servers)
        error.message, error.hint, error.partial = without_secrets((error.message, error.hint, error.partial), secrets)


def _veiled(outcome: Outcome, servers: Sequence[dict[str, Any]]) -> Outcome:
    """The outcome, should a server have said its own secrets in what it gave the model."""
    secrets = secrets_of(servers)
    names = ("text", "refusal", "pending_calls", "citations", "output", "items", "notes")
    changed: dict[str, Any] = {name: without_secrets(getattr(outcome, name), secrets) for name in names}
    return replace(outcome, **changed)
