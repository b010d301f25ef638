"""Log lines and audit records about a tool call. Neither contains any text of the call."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

import anyio
from mcp.server.context import ServerRequestContext

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.policy.refusal import PolicyError
from databricks_responses_mcp.turns.call_record import CallRecord

if TYPE_CHECKING:
    from databricks_responses_mcp.calls.state import App

logger = logging.getLogger(__name__)

_WRITE_SECONDS = 10.0
_NAME_CHARACTERS = 200

CallOutcome = Literal["completed", "asked_user", "failed", "refused", "cancelled", "interrupted", "repeated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A signed-in user, as logs name them.

    Attributes:
        issuer: who vouches for the subject.
        subject: the user's id at the issuer.
        name: what people know the user by.
    """

    issuer: str
    subject: str
    name: str = ""


class AuditError(Exception):
    """A record of the audit log could not be written. The message says why, and has no secret."""


class AuditLog(Protocol):
    """Where the records of the audit log go.

    Attributes:
        is_strict: whether a call must not spend anything before its begin is recorded.
    """

    is_strict: bool

    async def write(self, record: Mapping[str, Any]) -> None:
        """Append a record.

        Raises:
            AuditError: if it cannot be written.
        """
        ...


class CallLog:
    """Logs one call of a tool.

    Args:
        app: has the user and the audit log, if there are any.
        request: the MCP request that made the call.
        tool: the name of the tool.

    Attributes:
        record: collects what the call does.
    """

    def __init__(self, app: "App", request: ServerRequestContext[Any, Any], tool: str) -> None:
        self._user, self._audit = app.user, app.audit
        self._tool = tool
        self._request = request
        self._request_id = request_id_of(request)
        self.record = CallRecord()
        if self._user is not None:
            self.record.log_fields = {
                "request_id": self._request_id,
                "user_id": self._user.subject,
                "call_id": self.record.call_id,
            }
        self._began = anyio.current_time()
        self._is_ended = False

    @property
    def fields(self) -> Mapping[str, str]:
        """The fields of each log line about this call: ``request_id``, ``user_id``, ``call_id``. Empty over stdio."""
        return self.record.log_fields

    async def begin(self) -> None:
        """Record that the call may spend something from now on, where the audit log is strict.

        Raises:
            BridgeError: ``internal`` if that cannot be recorded: then the call must not begin.
        """
        if self._audit is None or not self._audit.is_strict:
            return
        try:
            with anyio.fail_after(_WRITE_SECONDS):
                await self._audit.write(self._facts("begun"))
        except (AuditError, TimeoutError) as error:
            raise BridgeError(
                ErrorCode.INTERNAL,
                f"The call was not begun, because the audit log cannot be written: {_reason(error)}",
                "Ask again; if it stays so, the administrator of this service has to fix RESPONSES_MCP_SERVICE_AUDIT.",
                retryable=True,
            ) from error

    async def end(
        self,
        outcome: CallOutcome,
        error: BridgeError | None = None,
        *,
        job_id: str | None = None,
        conversation_id: str | None = None,
    ) -> None:
        """Log how the call ended, once; an audit log that cannot be written is itself logged."""
        if self._is_ended:
            return
        self._is_ended = True
        # Over stdio nobody is signed in, and hosts show stderr as errors.
        is_logged = self._user is not None and logger.isEnabledFor(logging.INFO)
        if self._audit is None and not is_logged:
            return
        if isinstance(error, PolicyError):
            outcome = "refused"
        ending = {
            "outcome": outcome,
            "error": None if error is None else error.code.value,
            "rule": error.rule if isinstance(error, PolicyError) else None,
            "seconds": round(anyio.current_time() - self._began, 3),
        }
        if is_logged:
            tokens = {"input_tokens": self.record.input_tokens, "output_tokens": self.record.output_tokens}
            shown = {**ending, "requests": self.record.requests, **tokens}
            told = " ".join(f"{name}={value}" for name, value in shown.items() if value is not None)
            logger.info("%s ended: %s", self._tool, told, extra={"fields": self.fields})
        if self._audit is None:
            return
        facts = {
            **self._facts("ended"),
            "models": self.record.models,
            "surfaces": self.record.surfaces,
            "conversation_id": conversation_id or self.record.conversation_id,
            "job_id": job_id,
            "requests": self.record.requests,
            "input_tokens": self.record.input_tokens,
            "output_tokens": self.record.output_tokens,
            "cached_tokens": self.record.cached_tokens,
            **ending,
        }
        with anyio.CancelScope(shield=True):
            try:
                with anyio.fail_after(_WRITE_SECONDS):
                    await self._audit.write(facts)
            except (AuditError, TimeoutError) as failure:
                logger.error(
                    "the audit log could not be written, and lacks a record: %s",
                    _reason(failure),
                    extra={"fields": self.fields},
                )

    def _facts(self, event: str) -> dict[str, Any]:
        user = self._user
        return {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": event,
            "request_id": self._request_id,
            "call_id": self.record.call_id,
            "issuer": None if user is None else user.issuer,
            "subject": None if user is None else user.subject,
            "user": None if user is None else user.name,
            "client": _client_of(self._request),
            "tool": self._tool,
        }


def request_id_of(request: ServerRequestContext[Any, Any]) -> str:
    """Return the id of the HTTP request, which its answer names in ``X-Request-Id``; empty over stdio."""
    http = request.request
    state = None if http is None else http.scope.get("state")
    return str(state.get("request_id", "")) if isinstance(state, Mapping) else ""


def _client_of(request: ServerRequestContext[Any, Any]) -> str | None:
    """Return the name and the version of the client; of an older one, which names itself in its first request only and
    has no session in a service, the ``User-Agent``.
    """
    params = request.session.client_params
    if params is None:
        agent = None if request.request is None else request.request.headers.get("user-agent")
        return None if agent is None else agent[:_NAME_CHARACTERS]
    return f"{params.client_info.name[:_NAME_CHARACTERS]} {params.client_info.version[:_NAME_CHARACTERS]}"


def _reason(error: Exception) -> str:
    return f"not within {_WRITE_SECONDS:g} s." if isinstance(error, TimeoutError) else str(error)
