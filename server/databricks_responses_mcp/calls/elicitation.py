"""Approvals of MCP calls: the user is asked where the host can do that, in the protocol's old way or its new one.

A host that speaks with a handshake is asked while the call goes on. Since 2026-07-28 the call ends with a question
(``input_required``), and the host calls again with the answer: the call then goes on from where it was, and the model
is not asked anew. Whatever is not clearly answered stays a pending call. Nothing is approved here but by the user's
yes. An approval that the host's model hands back is a question for the user as well; where nobody can be asked, a
setting decides.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import anyio
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult, ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult

from databricks_responses_mcp.calls.generated_images import PictureTaker
from databricks_responses_mcp.calls.handoff import current_call
from databricks_responses_mcp.calls.jobs import Ended
from databricks_responses_mcp.calls.results import answer_result, error_result
from databricks_responses_mcp.calls.state import App, app_of
from databricks_responses_mcp.calls.waiting_calls import Unfinished
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.responses.answers import answer_problems, approved_calls, with_decisions
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.outcome import Outcome, keep_before
from databricks_responses_mcp.turns.turn import answer_calls
from databricks_responses_mcp.visible import visible

logger = logging.getLogger(__name__)

MOST_ROUNDS = 8
"""How often one call asks; the SDK's own clients end a call after ten."""

_ASKED_IN_RESULTS_SINCE = "2026-07-28"
_NEWS_SECONDS = 10.0
_ARGUMENT_CHARACTERS = 1000
# A form without a field: accepting it is the answer, so it takes one key.
_SCHEMA: dict[str, Any] = {"type": "object", "properties": {}}

Begin = Callable[[CallContext], Awaitable[Outcome]]
"""Runs the first turn of a call."""


async def answered(ctx: Context[App], taker: PictureTaker, begin: Begin) -> CallToolResult | InputRequiredResult:
    """The result of a call: its first turn, and those that follow when the user approves or declines MCP calls.

    Args:
        taker: takes the pictures of the call.
        begin: not run when the host calls again with the user's answers.
    """
    call = _Call(ctx, taker)
    return await call.result(partial(call.run, begin))


async def handed_back(
    ctx: Context[App], taker: PictureTaker, conversation_id: str, outputs: Sequence[dict[str, Any]]
) -> CallToolResult | InputRequiredResult:
    """The result of handing back outputs; the user is asked first about MCP calls that they approve.

    Args:
        taker: takes the pictures of the call.
        conversation_id: where the calls wait.
        outputs: as the caller gave them.
    """
    call = _Call(ctx, taker)
    return await call.result(partial(call.hand_back, conversation_id, outputs))


class _HandedOverError(Exception):
    """The host would not wait any longer."""

    def __init__(self, result: CallToolResult) -> None:
        super().__init__("handed over")
        self.result = result


@dataclass(frozen=True, slots=True)
class _State:
    """What a question carries through the host, sealed by the SDK.

    Attributes:
        conversation_id: the conversation that waits.
        asked: the approval that each question is about, by the question's key.
        rounds: how often the call has asked.
        job_id: what the call is kept as, if it has an idempotency key; else empty.
        is_before: whether it was asked before the call's first turn, about approvals that the caller handed back.
    """

    conversation_id: str
    asked: Mapping[str, str]
    rounds: int
    job_id: str = ""
    is_before: bool = False

    def encode(self) -> str:
        return json.dumps([self.conversation_id, dict(self.asked), self.rounds, self.job_id, self.is_before])


@dataclass(frozen=True, slots=True)
class _Consent:
    """Outputs as they may be handed back, and who approved what in them, in words."""

    outputs: Sequence[Mapping[str, Any]]
    notes: tuple[str, ...] = ()


class _Call:
    """One call of a tool, from its first turn to its last."""

    def __init__(self, ctx: Context[App], taker: PictureTaker) -> None:
        self._ctx = ctx
        self.app = app_of(ctx)
        self.taker = taker
        self._settings = self.app.bridge.settings
        self._held = current_call.get()
        self._call = self._held.start_work()
        self._reporter = self._held.reporter

    async def result(
        self, work: Callable[[], Awaitable[Outcome | InputRequiredResult]]
    ) -> CallToolResult | InputRequiredResult:
        """What the work came to, as a result of the tool."""
        try:
            outcome = await work()
        except _HandedOverError as handed_over:
            return handed_over.result
        except BridgeError as error:
            return error_result(self.app, self.taker.attach(error), self.taker.blocks(), lead=self.taker.lead())
        if isinstance(outcome, InputRequiredResult):
            return outcome
        facts = self.taker.extend(outcome.as_dict())
        return answer_result(self.app, facts, self.taker.blocks(), lead=self.taker.lead())

    async def hand_back(self, conversation_id: str, outputs: Sequence[dict[str, Any]]) -> Outcome | InputRequiredResult:
        """As `run`, for outputs of calls that wait."""
        state = _state_of(self._ctx)
        decided: Sequence[Mapping[str, Any]] = outputs
        notes: tuple[str, ...] = ()
        if state is None or state.is_before:
            try:
                consent = await self._consent(conversation_id, outputs, state)
            except BridgeError:
                await self._held.refused()
                raise
            if not isinstance(consent, _Consent):
                return consent
            decided, notes = consent.outputs, consent.notes

        async def begin(call: CallContext) -> Outcome:
            outcome = await answer_calls(self.app.bridge, conversation_id, decided, call)
            return replace(outcome, notes=(*notes, *outcome.notes))

        return await self.run(begin)

    async def run(self, begin: Begin) -> Outcome | InputRequiredResult:
        """The last outcome, all earlier ones in it; or the question that the host must ask first."""
        state = _state_of(self._ctx)
        if state is None or state.is_before:
            if state is not None:
                self._held.go_on_as(state.job_id)
            rounds = state.rounds if state is not None else 0
            outcome = await self._run(partial(begin, self._held.start_work(self.taker)))
        else:
            outcome, rounds = await self._left_off(state), state.rounds
            self._held.go_on_as(state.job_id)
            given = self._ctx.input_responses or {}
            answers, why = _answers([(approval, given.get(key)) for key, approval in state.asked.items()])
            if why:
                return _noted(outcome, why)
            outcome = await self._go_on(outcome, answers)
        while (requests := _approvals(outcome)) and self._can_ask():
            if rounds == MOST_ROUNDS:
                return _noted(outcome, f"The user was asked {rounds} times in this call")
            rounds += 1
            if _asks_in_results(self._ctx):
                return self._question(outcome, requests, rounds)
            answers, why = await self._ask(outcome, requests)
            if why:
                return _noted(outcome, why)
            outcome = await self._go_on(outcome, answers)
        if _approvals(outcome) and (why := self._why_not_asked()):
            if self._settings.model_approvals != "allow":
                outcome = replace(outcome, pending_calls=[_unapprovable(call) for call in outcome.pending_calls])
            return replace(outcome, notes=(*outcome.notes, f"{why}: the calls wait in pending_calls."))
        return outcome

    async def _consent(
        self, conversation_id: str, outputs: Sequence[dict[str, Any]], state: _State | None
    ) -> "_Consent | Outcome | InputRequiredResult":
        """What may be handed back of outputs that approve MCP calls: that is the user's to say, not the caller's.

        Returns:
            What is handed back; or the result of the call, if nothing is.

        Raises:
            BridgeError: ``not_found`` for the conversation, ``permission_denied`` if nobody can be asked and the
                settings do not let the caller decide.
        """
        waiting = await self._waiting(conversation_id)
        approved = approved_calls(waiting.pending_calls, outputs)
        if not approved or answer_problems(waiting.pending_calls, outputs):
            return _Consent(outputs)  # what is wrong with them is said where they are sent
        if state is not None:
            self._check_still_waiting(state, approved)
            given = self._ctx.input_responses or {}
            answers, why = _answers([(approval, given.get(key)) for key, approval in state.asked.items()])
        elif unasked := self._why_not_asked():
            if self._settings.model_approvals != "allow":
                raise _nobody_to_ask(unasked, conversation_id)
            named = ", ".join(_named(call) for call in approved)
            note = f"{unasked}. The caller approved {named}, as RESPONSES_MCP_MODEL_APPROVALS=allow lets it."
            return _Consent(outputs, (note,))
        elif _asks_in_results(self._ctx):
            return self._question(waiting, approved, 1, is_before=True)
        else:
            answers, why = await self._ask(waiting, approved)
        if why:
            await self._held.refused()
            return _noted(waiting, why)
        decisions = {answer["approval_request_id"]: answer for answer in answers}
        return _Consent(with_decisions(outputs, decisions), tuple(_told(waiting, answers)))

    async def _waiting(self, conversation_id: str) -> Outcome:
        """A conversation whose calls wait, as an outcome without words."""
        async with self.app.bridge.conversations.turn_of(conversation_id) as conversation:
            return Outcome(
                text="",
                status="completed",
                model=conversation.endpoint,
                endpoint=conversation.endpoint,
                pending_calls=conversation.pending,
                conversation_id=conversation.conversation_id,
            )

    def _check_still_waiting(self, state: _State, calls: Sequence[Mapping[str, Any]]) -> None:
        waiting = [call.get("approval_request_id") for call in calls]
        if sorted(map(str, waiting)) != sorted(state.asked.values()):
            raise BridgeError(
                ErrorCode.INVALID_ARGUMENT,
                f"These approvals of conversation {state.conversation_id!r} were answered before.",
                "Go on with it in words: ask_databricks_model with this conversation_id.",
            )

    async def _run(self, work: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """One turn, held as long as the host waits."""
        outcome: Outcome | CallToolResult = await self._held.run(work, self._conclude)
        if isinstance(outcome, CallToolResult):
            raise _HandedOverError(outcome)
        return outcome

    def _conclude(self, outcome: Outcome | None, error: BridgeError | None) -> Ended:
        return self.taker.conclude(outcome.as_dict() if outcome is not None else None, error)

    def _can_ask(self) -> bool:
        return not self._why_not_asked()

    def _why_not_asked(self) -> str:
        """Why nobody can be asked, in words; empty if the host can ask its user."""
        # To ask a client that cannot be asked is an error of the protocol, not an answer.
        if self._settings.approval_timeout_seconds == 0:
            return "Nobody could be asked, as RESPONSES_MCP_APPROVAL_TIMEOUT_SECONDS is 0"
        capabilities = self._ctx.client_capabilities
        elicitation = capabilities.elicitation if capabilities is not None else None
        if elicitation is None or (elicitation.form is None and elicitation.url is not None):
            return "Nobody could be asked, as this host cannot ask its user"
        return ""

    async def _left_off(self, state: _State) -> Outcome:
        """Where the call was when its host was told to ask.

        Raises:
            BridgeError: ``not_found``; ``invalid_argument`` if other calls wait now.
        """
        waiting = await self._waiting(state.conversation_id)
        self._check_still_waiting(state, waiting.pending_calls)
        kept = self.app.unfinished.take(state.conversation_id)
        if kept is None:
            return waiting
        self.taker = kept.taker
        return kept.outcome

    async def _go_on(self, outcome: Outcome, answers: Sequence[dict[str, Any]]) -> Outcome:
        """Hand the answers back to the model."""
        conversation_id = outcome.conversation_id
        assert conversation_id is not None

        async def work() -> Outcome:
            try:
                call = replace(self._call, take_image=self.taker)
                after = await answer_calls(self.app.bridge, conversation_id, answers, call)
            except BridgeError as error:
                conversation = self.app.bridge.conversations.in_memory(conversation_id)
                still = conversation.pending if conversation is not None else outcome.pending_calls
                raise keep_before(error, replace(outcome, pending_calls=still)) from error
            return replace(outcome, notes=(*outcome.notes, *_told(outcome, answers))).merge(after)

        return await self._run(work)

    def _question(
        self, outcome: Outcome, requests: Sequence[Mapping[str, Any]], rounds: int, *, is_before: bool = False
    ) -> InputRequiredResult:
        assert outcome.conversation_id is not None
        if not is_before:
            self.app.unfinished.keep(outcome.conversation_id, Unfinished(outcome, self.taker))
        keyed = {f"approval_{number}": request for number, request in enumerate(requests, 1)}
        asked = {key: str(request["approval_request_id"]) for key, request in keyed.items()}
        return InputRequiredResult(
            input_requests={
                key: ElicitRequest(
                    params=ElicitRequestFormParams(message=self._words(outcome, request), requested_schema=_SCHEMA)
                )
                for key, request in keyed.items()
            },
            request_state=_State(outcome.conversation_id, asked, rounds, self._held.job_id, is_before).encode(),
        )

    async def _ask(self, outcome: Outcome, requests: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], str]:
        """Ask about one call after the other: the answers; or why there are none."""
        seconds = min(
            self._settings.approval_timeout_seconds, self._call.deadline.seconds_left, self._held.seconds_left
        )
        results: list[tuple[str, Any]] = []
        with anyio.move_on_after(seconds) as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._report_waiting)
                for request in requests:
                    result = await self._elicit(self._words(outcome, request))
                    results.append((str(request["approval_request_id"]), result))
                    if _decision(result) is None:
                        break
                tasks.cancel_scope.cancel()
        if scope.cancelled_caught:
            return [], f"The user did not answer within {round(seconds, 1):g} s"
        return _answers(results)

    async def _elicit(self, message: str) -> ElicitResult | None:
        try:
            result: ElicitResult = await self._ctx.session.elicit_form(message, _SCHEMA, self._ctx.request_id)
        except Exception:
            # Whatever a client does with a question, no answer of its is a yes.
            logger.warning("asking the user for an approval failed", exc_info=True)
            return None
        return result

    async def _report_waiting(self) -> None:
        while self._reporter is not None:
            await self._reporter.say("waiting for the user's approval")
            await anyio.sleep(_NEWS_SECONDS)

    def _words(self, outcome: Outcome, request: Mapping[str, Any]) -> str:
        arguments = _shown(str(request.get("arguments") or "{}"))
        return (
            f"{outcome.endpoint} wants to call the tool {_shown(str(request.get('name')))} of the MCP server "
            f"{_shown(str(request.get('server_label')))}{self._origin(outcome, request)} with:\n{arguments}\n"
            "Accept to let it make this call."
        )

    def _origin(self, outcome: Outcome, request: Mapping[str, Any]) -> str:
        """The address of a server that the caller brought along: its label may say anything."""
        assert outcome.conversation_id is not None
        conversation = self.app.bridge.conversations.in_memory(outcome.conversation_id)
        addresses = [
            _shown(str(tool.get("server_url") or tool.get("connector_id")))
            for tool in (conversation.parameters.get("tools", ()) if conversation is not None else ())
            if isinstance(tool, Mapping) and tool.get("server_label") == request.get("server_label")
        ]
        return f" at {' or '.join(addresses)}" if addresses else ""


def _state_of(ctx: Context[App]) -> _State | None:
    # Only what the SDK has unsealed comes here, so it is what was sealed.
    if ctx.request_state is None:
        return None
    return _State(*json.loads(ctx.request_state))


def _asks_in_results(ctx: Context[App]) -> bool:
    # Versions are dates: they sort as text.
    return (ctx.protocol_version or "") >= _ASKED_IN_RESULTS_SINCE


def _approvals(outcome: Outcome) -> list[dict[str, Any]]:
    """The approvals that a call waits for, if it waits for nothing else: all must be answered at once."""
    only = all(call.get("type") == "mcp_approval_request" for call in outcome.pending_calls)
    return outcome.pending_calls if only else []


def _decision(result: Any) -> bool | None:
    """Yes, no, or neither."""
    if not isinstance(result, ElicitResult) or result.action == "cancel":
        return None
    # Hosts of earlier versions filled in a field of this name; it must not say otherwise.
    approve = (result.content or {}).get("approve", True)
    if result.action == "decline" or approve is False:
        return False
    return True if approve is True else None


def _answers(results: Sequence[tuple[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """The outputs that answer the approvals; or why they cannot be answered."""
    answers: list[dict[str, Any]] = []
    for approval, result in results:
        decision = _decision(result)
        if decision is None:
            dismissed = isinstance(result, ElicitResult) and result.action == "cancel"
            return [], "The question was dismissed, or nobody could be asked" if dismissed else "Nobody could be asked"
        answer = {"approval_request_id": approval, "approve": decision}
        answers.append(answer if decision else {**answer, "reason": "declined"})
    return answers, ""


def _unapprovable(call: dict[str, Any]) -> dict[str, Any]:
    """A pending call, of whose approval its ``answer_with`` offers the refusal alone."""
    if call.get("type") != "mcp_approval_request":
        return call
    return {**call, "answer_with": {**call["answer_with"], "approve": False}}


def _noted(outcome: Outcome, why: str) -> Outcome:
    return replace(outcome, notes=(*outcome.notes, f"{why}: nothing was approved, the calls wait in pending_calls."))


def _told(outcome: Outcome, answers: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the user decided, in words. A host that runs without a user declines in their place."""
    calls = {str(call.get("approval_request_id")): call for call in outcome.pending_calls}
    told = []
    for answer in answers:
        named = _named(calls[answer["approval_request_id"]])
        approved = f"The user approved {named}."
        declined = f"The user declined {named}, or nobody could be asked and the host did."
        told.append(approved if answer["approve"] else declined)
    return told


def _named(call: Mapping[str, Any]) -> str:
    return f"{_shown(str(call.get('name')))} of {_shown(str(call.get('server_label')))}"


def _nobody_to_ask(why: str, conversation_id: str) -> BridgeError:
    return BridgeError(
        ErrorCode.PERMISSION_DENIED,
        f"{why}, and a model may not approve MCP calls itself: nothing was sent, the calls wait.",
        f"Tell the user that conversation {conversation_id} waits for an approval, and how to give it: in a host that "
        "can ask its user, or where this server is configured by RESPONSES_MCP_MODEL_APPROVALS=allow, or by "
        "require_approval never for that MCP server. To give the calls up, hand back approve: false.",
    )


def _shown(text: str) -> str:
    """Text of a model's making as a person may be shown it: nothing invisible, and not without end."""
    shown = visible(text[:_ARGUMENT_CHARACTERS])
    if len(text) <= _ARGUMENT_CHARACTERS and len(shown) <= _ARGUMENT_CHARACTERS:
        return shown
    return f"{shown[:_ARGUMENT_CHARACTERS]}… ({len(text)} characters in all)"
