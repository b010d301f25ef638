"""The workspace's errors as advice: every failed answer becomes one `BridgeError` that says what to do."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

from databricks_responses_mcp.errors import Action, Advice, BridgeError, ErrorCode, Reason
from databricks_responses_mcp.workspace.api_error_rule import Rule
from databricks_responses_mcp.workspace.api_error_rules import OTHER_EVENT, OTHER_STATUS, find_reason, find_rule
from databricks_responses_mcp.workspace.api_error_rules_access import OWN_ADDRESS
from databricks_responses_mcp.workspace.error_bodies import ErrorBody, parse_error_body, parse_error_value
from databricks_responses_mcp.workspace.redaction import clean

_REQUEST_ID_HEADERS = (
    "x-request-id",
    "x-databricks-request-id",
    "databricks-request-id",
    "apim-request-id",
    "request-id",
)
_ASK_NETWORK = "ask the administrator of the network or of a proxy in between why it answers for the workspace."
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/=+\-]{4,128}")
_RENAMED = {413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}
"""Status phrases of RFC 9110; Python uses them from 3.13 on."""

_MAX_WAIT = 86_400.0
_UNIT = r"(milliseconds?|msecs?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h)(?![a-z])"
_DURATION = re.compile(rf"(\d{{1,9}}(?:\.\d{{1,9}})?)\s?{_UNIT}", re.IGNORECASE)
_WAIT_IN_WORDS = re.compile(
    r"\b(?:try(?:ing)? again|retry(?:ing)?|wait(?:ing)?|available again|resets?)\b[^.;\d]{0,60}?"
    rf"((?:\d{{1,9}}(?:\.\d{{1,9}})?\s?{_UNIT}\s?){{1,4}})",
    re.IGNORECASE,
)
_SIGN_IN = re.compile(r"log-?in|sign-?in|oauth|oidc|authori[sz]e|saml|\bsso\b", re.IGNORECASE)
_OF_PROFILE = (
    "These credentials come from the profile {profile} of ~/.databrickscfg: sign in again, or correct its token."
)
_APPS_TAKE_OAUTH = (
    "Databricks Apps accept only OAuth tokens, no personal access tokens: sign in with a profile, or as a service "
    "principal that may use the App."
)
_MATCHED = 4_000
SOFT_LIMIT_BYTES = 4_000_000
"""The documented limit of foundation, external and agent endpoints; larger requests are often accepted."""

_CATALOG = "system.ai."


def upstream_error(
    *,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    model: str | None,
    host: str | None,
    profile: str | None = None,
    request_bytes: int = 0,
    is_app: bool = False,
) -> BridgeError:
    """Explain a failed HTTP answer of the workspace.

    Args:
        status: its status; 200 if the body was not an answer of the API.
        headers: its headers, with names in any case.
        body: the part of the body that was read.
        model: the requested serving endpoint, if any.
        host: the requested origin.
        profile: the profile that is signed in with, if any.
        request_bytes: the size of the request's body.
        is_app: whether the request went to an App, which accepts other credentials than the workspace.
    """
    parsed = parse_error_body(body)
    names = {name.lower(): value for name, value in headers.items()}
    if 300 <= status < 400:
        error = redirect_error(status, names.get("location", ""), host or "")
    else:
        error = _error(parsed, status, model=model, host=host, other=OTHER_STATUS, profile=profile)
    waits = (parsed.retry_after, _retry_after(names), seconds_in_words(parsed.message)) if error.retryable else ()
    hint, advice = _join(error.hint, _size_hint(status, request_bytes)), error.advice
    if is_app and (status in (401, 403) or error.reason is Reason.SIGN_IN_PAGE):
        hint, advice = _APPS_TAKE_OAUTH, (Advice(Action.SIGN_IN),)
    return replace(
        error,
        hint=hint,
        advice=advice,
        status=status,
        request_id=_request_id(names),
        retry_after_seconds=next((wait for wait in waits if wait is not None), None),
    )


def event_error(payload: Mapping[str, object]) -> BridgeError:
    """Explain an error inside a stream, or the ``error`` of a response.

    ``payload`` is the data of an ``error`` event, an ``{"error": …}`` chunk, a whole failed response, or its ``error``
    object.
    """
    value: object = payload
    response = payload.get("response")
    if isinstance(response, Mapping) and response.get("error"):
        value = response["error"]
    elif payload.get("object") == "response":
        # Other fields of a response (``status: failed``, a ``type``) do not describe the failure.
        value = payload.get("error") or {}
    parsed = parse_error_value(value)
    error = _error(parsed, _embedded_status(value), model=None, host=None, other=OTHER_EVENT)
    if not error.retryable:
        return error
    told = parsed.retry_after
    return replace(error, retry_after_seconds=told if told is not None else seconds_in_words(parsed.message))


def redirect_error(status: int, location: str, host: str) -> BridgeError:
    """Explain a redirect, which is never followed: the credentials are for the requested address.

    Args:
        location: the header, unchanged.
        host: the requested origin.
    """
    try:
        parts = urlsplit(urljoin(host, location.strip()))
        origin = f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
        path = parts.path
    except ValueError:
        origin, path = "", ""
    asked = clean(host, 200) or "The workspace"
    if not location.strip() or not origin.startswith(("https://", "http://")):
        return BridgeError(
            ErrorCode.NOT_CONFIGURED,
            f"{asked} answered with a redirect that names no target (HTTP {status}).",
            f"Check DATABRICKS_HOST, or {_ASK_NETWORK}",
        )
    target = clean(origin + path, 200)
    if _SIGN_IN.search(origin + path):
        return BridgeError(
            ErrorCode.NOT_CONFIGURED,
            f"{asked} answered with a redirect to a sign-in page, {target}, instead of the API's answer "
            f"(HTTP {status}).",
            OWN_ADDRESS,
            reason=Reason.SIGN_IN_PAGE,
        )
    moved = "the API has moved there, set RESPONSES_MCP_RESPONSES_PATH to that path"
    if origin != host:
        moved = f"{clean(origin, 200)} is the workspace, set DATABRICKS_HOST (or the profile's host) to it"
    return BridgeError(
        ErrorCode.NOT_CONFIGURED,
        f"{asked} answered with a redirect to {target} (HTTP {status}), which is not followed.",
        f"If {moved}; else {_ASK_NETWORK}",
    )


def seconds_in_words(message: str) -> float | None:
    """Return the wait in a message: 11.054 for ``Please try again in 11.054s``; None if there is none."""
    found = _WAIT_IN_WORDS.search(message[:_MATCHED])
    if found is None:
        return None
    parts = _DURATION.findall(found[1])
    return min(sum(float(number) * _seconds_of(unit.lower()) for number, unit in parts), _MAX_WAIT)


def _seconds_of(unit: str) -> float:
    if unit.startswith(("ms", "milli")):
        return 0.001
    return {"s": 1.0, "m": 60.0, "h": 3600.0}[unit[0]]


def _size_hint(status: int, request_bytes: int) -> str:
    if request_bytes <= SOFT_LIMIT_BYTES or status not in (400, 413, 500):
        return ""
    return (
        f"The request was {request_bytes / 1e6:.1f} MB; foundation, external and agent endpoints may accept no more "
        f"than {SOFT_LIMIT_BYTES / 1e6:.0f}."
    )


def _join(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _error(
    body: ErrorBody,
    status: int | None,
    *,
    model: str | None,
    host: str | None,
    other: Rule,
    profile: str | None = None,
) -> BridgeError:
    if body.guardrail:
        return _guardrail(body)
    matched = matched_text(body, model)
    rule = find_rule(status, body, matched) or other
    fill = {
        "model": clean(model, 200) if model else "",
        "param": rule.named_param(body, matched) or "the parameter",
        "host": clean(host, 200) if host else "The workspace",
    }
    says = _tidy(rule.says.format(**fill))
    if other is OTHER_STATUS:
        says += f" (HTTP {status})"
    # An HTML page is never shown, nor is a text after its first line: those of proxies contain internal host names and
    # stack traces.
    shown = next(iter(body.message.splitlines()), "") if body.is_plain else body.message
    detail = ("" if body.is_html else clean(shown)) or _no_text(body, status)
    if body.param and body.param not in detail and body.param not in says:
        detail = f"{detail.rstrip('.')} ({clean(body.param, 100)})"
    reason, feature = find_reason(rule, body, matched)
    hint = _tidy(rule.hint.format(**fill | {"model": fill["model"] or "the endpoint"}))
    advice = tuple(Advice(one.action, one.subject.format(**fill)) for one in rule.advice)
    if profile and rule.code is ErrorCode.UNAUTHENTICATED:
        # The profile is the cause, not the environment.
        named = clean(profile, 100)
        hint = _OF_PROFILE.format(profile=named)
        advice = (Advice(Action.SIGN_IN, f"--profile {named}"), Advice(Action.RUN_DOCTOR))
    return BridgeError(
        rule.code,
        _sentence(f"{says}: {detail}" if detail else says),
        hint,
        retryable=rule.retryable,
        reason=reason,
        feature=feature,
        advice=advice,
    )


def matched_text(body: ErrorBody, model: str | None = None) -> str:
    """Return the text that the table of known failures is matched with: the message, and the kind of limit if stated.

    The name of the model is removed: a word in an endpoint's name says nothing about the failure. For a name in the
    catalog its namespace stays, which shows where the model is looked up.
    """
    text = clean(body.message, _MATCHED)
    if model:
        namespace = _CATALOG if model.startswith(_CATALOG) else ""
        text = re.sub(rf"(?<![\w.-]){re.escape(model)}(?![\w-])", f"{namespace}\u2026", text, flags=re.IGNORECASE)
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
        return "an HTML page instead of an answer"
    if body.is_sse:
        return "an event stream that names no error"
    if status is not None and not body.codes:
        try:
            return _RENAMED.get(status) or HTTPStatus(status).phrase
        except ValueError:
            return ""
    return ", ".join(sorted(clean(code, 80) for code in body.codes))


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", "\u2026")) else text + "."


def _tidy(text: str) -> str:
    return re.sub(r" {2,}", " ", text).strip()


def _embedded_status(value: object) -> int | None:
    """Return the HTTP status that a proxy received, which a stream's error may have as its code."""
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
    """Return the workspace's time, if it sends it: the local clock may be wrong."""
    try:
        return _aware(parsedate_to_datetime(headers.get("date", "")))
    except ValueError:
        return datetime.now(UTC)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
