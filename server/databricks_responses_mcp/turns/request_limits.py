"""Budgets and rates of a user and of all users together: a request is admitted before it is sent, settled after it.

The store counts, so that the limits are exact however many replicas there are. Before a request its tokens are
reserved: the estimated input and the largest output. After it they are replaced by what it cost. Where that is not
known, because the call was cancelled or the endpoint reports no usage, the reservation stays: nobody can use tokens
without them being counted. So a budget is exceeded at most by what the input of the requests in flight was
underestimated.
"""

import logging
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, assert_never

import anyio
import anyio.lowlevel

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.policy.refusal import PolicyError
from databricks_responses_mcp.store.interface import StoreError
from databricks_responses_mcp.store.records import Admission, AdmissionRequest, Denial, RequestLimits, Usage
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.store_calls import result_of_store, within_time_limit
from databricks_responses_mcp.turns.usage import SMALLEST_ANSWER

if TYPE_CHECKING:
    from databricks_responses_mcp.policy.access import AccessPolicy, UsageLimits
    from databricks_responses_mcp.policy.rules import Rule

logger = logging.getLogger(__name__)

LEASE_SECONDS = 60.0
"""How long a call of a replica that was killed counts as running."""
_EXTEND_SECONDS = 20.0
_DEFAULT_OUTPUT = 8192
"""``max_output_tokens`` of a request under a budget, if neither the caller nor a setting gives one."""
_CHARACTERS_PER_TOKEN = 4
_TOKENS_OF_MEDIA = 1500
_MEDIA_FIELDS = frozenset({"file_data", "file_url", "image_url", "url"})
_CAP = "max_output_tokens"


@dataclass(slots=True)
class RequestCost:
    """What an admitted request cost.

    Attributes:
        usage: the usage that the workspace reported; None before, or without a report.
        limited_by: the rule that has lowered ``max_output_tokens`` of the request; empty if none has.
    """

    usage: Usage | None = None
    limited_by: str = ""


class RequestLimiter:
    """Admits the requests of one user.

    Args:
        bridge: of the user; its store counts.
        policy: of the user, with limits.

    Attributes:
        policy: likewise.
    """

    def __init__(self, bridge: Bridge, policy: "AccessPolicy") -> None:
        self._bridge = bridge
        self.policy = policy
        self._limits, self._all_limits = _values(policy.user_limits), _values(policy.total_limits)
        self._has_budget = self._limits.tokens_per_day is not None or self._all_limits.tokens_per_day is not None
        self._running: set[str] = set()
        self._is_extending = False

    @asynccontextmanager
    async def admitted(self, body: dict[str, Any], call: CallContext) -> AsyncIterator[RequestCost]:
        """Admit a request for the time of the context; its ``max_output_tokens`` may be set, or lowered.

        Raises:
            PolicyError: ``budget_exceeded`` or ``rate_limited``, before anything is sent.
            BridgeError: ``budget_exceeded`` if the store cannot count: then nothing is sent.
        """
        cost = RequestCost()
        with anyio.CancelScope(shield=True):  # bounded by the store; else nobody would settle what it has counted
            admission = await self._admit(body, call, cost)
        is_unpaid = True
        try:
            await anyio.lowlevel.checkpoint_if_cancelled()
            is_unpaid = False
            yield cost
        except BridgeError as error:
            is_unpaid = not error.may_be_paid and error.code is not ErrorCode.TIMEOUT
            raise
        finally:
            self._running.discard(admission.admission_id)
            if cost.usage is not None:
                tokens = cost.usage.input_tokens + cost.usage.output_tokens
            else:
                tokens = 0 if is_unpaid else admission.tokens
            await self._settle(admission, tokens, call)

    async def _admit(self, body: dict[str, Any], call: CallContext, cost: RequestCost) -> Admission:
        input_tokens, output_tokens = 0, 0
        if self._has_budget:
            input_tokens = estimated_tokens(body)
            output_tokens = self._largest_output(body)
        can_extend = self._bridge.background is not None
        request = AdmissionRequest(
            admission_id=secrets.token_hex(16),
            call_id=call.record.call_id,
            least_tokens=input_tokens + min(SMALLEST_ANSWER, output_tokens),
            wanted_tokens=input_tokens + output_tokens,
            lease_seconds=LEASE_SECONDS if can_extend else call.deadline.seconds_left + LEASE_SECONDS,
        )
        result = await result_of_store(
            self._bridge.store.admit_request(request, self._limits, self._all_limits),
            "The limits of this service cannot be checked, so nothing was sent",
            "Ask again; if it stays so, the service's store (see RESPONSES_MCP_STORE) must be fixed.",
            code=ErrorCode.BUDGET_EXCEEDED,
        )
        if isinstance(result, Denial):
            raise self._refusal(result)
        if self._has_budget and result.tokens < request.wanted_tokens:
            body[_CAP] = result.tokens - input_tokens
            cost.limited_by = self._budget_rule().place
        self._running.add(result.admission_id)
        if can_extend:
            self._start_extending()
        return result

    async def _settle(self, admission: Admission, tokens: int, call: CallContext) -> None:
        with anyio.CancelScope(shield=True):
            try:
                await within_time_limit(self._bridge.store.settle_request(admission, tokens))
            except StoreError as error:
                logger.warning(
                    "a request stays counted with all tokens that were reserved for it: %s",
                    error,
                    extra={"fields": call.record.log_fields},
                )
            except Exception:  # a defect of the store is no reason to lose what was paid for
                logger.exception("settling a request failed", extra={"fields": call.record.log_fields})

    def _start_extending(self) -> None:
        if not self._is_extending and self._bridge.background is not None:
            self._is_extending = True
            self._bridge.background.start_soon(self._extend)

    async def _extend(self) -> None:
        """Extend the leases of the running requests until there are none."""
        try:
            while self._running:
                await anyio.sleep(_EXTEND_SECONDS)
                if not self._running:
                    break
                try:
                    await within_time_limit(self._bridge.store.extend_requests(tuple(self._running), LEASE_SECONDS))
                except Exception:  # it runs in the server's task group, which an exception would end
                    logger.exception("the leases of running requests could not be extended")
        finally:
            self._is_extending = False

    def _largest_output(self, body: dict[str, Any]) -> int:
        """Return the request's ``max_output_tokens``; set it if there is none."""
        wanted = body.setdefault(_CAP, self._bridge.settings.default_max_output_tokens or _DEFAULT_OUTPUT)
        if type(wanted) is not int or wanted < 0:
            self.policy.refuse(f"{_CAP} {str(wanted)[:40]}", self._budget_rule().place)
        return wanted

    def _budget_rule(self) -> "Rule":
        rule = self.policy.user_limits.tokens_per_day or self.policy.total_limits.tokens_per_day
        assert rule is not None
        return rule

    def _refusal(self, denial: Denial) -> PolicyError:
        limits = self.policy.total_limits if denial.is_of_all else self.policy.user_limits
        whose = "of all users together" if denial.is_of_all else "of yours"
        wait = max(1.0, float(round(denial.retry_after_seconds)))
        code = ErrorCode.RATE_LIMITED
        match denial.limit:
            case "tokens_per_day":
                rule, code = limits.tokens_per_day, ErrorCode.BUDGET_EXCEEDED
                what = f"{denial.used} tokens {whose} are used or reserved today (UTC), so too few are left"
            case "requests_per_minute":
                rule = limits.requests_per_minute
                what = f"The number of requests {whose} in the last minute has reached {denial.used}"
            case "concurrent_calls":
                rule = limits.concurrent_calls
                what = f"The number of running calls {whose} has reached {denial.used}"
            case _:
                assert_never(denial.limit)
        assert rule is not None
        return self.policy.refusal(what, f"{rule.place} = {rule.value}", code=code, retry_after_seconds=wait)


def within_request_limits(
    bridge: Bridge, body: dict[str, Any], call: CallContext
) -> AbstractAsyncContextManager[RequestCost]:
    """Admit a request as `RequestLimiter.admitted` does; nothing is asked or counted for a user without limits."""
    limiter = bridge.request_limiter
    return nullcontext(RequestCost()) if limiter is None else limiter.admitted(body, call)


def estimated_tokens(body: Mapping[str, Any]) -> int:
    """Return about how many input tokens a request has: a quarter of its characters, and 1,500 an image or file."""
    characters, media, left = 0, 0, [body.get(key) for key in ("input", "instructions", "tools", "text")]
    while left:
        value = left.pop()
        if isinstance(value, str):
            characters += len(value)
        elif isinstance(value, Mapping):
            characters += sum(len(str(key)) for key in value)
            for key, inner in value.items():
                # Only where media belong: any other text can begin like a data URL.
                if key in _MEDIA_FIELDS and isinstance(inner, str) and _is_media(inner):
                    media += 1
                else:
                    left.append(inner)
        elif isinstance(value, list | tuple):
            left += value
    return characters // _CHARACTERS_PER_TOKEN + media * _TOKENS_OF_MEDIA


def _is_media(text: str) -> bool:
    """Return whether a text is a data URL whose tokens do not grow with its length."""
    return text[:5].casefold() == "data:" and text[5:10].casefold() != "text/"


def _values(limits: "UsageLimits") -> RequestLimits:
    return RequestLimits(
        tokens_per_day=None if limits.tokens_per_day is None else limits.tokens_per_day.value,
        requests_per_minute=None if limits.requests_per_minute is None else limits.requests_per_minute.value,
        concurrent_calls=None if limits.concurrent_calls is None else limits.concurrent_calls.value,
    )
