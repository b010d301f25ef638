"""One turn of a conversation: everything said so far goes along, and what comes back is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from databricks_responses_mcp.errors import BridgeError, ErrorCode, Reason, quoted
from databricks_responses_mcp.responses.accumulator import Item
from databricks_responses_mcp.responses.answers import answer_items, answer_problems
from databricks_responses_mcp.responses.request import build_request
from databricks_responses_mcp.responses.strict_schema import without_strict
from databricks_responses_mcp.responses.unique_ids import unique_calls
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.conversations import Conversation
from databricks_responses_mcp.turns.dispatch import reach
from databricks_responses_mcp.turns.history import input_of
from databricks_responses_mcp.turns.outcome import Outcome, with_items
from databricks_responses_mcp.turns.tool_secrets import usable_tools
from databricks_responses_mcp.turns.usage import request_usage
from databricks_responses_mcp.workspace.endpoints import wants_encrypted_reasoning

_ENCRYPTED = "reasoning.encrypted_content"
_CAP = "max_output_tokens"
_CAP_IS_NEEDED = (
    "The bridge added max_output_tokens: without it RESPONSES_MCP_MAX_OUTPUT_TOKENS and "
    "RESPONSES_MCP_DAILY_TOKEN_BUDGET could not be kept."
)
_TOO_LONG = (
    "Call manage_conversations with action compact and this conversation_id: a summary then stands for the earlier "
    "turns. Or pass extra.context_management where the endpoint takes it, or begin a new conversation."
)
_LEFT_OUT = (
    "The model was not given the MCP servers {labels}: what they are signed in to with is never kept, and this process "
    "does not know it. Pass `tools` again to let it use them."
)


async def take_turn(
    bridge: Bridge,
    conversation: Conversation,
    said: Sequence[Item],
    call: CallContext,
    *,
    once: Mapping[str, Any] | None = None,
) -> Outcome:
    """Send the conversation with ``said`` at its end, keep both sides of the turn, and return the answer.

    The caller holds ``conversation.turn``. A turn that fails leaves the conversation as it was.

    Args:
        once: parameters for this turn alone.

    Raises:
        BridgeError: for every failure; ``partial`` holds what had arrived.
    """
    servers: list[dict[str, Any]] = []
    parameters, left_out = usable_tools({**conversation.parameters, **(once or {})})
    if conversation.mcp_servers:
        async with call.deadline.bounds("signing in to the MCP servers"):
            servers = await bridge.mcp_servers.resolve(conversation.mcp_servers, bridge.client.access)
        parameters = {**parameters, "tools": [*parameters.get("tools", ()), *servers]}
    attempt = _Attempt(parameters, encrypted=conversation.endpoint not in bridge.without_encrypted_reasoning)
    outcome: Outcome | None = None
    while outcome is None:
        asked = attempt.body_parameters(bridge, conversation.endpoint)
        items = [*await input_of(conversation, asked), *said]
        try:
            outcome = await paid_exchange(
                bridge,
                build_request(conversation.endpoint, items, asked),
                call,
                conversation_id=conversation.conversation_id,
                next_turn_of=conversation,
            )
        except BridgeError as error:
            if not attempt.leaves_out(error, bridge, conversation):
                raise error.with_hint(attempt.advice(error, bridge, conversation)) from error
    # What was left out was the reason, so it is known from now on: a request without it has worked.
    if not attempt.capped:
        bridge.without_default_cap.add(conversation.endpoint)
    if not attempt.encrypted:
        bridge.without_encrypted_reasoning.add(conversation.endpoint)
    outcome = with_items(outcome, unique_calls(outcome.items, conversation.call_ids))
    conversation.add(said, outcome)
    with bridge.spending.reserving(conversation.unkept_usage.get(len(conversation.history))):
        notes = await bridge.conversations.keep(conversation)
    call.partial.conversation_id = conversation.conversation_id
    if left_out:
        notes = (*notes, _LEFT_OUT.format(labels=", ".join(left_out)))
    return replace(outcome, conversation_id=conversation.conversation_id, notes=(*outcome.notes, *notes))


@dataclass(slots=True)
class _Attempt:
    """What the next request of a turn asks for; less of it each time that an endpoint refuses a part.

    Attributes:
        parameters: of the request, as the caller and the conversation have them.
        encrypted: whether to ask for reasoning that can be sent again.
        capped: whether to add the default ``max_output_tokens``.
    """

    parameters: Mapping[str, Any]
    encrypted: bool
    capped: bool = True

    def body_parameters(self, bridge: Bridge, endpoint: str) -> dict[str, Any]:
        """Return the parameters with what the bridge adds to them."""
        include = _include(endpoint, self.parameters) if self.encrypted else {}
        cap = default_cap(bridge, endpoint, self.parameters) if self.capped else {}
        return {**self.parameters, **include, **cap}

    def leaves_out(self, error: BridgeError, bridge: Bridge, conversation: Conversation) -> bool:
        """Leave out what a request was refused for; return whether that was possible, so that it can be sent again."""
        if reads_no_reasoning(conversation, error):
            return True
        if self._is_refused_for_cap(error, bridge, conversation) and not _needs_cap(bridge):
            self.capped = False
            return True
        relaxed = without_strict(self.parameters) if _refuses_strict(error) else None
        if relaxed is not None:
            self.parameters = relaxed
            conversation.parameters = without_strict(conversation.parameters) or conversation.parameters
            return True
        if self.encrypted and _include(conversation.endpoint, self.parameters):
            self.encrypted = not _refuses_include(error, self.parameters)
            return not self.encrypted
        return False

    def advice(self, error: BridgeError, bridge: Bridge, conversation: Conversation) -> str:
        """Return the hint of an error that ends the turn, with what is known of the turn."""
        if error.reason is Reason.CONTEXT_TOO_LONG and conversation.history:
            return _TOO_LONG
        if self._is_refused_for_cap(error, bridge, conversation):
            return f"{error.hint} {_CAP_IS_NEEDED}"
        return error.hint

    def _is_refused_for_cap(self, error: BridgeError, bridge: Bridge, conversation: Conversation) -> bool:
        """Whether the default ``max_output_tokens`` is what a request was refused for, by the name of any surface."""
        is_added = self.capped and bool(default_cap(bridge, conversation.endpoint, self.parameters))
        return is_added and error.is_refusal and error.reason is Reason.OUTPUT_CAP_REFUSED


async def paid_exchange(
    bridge: Bridge,
    body: dict[str, Any],
    call: CallContext,
    *,
    conversation_id: str | None = None,
    next_turn_of: Conversation | None = None,
) -> Outcome:
    """One request within the limits of what may be spent; what it cost is stored, also if it fails.

    Args:
        next_turn_of: the conversation that the caller adds the answer to; its turn and its usage are committed at once.

    Raises:
        BridgeError: ``budget_exceeded`` before anything is sent, and every failure of `exchange`.
    """
    usage: Any = None
    outcome: Outcome | None = None
    endpoint = model = str(body["model"])
    async with bridge.spending.within_limits(body) as lowered:
        try:
            outcome = await reach(bridge, body, call)
            usage, model = outcome.usage, outcome.model
            if outcome.incomplete_reason == "max_output_tokens":
                outcome = _limited(outcome, lowered, is_server_limit=bridge.spending.is_limit(body))
        except BridgeError as error:
            usage, model = error.partial.get("usage"), error.partial.get("model", model)
            raise
        finally:
            spent = request_usage(
                usage, label=call.usage_label, endpoint=endpoint, model=model, conversation_id=conversation_id
            )
            if spent is not None and (outcome is None or next_turn_of is None):
                await bridge.spending.record(spent)
    if spent is not None and next_turn_of is not None:
        next_turn_of.unkept_usage[len(next_turn_of.history) + 1] = spent
    return outcome


def default_cap(bridge: Bridge, endpoint: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The ``max_output_tokens`` of a request whose caller gave none, where the endpoint takes it.

    Rate limits reserve output tokens up front: a request without a maximum reserves the model's largest.
    """
    default, most = bridge.settings.default_max_output_tokens, bridge.settings.max_output_tokens
    if not default or _CAP in parameters or endpoint in bridge.without_default_cap:
        return {}
    return {_CAP: default if most is None else min(default, most)}


def _needs_cap(bridge: Bridge) -> bool:
    """Whether a limit of this server can only be kept by a maximum in each request."""
    return bridge.settings.max_output_tokens is not None or bridge.settings.daily_token_budget is not None


def _limited(outcome: Outcome, lowered: str, *, is_server_limit: bool) -> Outcome:
    """An outcome that reached its maximum of tokens, with the setting that the maximum came from."""
    if lowered:
        return replace(outcome, limited_by="RESPONSES_MCP_DAILY_TOKEN_BUDGET", notes=(*outcome.notes, lowered))
    return replace(outcome, limited_by="RESPONSES_MCP_MAX_OUTPUT_TOKENS") if is_server_limit else outcome


def _include(endpoint: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameter that asks for reasoning in a form that can be sent again, where the endpoint gives that."""
    given = parameters.get("include")
    if not wants_encrypted_reasoning(endpoint):
        return {}
    if given is not None and (not isinstance(given, list) or _ENCRYPTED in given):
        return {}
    return {"include": [*(given or ()), _ENCRYPTED]}


def reads_no_reasoning(conversation: Conversation, error: BridgeError) -> bool:
    """Whether a request was refused for the reasoning in it; if so that is left out from now on, so ask once more."""
    if not error.is_refusal or error.reason is not Reason.REASONING_UNREADABLE:
        return False
    if conversation.unreadable == len(conversation.history) or not conversation.has_reasoning:
        return False
    conversation.unreadable = len(conversation.history)
    return True


def _refuses_include(error: BridgeError, parameters: Mapping[str, Any]) -> bool:
    """Whether a request may have been refused for what the bridge asked for besides what the caller did."""
    if error.reason is Reason.INCLUDE_REFUSED:
        # It may be what the caller wanted included, which the caller has to be told then.
        return error.is_refusal and "include" not in parameters
    return error.is_refusal and error.reason is Reason.ENCRYPTED_REASONING_REFUSED


def _refuses_strict(error: BridgeError) -> bool:
    """Whether a request may have been refused for its schema: strict takes only some, and which ones changes."""
    return error.status is not None and error.is_refusal and error.reason is Reason.STRICT_REFUSED


async def answer_calls(
    bridge: Bridge,
    conversation_id: str,
    outputs: Sequence[Any],
    call: CallContext | None = None,
) -> Outcome:
    """Send the outputs of a conversation's pending calls, and return the model's next answer.

    Args:
        call: the call in flight; without it a call of its own, under the time limit of the settings.

    Raises:
        BridgeError: ``not_found`` for the conversation, ``invalid_argument`` naming each call that is missing, answered
            twice or not waiting (nothing is sent then), and every failure of a turn.
    """
    async with bridge.conversations.turn_of(conversation_id) as conversation:
        if not conversation.pending:
            raise BridgeError(
                ErrorCode.INVALID_ARGUMENT,
                f"No call waits in conversation {quoted(conversation_id)}.",
                "Go on with it in words: ask_databricks_model with this conversation_id.",
            )
        if problems := answer_problems(conversation.pending, outputs):
            raise BridgeError(
                ErrorCode.INVALID_ARGUMENT,
                f"Nothing was sent: {'; '.join(problems[:10])}.",
                "Give one output for each pending call, in the shape that its answer_with shows.",
            )
        call = call or CallContext.start(bridge.settings)
        said = answer_items(conversation.pending, outputs)
        outcome = await take_turn(bridge, conversation, said, call)
        if conversation.output_schema is None:
            return outcome
        # Here, not above: fitting an answer takes turns itself.
        from databricks_responses_mcp.turns.structured_output import fit_to_schema

        return await fit_to_schema(bridge, conversation, outcome, conversation.output_schema, call)
