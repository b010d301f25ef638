"""Parsing error bodies: every known format of a workspace, its gateway or a proxy becomes one record.

Pure parsing; `databricks_responses_mcp.workspace.api_errors` interprets the record.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from databricks_responses_mcp.workspace.foreign_errors import in_words, literal_in, problems_in
from databricks_responses_mcp.workspace.redaction import html_to_text, looks_like_html

_MAX_BODY = 256 * 1024
_MAX_NESTING = 12
_CODE_PREFIX = re.compile(r"^\s*(?:(?:HTTP )?\d{3}[\s:\u2014-]{1,4})?([A-Z][A-Z0-9_]{3,60}): *(.*)", re.DOTALL)
_ECHO = re.compile(r"Failed to (?:predict|enforce schema of) data\b")
_GUARDRAILS = ("input_guardrail", "output_guardrail")


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The content of an error body.

    Attributes:
        message: the innermost text, neither cleaned nor shortened; empty if there is none.
        codes: every code and type on the path to it, in upper case, in no order of importance.
        param: the refused parameter of the request, if named.
        retry_after: seconds to wait, if stated.
        limit_type: the exceeded limit, if stated.
        categories: what a guardrail flagged; empty without a guardrail.
        guardrail: whether a guardrail refused, ``input`` or ``output``.
        is_html: whether it was an HTML page. ``message`` is the page's title or preformatted text: it shows the kind of
            error, and must not be shown, because pages contain host names and stack traces.
        is_sse: the body was an event stream.
        is_plain: whether it was plain text. It may be the stack trace of a proxy: only its first line may be shown.
    """

    message: str = ""
    codes: frozenset[str] = frozenset()
    param: str | None = None
    retry_after: float | None = None
    limit_type: str | None = None
    categories: tuple[str, ...] = ()
    guardrail: str | None = None
    is_html: bool = False
    is_sse: bool = False
    is_plain: bool = False


@dataclass(slots=True)
class _Found:
    message: str = ""
    codes: set[str] = field(default_factory=set)
    param: str | None = None
    retry_after: float | None = None
    limit_type: str | None = None
    categories: list[str] = field(default_factory=list)
    guardrail: str | None = None
    is_html: bool = False

    def frozen(self) -> ErrorBody:
        return ErrorBody(
            message=self.message.strip(),
            codes=frozenset(self.codes),
            param=self.param,
            retry_after=self.retry_after,
            limit_type=self.limit_type,
            categories=tuple(dict.fromkeys(self.categories)),
            guardrail=self.guardrail,
            is_html=self.is_html,
        )


def parse_error_body(body: bytes) -> ErrorBody:
    """Parse the body of a failed request. Never raises: what cannot be parsed is read as text."""
    text = body[:_MAX_BODY].decode("utf-8", "replace").strip().removeprefix("\ufeff")
    if not text:
        return ErrorBody()
    if text[0] in '{["':
        value = _loads(text)
        if value is not None:
            return parse_error_value(value)
    if text.startswith(("data:", "event:", ":")):
        found = _from_sse(text)
        return replace(found, is_sse=True)
    return replace(parse_error_value(text), is_plain=True)


def parse_error_value(value: object) -> ErrorBody:
    """Parse an error that is already JSON: a body, the ``error`` of a response, the payload of an ``error`` event."""
    found = _Found()
    _walk(value, found, 0)
    return found.frozen()


def _from_sse(text: str) -> ErrorBody:
    for line in text.splitlines():
        if line.startswith("data:"):
            value = _loads(line[5:].strip())
            if isinstance(value, Mapping) and (value.get("error") or value.get("message")):
                return parse_error_value(value)
    return ErrorBody()


def _walk(value: object, found: _Found, depth: int) -> None:
    if depth > _MAX_NESTING:
        return
    if isinstance(value, str):
        _walk_text(value, found, depth)
    elif isinstance(value, list):
        # FastAPI's validation errors, and gateways that answer with a list.
        if len(value) > 1 and (problems := problems_in(value)) is not None:
            found.message = problems
            return
        for item in value[:1]:
            _walk(item, found, depth + 1)
    elif isinstance(value, Mapping):
        _walk_mapping(value, found, depth)


def _walk_text(text: str, found: _Found, depth: int) -> None:
    stripped = text.strip()
    if stripped[:1] in ("{", "["):
        nested = _loads(stripped)
        if isinstance(nested, Mapping | list):
            before = found.message
            _walk(nested, found, depth + 1)
            if found.message != before or found.guardrail:
                return
    match = _CODE_PREFIX.match(stripped)
    if not match and not _ECHO.match(stripped) and (literal := literal_in(stripped)) is not None:
        before = found.message
        _walk(literal, found, depth + 1)
        if found.message != before:
            return
    if match:
        found.codes.add(match[1])
        rest = match[2].strip()
        if rest[:1] in ("{", "["):
            _walk_text(rest, found, depth + 1)
            return
        found.is_html = looks_like_html(rest)
        found.message = html_to_text(rest) if found.is_html else rest or stripped
        return
    if stripped:
        found.is_html = looks_like_html(stripped)
        found.message = html_to_text(stripped) if found.is_html else in_words(_without_echo(stripped))


def _without_echo(text: str) -> str:
    """Return MLflow's message without the request that it repeats: words of the caller say nothing about the error."""
    return text.rpartition("Error: ")[2].strip() or text if _ECHO.match(text) else text


def _walk_mapping(value: Mapping[Any, Any], found: _Found, depth: int) -> None:
    for key in ("error_code", "code", "type", "status"):
        _add_code(value.get(key), found)
    param = value.get("param")
    if isinstance(param, str) and param not in ("", "None", "null"):
        found.param = param
    elif isinstance(value.get("loc"), list | tuple):
        found.param = ".".join(str(part) for part in value["loc"] if part != "body") or None
    wait = _seconds(value.get("retry_after"))
    if wait is not None:
        found.retry_after = wait
    limit_type = value.get("limit_type")
    if isinstance(limit_type, str) and limit_type:
        found.limit_type = limit_type
    _read_guardrails(value, found, depth)
    # Outer text first, so that an inner one, which is closer to the cause, replaces it.
    for key in ("title", "msg", "detail", "reason", "error_description", "message", "errors", "error"):
        inner = value.get(key)
        if inner:
            _walk(inner, found, depth + 1)


def _read_guardrails(value: Mapping[Any, Any], found: _Found, depth: int) -> None:
    for key in _GUARDRAILS:
        verdicts = value.get(key)
        if isinstance(verdicts, Mapping):
            verdicts = [verdicts]
        if not isinstance(verdicts, list):
            continue
        found.guardrail = key.removesuffix("_guardrail")
        for verdict in verdicts:
            if isinstance(verdict, Mapping):
                found.categories.extend(_flagged(verdict))


def _flagged(verdict: Mapping[Any, Any]) -> list[str]:
    if verdict.get("flagged") is False:
        return []
    categories = verdict.get("categories")
    if isinstance(categories, Mapping):
        return [str(name) for name, hit in categories.items() if hit]
    if isinstance(categories, list):
        return [str(name) for name in categories]
    return ["personal data"] if verdict.get("pii_detection") else []


def _add_code(code: object, found: _Found) -> None:
    # ``error.code`` is an int in some servers and a word in others; ``status`` may be "failed", which is no
    # information.
    if isinstance(code, str) and 2 < len(code) <= 80:
        found.codes.add(code.upper())


def _seconds(value: object) -> float | None:
    try:
        seconds = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
    except (ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds <= 86400 else None


def _loads(text: str) -> object:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value
