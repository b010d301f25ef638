"""The contract of conversations, which every store fulfils."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databricks_responses_mcp.store.interface import Store, StoreError, TurnConflictError
from databricks_responses_mcp.store.records import ConversationState, ConversationSummary, StoredConversation
from harness.store_records import STATE, a_turn

pytestmark = pytest.mark.anyio

FULL_STATE = ConversationState(
    endpoint="claude",
    parameters={"instructions": "Kurz.", "tools": [{"type": "web_search"}], "temperature": 0.1},
    mcp_servers=("github", "jira"),
    output_schema={"type": "object", "properties": {}},
    pending=({"call_id": "call_1", "name": "look_up"}, {"call_id": "call_2", "name": "look_up"}),
    replay_from=2,
)


async def test_a_conversation_is_read_as_it_was_written(store: Store) -> None:
    first = a_turn(1, response_id="resp_1", usage={"input_tokens": 7, "output_tokens": 3, "details": {"cached": 1}})
    second = a_turn(2, endpoint="claude", model="claude-5", status="incomplete")

    await store.add_turn("conv-1", first, STATE, title="Grüße")
    await store.add_turn("conv-1", second, FULL_STATE, title="An old one keeps its own")

    assert await store.conversation("conv-1") == StoredConversation(
        conversation_id="conv-1",
        title="Grüße",
        created_at=1.0,
        updated_at=2.0,
        state=FULL_STATE,
        turns=[first, second],
    )


async def test_only_turns_after_a_number_are_read(store: Store) -> None:
    for number in (1, 2, 3):
        await store.add_turn("conv-1", a_turn(number), STATE, title="")

    read = await store.conversation("conv-1", after=2)
    nothing_new = await store.conversation("conv-1", after=3)

    assert read is not None
    assert read.turns == [a_turn(3)]
    assert nothing_new is not None
    assert nothing_new.turns == []


async def test_a_conversation_without_turns_does_not_exist(store: Store) -> None:
    assert await store.conversation("conv-1") is None


@pytest.mark.parametrize("number", [-1, 0, 1, 3, 4])
async def test_a_turn_with_the_wrong_number_is_refused_and_changes_nothing(store: Store, number: int) -> None:
    await store.add_turn("conv-1", a_turn(1), STATE, title="Title")
    before = await store.conversation("conv-1"), await store.conversations()

    with pytest.raises(TurnConflictError, match=f"Turn {number} of conversation 'conv-1'"):
        await store.add_turn("conv-1", a_turn(number, usage={"input_tokens": 9}), FULL_STATE, title="Other")

    assert (await store.conversation("conv-1"), await store.conversations()) == before


async def test_the_first_turn_creates_the_conversation(store: Store) -> None:
    with pytest.raises(TurnConflictError):
        await store.add_turn("conv-1", a_turn(2), STATE, title="")

    assert await store.conversation("conv-1") is None


async def test_a_state_is_replaced_without_a_turn(store: Store) -> None:
    await store.add_turn("conv-1", a_turn(1), STATE, title="Title")

    await store.set_state("conv-1", FULL_STATE)
    await store.set_state("none", FULL_STATE)

    read = await store.conversation("conv-1")
    assert read is not None
    assert (read.state, read.turns, read.updated_at) == (FULL_STATE, [a_turn(1)], 1.0)
    assert [(found.endpoint, found.waiting, found.turns) for found in await store.conversations()] == [("claude", 2, 1)]
    assert await store.conversation("none") is None


async def test_a_list_has_a_summary_of_each_conversation_the_newest_first(store: Store) -> None:
    spent = {"input_tokens": 10, "output_tokens": 4}
    await store.add_turn("old", a_turn(1, usage=spent), STATE, title="Old")
    await store.add_turn("new", a_turn(1, usage=spent, created_at=5.0), STATE, title="New")
    await store.add_turn("new", a_turn(2, usage=spent, created_at=6.5, model="claude-5"), FULL_STATE, title="New")

    assert await store.conversations() == [
        ConversationSummary(
            conversation_id="new",
            title="New",
            endpoint="claude",
            model="claude-5",
            turns=2,
            input_tokens=20,
            output_tokens=8,
            waiting=2,
            created_at=5.0,
            updated_at=6.5,
        ),
        ConversationSummary(
            conversation_id="old",
            title="Old",
            endpoint="gpt",
            model="gpt-5",
            turns=1,
            input_tokens=10,
            output_tokens=4,
            waiting=0,
            created_at=1.0,
            updated_at=1.0,
        ),
    ]


async def test_a_list_can_be_read_in_pages(store: Store) -> None:
    for number in range(1, 8):
        await store.add_turn(f"conv-{number}", a_turn(1, created_at=float(number)), STATE, title="")

    pages = [[c.conversation_id for c in await store.conversations(limit=3, offset=at)] for at in (0, 3, 6, 9)]

    assert pages == [["conv-7", "conv-6", "conv-5"], ["conv-4", "conv-3", "conv-2"], ["conv-1"], []]
    assert await store.conversations(limit=0) == []
    assert await store.count_conversations() == 7


TITLES = {"a": "Straße nach Ÿork", "b": "100% done_now", "c": "100x donexnow", "d-%_": "", "E": "ΑΘΗΝΑ"}


@pytest.mark.parametrize(
    ("contains", "found"),
    [
        ("STRASSE", ["a"]),
        ("ÿORK", ["a"]),
        ("100%", ["b"]),
        ("done_", ["b"]),
        ("%_", ["d-%_"]),
        ("e", ["E", "a", "b", "c"]),
        ("αθηνα", ["E"]),
        ("D-", ["d-%_"]),
        ("nothing", []),
        ("\0", []),
        ("'; DROP TABLE turns; --", []),
    ],
)
async def test_conversations_are_found_by_a_part_of_their_id_or_title(
    store: Store, contains: str, found: list[str]
) -> None:
    for conversation_id, title in TITLES.items():
        await store.add_turn(conversation_id, a_turn(1), STATE, title=title)

    assert sorted(c.conversation_id for c in await store.conversations(contains=contains)) == found
    assert await store.count_conversations(contains=contains) == len(found)


async def test_conversations_are_found_by_age(store: Store) -> None:
    for number in (1, 2, 3):
        await store.add_turn(f"conv-{number}", a_turn(1, created_at=float(number)), STATE, title="x")

    assert [c.conversation_id for c in await store.conversations(older_than=3.0)] == ["conv-2", "conv-1"]
    assert await store.count_conversations(older_than=3.0) == 2
    assert await store.count_conversations(older_than=3.0, contains="-1") == 1


async def test_deleting_conversations_deletes_their_turns(store: Store) -> None:
    for conversation_id in ("a", "b", "c"):
        await store.add_turn(conversation_id, a_turn(1), FULL_STATE, title="")
        await store.add_turn(conversation_id, a_turn(2), STATE, title="")

    assert await store.delete_conversations(["c", "none", "a", "c"]) == ["c", "a"]

    assert [c.conversation_id for c in await store.conversations()] == ["b"]
    assert await store.conversation("a") is None
    await store.add_turn("a", a_turn(1), STATE, title="Anew")
    read = await store.conversation("a")
    assert read is not None
    assert (read.title, read.state, read.turns) == ("Anew", STATE, [a_turn(1)])


async def test_thousands_of_conversations_or_none_are_deleted_in_one_call(store: Store) -> None:
    await store.add_turn("a", a_turn(1), STATE, title="")

    assert await store.delete_conversations([*map(str, range(3000)), "a"]) == ["a"]
    assert await store.delete_conversations([]) == []


@pytest.mark.parametrize("usage", [{"input_tokens": "7", "output_tokens": -3}, {"input_tokens": True}, {"x": 1}, {}])
async def test_missing_usage_counts_as_zero(store: Store, usage: dict[str, Any]) -> None:
    await store.add_turn("conv-1", a_turn(1, usage=usage), STATE, title="")

    (found,) = await store.conversations()
    assert (found.input_tokens, found.output_tokens) == (0, 0)
    read = await store.conversation("conv-1")
    assert read is not None
    assert read.turns[0].usage == usage


async def test_absurd_counts_do_not_overflow(store: Store) -> None:
    for number in range(1, 4):
        await store.add_turn("conv-1", a_turn(number, usage={"input_tokens": 10**30}), STATE, title="")

    (found,) = await store.conversations()
    assert found.input_tokens == 3 * 10**12


async def test_characters_that_no_database_stores_are_replaced_when_a_name_is_stored_and_looked_up(
    store: Store,
) -> None:
    await store.add_turn("id \ud800\0", a_turn(1, model="\udfff", response_id="\0"), STATE, title="half \ud83d \0!")

    read = await store.conversation("id \ud800\0")

    assert read is not None
    assert (read.conversation_id, read.title) == ("id \ufffd\ufffd", "half \ufffd \ufffd!")
    assert (read.turns[0].model, read.turns[0].response_id) == ("\ufffd", "\ufffd")
    assert await store.delete_conversations(["id \ud800\0"]) == ["id \ufffd\ufffd"]


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"deeper": value}
    return value


@pytest.mark.parametrize("unfit", [{"a": object()}, {"a": {1, 2}}, deep(200_000)], ids=["object", "set", "deep"])
async def test_a_value_that_is_not_json_is_refused_and_changes_nothing(store: Store, unfit: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match="A value cannot be stored: it is not valid JSON, or nested too deeply"):
        await store.add_turn("conv-1", a_turn(1, items=[unfit]), STATE, title="")

    assert await store.conversation("conv-1") is None


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec=None, exclude_categories=())),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=()), max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)
json_objects = st.dictionaries(st.text(st.characters(exclude_categories=()), max_size=8), json_values, max_size=4)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=st.lists(json_objects, max_size=3), items=st.lists(json_objects, max_size=3), more=json_objects)
async def test_any_json_value_is_read_as_it_was_written(
    stores: Callable[[], Store],
    said: list[dict[str, Any]],
    items: list[dict[str, Any]],
    more: dict[str, Any],
) -> None:
    store = stores()
    await store.delete_conversations(["any"])
    turn = a_turn(1, said=said, items=items, usage=more)
    state = ConversationState(endpoint="gpt", parameters=more, output_schema=more, pending=tuple(items))

    await store.add_turn("any", turn, state, title="")

    read = await store.conversation("any")
    assert read is not None
    assert (read.turns, read.state) == ([turn], state)
