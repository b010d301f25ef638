"""Limits of requests, of one owner and of all together: the statements of each transaction.

A row for each scope (an owner, or all) has the tokens of a day, used and reserved. A transaction locks the rows of its
scopes, so that what it counts does not change before it has ended: that of the owner first, that of all last, because
every other owner waits for it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from databricks_responses_mcp.store.records import Admission, AdmissionRequest, Denial, LimitName, RequestLimits
from databricks_responses_mcp.store.statements import (
    Transaction,
    Unread,
    Value,
    brief,
    insert,
    name,
    placeholders,
    proven_by,
    to_json,
)

_DAY, _MINUTE = 86_400.0, 60.0
_BUSY_SECONDS = 5.0
"""When a call may be tried again that others were running beside."""
_ALL = "all"

_CLOCK = "SELECT @clock()"
_LOCK = """
    INSERT INTO @limit_scopes AS held (scope, day, tokens) VALUES (?, ?, 0)
    ON CONFLICT (scope) DO UPDATE SET
        tokens = CASE WHEN held.day < excluded.day THEN 0 ELSE held.tokens END,
        day = CASE WHEN held.day < excluded.day THEN excluded.day ELSE held.day END"""
_COUNT = """
    SELECT (SELECT tokens FROM @limit_scopes WHERE scope = ?),
        (SELECT COUNT(DISTINCT call_id) FROM @admissions WHERE {owner}lease_until > ? AND call_id <> ?),
        (SELECT started_at FROM @admissions WHERE {owner}started_at > ? ORDER BY started_at DESC LIMIT 1 OFFSET ?)"""
_COUNT_OF_ALL, _COUNT_OF_OWNER = _COUNT.format(owner=""), _COUNT.format(owner="owner = ? AND ")
_ADD = "UPDATE @limit_scopes SET tokens = tokens + ? WHERE scope = ? AND day = ?"
_ADD_TO_LOCKED = "UPDATE @limit_scopes SET tokens = tokens + ? WHERE scope IN (?, ?) AND day = ?"
_FORGET = "DELETE FROM @admissions WHERE owner = ? AND started_at < ? AND lease_until < ?"
_ADMITTED = "SELECT 1 FROM @admissions WHERE owner = ? AND admission_id = ?"
_AUDIT = "SELECT 1 FROM @audit WHERE owner = ? AND created_at = ? AND record = ?"
_END = "UPDATE @admissions SET lease_until = 0 WHERE owner = ? AND admission_id = ?"
_EXTEND = "UPDATE @admissions SET lease_until = @clock() + ? WHERE owner = ? AND lease_until > 0 AND admission_id IN "


def _is_admitted(owner: str, request: AdmissionRequest, *_: object) -> Transaction[bool]:
    found = yield _ADMITTED, (owner, request.admission_id)
    return bool(found.rows)


@brief
@proven_by(_is_admitted)
def admit(
    owner: str, request: AdmissionRequest, limits: RequestLimits, all_limits: RequestLimits
) -> Transaction[Admission | Denial]:
    """See `Store.admit_request`."""
    found = yield _CLOCK, ()
    now = float(found.rows[0][0])
    day = datetime.fromtimestamp(now, UTC).date().isoformat()
    scopes = [(scope, one) for scope, one in ((_scope(owner), limits), (_ALL, all_limits)) if one]
    yield Unread(_FORGET, (owner, now - _MINUTE, now))
    least_left: int | None = None
    for scope, one in scopes:
        yield Unread(_LOCK, (scope, day))
        used, denial = yield from _counted(owner, scope, request, one, now)
        if denial is not None:
            return denial
        if one.tokens_per_day is not None:
            left = one.tokens_per_day - used
            least_left = left if least_left is None else min(left, least_left)
    tokens = request.wanted_tokens if least_left is None else min(request.wanted_tokens, least_left)
    names = [scope for scope, _ in scopes]
    if names:
        yield Unread(_ADD_TO_LOCKED, (tokens, names[0], names[-1], day))
    admitted: dict[str, Value] = {
        "owner": owner,
        "admission_id": request.admission_id,
        "call_id": request.call_id,
        "started_at": now,
        "lease_until": now + request.lease_seconds,
    }
    yield Unread(*insert("@admissions", admitted))
    return Admission(admission_id=request.admission_id, day=day, tokens=tokens, scopes=tuple(names))


def _is_settled(owner: str, admission: Admission, *_: object) -> Transaction[bool]:
    found = yield f"{_ADMITTED} AND lease_until > 0", (owner, admission.admission_id)
    return not found.rows


@brief
@proven_by(_is_settled)
def settle(owner: str, admission: Admission, tokens: int) -> Transaction[None]:
    """See `Store.settle_request`."""
    for scope in admission.scopes:
        yield Unread(_ADD, (tokens - admission.tokens, scope, admission.day))
    yield Unread(_END, (owner, admission.admission_id))


@brief
def extend(owner: str, admission_ids: Sequence[str], seconds: float) -> Transaction[None]:
    """See `Store.extend_requests`."""
    yield Unread(f"{_EXTEND}({placeholders(len(admission_ids))})", (seconds, owner, *admission_ids))


def _has_audit(owner: str, at: float, record: dict[str, Any]) -> Transaction[bool]:
    found = yield _AUDIT, (name(owner), at, to_json(record))
    return bool(found.rows)


@brief
@proven_by(_has_audit)
def add_audit(owner: str, at: float, record: dict[str, Any]) -> Transaction[None]:
    """See `Store.add_audit_record`."""
    yield Unread(*insert("@audit", {"owner": name(owner), "created_at": at, "record": to_json(record)}))


def _counted(
    owner: str, scope: str, request: AdmissionRequest, limits: RequestLimits, now: float
) -> Transaction[tuple[int, Denial | None]]:
    """Return the tokens that are used and reserved, and why a limit of a locked scope does not admit the request."""
    mine = () if scope == _ALL else (owner,)
    skipped = (limits.requests_per_minute or 1) - 1
    values = (scope, *mine, now, request.call_id, *mine, now - _MINUTE, skipped)
    found = yield _COUNT_OF_ALL if scope == _ALL else _COUNT_OF_OWNER, values
    used, running, oldest = found.rows[0]
    denial: Denial | None = None
    if limits.concurrent_calls is not None and running >= limits.concurrent_calls:
        denial = _denial(scope, "concurrent_calls", _BUSY_SECONDS, int(running))
    elif limits.requests_per_minute is not None and oldest is not None:
        denial = _denial(scope, "requests_per_minute", float(oldest) + _MINUTE - now, limits.requests_per_minute)
    elif limits.tokens_per_day is not None and limits.tokens_per_day - int(used) < request.least_tokens:
        denial = _denial(scope, "tokens_per_day", _DAY - now % _DAY, int(used))
    return int(used), denial


def _denial(scope: str, limit: LimitName, seconds: float, used: int) -> Denial:
    return Denial(limit=limit, is_of_all=scope == _ALL, retry_after_seconds=seconds, used=used)


def _scope(owner: str) -> str:
    return f"owner {owner}"
