"""Conversations go on: across processes and stores that fail, with other models, after what cannot be read any more."""

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from databricks_responses_mcp.calls.advice import mcp_words
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.store.interface import StoreError
from databricks_responses_mcp.store.sqlite import SqliteStore
from databricks_responses_mcp.turns import conversation_queries, conversations
from databricks_responses_mcp.turns.ask import AskRequest, ask
from databricks_responses_mcp.turns.bridge import Bridge, open_bridge
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.call_outputs import answer_calls
from databricks_responses_mcp.turns.image_generation import Drawing, draw
from databricks_responses_mcp.turns.outcome import Outcome
from databricks_workspace_emulator.server import RunningEmulator
from harness import settings_for
from harness.deadlines import DEADLINE_SECONDS
from harness.raw_server import RawServer, answer, raw_server

pytestmark = pytest.mark.anyio

OTHER = "databricks-gpt-5-mini"
TOKEN = "tok-5d41402abc4b2a76"
GENIE = {
    "type": "mcp",
    "server_label": "genie",
    "server_url": "https://mcp.example.com",
    "authorization": TOKEN,
    "headers": {"X-Key": f"{TOKEN}-2"},
    "require_approval": "always",
}


@asynccontextmanager
async def another(emulator: RunningEmulator, tmp_path: Path, **settings: object) -> AsyncIterator[Bridge]:
    """A bridge as another process has it, on the same store."""
    async with open_bridge(settings_for(emulator, tmp_path, **settings), {}) as opened:
        yield opened


async def say(bridge: Bridge, prompt: str, conversation_id: str | None = None, **more: Any) -> Outcome:
    return await ask(bridge, AskRequest(prompt=prompt, conversation_id=conversation_id, **more))


def sent(emulator: RunningEmulator) -> Any:
    """The newest request's body."""
    return emulator.state.request_log.to("/responses")[-1].body


def said_by_user(body: Any) -> list[str]:
    return [item["content"][0]["text"] for item in body["input"] if item.get("role") == "user"]


def refusal(error: dict[str, Any]) -> bytes:
    body = json.dumps({"error": error}).encode()
    head = f"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


UNREADABLE = refusal(
    {
        "message": "The encrypted content for item rs_1 could not be verified.",
        "type": "invalid_request_error",
        "param": "input",
        "code": "invalid_encrypted_content",
    }
)
TOO_LONG = refusal(
    {
        "message": "Your input exceeds the context window of this model.",
        "type": "invalid_request_error",
        "param": "input",
        "code": "context_length_exceeded",
    }
)


def completed(*items: dict[str, Any], **fields: Any) -> bytes:
    """The stream of an answer with these items."""
    response = {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "model": "gpt-5",
        "output": list(items),
        "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
        **fields,
    }
    event = {"type": "response.completed", "sequence_number": 0, "response": response}
    return answer(f"event: response.completed\ndata: {json.dumps(event)}\n\n".encode(), "text/event-stream")


def message(text: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}


THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "zzz"}


def inputs(server: RawServer) -> list[list[Any]]:
    return [json.loads(request)["input"] for request in server.requests if request]


async def test_another_process_goes_on_where_the_first_left_off(
    bridge: Bridge, emulator: RunningEmulator, tmp_path: Path
) -> None:
    first = await say(bridge, "One", reasoning_effort="low", instructions="Be brief.")
    async with another(emulator, tmp_path) as other:
        second = await say(other, "Two", first.conversation_id)
    third = await say(bridge, "Three", first.conversation_id)
    assert first.conversation_id == second.conversation_id == third.conversation_id
    body = sent(emulator)
    assert said_by_user(body) == ["One", "Two", "Three"]
    assert body["instructions"] == "Be brief."
    assert [item["type"] for item in body["input"]] == ["message", "reasoning", "message"] * 2 + ["message"]


async def test_two_that_go_on_at_once_lose_nothing(bridge: Bridge, emulator: RunningEmulator, tmp_path: Path) -> None:
    first = await say(bridge, "One")
    outcomes: dict[str, Outcome] = {}

    async def go_on(whom: Bridge, words: str) -> None:
        outcomes[words] = await say(whom, words, first.conversation_id)

    async with another(emulator, tmp_path) as other:
        with emulator.state.hold(3):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(go_on, bridge, "Here")
                tasks.start_soon(go_on, other, "There")
                with anyio.fail_after(DEADLINE_SECONDS):
                    await emulator.state.request_log.wait_for(3)
                tasks.start_soon(_release, emulator)
        kept = {
            words: said_by_user({"input": [item for turn in stored.turns for item in turn.said]})
            for words, outcome in outcomes.items()
            for stored in [await conversation_queries.read(other, str(outcome.conversation_id))]
        }
        assert kept == {"Here": ["One", "Here"], "There": ["One", "There"]}
        apart = [outcome for outcome in outcomes.values() if outcome.conversation_id != first.conversation_id]
        assert len(apart) == 1
        assert f"continued {first.conversation_id} at the same time" in apart[0].notes[0]
        # Both go on, in either process.
        for outcome in outcomes.values():
            again = await say(other, "On", outcome.conversation_id)
            assert again.conversation_id == outcome.conversation_id


async def _release(emulator: RunningEmulator) -> None:
    hold = emulator.state.current_hold
    assert hold is not None
    hold.release()


async def test_a_call_that_waited_while_its_conversation_became_a_copy_goes_on_with_the_one_it_named(
    bridge: Bridge, emulator: RunningEmulator, tmp_path: Path
) -> None:
    first = await say(bridge, "One")
    outcomes: dict[str, Outcome] = {}

    async def go_on(words: str) -> None:
        outcomes[words] = await say(bridge, words, first.conversation_id)

    async with another(emulator, tmp_path) as other, anyio.create_task_group() as tasks:
        with emulator.state.hold(3) as hold:
            tasks.start_soon(go_on, "Here")
            with anyio.fail_after(DEADLINE_SECONDS):
                await hold.reached.wait()
            # What begins now is not held.
            with emulator.state.hold(1_000_000):
                tasks.start_soon(go_on, "Later")
                await say(other, "There", first.conversation_id)
    assert outcomes["Here"].conversation_id != first.conversation_id
    assert outcomes["Later"].conversation_id == first.conversation_id
    assert said_by_user(sent(emulator)) == ["One", "There", "Later"]


async def test_another_model_is_not_sent_reasoning_that_it_did_not_write(
    bridge: Bridge, emulator: RunningEmulator
) -> None:
    first = await say(bridge, "One", reasoning_effort="low")
    await say(bridge, "Two", first.conversation_id, model=OTHER)
    assert "reasoning" not in [item["type"] for item in sent(emulator)["input"]]
    await say(bridge, "Three", first.conversation_id, model="databricks-gpt-5")
    types = [item["type"] for item in sent(emulator)["input"]]
    assert types == ["message", "reasoning", "message", "message", "message", "message"]


async def test_reasoning_that_cannot_be_read_any_more_is_dropped_and_asked_once_more() -> None:
    async with raw_server(completed(THOUGHT, message("Hi"))) as (server, bridge):
        first = await say(bridge, "One", model="databricks-gpt-5")
        server.first = [UNREADABLE]
        second = await say(bridge, "Two", first.conversation_id)
        await say(bridge, "Three", first.conversation_id)
    assert second.text == "Hi"
    kinds = [[item["type"] for item in items] for items in inputs(server)]
    assert kinds == [
        ["message"],
        ["message", "reasoning", "message", "message"],
        ["message", "message", "message"],
        ["message", "message", "message", "reasoning", "message", "message"],
    ]


async def test_it_is_asked_once_more_and_no_oftener() -> None:
    async with raw_server(completed(THOUGHT, message("Hi"))) as (server, bridge):
        first = await say(bridge, "One", model="databricks-gpt-5")
        server.answer = UNREADABLE
        with pytest.raises(BridgeError) as raised:
            await say(bridge, "Two", first.conversation_id)
    assert raised.value.code is ErrorCode.INVALID_ARGUMENT
    assert len(server.requests) == 3


async def test_a_refusal_inside_the_stream_counts_as_one() -> None:
    failed = {"code": "invalid_encrypted_content", "message": "The encrypted content could not be verified."}
    event = {"type": "response.failed", "response": {"id": "r", "object": "response", "status": "failed"}}
    event["response"] |= {"error": failed, "output": [], "usage": None}  # type: ignore[operator]
    stream = answer(f"event: response.failed\ndata: {json.dumps(event)}\n\n".encode(), "text/event-stream")
    async with raw_server(completed(THOUGHT, message("Hi"))) as (server, bridge):
        first = await say(bridge, "One", model="databricks-gpt-5")
        server.first = [stream]
        second = await say(bridge, "Two", first.conversation_id)
    assert second.text == "Hi"
    assert len(server.requests) == 3


async def test_drawing_in_a_conversation_drops_unreadable_reasoning_too(tmp_path: Path) -> None:
    picture = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AAAA"}

    async def take(item: dict[str, Any]) -> None:
        item["result"], item["picture"] = None, str(tmp_path / "p.png")

    async with raw_server(completed(THOUGHT, message("Hi"))) as (server, bridge):
        first = await say(bridge, "One", model="databricks-gpt-5")
        server.first, server.answer = [UNREADABLE], completed(picture)
        drawn = await draw(
            bridge,
            Drawing(prompt="A cat", conversation_id=first.conversation_id),
            CallContext.start(bridge.settings, take_image=take),
        )
    assert drawn.outcomes[0].conversation_id == first.conversation_id
    assert [[item["type"] for item in items].count("reasoning") for items in inputs(server)] == [0, 1, 0]


async def test_an_endpoint_that_gives_no_encrypted_reasoning_is_asked_for_it_once() -> None:
    refused = refusal({"message": "Unknown include value: reasoning.encrypted_content", "param": "include"})
    async with raw_server(completed(message("Hi"))) as (server, bridge):
        server.first = [refused]
        first = await say(bridge, "One", model="databricks-gpt-5")
        await say(bridge, "Two", first.conversation_id)
        await say(bridge, "Three", model="databricks-gpt-5-mini")
    assert ["include" in json.loads(request) for request in server.requests] == [True, False, False, True]


async def test_a_refusal_that_only_happens_to_say_include_teaches_nothing() -> None:
    refused = refusal({"message": "The prompt must include the word json.", "param": "input"})
    async with raw_server(refused) as (server, bridge):
        with pytest.raises(BridgeError):
            await say(bridge, "One", model="databricks-gpt-5")
        server.answer = completed(message("Hi"))
        await say(bridge, "Two", model="databricks-gpt-5")
    assert ["include" in json.loads(request) for request in server.requests] == [True, False, True]


async def test_a_conversation_that_became_too_long_says_what_helps() -> None:
    async with raw_server(completed(message("Hi"))) as (server, bridge):
        first = await say(bridge, "One", model="databricks-gpt-5")
        server.answer = TOO_LONG
        with pytest.raises(BridgeError) as raised:
            await say(bridge, "Two", first.conversation_id)
    assert raised.value.code is ErrorCode.TOO_LARGE
    assert "action compact" in raised.value.full_hint(mcp_words)
    assert "context_management" in raised.value.full_hint(mcp_words)
    assert len(server.requests) == 2


async def test_a_compaction_of_the_endpoint_stands_for_what_came_before_it_and_for_that_endpoint_alone() -> None:
    compaction = {"type": "compaction", "id": "cmp_1", "encrypted_content": "zzz"}
    async with raw_server(completed(message("Hi"))) as (server, bridge):
        first = await say(bridge, "One", model="databricks-gpt-5")
        server.answer = completed(compaction, message("Hello"))
        await say(bridge, "Two", first.conversation_id, extra={"context_management": [{"type": "compaction"}]})
        await say(bridge, "Three", first.conversation_id)
        await say(bridge, "Four", first.conversation_id, model=OTHER)
        stored = await conversation_queries.read(bridge, str(first.conversation_id))
    assert inputs(server)[2][0] == compaction
    assert said_by_user({"input": inputs(server)[2]}) == ["Three"]
    assert said_by_user({"input": inputs(server)[3]}) == ["One", "Two", "Three", "Four"]
    assert len(stored.turns) == 4


async def test_a_turn_that_fails_leaves_the_conversation_as_it_was(bridge: Bridge, emulator: RunningEmulator) -> None:
    first = await say(bridge, "One", instructions="Be brief.")
    with pytest.raises(BridgeError):
        await say(bridge, "[[fail]]", first.conversation_id, model=OTHER, instructions="Be long.")
    await say(bridge, "Two", first.conversation_id)
    body = sent(emulator)
    assert (body["model"], body["instructions"], said_by_user(body)) == (
        "databricks-gpt-5",
        "Be brief.",
        ["One", "Two"],
    )


async def test_a_turn_that_is_cancelled_is_not_half_kept(bridge: Bridge, emulator: RunningEmulator) -> None:
    first = await say(bridge, "One")
    with emulator.state.hold(5) as hold:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(say, bridge, "Two", first.conversation_id)
            with anyio.fail_after(DEADLINE_SECONDS):
                await hold.reached.wait()
            tasks.cancel_scope.cancel()
    await say(bridge, "Three", first.conversation_id)
    assert said_by_user(sent(emulator)) == ["One", "Three"]


async def test_what_an_mcp_server_is_signed_in_to_with_is_never_kept(
    bridge: Bridge, emulator: RunningEmulator, tmp_path: Path
) -> None:
    first = await say(bridge, "Ask genie.", tools=[GENIE])
    outputs = [{"approval_request_id": first.pending_calls[0]["approval_request_id"], "approve": True}]
    await answer_calls(bridge, str(first.conversation_id), outputs)
    await say(bridge, "Again, [[no tools]]", first.conversation_id)
    assert [tool["authorization"] for tool in sent(emulator)["tools"]] == [TOKEN]
    assert sent(emulator)["tools"][0] == GENIE
    async with another(emulator, tmp_path) as other:
        later = await say(other, "And now?", first.conversation_id)
        assert "tools" not in sent(emulator)
        assert "genie" in later.notes[0]
        told = await say(other, "With it. [[no tools]]", first.conversation_id, tools=[GENIE])
        assert sent(emulator)["tools"] == [GENIE]
        assert not told.notes
    # Back in the first process, which still knows it.
    await say(bridge, "And here? [[no tools]]", first.conversation_id)
    assert sent(emulator)["tools"] == [GENIE]
    files = list((tmp_path / "store").iterdir())
    assert files
    assert not [file for file in files if TOKEN.encode() in file.read_bytes()]


async def test_a_secret_goes_only_to_the_server_that_it_was_given_for(
    bridge: Bridge, emulator: RunningEmulator, tmp_path: Path
) -> None:
    first = await say(bridge, "One. [[no tools]]", tools=[GENIE])
    elsewhere = {**GENIE, "server_url": "https://other.example.com"}
    async with another(emulator, tmp_path) as other:
        await say(other, "Two. [[no tools]]", first.conversation_id, tools=[elsewhere])
    await say(bridge, "Three.", first.conversation_id)
    assert "tools" not in sent(emulator)


@pytest.mark.parametrize("broken", ["gone", "a file in the way"])
async def test_a_store_that_fails_costs_no_answer_and_gets_the_turns_when_it_works_again(
    bridge: Bridge, emulator: RunningEmulator, tmp_path: Path, broken: str
) -> None:
    first = await say(bridge, "One")
    store = tmp_path / "store"
    await bridge.store.aclose()
    shutil.rmtree(store)
    store.write_text("not a directory")
    second = await say(bridge, "Two", first.conversation_id)
    assert second.text
    assert "could not be stored" in second.notes[0]
    fresh = await say(bridge, "Fresh")
    assert "could not be stored" in fresh.notes[0]
    third = await say(bridge, "Three", first.conversation_id)
    assert said_by_user(sent(emulator)) == ["One", "Two", "Three"]
    assert third.notes
    store.unlink()
    if broken == "gone":
        store.mkdir()
    fourth = await say(bridge, "Four", first.conversation_id)
    assert fourth.conversation_id == first.conversation_id
    assert "stored again" in fourth.notes[-1]
    async with another(emulator, tmp_path) as other:
        await say(other, "Five", fourth.conversation_id)
        assert said_by_user(sent(emulator)) == ["One", "Two", "Three", "Four", "Five"]
        with pytest.raises(BridgeError, match="no conversation"):
            await say(other, "On", fresh.conversation_id)
    after = await say(bridge, "On", fresh.conversation_id)
    assert not after.notes
    async with another(emulator, tmp_path) as other:
        await say(other, "And on", after.conversation_id)
    assert said_by_user(sent(emulator)) == ["Fresh", "On", "And on"]


async def test_a_turn_that_was_kept_though_it_seemed_not_to_be_is_kept_once(
    bridge: Bridge, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await say(bridge, "One")
    add_turn = SqliteStore.add_turn

    async def lost(self: SqliteStore, *args: Any, **named: Any) -> None:
        await add_turn(self, *args, **named)
        raise StoreError("The connection was lost.")

    with monkeypatch.context() as patched:
        patched.setattr(SqliteStore, "add_turn", lost)
        second = await say(bridge, "Two", first.conversation_id)
        assert "could not be stored" in second.notes[0]
    third = await say(bridge, "Three", first.conversation_id)
    assert third.conversation_id == first.conversation_id
    assert not third.notes
    assert len((await conversation_queries.read(bridge, str(first.conversation_id))).turns) == 3


async def test_what_is_in_memory_stays_small(
    bridge: Bridge, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "_MAX_CHARACTERS", 100_000)
    ids = [str((await say(bridge, f"{number} " + "x" * 20_000)).conversation_id) for number in range(5)]
    held = [conversation_id for conversation_id in ids if bridge.conversations.in_memory(conversation_id)]
    assert held == ids[-2:]
    await say(bridge, "On", ids[0])
    assert said_by_user(sent(emulator))[0].startswith("0 x")
    monkeypatch.setattr(conversations, "_MAX_IN_MEMORY", 1)
    await say(bridge, "On", ids[1])
    assert [known for known in ids if bridge.conversations.in_memory(known)] == [ids[1]]


async def test_the_conversation_that_was_used_least_recently_is_forgotten_first(
    bridge: Bridge, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "_MAX_IN_MEMORY", 2)
    first, second = [str((await say(bridge, prompt)).conversation_id) for prompt in ("One", "Two")]
    await say(bridge, "On", first)
    third = str((await say(bridge, "Three")).conversation_id)
    ids = (first, second, third)
    assert [known for known in ids if bridge.conversations.in_memory(known)] == [first, third]


async def test_turns_that_the_store_has_not_got_are_forgotten_last_but_not_kept_without_end(
    bridge: Bridge, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "_MAX_IN_MEMORY", 2)
    stored = str((await say(bridge, "Stored")).conversation_id)
    working = bridge.store.add_turn

    async def fail(*args: Any, **more: Any) -> None:
        raise StoreError("The disk is full.")

    monkeypatch.setattr(bridge.store, "add_turn", fail)
    lost = [str((await say(bridge, prompt)).conversation_id) for prompt in ("One", "Two", "Three")]
    # Of the four the stored one was forgotten, and of the others the oldest.
    held = [known for known in (stored, *lost) if bridge.conversations.in_memory(known)]
    assert held == lost[1:]
    monkeypatch.setattr(bridge.store, "add_turn", working)
    for known in lost[1:]:
        assert not (await say(bridge, "On", known)).notes
    assert said_by_user(sent(emulator)) == ["Three", "On"]


async def test_a_conversation_in_use_is_not_forgotten(
    bridge: Bridge, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "_MAX_IN_MEMORY", 1)
    first = str((await say(bridge, "One")).conversation_id)
    async with bridge.conversations.turn_of(first) as conversation:
        await say(bridge, "Other")
        assert bridge.conversations.in_memory(first) is conversation
    assert (await say(bridge, "Two", first)).conversation_id == first


async def test_deleting_a_conversation_that_is_being_gone_on_with_keeps_the_turn_in_a_copy(
    bridge: Bridge, emulator: RunningEmulator
) -> None:
    first = await say(bridge, "One")
    outcomes: list[Outcome] = []

    async def go_on() -> None:
        outcomes.append(await say(bridge, "Two", first.conversation_id))

    async with anyio.create_task_group() as tasks:
        with emulator.state.hold(3) as hold:
            tasks.start_soon(go_on)
            with anyio.fail_after(DEADLINE_SECONDS):
                await hold.reached.wait()
            await conversation_queries.delete(
                bridge, await conversation_queries.to_delete(bridge, first.conversation_id, None)
            )
    (second,) = outcomes
    assert second.conversation_id != first.conversation_id
    assert len((await conversation_queries.read(bridge, str(second.conversation_id))).turns) == 2
    with pytest.raises(BridgeError) as raised:
        await say(bridge, "Three", first.conversation_id)
    assert raised.value.code is ErrorCode.NOT_FOUND


async def test_a_conversation_that_nobody_has_is_not_found(bridge: Bridge, emulator: RunningEmulator) -> None:
    with pytest.raises(BridgeError) as raised:
        await say(bridge, "Hi", "conv_nobody")
    assert raised.value.code is ErrorCode.NOT_FOUND
    assert emulator.state.request_log.to("/responses") == []
    assert bridge.conversations.in_memory("conv_nobody") is None


@pytest.mark.parametrize("also_another", [False, True])
async def test_a_conversation_outlives_the_deletion_of_its_store_while_it_is_in_memory(
    bridge: Bridge, emulator: RunningEmulator, tmp_path: Path, also_another: bool
) -> None:
    first = await say(bridge, "One")
    shutil.rmtree(tmp_path / "store")
    if also_another:
        # Whoever asks next finds a new store, in which nothing is.
        await say(bridge, "Something else")
    second = await say(bridge, "Two", first.conversation_id)
    assert second.conversation_id == first.conversation_id
    assert "stored again" in second.notes[-1]
    assert said_by_user(sent(emulator)) == ["One", "Two"]
    assert not (await say(bridge, "Three", first.conversation_id)).notes
    async with another(emulator, tmp_path) as other:
        await say(other, "Four", first.conversation_id)
    assert said_by_user(sent(emulator)) == ["One", "Two", "Three", "Four"]


async def test_a_conversation_that_somebody_deleted_is_not_brought_back(
    bridge: Bridge, emulator: RunningEmulator, tmp_path: Path
) -> None:
    first = await say(bridge, "One")
    async with another(emulator, tmp_path) as other:
        await conversation_queries.delete(
            other, await conversation_queries.to_delete(other, str(first.conversation_id), None)
        )
    with pytest.raises(BridgeError, match="no conversation"):
        await say(bridge, "Two", first.conversation_id)


async def test_a_title_is_derived_once_from_the_first_2000_characters(
    emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles = []
    add_turn = SqliteStore.add_turn

    async def recorded(self: SqliteStore, conversation_id: str, *args: Any, title: str, **more: Any) -> None:
        titles.append(title)
        await add_turn(self, conversation_id, *args, title=title, **more)

    monkeypatch.setattr(SqliteStore, "add_turn", recorded)
    prompt = f"First{' ' * 1990}words and more" + " word" * 100_000
    async with another(emulator, tmp_path) as bridge:
        first = await say(bridge, prompt)
        await say(bridge, "Second", first.conversation_id)
        found, _ = await conversation_queries.find(bridge)

    assert titles == ["First words", ""]
    assert [summary.title for summary in found] == ["First words"]
