"""Approvals of MCP calls: the user is asked where the host can do that, in the protocol's old way or its new one.

A host that speaks with a handshake is asked while the call goes on. Since 2026-07-28 the call ends with a question
(``input_required``), and the host calls again with the answer: the call then goes on from where it was, and the model
is not asked anew. Whatever is not clearly answered stays a pending call. Nothing is
approved here but by the user's yes.
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

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.tools.held import current_call
from databricks_responses_mcp.tools.results import answer_result, error_result
from databricks_responses_mcp.tools.state import App, app_of
from databricks_responses_mcp.tools.taking import PictureTaker
from databricks_responses_mcp.tools.unfinished import Unfinished
from databricks_responses_mcp.turns.clock import Clock
from databricks_responses_mcp.turns.converse import Watch, answer_calls
from databricks_responses_mcp.turns.jobs import Ended
from databricks_responses_mcp.turns.joining import joined, keep_before
from databricks_responses_mcp.turns.outcome import Outcome

logger = logging.getLogger(__name__)

MOST_ROUNDS = 8
"""How often one call asks; the SDK's own clients end a call after ten."""

_ASKED_IN_RESULTS_SINCE = "2026-07-28"
_NEWS_SECONDS = 10.0
_ARGUMENT_CHARACTERS = 1000
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "approve": {"type": "boolean", "title": "Approve", "description": "Let the model make this call."},
    },
    "required": ["approve"],
}

Begin = Callable[[Watch], Awaitable[Outcome]]
"""Runs the first turn of a call."""


async def answered(ctx: Context[App], taker: PictureTaker, begin: Begin) -> CallToolResult | InputRequiredResult:
    """The result of a call: its first turn, and those that follow when the user approves or declines MCP calls.

    Args:
        taker: takes the pictures of the call.
        begin: not run when the host calls again with the user's answers.
    """
    call = _Call(ctx, taker)
    try:
        outcome = await call.run(begin)
    except _HandedOverError as handed_over:
        return handed_over.result
    except BridgeError as error:
        return error_result(call.app, call.taker.attach(error), call.taker.blocks(), lead=call.taker.lead())
    if isinstance(outcome, InputRequiredResult):
        return outcome
    facts = call.taker.extend(outcome.as_dict())
    return answer_result(call.app, facts, call.taker.blocks(), lead=call.taker.lead())


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
    """

    conversation_id: str
    asked: Mapping[str, str]
    rounds: int
    job_id: str = ""

    def encode(self) -> str:
        return json.dumps([self.conversation_id, dict(self.asked), self.rounds, self.job_id])


class _Call:
    """One call of a tool, from its first turn to its last."""

    def __init__(self, ctx: Context[App], taker: PictureTaker) -> None:
        self._ctx = ctx
        self.app = app_of(ctx)
        self.taker = taker
        self._settings = self.app.bridge.settings
        self._clock = Clock(self._settings.timeout_seconds)
        self._held = current_call.get()
        self._reporter = self._held.reporter

    async def run(self, begin: Begin) -> Outcome | InputRequiredResult:
        """The last outcome, all earlier ones in it; or the question that the host must ask first."""
        state = _state_of(self._ctx)
        if state is None:
            outcome, rounds = await self._run(partial(begin, self._watch())), 0
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
        return outcome

    async def _run(self, work: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """One turn, held as long as the host waits."""
        outcome: Outcome | CallToolResult = await self._held.run(work, self._conclude)
        if isinstance(outcome, CallToolResult):
            raise _HandedOverError(outcome)
        return outcome

    def _conclude(self, outcome: Outcome | None, error: BridgeError | None) -> Ended:
        return self.taker.conclude(outcome.as_dict() if outcome is not None else None, error)

    def _watch(self) -> Watch:
        return Watch(reporter=self._reporter, take_picture=self.taker)

    def _can_ask(self) -> bool:
        # To ask a client that cannot be asked is an error of the protocol, not an answer.
        capabilities = self._ctx.client_capabilities
        elicitation = capabilities.elicitation if capabilities is not None else None
        if elicitation is None or self._settings.approval_timeout_seconds == 0:
            return False
        return elicitation.form is not None or elicitation.url is None

    async def _left_off(self, state: _State) -> Outcome:
        """Where the call was when its host was told to ask.

        Raises:
            BridgeError: ``not_found``; ``invalid_argument`` if other calls wait now.
        """
        async with self.app.bridge.conversations.turn_of(state.conversation_id) as conversation:
            pending = conversation.pending
        waiting = [call.get("approval_request_id") for call in pending]
        if sorted(map(str, waiting)) != sorted(state.asked.values()):
            raise BridgeError(
                ErrorCode.INVALID_ARGUMENT,
                f"These approvals of conversation {state.conversation_id!r} were answered before.",
                "Go on with it in words: ask_databricks_model with this conversation_id.",
            )
        kept = self.app.unfinished.take(state.conversation_id)
        if kept is not None:
            self.taker = kept.taker
            return kept.outcome
        return Outcome(
            text="",
            status="completed",
            model=conversation.endpoint,
            endpoint=conversation.endpoint,
            pending_calls=pending,
            conversation_id=conversation.conversation_id,
        )

    async def _go_on(self, outcome: Outcome, answers: Sequence[dict[str, Any]]) -> Outcome:
        """Hand the answers back to the model."""
        conversation_id = outcome.conversation_id
        assert conversation_id is not None

        async def work() -> Outcome:
            try:
                after = await answer_calls(
                    self.app.bridge,
                    conversation_id,
                    answers,
                    watch=self._watch(),
                    deadline_seconds=self._clock.left,
                )
            except BridgeError as error:
                conversation = self.app.bridge.conversations.in_memory(conversation_id)
                still = conversation.pending if conversation is not None else outcome.pending_calls
                raise keep_before(error, replace(outcome, pending_calls=still)) from error
            return joined(replace(outcome, notes=(*outcome.notes, *_told(outcome, answers))), after)

        return await self._run(work)

    def _question(self, outcome: Outcome, requests: Sequence[dict[str, Any]], rounds: int) -> InputRequiredResult:
        assert outcome.conversation_id is not None
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
            request_state=_State(outcome.conversation_id, asked, rounds, self._held.job_id).encode(),
        )

    async def _ask(self, outcome: Outcome, requests: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
        """Ask about one call after the other: the answers; or why there are none."""
        seconds = min(self._settings.approval_timeout_seconds, self._clock.left, self._held.seconds_left)
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
            f"{_shown(str(request.get('server_label')))}{self._origin(outcome, request)} with:\n{arguments}"
        )

    def _origin(self, outcome: Outcome, request: Mapping[str, Any]) -> str:
        """The address of a server that the caller brought along: its label may say anything."""
        assert outcome.conversation_id is not None
        conversation = self.app.bridge.conversations.in_memory(outcome.conversation_id)
        for tool in conversation.parameters.get("tools", ()) if conversation is not None else ():
            if isinstance(tool, Mapping) and tool.get("server_label") == request.get("server_label"):
                return f" at {_shown(str(tool.get('server_url') or tool.get('connector_id')))}"
        return ""


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
    if result.action == "decline":
        return False
    approve = (result.content or {}).get("approve")
    return approve if isinstance(approve, bool) else None


def _answers(results: Sequence[tuple[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """The outputs that answer the approvals; or why they cannot be answered."""
    answers: list[dict[str, Any]] = []
    for approval, result in results:
        decision = _decision(result)
        if decision is None:
            dismissed = isinstance(result, ElicitResult) and result.action == "cancel"
            return [], "The user dismissed the question" if dismissed else "The user could not be asked"
        answer = {"approval_request_id": approval, "approve": decision}
        answers.append(answer if decision else {**answer, "reason": "declined by the user"})
    return answers, ""


def _noted(outcome: Outcome, why: str) -> Outcome:
    return replace(outcome, notes=(*outcome.notes, f"{why}: nothing was approved, the calls wait in pending_calls."))


def _told(outcome: Outcome, answers: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the user decided, in words."""
    calls = {str(call["approval_request_id"]): call for call in outcome.pending_calls}
    told = []
    for answer in answers:
        call = calls[answer["approval_request_id"]]
        verb = "approved" if answer["approve"] else "declined"
        told.append(f"The user {verb} {_shown(str(call.get('name')))} of {_shown(str(call.get('server_label')))}.")
    return told


def _shown(text: str) -> str:
    """Text of a model's making as a person may be shown it: nothing invisible, and not without end."""
    visible = "".join(character if character.isprintable() else " " for character in text)
    if len(visible) <= _ARGUMENT_CHARACTERS:
        return visible
    return f"{visible[:_ARGUMENT_CHARACTERS]}… ({len(visible)} characters in all)"
