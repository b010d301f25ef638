"""The contract of jobs and idempotency keys, which every store fulfils."""

from dataclasses import replace

import pytest

from databricks_responses_mcp.store import job_queries
from databricks_responses_mcp.store.interface import Store
from databricks_responses_mcp.store.records import KeyClaim
from harness.store_records import a_job

pytestmark = pytest.mark.anyio


async def test_a_job_is_read_as_it_was_written(store: Store) -> None:
    ended = a_job(
        status="failed",
        updated_at=9.5,
        conversation_id="conv-1",
        structured={"text": "so far \ud800\0"},
        preamble="It failed.",
    )
    await store.put_job(a_job())
    assert await store.job("job-1") == a_job()

    await store.put_job(ended)

    assert await store.job("job-1") == ended
    assert await store.job("job-2") is None


async def test_replacing_a_job_keeps_its_cancellation_request(store: Store) -> None:
    await store.put_job(a_job())
    assert await store.cancel_job("job-1")

    await store.put_job(a_job(updated_at=2.0))

    assert await store.job("job-1") == a_job(updated_at=2.0, cancel_requested=True)


async def test_a_new_job_may_be_stored_with_a_cancellation_request(store: Store) -> None:
    await store.put_job(a_job(cancel_requested=True))

    assert await store.beat_job("job-1", 2.0, None)


async def test_a_heartbeat_updates_the_time_and_the_facts_of_a_job(store: Store) -> None:
    await store.put_job(a_job(structured={"text": "a"}))

    assert not await store.beat_job("job-1", 2.0, None)
    assert await store.job("job-1") == a_job(updated_at=2.0, structured={"text": "a"})
    assert not await store.beat_job("job-1", 3.0, {"text": "ab"})
    assert await store.job("job-1") == a_job(updated_at=3.0, structured={"text": "ab"})


async def test_a_heartbeat_returns_whether_cancellation_was_requested(store: Store) -> None:
    await store.put_job(a_job())
    await store.put_job(a_job("job-2"))
    await store.cancel_job("job-1")

    assert await store.beat_job("job-1", 2.0, None)
    assert not await store.beat_job("job-2", 2.0, None)
    assert not await store.beat_job("none", 2.0, {})
    assert await store.job("none") is None


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
async def test_a_heartbeat_does_not_change_an_ended_job(store: Store, status: str) -> None:
    ended = a_job(status=status, updated_at=5.0, structured={"text": "all"})
    await store.put_job(ended)

    await store.beat_job("job-1", 6.0, {"text": "late"})
    await store.beat_job("job-1", 7.0, None)

    assert not await store.cancel_job("job-1")
    assert await store.job("job-1") == ended


async def test_the_cancellation_of_a_running_job_may_be_requested_twice(store: Store) -> None:
    await store.put_job(a_job())

    assert await store.cancel_job("job-1")
    assert await store.cancel_job("job-1")
    assert not await store.cancel_job("none")
    assert await store.job("job-1") == replace(a_job(), cancel_requested=True)


@pytest.mark.parametrize("key", ["key", "", "half \ud800 \0", "long " * 5000])
async def test_a_key_belongs_to_its_first_claim(store: Store, key: str) -> None:
    first = await store.claim_key(key, "print-1", "job-1", 1.0)
    second = await store.claim_key(key, "print-2", "job-2", 2.0)
    again = await store.claim_key(key, "print-1", "job-1", 3.0)

    assert first == KeyClaim(job_id="job-1", fingerprint="print-1", mine=True)
    assert second == again == KeyClaim(job_id="job-1", fingerprint="print-1", mine=False)


async def test_different_keys_are_claimed_independently(store: Store) -> None:
    assert (await store.claim_key("x" * 300 + "a", "p", "job-1", 1.0)).mine
    assert (await store.claim_key("x" * 300 + "b", "p", "job-2", 1.0)).mine
    assert (await store.claim_key("x", "p", "job-3", 1.0)).mine


async def test_only_the_job_that_holds_a_key_can_release_it(store: Store) -> None:
    await store.claim_key("key", "print", "job-1", 1.0)

    await store.release_key("key", "job-2")
    assert not (await store.claim_key("key", "print", "job-2", 2.0)).mine

    await store.release_key("key", "job-1")
    await store.release_key("none", "job-1")
    assert await store.claim_key("key", "print-2", "job-2", 3.0) == KeyClaim(
        job_id="job-2", fingerprint="print-2", mine=True
    )


@pytest.fixture
def short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a lease end at once; what was received, and the times of the process, have no part in it."""
    monkeypatch.setattr(job_queries, "JOB_LEASE_SECONDS", -1.0)


@pytest.mark.usefixtures("short_lease")
async def test_a_running_job_whose_lease_has_ended_is_read_as_interrupted(store: Store) -> None:
    far_ahead = 4e12
    await store.put_job(a_job(updated_at=far_ahead, structured={"text": "so far"}))
    interrupted = a_job(updated_at=far_ahead, structured={"text": "so far"}, status="interrupted")

    assert await store.job("job-1") == interrupted
    await store.beat_job("job-1", far_ahead, {"text": "more"})
    assert await store.job("job-1") == replace(interrupted, structured={"text": "more"})


async def test_a_heartbeat_renews_the_lease_and_an_end_needs_none(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(job_queries, "JOB_LEASE_SECONDS", -1.0)
        for job_id in ("beats", "ends", "is lost"):
            await store.put_job(a_job(job_id))

    await store.beat_job("beats", 1.0, None)
    await store.put_job(a_job("ends", status="failed"))

    found = [await store.job(job_id) for job_id in ("beats", "ends", "is lost")]
    assert [job.status for job in found if job] == ["running", "failed", "interrupted"]


async def test_cancellation_reaches_a_job_whose_lease_has_ended_if_its_process_lives(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(job_queries, "JOB_LEASE_SECONDS", -1.0)
        await store.put_job(a_job())

    assert await store.cancel_job("job-1")
    assert await store.beat_job("job-1", 2.0, None)


async def test_the_questions_of_a_running_job_are_answered_once_each(store: Store) -> None:
    await store.put_job(a_job())
    await store.put_job(a_job("job-2"))
    await store.ask_in_job("job-1", {"a?\0": {"message": "\ud800"}, "b": {}})
    asking = await store.job("job-1")
    assert asking is not None
    assert asking.questions == {"a?\0": {"message": "\ud800"}, "b": {}}

    await store.answer_job("job-1", {"b": {"action": "accept"}, "c": {"action": "accept"}})
    await store.answer_job("job-1", {"b": {"action": "decline"}})
    await store.answer_job("job-2", {"b": {"action": "decline"}})
    await store.answer_job("none", {"b": {"action": "decline"}})

    assert await store.answers_to_job("job-1") == {"b": {"action": "accept"}}
    assert [await store.answers_to_job(job_id) for job_id in ("job-2", "none")] == [{}, {}]
    await store.ask_in_job("job-1", {})
    assert await store.job("job-1") == a_job()
    await store.put_job(a_job(status="completed"))
    await store.ask_in_job("job-1", {"late": {}})
    assert await store.job("job-1") == a_job(status="completed")


async def test_answers_are_deleted_with_their_job(store: Store) -> None:
    await store.put_job(a_job())
    await store.ask_in_job("job-1", {"a": {}})
    await store.answer_job("job-1", {"a": 1})
    await store.put_job(a_job(status="completed"))

    await store.sweep(now=1e9, keep_seconds=None, most_bytes=None)

    assert await store.job("job-1") is None
    assert await store.answers_to_job("job-1") == {}
