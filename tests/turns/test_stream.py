"""One exchange: what it gives, what it tells on the way, and what is kept when it fails."""

import itertools
import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.turns import progress as progress_module
from databricks_responses_mcp.turns.ask import AskRequest, ask
from databricks_responses_mcp.turns.bridge import Bridge, open_bridge
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.outcome import Outcome
from databricks_responses_mcp.turns.progress import Reporter
from databricks_responses_mcp.turns.stream import send_one_stream
from databricks_workspace_emulator.server import RunningEmulator
from harness import settings_for
from harness.clock import settable_clock
from harness.deadlines import DEADLINE_SECONDS, LONG_DEADLINE_SECONDS
from harness.raw_server import answer, raw_server

pytestmark = pytest.mark.anyio


def body(prompt: str) -> dict[str, Any]:
    return {
        "model": "databricks-gpt-5",
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": prompt}]}],
        "stream": True,
    }


async def run(bridge: Bridge, prompt: str = "[[say one two three four]]", **options: Any) -> Outcome:
    call = CallContext.start(bridge.settings, **{"seconds": DEADLINE_SECONDS, **options})
    return await send_one_stream(bridge.client, body(prompt), call)


async def failure(bridge: Bridge, prompt: str = "[[say one two three four]]", **options: Any) -> BridgeError:
    with pytest.raises(BridgeError) as caught:
        await run(bridge, prompt, **options)
    return caught.value


async def test_an_answer_has_text_status_model_and_usage(bridge: Bridge) -> None:
    outcome = (await run(bridge)).as_dict()
    assert outcome.pop("response_id").startswith("resp_")
    assert outcome == snapshot(
        {
            "text": "one two three four",
            "status": "completed",
            "model": "embedded-rules",
            "endpoint": "databricks-gpt-5",
            "usage": {"input_tokens": 13, "output_tokens": 4, "total_tokens": 17},
        }
    )


async def test_text_is_handed_on_as_it_arrives(bridge: Bridge) -> None:
    pieces: list[str] = []
    outcome = await run(bridge, on_text=pieces.append)
    assert len(pieces) > 1
    assert "".join(pieces) == outcome.text


@pytest.mark.parametrize(
    ("fault", "code", "text"),
    [
        ("cut:6", ErrorCode.UPSTREAM_UNAVAILABLE, "one two"),
        ("failed:6", ErrorCode.UPSTREAM_ERROR, "one two"),
        ("error_event:6", ErrorCode.UPSTREAM_ERROR, "one two"),
        ("error_chunk:6", ErrorCode.UPSTREAM_ERROR, "one two"),
    ],
)
async def test_what_arrived_before_a_failure_is_kept(
    bridge: Bridge, emulator: RunningEmulator, fault: str, code: ErrorCode, text: str
) -> None:
    emulator.state.faults.add(fault)
    error = await failure(bridge)
    assert (error.code, error.partial["text"], error.partial["endpoint"]) == (code, text, "databricks-gpt-5")
    assert error.message
    assert error.hint


@pytest.mark.parametrize("fault", ["malformed:5", "unknown", "slow:3", "no_terminal"])
async def test_oddities_of_a_stream_do_not_lose_the_answer(
    bridge: Bridge, emulator: RunningEmulator, fault: str
) -> None:
    emulator.state.faults.add(fault)
    outcome = await run(bridge, "[[say zwölf Boxkämpfer 😀 jagen]]")
    assert (outcome.text, outcome.status) == ("zwölf Boxkämpfer 😀 jagen", "completed")


async def test_an_unknown_item_of_a_stream_is_kept_raw(bridge: Bridge, emulator: RunningEmulator) -> None:
    emulator.state.faults.add("unknown")
    outcome = await run(bridge)
    assert len(outcome.output) == 1
    assert outcome.output[0]["type"] not in ("message", "reasoning")


async def test_the_deadline_ends_a_call_with_what_has_arrived_and_closes_the_connection(
    bridge: Bridge, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module, "_NEWS_SECONDS", 0.01)
    words = anyio.Event()

    async def report(value: float, message: str) -> None:
        if "one two" in message:
            words.set()

    seconds = 2.0 * DEADLINE_SECONDS
    with anyio.fail_after(LONG_DEADLINE_SECONDS), emulator.state.hold(after_events=6), settable_clock() as clock:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(clock.advance_once, words.is_set, seconds)
            error = await failure(bridge, seconds=seconds, reporter=Reporter(report))
        await (await emulator.state.request_log.wait_for(1)).disconnected.wait()
    assert (error.code, error.retryable, error.partial["text"]) == (ErrorCode.TIMEOUT, True, "one two")
    assert "RESPONSES_MCP_TIMEOUT_SECONDS" in error.hint


async def test_cancelling_a_call_closes_the_upstream_connection(bridge: Bridge, emulator: RunningEmulator) -> None:
    with anyio.fail_after(DEADLINE_SECONDS), emulator.state.hold(after_events=6) as hold:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run, bridge)
            await hold.reached.wait()
            tasks.cancel_scope.cancel()
        await (await emulator.state.request_log.wait_for(1)).disconnected.wait()


async def test_progress_begins_with_the_stream_goes_on_in_silence_and_only_grows(
    bridge: Bridge, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module, "_NEWS_SECONDS", 0.01)
    told: list[tuple[float, str]] = []
    silent = anyio.Event()

    async def report(value: float, message: str) -> None:
        # Only from the beginning of the stream on: before it, a busy machine is silent for longer than this.
        monkeypatch.setattr(progress_module, "_SILENCE_SECONDS", 0.03)
        told.append((value, message))
        if len(told) >= 5 and "writing" in message:
            silent.set()

    with anyio.fail_after(DEADLINE_SECONDS), emulator.state.hold(after_events=40) as hold:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: run(bridge, f"[[words 200]] {'x' * 300}", reporter=Reporter(report)))
            await hold.reached.wait()
            await silent.wait()
            hold.release()
    assert told[0][1] == "databricks-gpt-5: the model is answering"
    assert all(earlier < later for (earlier, _), (later, _) in itertools.pairwise(told))
    assert all(len(message) <= 200 for _, message in told)
    assert any("writing" in message and "characters: …" in message for _, message in told)


async def test_progress_says_that_a_rate_limit_is_waited_out(bridge: Bridge, emulator: RunningEmulator) -> None:
    emulator.state.faults.add("429:0.01")
    told: list[str] = []

    async def report(value: float, message: str) -> None:
        told.append(message)

    await run(bridge, reporter=Reporter(report))
    assert told[:2] == [
        "databricks-gpt-5: rate limited, trying again in 0 s",
        "databricks-gpt-5: the model is answering",
    ]


@pytest.mark.parametrize("name", ["background", "store", "previous_response_id", "conversation"])
async def test_a_stateful_parameter_on_pay_per_token_is_refused_before_anything_is_sent(
    bridge: Bridge, emulator: RunningEmulator, name: str
) -> None:
    value: Any = True if name in ("background", "store") else "resp_1"
    with pytest.raises(BridgeError) as caught:
        await ask(bridge, AskRequest(prompt="Hi", extra={name: value}))
    assert caught.value.code == ErrorCode.UNSUPPORTED_BY_MODEL
    assert name in caught.value.message
    assert "external" in caught.value.hint
    assert emulator.state.request_log.to("/responses") == []


async def test_an_external_model_takes_every_parameter(bridge: Bridge, emulator: RunningEmulator) -> None:
    external = next(name for name, e in emulator.state.endpoints.items() if "external" in name)
    outcome = await ask(bridge, AskRequest(prompt="Hi", model=external, extra={"store": True, "metadata": {"a": "b"}}))
    assert outcome.status == "completed"
    sent = emulator.state.request_log.to("/responses")[0].body
    assert (sent["store"], sent["metadata"]) == (True, {"a": "b"})


async def test_a_service_tier_passes(bridge: Bridge, emulator: RunningEmulator) -> None:
    await ask(bridge, AskRequest(prompt="Hi", extra={"service_tier": "priority"}))
    assert emulator.state.request_log.to("/responses")[0].body["service_tier"] == "priority"


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (AskRequest(prompt="Hi", extra={"input": "x", "stream": False}), "`input`, `stream`"),
        (AskRequest(prompt="Hi", temperature=1, extra={"temperature": 0}), "`temperature`"),
    ],
)
async def test_extra_may_not_say_what_arguments_say(bridge: Bridge, question: AskRequest, words: str) -> None:
    with pytest.raises(BridgeError) as caught:
        await ask(bridge, question)
    assert caught.value.code == ErrorCode.INVALID_ARGUMENT
    assert words in caught.value.message


async def test_output_tokens_are_limited_unless_the_setting_says_otherwise(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    sent: list[Any] = []
    for overrides, question in (
        ({}, AskRequest(prompt="Hi")),
        ({"default_max_output_tokens": 0}, AskRequest(prompt="Hi")),
        ({}, AskRequest(prompt="Hi", max_output_tokens=50)),
        ({}, AskRequest(prompt="Hi", extra={"max_output_tokens": 60})),
    ):
        async with open_bridge(settings_for(emulator, tmp_path, **overrides), {}) as bridge:
            await ask(bridge, question)
        sent.append(emulator.state.request_log.to("/responses")[-1].body.get("max_output_tokens"))
    assert sent == [16384, None, 50, 60]


async def test_without_a_setting_the_newest_gpt_of_the_workspace_answers(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    async with open_bridge(settings_for(emulator, tmp_path, model=None), {}) as bridge:
        outcome = await ask(bridge, AskRequest(prompt="Hi"))
    assert outcome.endpoint == "databricks-gpt-6-1-sol"


async def test_a_response_that_the_workspace_cancelled_is_told_as_cancelled() -> None:
    event = b'data: {"type":"response.cancelled","response":{"status":"cancelled","output":[]}}\n\n'
    async with raw_server(answer(event, "text/event-stream")) as (_, bridge):
        error = await failure(bridge)
    assert (error.code, error.retryable) == (ErrorCode.CANCELLED, True)


@pytest.mark.slow
async def test_a_call_ends_at_its_deadline_even_before_the_model_is_known(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    async def hang(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await anyio.sleep_forever()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    host = f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
    environ = {"DATABRICKS_HOST": host, "DATABRICKS_TOKEN": "t"}
    settings = settings_for(emulator, tmp_path, environ=environ, model=None, timeout_seconds=1)
    with anyio.fail_after(DEADLINE_SECONDS):
        async with listener, anyio.create_task_group() as tasks, open_bridge(settings, {}) as bridge:
            tasks.start_soon(listener.serve, hang)
            with pytest.raises(BridgeError) as caught:
                await ask(bridge, AskRequest(prompt="Hi"))
            tasks.cancel_scope.cancel()
    assert caught.value.code == ErrorCode.TIMEOUT
    assert "looking up the model" in caught.value.message


@pytest.mark.parametrize("when", ["before the answer begins", "while a rate limit is waited out"])
async def test_cancelling_works_at_every_stage(bridge: Bridge, emulator: RunningEmulator, when: str) -> None:
    waiting = anyio.Event()

    async def report(value: float, message: str) -> None:
        if "trying again" in message:
            waiting.set()

    with anyio.fail_after(DEADLINE_SECONDS), emulator.state.hold(after_events=0) as hold:
        if when == "while a rate limit is waited out":
            emulator.state.faults.add("429:5")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: run(bridge, reporter=Reporter(report)))
            await (hold.reached if when == "before the answer begins" else waiting).wait()
            tasks.cancel_scope.cancel()
        if when == "before the answer begins":
            await (await emulator.state.request_log.wait_for(1)).disconnected.wait()
    assert len(emulator.state.request_log.to("/responses")) == 1


def streamed(*events: dict[str, Any]) -> bytes:
    return answer("".join(f"data: {json.dumps(event)}\n\n" for event in events).encode(), "text/event-stream")


def refused_in_words(wait: str, **more: Any) -> dict[str, Any]:
    error = {"code": "rate_limit_exceeded", "message": f"Rate limit reached. Please try again in {wait}."}
    return {"type": "response.failed", "response": {"status": "failed", "output": [], "error": error, **more}}


CREATED = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "usage": None}}
SAID = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}
ANSWERED = {"type": "response.completed", "response": {"id": "resp_2", "status": "completed", "output": [SAID]}}
WORD = {"type": "response.output_text.delta", "output_index": 0, "delta": "Hi"}


@pytest.mark.parametrize(
    "refusal",
    [
        refused_in_words("12ms"),
        refused_in_words("12ms", usage={"input_tokens": 0, "output_tokens": 0}),
        {"type": "error", "error": {"code": "rate_limit_exceeded", "message": "Try again in 12ms."}},
        {"error": {"code": "rate_limit_exceeded", "message": "Try again in 12ms."}},
    ],
)
async def test_a_rate_limit_in_an_empty_stream_is_waited_out_as_long_as_the_api_says(refusal: dict[str, Any]) -> None:
    messages: list[str] = []

    async def report(value: float, message: str) -> None:
        messages.append(message)

    async with raw_server(streamed(CREATED, ANSWERED)) as (server, bridge):
        server.first = [streamed(CREATED, refusal)] * 2
        outcome = await run(bridge, reporter=Reporter(report))
    assert (outcome.text, outcome.response_id, len(server.requests)) == ("Hi", "resp_2", 3)
    assert messages.count("databricks-gpt-5: rate limited, trying again in 0 s") == 2


async def test_a_rate_limit_in_every_stream_ends_the_call_after_the_configured_retries() -> None:
    async with raw_server(streamed(CREATED, refused_in_words("12ms")), max_retries=2) as (server, bridge):
        error = await failure(bridge)
    assert (error.code, error.retry_after_seconds, len(server.requests)) == (ErrorCode.RATE_LIMITED, 0.012, 3)


@pytest.mark.parametrize(
    "events",
    [
        (CREATED, WORD, refused_in_words("12ms")),
        (CREATED, refused_in_words("12ms", usage={"input_tokens": 9, "output_tokens": 0})),
        (CREATED, refused_in_words("12ms", output=[SAID])),
        (CREATED, refused_in_words("1h")),
        (CREATED, refused_in_words("a while")),
    ],
)
async def test_a_rate_limit_in_a_stream_is_not_waited_out_once_something_was_made_or_if_the_wait_does_not_fit(
    events: tuple[dict[str, Any], ...],
) -> None:
    async with raw_server(streamed(*events)) as (server, bridge):
        error = await failure(bridge)
    assert (error.code, len(server.requests)) == (ErrorCode.RATE_LIMITED, 1)


async def test_a_wait_for_a_rate_limit_in_a_stream_can_be_stopped() -> None:
    stop = anyio.Event()

    async def report(value: float, message: str) -> None:
        if "trying again" in message:
            stop.set()

    async with raw_server(streamed(CREATED, refused_in_words("60s"))) as (server, bridge):
        with anyio.fail_after(DEADLINE_SECONDS):
            error = await failure(bridge, reporter=Reporter(report), stop=stop, seconds=100)
    assert (error.code, len(server.requests)) == (ErrorCode.CANCELLED, 1)


@pytest.mark.parametrize(
    ("predictions", "text"), [(["Hello", "you"], "Hello\nyou"), ([0.5, {"a": "ä"}], '[0.5, {"a": "ä"}]')]
)
async def test_a_model_with_a_schema_of_its_own_is_named_as_such_and_its_prediction_is_kept(
    predictions: list[Any], text: str
) -> None:
    sent = json.dumps({"predictions": predictions}).encode()
    async with raw_server(answer(sent, "application/json")) as (server, bridge):
        error = await failure(bridge)
    assert (error.code, error.retryable, error.partial["text"]) == (ErrorCode.UNSUPPORTED_BY_MODEL, False, text)
    assert "custom model with its own schema" in error.message
    assert len(server.requests) == 1


async def test_a_picture_that_comes_only_with_the_end_of_an_answer_is_taken_once() -> None:
    picture = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AAAA"}
    none = {"type": "image_generation_call", "id": "ig_2", "status": "failed", "result": ""}
    response = {"id": "r", "object": "response", "status": "completed", "model": "m", "output": [picture, none]}
    event = {"type": "response.completed", "response": response}
    taken: list[str] = []

    async def take(item: dict[str, Any]) -> None:
        taken.append(item["id"])
        item["result"], item["picture"] = None, "p.png"

    stream = answer(f"event: response.completed\ndata: {json.dumps(event)}\n\n".encode(), "text/event-stream")
    async with raw_server(stream) as (_, bridge):
        await run(bridge, take_image=take)
    assert taken == ["ig_1"]
