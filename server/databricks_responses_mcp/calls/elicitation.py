"""Elicitation: questions to the user of the host, each answered by yes, no, or not at all.

A host that speaks with a handshake is asked while the call runs. Since 2026-07-28 the call ends with its questions
(``input_required``), and the host calls again with the answers.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
from mcp.server.mcpserver import Context
from mcp.types import ElicitRequest, ElicitRequestFormParams, ElicitResult

from databricks_responses_mcp.calls.jobs import ResultRecord
from databricks_responses_mcp.calls.results import RecordedQuestion
from databricks_responses_mcp.calls.state import AppSource

if TYPE_CHECKING:
    from databricks_responses_mcp.calls.tool_call import ToolCall

logger = logging.getLogger(__name__)

_ASKED_IN_RESULTS_SINCE = "2026-07-28"
_NEWS_SECONDS = 10.0
# A form without a field: accepting it is the answer, so it takes one key.
_SCHEMA: dict[str, Any] = {"type": "object", "properties": {}}


@dataclass(frozen=True, slots=True)
class Answers:
    """What the user answered.

    Attributes:
        decisions: yes or no, by the key of the question; complete or empty.
        problem: why there are no decisions; empty if there are.
    """

    decisions: Mapping[str, bool] = field(default_factory=dict)
    problem: str = ""


def why_not_asked(call: "ToolCall") -> str:
    """Return a sentence why the user cannot be asked; empty if the host can ask them."""
    policy = call.app.bridge.policy
    if policy is not None and policy.is_read_only:
        return "Nobody was asked, as the policy of this service lets this user change nothing (read_only)"
    # Asking a client without this capability is a protocol error, not an answer.
    if call.app.bridge.settings.approval_timeout_seconds == 0:
        return "Nobody could be asked, as RESPONSES_MCP_APPROVAL_TIMEOUT_SECONDS is 0"
    capabilities = call.request.client_capabilities
    elicitation = capabilities.elicitation if capabilities is not None else None
    if elicitation is None or (elicitation.form is None and elicitation.url is not None):
        return "Nobody could be asked, as this host cannot ask its user"
    return ""


def asks_in_results(request: Context[AppSource, Any]) -> bool:
    """Return whether the host is asked by `question_result`, and not by `ask`."""
    # Versions are dates, so they can be compared as text.
    return (request.protocol_version or "") >= _ASKED_IN_RESULTS_SINCE


def question_result(questions: Mapping[str, str], state: str, record: ResultRecord | None) -> RecordedQuestion:
    """Return a result that has the host ask its user, and call again.

    Args:
        questions: the text of each, by its key.
        state: what the host returns unread with the answers.
        record: what is stored of the call if the host does not call again.
    """
    result = RecordedQuestion(
        input_requests={
            key: ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=_SCHEMA))
            for key, message in questions.items()
        },
        request_state=state,
    )
    result._record = record
    return result


def answers_in(request: Context[AppSource, Any], keys: Mapping[str, str]) -> Answers:
    """Return the answers of a host that calls again.

    Args:
        keys: the keys under which `Answers` has the decisions, by those of the questions in the result.
    """
    given = request.input_responses or {}
    return _answers({own: given.get(key) for key, own in keys.items()})


async def ask(call: "ToolCall", questions: Mapping[str, str], record: ResultRecord | None) -> Answers:
    """Ask the questions one after the other, while the call runs.

    Args:
        questions: the text of each, by its key.
        record: what is stored of the call if it ends before the user has answered.
    """
    seconds = min(call.app.bridge.settings.approval_timeout_seconds, call.deadline.seconds_left, call.seconds_left)
    results: dict[str, ElicitResult | None] = {}
    call.open_question(record)
    with anyio.move_on_after(seconds) as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_report_waiting, call)
            for key, message in questions.items():
                results[key] = await _elicit(call, message)
                if _decision(results[key]) is None:
                    break
            tasks.cancel_scope.cancel()
    if scope.cancelled_caught:
        return Answers(problem=f"The user did not answer within {round(seconds, 1):g} s")
    answers = _answers(results)
    if not answers.problem:
        call.close_question()
    return answers


async def _elicit(call: "ToolCall", message: str) -> ElicitResult | None:
    try:
        result: ElicitResult = await call.request.session.elicit_form(message, _SCHEMA, call.request.request_id)
    except Exception:
        # A failure of the client is never a yes.
        logger.warning("asking the user failed", exc_info=True, extra={"fields": call.log.fields})
        return None
    return result


async def _report_waiting(call: "ToolCall") -> None:
    while call.reporter is not None:
        await call.reporter.say("waiting for the user's approval")
        await anyio.sleep(_NEWS_SECONDS)


def _decision(result: Any) -> bool | None:
    """Return yes, no, or None for any other answer."""
    if not isinstance(result, ElicitResult) or result.action == "cancel":
        return None
    # Hosts of earlier versions filled in a field of this name; it must not say otherwise.
    approve = (result.content or {}).get("approve", True)
    if result.action == "decline" or approve is False:
        return False
    return True if approve is True else None


def _answers(results: Mapping[str, Any]) -> Answers:
    decisions: dict[str, bool] = {}
    for key, result in results.items():
        decision = _decision(result)
        if decision is None:
            dismissed = isinstance(result, ElicitResult) and result.action == "cancel"
            problem = "The question was dismissed, or nobody could be asked" if dismissed else "Nobody could be asked"
            return Answers(problem=problem)
        decisions[key] = decision
    return Answers(decisions)
