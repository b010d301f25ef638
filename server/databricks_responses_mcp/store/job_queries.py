"""Jobs and idempotency keys: the statements of each transaction."""

import hashlib
from collections.abc import Mapping
from typing import Any

from databricks_responses_mcp.store.records import JOB_LEASE_SECONDS, Job, KeyClaim
from databricks_responses_mcp.store.statements import (
    Transaction,
    Unread,
    Value,
    brief,
    from_json,
    insert,
    name,
    optional_name,
    proven_by,
    to_json,
)

_MAX_KEY_CHARACTERS = 200

_RENEW = "UPDATE @jobs SET lease_until = @clock() + ? WHERE owner = ? AND job_id = ? AND status = 'running'"
_BEAT = """
    UPDATE @jobs SET updated_at = ?, lease_until = @clock() + ?
    WHERE owner = ? AND job_id = ? AND status = 'running'"""
_BEAT_WITH_FACTS = """
    UPDATE @jobs SET facts = ?, updated_at = ?, lease_until = @clock() + ?
    WHERE owner = ? AND job_id = ? AND status = 'running'"""
_JOB_SINCE = "SELECT 1 FROM @jobs WHERE owner = ? AND job_id = ? AND updated_at >= ?"
_CANCEL_REQUESTED = "SELECT cancel_requested FROM @jobs WHERE owner = ? AND job_id = ?"
# A job of a release before leases has none: it counts from its last heartbeat.
_JOB = """
    SELECT job_id, tool,
        CASE WHEN status = 'running' AND COALESCE(lease_until, updated_at + ?) < @clock() THEN 'interrupted'
            ELSE status END,
        conversation_id, created_at, updated_at, facts, lead, cancel_requested, questions
    FROM @jobs WHERE owner = ? AND job_id = ?"""
_CANCEL = "UPDATE @jobs SET cancel_requested = 1 WHERE owner = ? AND job_id = ? AND status = 'running'"
_ASK = "UPDATE @jobs SET questions = ? WHERE owner = ? AND job_id = ? AND status = 'running'"
_QUESTIONS = "SELECT questions FROM @jobs WHERE owner = ? AND job_id = ? AND status = 'running'"
_ANSWERS = "SELECT question, answer FROM @answers WHERE owner = ? AND job_id = ?"
_CLAIM = "SELECT job_id, fingerprint FROM @keys WHERE owner = ? AND key = ?"
_THIS_CLAIM = "SELECT 1 FROM @keys WHERE owner = ? AND key = ? AND fingerprint = ? AND job_id = ? AND created_at = ?"
_RELEASE = "DELETE FROM @keys WHERE owner = ? AND key = ? AND job_id = ?"


def _has_job(owner: str, job: Job) -> Transaction[bool]:
    # A later write of the job counts as well: it must not be replaced by this one.
    found = yield _JOB_SINCE, (owner, name(job.job_id), job.updated_at)
    return bool(found.rows)


@proven_by(_has_job)
def put_job(owner: str, job: Job) -> Transaction[None]:
    """See `Store.put_job`."""
    new: dict[str, Value] = {
        "tool": name(job.tool),
        "status": job.status,
        "conversation_id": optional_name(job.conversation_id),
        "created_at": job.created_at,
        "updated_at": job.updated_at,
        "facts": to_json(job.structured),
        "lead": name(job.preamble),
    }
    replaced = ", ".join(f"{column} = excluded.{column}" for column in new)
    row: dict[str, Value] = {"owner": owner, "job_id": name(job.job_id), **new}
    row["cancel_requested"] = int(job.cancel_requested)
    yield Unread(*insert("@jobs", row, f"ON CONFLICT (owner, job_id) DO UPDATE SET {replaced}"))
    yield Unread(_RENEW, (JOB_LEASE_SECONDS, owner, name(job.job_id)))


def beat_job(owner: str, job_id: str, now: float, structured: Mapping[str, Any] | None) -> Transaction[bool]:
    """See `Store.beat_job`. An ended job is not changed."""
    this = (owner, name(job_id))
    if structured is None:
        yield Unread(_BEAT, (now, JOB_LEASE_SECONDS, *this))
    else:
        yield Unread(_BEAT_WITH_FACTS, (to_json(structured), now, JOB_LEASE_SECONDS, *this))
    found = yield _CANCEL_REQUESTED, this
    return bool(found.rows and found.rows[0][0])


def job(owner: str, job_id: str) -> Transaction[Job | None]:
    """See `Store.job`."""
    found = yield _JOB, (JOB_LEASE_SECONDS, owner, name(job_id))
    if not found.rows:
        return None
    (
        stored_id,
        tool,
        status,
        conversation_id,
        created_at,
        updated_at,
        structured,
        preamble,
        cancel_requested,
        questions,
    ) = found.rows[0]
    return Job(
        job_id=stored_id,
        tool=tool,
        status=status,
        conversation_id=conversation_id,
        created_at=created_at,
        updated_at=updated_at,
        structured=from_json(structured),
        preamble=preamble,
        cancel_requested=bool(cancel_requested),
        questions={} if questions is None or status != "running" else from_json(questions),
    )


@brief
def cancel_job(owner: str, job_id: str) -> Transaction[bool]:
    """See `Store.cancel_job`."""
    result = yield _CANCEL, (owner, name(job_id))
    return result.changed > 0


def ask_in_job(owner: str, job_id: str, questions: Mapping[str, Any]) -> Transaction[None]:
    """See `Store.ask_in_job`."""
    yield Unread(_ASK, (to_json(questions) if questions else None, owner, name(job_id)))


def answer_job(owner: str, job_id: str, answers: Mapping[str, Any]) -> Transaction[None]:
    """See `Store.answer_job`. The first answer to a question counts."""
    this = (owner, name(job_id))
    found = yield _QUESTIONS, this
    open_questions = from_json(found.rows[0][0]) if found.rows and found.rows[0][0] is not None else {}
    for question, answer in answers.items():
        if question in open_questions:
            row: dict[str, Value] = {"owner": owner, "job_id": name(job_id), "question": name(question)}
            once = "ON CONFLICT (owner, job_id, question) DO NOTHING"
            yield Unread(*insert("@answers", {**row, "answer": to_json(answer)}, once))


def answers_to_job(owner: str, job_id: str) -> Transaction[dict[str, Any]]:
    """See `Store.answers_to_job`."""
    found = yield _ANSWERS, (owner, name(job_id))
    return {question: from_json(answer) for question, answer in found.rows}


def _has_claimed(owner: str, key: str, fingerprint: str, job_id: str, now: float) -> Transaction[bool]:
    found = yield _THIS_CLAIM, (owner, _short(key), name(fingerprint), name(job_id), now)
    return bool(found.rows)


@brief
@proven_by(_has_claimed)
def claim_key(owner: str, key: str, fingerprint: str, job_id: str, now: float) -> Transaction[KeyClaim]:
    """See `Store.claim_key`."""
    this: dict[str, Value] = {"owner": owner, "key": _short(key)}
    mine: dict[str, Value] = {**this, "fingerprint": name(fingerprint), "job_id": name(job_id), "created_at": now}
    while True:
        claimed = yield insert("@keys", mine, "ON CONFLICT (owner, key) DO NOTHING")
        held = yield _CLAIM, tuple(this.values())
        # Another process may have released the conflicting key between the two statements: then try again.
        if held.rows:
            return KeyClaim(job_id=held.rows[0][0], fingerprint=held.rows[0][1], mine=claimed.changed == 1)


@brief
def release_key(owner: str, key: str, job_id: str) -> Transaction[None]:
    """See `Store.release_key`."""
    yield Unread(_RELEASE, (owner, _short(key), name(job_id)))


def _short(key: str) -> str:
    """Return ``key``, or its hash if it is long: the size of an index entry is limited."""
    return name(key) if len(key) <= _MAX_KEY_CHARACTERS else hashlib.sha256(name(key).encode()).hexdigest()
