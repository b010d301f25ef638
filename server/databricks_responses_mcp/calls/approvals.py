"""Approvals of MCP calls that a model requests: only the user gives them.

A call that the user does not clearly answer stays pending. An approval from the host's model is also a question for the
user; if nobody can be asked, a setting decides.
"""

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mcp.types import CallToolResult, InputRequiredResult

from databricks_responses_mcp.calls.elicitation import (
    Answers,
    answers_in,
    ask,
    asks_in_results,
    question_result,
    why_not_asked,
)
from databricks_responses_mcp.calls.jobs import ResultRecord
from databricks_responses_mcp.errors import Action, Advice, BridgeError, ErrorCode
from databricks_responses_mcp.responses.answers import answer_problems, approved_calls, with_decisions
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.call_outputs import answer_calls
from databricks_responses_mcp.turns.outcome import Outcome, keep_before, with_items
from databricks_responses_mcp.visible import visible

if TYPE_CHECKING:
    from databricks_responses_mcp.calls.generated_images import GeneratedImages
    from databricks_responses_mcp.calls.tool_call import ToolCall

MAX_ROUNDS = 8
"""How many times one call may ask; the SDK's own clients end a call after ten."""

_MAX_UNANSWERED = 100
_MAX_ARGUMENT_CHARACTERS = 1000

Result = CallToolResult | InputRequiredResult


@dataclass(frozen=True, slots=True)
class AskedApprovals:
    """The questions that a host was asked to put to its user, returned by the host with the answers; the SDK seals it.

    Attributes:
        conversation_id: the conversation that waits.
        asked: the approval that each question is about, by the question's key.
        rounds: the number of questions so far.
        job_id: the `keyed_job_id` of the call.
        is_before: whether it was asked before the call's first turn, about approvals from the caller.
        first_turn: the number of the call's first turn; 0 if it has made none.
    """

    conversation_id: str
    asked: Mapping[str, str]
    rounds: int
    job_id: str = ""
    is_before: bool = False
    first_turn: int = 0

    def encode(self) -> str:
        """Return it as text for `asked_before`."""
        return json.dumps(
            [self.conversation_id, dict(self.asked), self.rounds, self.job_id, self.is_before, self.first_turn]
        )


@dataclass(frozen=True, slots=True)
class Consent:
    """Outputs that may be sent to the model, and notes on who approved them."""

    outputs: Sequence[Mapping[str, Any]]
    notes: tuple[str, ...] = ()


class UnansweredCalls:
    """The outcome and the images of calls whose host asks its user, by conversation; the newest `_MAX_UNANSWERED`."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, tuple[Outcome, GeneratedImages | None]] = OrderedDict()

    def keep(self, outcome: Outcome, images: "GeneratedImages | None") -> None:
        """Store a call until its host calls again."""
        assert outcome.conversation_id is not None
        self._calls[outcome.conversation_id] = (outcome, images)
        while len(self._calls) > _MAX_UNANSWERED:
            self._calls.popitem(last=False)

    def take(self, conversation_id: str) -> "tuple[Outcome, GeneratedImages | None] | None":
        """Remove and return the stored call; None if there is none."""
        return self._calls.pop(conversation_id, None)


def asked_before(call: "ToolCall") -> AskedApprovals | None:
    """Return the questions if the host calls again with the answers; else None."""
    # The SDK has unsealed it, so it is unchanged.
    state = call.request.request_state
    return None if state is None else AskedApprovals(*json.loads(state))


async def ask_for_approvals(
    call: "ToolCall", context: CallContext, outcome: Outcome, rounds: int = 0, *, first_turn: int = 0
) -> Result:
    """Ask the user about the MCP calls that an outcome waits for, and continue with the answers until no call waits.

    Args:
        context: the context of the turn that led to the outcome.
        rounds: the number of earlier questions of the call.
        first_turn: the number of the call's first turn; 0 if that is the newest one.

    Returns:
        The result of all turns; or the questions, which the host must ask first.
    """
    # Once the call was handed over, nobody can be asked: the reader of its result decides.
    while (requests := outcome.approval_requests) and not call.is_handed_over:
        if why := why_not_asked(call):
            return await call.result(_unasked(call, outcome, why).as_dict())
        if rounds == MAX_ROUNDS:
            return await _nothing_approved(call, outcome, f"The user was asked {rounds} times in this call")
        rounds += 1
        record = (await call.result(outcome.as_dict())).record
        if asks_in_results(call.request):
            call.app.unanswered.keep(outcome, call.images)
            return _question(
                call, outcome, requests, rounds, record, first_turn=first_turn or _newest_turn(call, outcome)
            )
        answers = await ask(call, _questions(call, outcome, requests), record)
        if answers.problem:
            return await _nothing_approved(call, outcome, answers.problem)
        outcome = await _continue(call, context, outcome, answers)
    return await call.result(outcome.as_dict())


async def resume(call: "ToolCall", images: "GeneratedImages") -> Result:
    """Continue a call whose host calls again with its user's answers.

    Args:
        images: saves the images of this request, if those of the earlier one are no longer in memory.

    Raises:
        BridgeError: ``not_found`` for the conversation; ``invalid_argument`` if other calls are pending now.
    """
    asked = asked_before(call)
    assert asked is not None
    outcome = await _waiting(call, asked.conversation_id, asked.first_turn)
    _check_still_waiting(asked, outcome.pending_calls)
    if (known := call.app.unanswered.take(asked.conversation_id)) is not None:
        outcome, images = known[0], known[1] or images
    call.add_images(images)
    answers = answers_in(call.request, asked.asked)
    if answers.problem:
        return await _nothing_approved(call, outcome, answers.problem)
    context = await call.begin(job_id=asked.job_id)
    outcome = await _continue(call, context, outcome, answers)
    return await ask_for_approvals(call, context, outcome, asked.rounds, first_turn=asked.first_turn)


async def consent_to(
    call: "ToolCall", asked: AskedApprovals | None, conversation_id: str, outputs: Sequence[dict[str, Any]]
) -> Consent | Result:
    """Return which of the outputs may be sent to the model: the user decides about the MCP calls that they approve.

    Args:
        asked: the questions, if the host calls again with the answers.
        conversation_id: the conversation with the pending calls.
        outputs: the outputs from the caller.

    Returns:
        The outputs that may be sent; or the result of the call, if there are none.

    Raises:
        BridgeError: ``not_found`` for the conversation, ``permission_denied`` if nobody can be asked and the settings
            do not let the caller decide.
    """
    waiting = await _waiting(call, conversation_id)
    approved = approved_calls(waiting.pending_calls, outputs)
    if not approved or answer_problems(waiting.pending_calls, outputs):
        return Consent(outputs)  # problems of the outputs are reported when they are sent
    if asked is not None:
        _check_still_waiting(asked, approved)
        answers = answers_in(call.request, asked.asked)
    elif unasked := why_not_asked(call):
        if call.app.bridge.settings.model_approvals != "allow":
            raise _nobody_to_ask(unasked, conversation_id)
        names = ", ".join(_name(request) for request in approved)
        note = f"{unasked}. The caller approved {names}, as RESPONSES_MCP_MODEL_APPROVALS=allow lets it."
        return Consent(outputs, (note,))
    elif call.is_handed_over:
        answers = Answers(problem="The host did not wait until its user could be asked")
    elif asks_in_results(call.request):
        return _question(call, waiting, approved, 1, None, is_before=True)
    else:
        answers = await ask(call, _questions(call, waiting, approved), None)
    if answers.problem:
        await call.release_key()
        return await _nothing_approved(call, waiting, answers.problem)
    outputs_of_user = {output["approval_request_id"]: output for output in _outputs(answers)}
    return Consent(with_decisions(outputs, outputs_of_user), tuple(_decision_notes(waiting, answers)))


async def _continue(call: "ToolCall", context: CallContext, outcome: Outcome, answers: Answers) -> Outcome:
    """Send the user's answers to the model; return the outcome of all turns."""
    assert outcome.conversation_id is not None
    bridge = call.app.bridge
    try:
        after = await answer_calls(bridge, outcome.conversation_id, _outputs(answers), context)
    except BridgeError as error:
        conversation = bridge.conversations.in_memory(outcome.conversation_id)
        still = conversation.pending if conversation is not None else outcome.pending_calls
        raise keep_before(error, replace(outcome, pending_calls=still)) from error
    return replace(outcome, notes=(*outcome.notes, *_decision_notes(outcome, answers))).merge(after)


async def _waiting(call: "ToolCall", conversation_id: str, first_turn: int = 0) -> Outcome:
    """Return a conversation with pending calls as an outcome.

    Args:
        first_turn: the outcome is that of the turns from this one on: a call that asks its user may be continued by
            another process, which finds them in the store. 0 for an outcome without text.
    """
    async with call.app.bridge.conversations.turn_of(conversation_id) as conversation:
        waiting = Outcome(
            text="",
            status="completed",
            model=conversation.endpoint,
            endpoint=conversation.endpoint,
            conversation_id=conversation.conversation_id,
        )
        outcome = waiting
        for turn in conversation.history[first_turn - 1 :] if first_turn else ():
            answer = replace(
                waiting,
                model=turn.model,
                endpoint=turn.endpoint,
                status=turn.status,
                response_id=turn.response_id,
                usage=None if turn.usage is None else dict(turn.usage),
            )
            outcome = outcome.merge(with_items(answer, list(turn.items)))
        return replace(outcome, pending_calls=conversation.pending)


def _newest_turn(call: "ToolCall", outcome: Outcome) -> int:
    assert outcome.conversation_id is not None
    conversation = call.app.bridge.conversations.in_memory(outcome.conversation_id)
    return 0 if conversation is None else len(conversation.history)


def _check_still_waiting(asked: AskedApprovals, calls: Sequence[Mapping[str, Any]]) -> None:
    waiting = [call.get("approval_request_id") for call in calls]
    if sorted(map(str, waiting)) != sorted(asked.asked.values()):
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"These approvals of conversation {asked.conversation_id!r} were answered before.",
            "",
            advice=(Advice(Action.CONTINUE_CONVERSATION, asked.conversation_id),),
        )


def _outputs(answers: Answers) -> list[dict[str, Any]]:
    """Return the outputs with the user's decisions for the model."""
    return [
        {"approval_request_id": approval, "approve": approve, **({} if approve else {"reason": "declined"})}
        for approval, approve in answers.decisions.items()
    ]


def _question(
    call: "ToolCall",
    outcome: Outcome,
    requests: Sequence[Mapping[str, Any]],
    rounds: int,
    record: ResultRecord | None,
    *,
    is_before: bool = False,
    first_turn: int = 0,
) -> InputRequiredResult:
    assert outcome.conversation_id is not None
    asked = {f"approval_{number}": str(request["approval_request_id"]) for number, request in enumerate(requests, 1)}
    texts = _questions(call, outcome, requests)
    state = AskedApprovals(outcome.conversation_id, asked, rounds, call.keyed_job_id, is_before, first_turn)
    return question_result({key: texts[approval] for key, approval in asked.items()}, state.encode(), record)


def _questions(call: "ToolCall", outcome: Outcome, requests: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the text of the question about each approval, by the approval's id."""
    return {
        str(request["approval_request_id"]): (
            f"{outcome.endpoint} wants to call the tool {_shown(str(request.get('name')))} of the MCP server "
            f"{_shown(str(request.get('server_label')))}{_origin(call, outcome, request)} with:\n"
            f"{_shown(str(request.get('arguments') or '{}'))}\n"
            "Accept to let it make this call."
        )
        for request in requests
    }


def _origin(call: "ToolCall", outcome: Outcome, request: Mapping[str, Any]) -> str:
    """Return the address of a server that the caller defined, whose label is not trusted."""
    assert outcome.conversation_id is not None
    conversation = call.app.bridge.conversations.in_memory(outcome.conversation_id)
    addresses = [
        _shown(str(tool.get("server_url") or tool.get("connector_id")))
        for tool in (conversation.parameters.get("tools", ()) if conversation is not None else ())
        if isinstance(tool, Mapping) and tool.get("server_label") == request.get("server_label")
    ]
    return f" at {' or '.join(addresses)}" if addresses else ""


def _unasked(call: "ToolCall", outcome: Outcome, why: str) -> Outcome:
    """Return an outcome whose approvals nobody could be asked for, and its model cannot give."""
    if call.app.bridge.settings.model_approvals != "allow":
        outcome = replace(outcome, pending_calls=[_only_refusable(pending) for pending in outcome.pending_calls])
    return replace(outcome, notes=(*outcome.notes, f"{why}: the calls wait in pending_calls."))


def _only_refusable(pending: dict[str, Any]) -> dict[str, Any]:
    """Return a pending call whose ``answer_with`` contains only the refusal."""
    return {**pending, "answer_with": {**pending["answer_with"], "approve": False}}


async def _nothing_approved(call: "ToolCall", outcome: Outcome, why: str) -> CallToolResult:
    note = f"{why}: nothing was approved, the calls wait in pending_calls."
    return await call.result(replace(outcome, notes=(*outcome.notes, note)).as_dict())


def _decision_notes(outcome: Outcome, answers: Answers) -> list[str]:
    """Return sentences about the user's decisions. A host that runs without a user declines in their place."""
    calls = {str(call.get("approval_request_id")): call for call in outcome.pending_calls}
    notes = []
    for approval, approve in answers.decisions.items():
        name = _name(calls[approval])
        declined = f"The user declined {name}, or nobody could be asked and the host did."
        notes.append(f"The user approved {name}." if approve else declined)
    return notes


def _name(request: Mapping[str, Any]) -> str:
    return f"{_shown(str(request.get('name')))} of {_shown(str(request.get('server_label')))}"


def _nobody_to_ask(why: str, conversation_id: str) -> BridgeError:
    return BridgeError(
        ErrorCode.PERMISSION_DENIED,
        f"{why}, and a model may not approve MCP calls itself: nothing was sent, the calls wait.",
        f"Tell the user that conversation {conversation_id} waits for an approval, and how to give it: in a host that "
        "can ask its user, or by this server's setting RESPONSES_MCP_MODEL_APPROVALS=allow, or by "
        "require_approval never for that MCP server. To decline the calls, return approve: false.",
    )


def _shown(text: str) -> str:
    """Return a model's text for a person: without invisible characters, and truncated."""
    shown = visible(text[:_MAX_ARGUMENT_CHARACTERS])
    if len(text) <= _MAX_ARGUMENT_CHARACTERS and len(shown) <= _MAX_ARGUMENT_CHARACTERS:
        return shown
    return f"{shown[:_MAX_ARGUMENT_CHARACTERS]}… ({len(text)} characters in all)"
