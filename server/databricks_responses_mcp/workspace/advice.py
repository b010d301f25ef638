"""The workspace's errors as advice: any failed answer becomes one `BridgeError` that says what to do."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.workspace.advice_rule import Rule
from databricks_responses_mcp.workspace.advice_rules import OTHER_EVENT, OTHER_STATUS, find_rule
from databricks_responses_mcp.workspace.error_bodies import ErrorBody, parse_error_body, parse_error_value
from databricks_responses_mcp.workspace.redaction import clean

_REQUEST_ID_HEADERS = (
    "x-request-id",
    "x-databricks-request-id",
    "databricks-request-id",
    "apim-request-id",
    "request-id",
)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/=+\-]{4,128}")
_MAX_WAIT = 86_400.0
_MATCHED = 4_000


def upstream_error(
    *, status: int, headers: Mapping[str, str], body: bytes, model: str | None, host: str | None
) -> BridgeError:
    """Explain a failed HTTP answer of the workspace.

    Args:
        status: its status; 200 where the body was not what the API answers with.
        headers: its headers, names in any case.
        body: as much of it as was read.
        model: the serving endpoint that was asked, if any.
        host: the origin that was asked.
    """
    parsed = parse_error_body(body)
    names = {name.lower(): value for name, value in headers.items()}
    error = _error(parsed, status, model=model, host=host, other=OTHER_STATUS)
    error.status = status
    error.request_id = _request_id(names)
    if error.retryable:
        error.retry_after_seconds = parsed.retry_after if parsed.retry_after is not None else _retry_after(names)
    return error


def event_error(payload: Mapping[str, object]) -> BridgeError:
    """Explain an error that came inside a stream, or as the ``error`` of a response.

    ``payload`` is the data of an ``error`` event, an ``{"error": …}`` chunk, a whole failed response, or its ``error``
    object.
    """
    value: object = payload
    response = payload.get("response")
    if isinstance(response, Mapping) and response.get("error"):
        value = response["error"]
    elif payload.get("object") == "response":
        # A response's own fields (``status: failed``, a ``type``) are no part of what went wrong.
        value = payload.get("error") or {}
    parsed = parse_error_value(value)
    error = _error(parsed, _embedded_status(value), model=None, host=None, other=OTHER_EVENT)
    if error.retryable:
        error.retry_after_seconds = parsed.retry_after
    return error


def _error(body: ErrorBody, status: int | None, *, model: str | None, host: str | None, other: Rule) -> BridgeError:
    if body.guardrail:
        return _guardrail(body)
    matched = matched_text(body)
    rule = find_rule(status, body, matched) or other
    fill = {
        "model": clean(model, 200) if model else "",
        "param": rule.named_param(body, matched) or "the parameter",
        "host": clean(host, 200) if host else "The workspace",
    }
    says = _tidy(rule.says.format(**fill))
    if other is OTHER_STATUS:
        says += f" (HTTP {status})"
    detail = clean(body.message) or _no_text(body, status)
    if body.param and body.param not in detail and body.param not in says:
        detail = f"{detail.rstrip('.')} ({clean(body.param, 100)})"
    return BridgeError(
        rule.code,
        _sentence(f"{says}: {detail}" if detail else says),
        _tidy(rule.hint.format(**fill | {"model": fill["model"] or "the endpoint"})),
        retryable=rule.retryable,
        marks=" ".join([*sorted(body.codes), body.param or "", matched]),
    )


def matched_text(body: ErrorBody) -> str:
    """What the table of known failures looks at: the message, and a kind of limit told beside it."""
    text = clean(body.message, _MATCHED)
    return f"{text} {body.limit_type}" if body.limit_type else text


def _guardrail(body: ErrorBody) -> BridgeError:
    about = f" for {', '.join(clean(name, 60) for name in body.categories[:10])}" if body.categories else ""
    return BridgeError(
        ErrorCode.CONTENT_FILTERED,
        f"The endpoint's {body.guardrail} guardrail refused the request{about}.",
        "Rephrase the request; the endpoint's owner decides what its guardrails let through.",
    )


def _no_text(body: ErrorBody, status: int | None) -> str:
    if body.is_html:
        return "a web page instead of an answer"
    if body.is_sse:
        return "an event stream that names no error"
    if status is not None and not body.codes:
        try:
            return HTTPStatus(status).phrase
        except ValueError:
            return ""
    return ", ".join(sorted(clean(code, 80) for code in body.codes))


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", "\u2026")) else text + "."


def _tidy(text: str) -> str:
    return re.sub(r" {2,}", " ", text).strip()


def _embedded_status(value: object) -> int | None:
    """A stream's error may carry the HTTP status that a proxy in between had received, as its code."""
    for candidate in (value, value.get("error") if isinstance(value, Mapping) else None):
        if isinstance(candidate, Mapping):
            for key in ("code", "status", "status_code"):
                code = candidate.get(key)
                if isinstance(code, str) and code.isdecimal() and len(code) == 3:
                    code = int(code)
                if isinstance(code, int) and not isinstance(code, bool) and 400 <= code <= 599:
                    return code
    return None


def _request_id(headers: Mapping[str, str]) -> str | None:
    for name in _REQUEST_ID_HEADERS:
        value = headers.get(name, "").strip()
        if _REQUEST_ID.fullmatch(value):
            return value
    return None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name, "").strip()
        if re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", text):
            return min(float(text) * unit, _MAX_WAIT)
    try:
        moment = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    return min(max((_aware(moment) - _now(headers)).total_seconds(), 0.0), _MAX_WAIT)


def _now(headers: Mapping[str, str]) -> datetime:
    """The workspace's clock where it tells it: ours may be wrong."""
    try:
        return _aware(parsedate_to_datetime(headers.get("date", "")))
    except ValueError:
        return datetime.now(UTC)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
