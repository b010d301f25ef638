"""Limits of requests, which every store keeps exactly, however many processes admit requests at once."""

import json
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import anyio
import pytest

from databricks_responses_mcp.store.interface import Store
from databricks_responses_mcp.store.records import Admission, AdmissionRequest, Denial, RequestLimits
from harness.deadlines import DEADLINE_SECONDS
from harness.postgres_server import PostgresServer

pytestmark = pytest.mark.anyio

NONE = RequestLimits()


def a_request(tokens: int = 100, *, call_id: str | None = None, lease_seconds: float = 600.0) -> AdmissionRequest:
    unique = uuid.uuid4().hex
    return AdmissionRequest(
        admission_id=unique,
        call_id=call_id or unique,
        least_tokens=16,
        wanted_tokens=tokens,
        lease_seconds=lease_seconds,
    )


async def admitted(store: Store, request: AdmissionRequest, **limits: int) -> Admission:
    result = await store.admit_request(request, RequestLimits(**limits), NONE)
    assert isinstance(result, Admission), result
    return result


async def denied(store: Store, request: AdmissionRequest, **limits: int) -> Denial:
    result = await store.admit_request(request, RequestLimits(**limits), NONE)
    assert isinstance(result, Denial), result
    return result


async def test_what_is_left_of_a_day_is_reserved_and_what_was_not_used_is_given_back(store: Store) -> None:
    first = await admitted(store, a_request(600), tokens_per_day=1000)
    second = await admitted(store, a_request(600), tokens_per_day=1000)
    assert (first.tokens, second.tokens) == (600, 400)
    denial = await denied(store, a_request(), tokens_per_day=1000)
    assert (denial.limit, denial.is_of_all, denial.used) == ("tokens_per_day", False, 1000)
    assert 0 < denial.retry_after_seconds <= 86_400
    await store.settle_request(first, 50)
    await store.settle_request(second, 900)
    assert (await admitted(store, a_request(600), tokens_per_day=1000)).tokens == 50


async def test_a_minute_has_no_more_requests_than_the_limit_and_denied_ones_do_not_count(store: Store) -> None:
    for _ in range(3):
        await store.settle_request(await admitted(store, a_request(), requests_per_minute=3), 1)
    for _ in range(5):
        denial = await denied(store, a_request(), requests_per_minute=3)
        assert denial.limit == "requests_per_minute"
        assert 0 < denial.retry_after_seconds <= 60
    await admitted(store, a_request(), requests_per_minute=4)


async def test_the_requests_of_one_call_are_one_running_call_until_they_are_settled(store: Store) -> None:
    one = [await admitted(store, a_request(call_id="a"), concurrent_calls=2) for _ in range(3)]
    await admitted(store, a_request(call_id="b"), concurrent_calls=2)
    assert (await denied(store, a_request(call_id="c"), concurrent_calls=2)).limit == "concurrent_calls"
    for admission in one:
        await store.settle_request(admission, 0)
    await admitted(store, a_request(call_id="c"), concurrent_calls=2)


async def test_a_call_of_a_killed_process_stops_counting_when_its_lease_ends_and_its_tokens_stay(store: Store) -> None:
    limits = {"concurrent_calls": 1, "tokens_per_day": 1000}
    lost = await admitted(store, a_request(600, lease_seconds=0.0), **limits)
    await store.extend_requests([lost.admission_id, "unknown"], 600.0)
    assert (await denied(store, a_request(), **limits)).limit == "concurrent_calls"
    await store.extend_requests([lost.admission_id], -1.0)
    assert (await admitted(store, a_request(600), **limits)).tokens == 400


async def test_limits_of_all_count_every_owner_and_those_of_one_only_that_one(store: Store) -> None:
    # All tests share the server, so what others have used is asked for first.
    hers, his = store.for_owner(uuid.uuid4().hex), store.for_owner(uuid.uuid4().hex)
    probe = await hers.admit_request(a_request(), NONE, RequestLimits(tokens_per_day=16))
    used = probe.used if isinstance(probe, Denial) else probe.tokens
    everyone = RequestLimits(tokens_per_day=used + 1000)
    first = await hers.admit_request(a_request(700), RequestLimits(tokens_per_day=800), everyone)
    assert isinstance(first, Admission)
    second = await his.admit_request(a_request(700), RequestLimits(tokens_per_day=800), everyone)
    assert isinstance(second, Admission)
    assert (first.tokens, second.tokens) == (700, 300)
    third = await his.admit_request(a_request(), RequestLimits(tokens_per_day=800), everyone)
    assert isinstance(third, Denial)
    assert (third.limit, third.is_of_all) == ("tokens_per_day", True)
    await hers.settle_request(first, 0)
    fourth = await his.admit_request(a_request(700), RequestLimits(tokens_per_day=800), everyone)
    assert isinstance(fourth, Admission)
    assert fourth.tokens == 500


async def test_calls_at_the_same_time_do_not_pass_a_limit_together(store: Store) -> None:
    results: list[Admission | Denial] = []

    async def admit() -> None:
        results.append(
            await store.admit_request(
                a_request(100), RequestLimits(tokens_per_day=500, requests_per_minute=7, concurrent_calls=9), NONE
            )
        )

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(admit)
    assert sum(result.tokens for result in results if isinstance(result, Admission)) == 500
    assert {result.limit for result in results if isinstance(result, Denial)} == {"tokens_per_day"}


_ADMIT_TEN = """
import json, sys, anyio, uuid
from databricks_responses_mcp.store.factory import open_store
from databricks_responses_mcp.store.records import Admission, AdmissionRequest, RequestLimits

async def main(url, owner):
    store = open_store(url, owner=owner)
    tokens = []
    async def admit():
        unique = uuid.uuid4().hex
        request = AdmissionRequest(
            admission_id=unique, call_id=unique, least_tokens=16, wanted_tokens=100, lease_seconds=600.0
        )
        result = await store.admit_request(request, RequestLimits(**json.loads(sys.argv[3])), RequestLimits())
        tokens.append(result.tokens if isinstance(result, Admission) else 0)
    await store.tokens_on_day(0.0)
    print("ready", flush=True)
    sys.stdin.readline()
    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(admit)
    await store.aclose()
    print(json.dumps(tokens))

anyio.run(main, sys.argv[1], sys.argv[2])
"""


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
@pytest.mark.parametrize("limits", [{"tokens_per_day": 500}, {"requests_per_minute": 5}, {"concurrent_calls": 5}])
def test_two_processes_with_ten_calls_each_admit_exactly_what_the_limit_allows(
    database: str, limits: dict[str, int], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    server: PostgresServer | None = request.getfixturevalue("postgres") if database == "postgres" else None
    url = str(tmp_path / "store.db") if server is None else server.url()
    arguments = [sys.executable, "-c", _ADMIT_TEN, url, uuid.uuid4().hex, json.dumps(limits)]
    processes = [
        subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        outputs = [process.communicate("go\n", timeout=DEADLINE_SECONDS)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    tokens = [one for output in outputs for one in json.loads(output)]
    assert sorted(tokens, reverse=True) == [100] * 5 + [0] * 15


async def test_a_record_of_the_audit_log_is_stored_with_its_owner(kind: str, stores: Any, tmp_path: Path) -> None:
    if kind != "sqlite":
        pytest.skip("read from the file")
    await stores("me").add_audit_record(time.time(), {"tool": "ask", "user": "a\x00b"})
    import sqlite3

    with sqlite3.connect(tmp_path / "store.db") as connection:
        assert connection.execute("SELECT owner, record FROM audit").fetchall() == [
            ("me", '{"tool":"ask","user":"a\\u0000b"}')
        ]
    connection.close()
