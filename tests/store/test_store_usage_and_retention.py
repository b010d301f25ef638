"""The contract of usage, retention and owners, which every store fulfils."""

from collections.abc import Callable
from contextlib import suppress

import anyio
import pytest

from databricks_responses_mcp.store import sql_store
from databricks_responses_mcp.store.interface import Store, TurnConflictError
from databricks_responses_mcp.store.records import ConversationState, KeyClaim, UsageTotal
from harness.deadlines import DEADLINE_SECONDS
from harness.store_records import STATE, a_job, a_turn, a_usage

pytestmark = pytest.mark.anyio

DAY = 86_400.0


def a_total(key: str, requests: int, input_tokens: int, output_tokens: int) -> UsageTotal:
    return UsageTotal(
        key=key,
        requests=requests,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_tokens=0,
        reasoning_tokens=0,
    )


async def test_usage_is_added_up_by_day_model_conversation_and_tool(store: Store) -> None:
    await store.add_usage(a_usage(DAY + 1, conversation_id="conv-1", cached_tokens=4, reasoning_tokens=2))
    await store.add_usage(a_usage(DAY - 1, model="claude", output_tokens=500))
    await store.add_usage(a_usage(DAY * 2 - 0.5, conversation_id="conv-1", tool="generate_image"))

    assert {by: await store.usage(by) for by in ("day", "model", "conversation", "tool")} == {
        "day": [
            a_total("1970-01-01", 1, 10, 500),
            UsageTotal(
                key="1970-01-02", requests=2, input_tokens=20, output_tokens=10, cached_tokens=4, reasoning_tokens=2
            ),
        ],
        "model": [
            a_total("claude", 1, 10, 500),
            UsageTotal(key="gpt-5", requests=2, input_tokens=20, output_tokens=10, cached_tokens=4, reasoning_tokens=2),
        ],
        "conversation": [
            a_total("", 1, 10, 500),
            UsageTotal(
                key="conv-1", requests=2, input_tokens=20, output_tokens=10, cached_tokens=4, reasoning_tokens=2
            ),
        ],
        "tool": [
            UsageTotal(
                key="ask_databricks_model",
                requests=2,
                input_tokens=20,
                output_tokens=505,
                cached_tokens=4,
                reasoning_tokens=2,
            ),
            a_total("generate_image", 1, 10, 5),
        ],
    }


async def test_usage_can_be_limited_to_requests_since_a_time(store: Store) -> None:
    for created_at in (1.0, 2.0, 3.0):
        await store.add_usage(a_usage(created_at))

    assert await store.usage("model", since=2.0) == [a_total("gpt-5", 2, 20, 10)]
    assert await store.usage("day", since=3.5) == []


async def test_the_tokens_of_a_day_are_those_of_all_requests_of_that_day(stores: Callable[[], Store]) -> None:
    one, other = stores(), stores()
    for at in (DAY - 0.001, DAY, DAY * 1.5, DAY * 2 - 0.001, DAY * 2):
        await one.add_usage(a_usage(at))
        await other.add_usage(a_usage(at, input_tokens=100))

    totals = [
        await store.tokens_on_day(at) for at in (0.0, DAY, DAY * 2 - 1, DAY * 2, DAY * 3) for store in (one, other)
    ]
    assert totals == [120, 120, 360, 360, 360, 360, 120, 120, 0, 0]


async def test_a_turn_and_its_usage_are_stored_both_or_neither(store: Store) -> None:
    await store.add_turn("conv-1", a_turn(1), STATE, title="", usage=a_usage(conversation_id="conv-1"))
    with pytest.raises(TurnConflictError):
        await store.add_turn("conv-1", a_turn(1), STATE, title="", usage=a_usage(conversation_id="conv-1"))

    assert await store.usage("conversation") == [a_total("conv-1", 1, 10, 5)]
    assert await store.tokens_on_day(1.0) == 15


async def test_usage_is_kept_when_its_conversation_is_deleted(store: Store) -> None:
    await store.add_turn("conv-1", a_turn(1), STATE, title="")
    await store.add_usage(a_usage(conversation_id="conv-1"))

    await store.delete_conversations(["conv-1"])

    assert await store.usage("conversation") == [a_total("conv-1", 1, 10, 5)]


async def ids(store: Store) -> list[str]:
    return [found.conversation_id for found in await store.conversations()]


async def test_a_sweep_deletes_expired_conversations(store: Store) -> None:
    for number in (1, 2, 3):
        await store.add_turn(f"conv-{number}", a_turn(1, created_at=float(number)), STATE, title="")

    assert await store.sweep(now=12.0, keep_seconds=10.0, most_bytes=None) == 1
    assert await ids(store) == ["conv-3", "conv-2"]
    assert await store.sweep(now=12.0, keep_seconds=10.0, most_bytes=None) == 0
    assert await store.sweep(now=1e12, keep_seconds=None, most_bytes=None) == 0
    assert await ids(store) == ["conv-3", "conv-2"]


async def test_a_sweep_deletes_the_oldest_conversations_until_the_rest_is_within_the_limit(store: Store) -> None:
    for number in (1, 2, 3, 4):
        turn = a_turn(1, created_at=float(number), said=[{"content": "x" * 10_000}], items=[])
        await store.add_turn(f"conv-{number}", turn, STATE, title="")
    await store.add_turn("conv-1", a_turn(2, created_at=9.0, said=[], items=[]), STATE, title="")

    assert await store.sweep(now=9.0, keep_seconds=None, most_bytes=50_000) == 0
    assert await store.sweep(now=9.0, keep_seconds=None, most_bytes=25_000) == 2
    assert await ids(store) == ["conv-1", "conv-4"]
    assert await store.sweep(now=9.0, keep_seconds=None, most_bytes=0) == 2
    assert await ids(store) == []


async def test_a_sweep_of_hundreds_leaves_no_expired_conversation(store: Store) -> None:
    for number in range(250):
        await store.add_turn(f"conv-{number}", a_turn(1), STATE, title="")

    assert await store.sweep(now=100.0, keep_seconds=1.0, most_bytes=None) == 250
    assert await store.count_conversations() == 0


async def test_a_sweep_completes_whatever_the_amount(stores: Callable[[], Store], kind: str) -> None:
    """Test with more rows than one slice deletes, and with conversations that are larger than a slice."""
    store, count = stores(), 30
    for number in range(count):
        large = [{"text": "x" * 300_000}] if number % 10 == 0 else []
        await store.add_turn(f"conv-{number}", a_turn(1, created_at=float(number), said=large), STATE, title="")
        await store.put_job(a_job(f"job-{number}", status="completed", updated_at=number / 2))
        await store.claim_key(f"key-{number}", "p", "job", 1.0)
        await store.add_usage(a_usage(1.0))
    for number in range(2, 6):
        await store.add_turn("conv-0", a_turn(number, created_at=0.0, said=[{"text": "x" * 300_000}]), STATE, title="")

    assert await store.sweep(now=500 * DAY, keep_seconds=None, most_bytes=300_000) == 21
    assert await ids(store) == [f"conv-{number}" for number in range(count - 1, 20, -1)]
    assert await store.job("job-29") is None
    assert (await store.claim_key("key-29", "p", "later", 1.0)).mine
    assert await store.usage("tool") == []
    assert await store.sweep(now=500 * DAY, keep_seconds=1.0, most_bytes=None) == count - 21
    assert await store.sweep(now=500 * DAY, keep_seconds=1.0, most_bytes=0) == 0


async def test_other_calls_are_served_while_a_sweep_runs(
    stores: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Slices that grow would be so few that a slow machine may see hardly one of them end.
    monkeypatch.setattr(sql_store, "_SLICE_ROWS", (4, 4))
    store, count = stores(), 100
    for number in range(count):
        await store.add_turn(f"conv-{number}", a_turn(1, created_at=0.0), STATE, title="")
    await store.add_turn("mine", a_turn(1, created_at=1.0), STATE, title="")
    left, number = [count], 1

    with anyio.fail_after(DEADLINE_SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: store.sweep(now=1.0, keep_seconds=0.5, most_bytes=None))
            while left[-1]:
                number += 1
                await store.add_turn("mine", a_turn(number, created_at=1.0), STATE, title="")
                left.append(await store.count_conversations(older_than=0.5))

    assert len(set(left)) > 3, "its deletions are several transactions, and others come between"
    assert await ids(store) == ["mine"]


async def test_the_next_sweep_completes_a_cancelled_one(stores: Callable[[], Store]) -> None:
    store = stores()
    for number in range(1, 13):
        await store.add_turn(
            "large", a_turn(number, created_at=0.0, said=[{"text": "x" * 100_000}]), STATE, title="Old"
        )
    await store.add_turn("new", a_turn(1, created_at=1.0), STATE, title="")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: store.sweep(now=1.0, keep_seconds=0.5, most_bytes=None))
        with anyio.fail_after(DEADLINE_SECONDS):
            while await store.conversation("large") is not None:
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()

    assert (await ids(store), await store.count_conversations()) == (["new"], 1)
    with pytest.raises(TurnConflictError):
        await store.add_turn("large", a_turn(13), STATE, title="")
    assert await store.sweep(now=1.0, keep_seconds=None, most_bytes=1000) <= 1
    await store.add_turn("large", a_turn(1), STATE, title="A new one of that id")
    assert await ids(store) == ["new", "large"]


async def test_ended_jobs_and_keys_are_deleted_after_seven_days_and_running_ones_are_kept(store: Store) -> None:
    now = 8 * DAY
    for job_id, status, updated_at in [
        ("old", "completed", DAY - 1),
        ("new", "completed", DAY + 1),
        ("runs", "running", DAY + 1),
        ("was left", "running", DAY - 1),
    ]:
        await store.put_job(a_job(job_id, status=status, updated_at=updated_at))
    await store.claim_key("old", "p", "old", DAY - 1)
    await store.claim_key("new", "p", "new", DAY + 1)

    await store.sweep(now=now, keep_seconds=None, most_bytes=None)

    assert [await store.job(job_id) is not None for job_id in ("old", "new", "runs", "was left")] == [
        False,
        True,
        True,
        False,
    ]
    assert [(await store.claim_key(key, "p", "later", now)).mine for key in ("old", "new")] == [True, False]


async def test_ended_jobs_and_keys_are_deleted_sooner_if_conversations_are(store: Store) -> None:
    await store.put_job(a_job("ended", status="completed", updated_at=5.0))
    await store.put_job(a_job("runs", updated_at=5.0))
    await store.claim_key("key", "p", "ended", 5.0)

    await store.sweep(now=100.0, keep_seconds=60.0, most_bytes=None)

    assert await store.job("ended") is None
    assert await store.job("runs") is not None
    assert (await store.claim_key("key", "p", "later", 100.0)).mine


async def test_usage_is_kept_for_400_days(store: Store) -> None:
    await store.add_usage(a_usage(1.0))
    await store.add_usage(a_usage(DAY))

    await store.sweep(now=401 * DAY - 1, keep_seconds=1.0, most_bytes=0)
    assert [await store.tokens_on_day(at) for at in (1.0, DAY)] == [15, 15]
    await store.sweep(now=401 * DAY, keep_seconds=1.0, most_bytes=0)

    assert [await store.tokens_on_day(at) for at in (1.0, DAY)] == [0, 15]
    assert await store.usage("day") == [a_total("1970-01-02", 1, 10, 5)]


async def everything(store: Store) -> list[object]:
    return [
        await store.conversations(),
        await store.count_conversations(),
        await store.conversation("conv-1"),
        await store.job("job-1"),
        await store.tokens_on_day(0.0),
        await store.usage("model"),
    ]


async def meddle(store: Store) -> None:
    """Change everything under the names that another owner uses too."""
    other = ConversationState(endpoint="other", pending=({"call_id": "call_1"},))
    await store.set_state("conv-1", other)
    for number in (1, 2, 3):
        with suppress(TurnConflictError):
            await store.add_turn("conv-1", a_turn(number, model="other"), other, title="Other")
    await store.beat_job("job-1", 5.0, None)
    await store.beat_job("job-1", 6.0, {"text": "other"})
    await store.cancel_job("job-1")
    await store.put_job(a_job(tool="other"))
    await store.release_key("key", "job-1")
    await store.claim_key("key", "other", "job-1", 1.0)
    await store.add_usage(a_usage(output_tokens=1000))


async def test_owners_read_change_and_count_only_their_own_rows(stores: Callable[[str], Store]) -> None:
    hers, his = stores("her"), stores("him")
    await hers.add_turn("conv-1", a_turn(1), STATE, title="Hers")
    await hers.put_job(a_job())
    await hers.claim_key("key", "print", "job-1", 1.0)
    await hers.add_usage(a_usage())
    before = await everything(hers)

    assert await everything(his) == [[], 0, None, None, 0, []]
    assert await his.delete_conversations(["conv-1"]) == []
    assert not await his.cancel_job("job-1")
    assert not await his.beat_job("job-1", 5.0, {"text": "his"})
    assert (await his.claim_key("key", "his", "job-9", 1.0)).mine
    await his.release_key("key", "job-9")
    for _ in range(2):
        await meddle(his)
        assert await everything(hers) == before
    assert [found.turns for found in await his.conversations()] == [3]
    assert await his.claim_key("key", "", "", 1.0) == KeyClaim(job_id="job-1", fingerprint="other", mine=False)
    assert await his.beat_job("job-1", 7.0, None)
    assert not await hers.beat_job("job-1", 1.0, None)
    assert await his.sweep(now=1e9, keep_seconds=0.0, most_bytes=0) == 1

    assert await everything(hers) == before
    assert await hers.claim_key("key", "", "", 1.0) == KeyClaim(job_id="job-1", fingerprint="print", mine=False)


async def test_conversations_of_others_do_not_count_towards_an_owners_limit(stores: Callable[[str], Store]) -> None:
    hers, his = stores("her"), stores("him")
    await hers.add_turn("large", a_turn(1, created_at=9.0, said=[{"text": "x" * 50_000}]), STATE, title="")
    await his.add_turn("small", a_turn(1), STATE, title="")

    assert await his.sweep(now=9.0, keep_seconds=None, most_bytes=10_000) == 0
    assert await hers.sweep(now=9.0, keep_seconds=None, most_bytes=10_000) == 1
    assert (await ids(his), await ids(hers)) == (["small"], [])
