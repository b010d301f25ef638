"""HTTP with the workspace: what is sent again, what never is, and what a failure says."""

import gzip
import socket
import zlib
from pathlib import Path
from typing import Any

import anyio
import pytest

from databricks_responses_mcp.errors import Action, Advice, BridgeError, ErrorCode
from databricks_responses_mcp.turns.bridge import Bridge, open_bridge
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.stream import send_one_stream
from databricks_responses_mcp.workspace import event_stream as event_stream_module
from databricks_responses_mcp.workspace import http as http_module
from databricks_responses_mcp.workspace.settings import load_settings
from databricks_workspace_emulator.server import RunningEmulator
from harness import settings_for
from harness.deadlines import DEADLINE_SECONDS
from harness.raw_server import answer, raw_server

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("each_transport")]

BODY = {
    "model": "databricks-gpt-5",
    "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "[[say Hello]]"}]}],
    "stream": True,
}


async def types(bridge: Bridge, body: dict[str, Any] = BODY, **options: Any) -> list[str]:
    """The types of the events that a request is answered with."""
    async with bridge.client.responses(body, **options) as stream:
        return [event.get("type") async for event in stream.events()]


async def failure(bridge: Bridge, body: dict[str, Any] = BODY) -> BridgeError:
    """How a request fails."""
    with pytest.raises(BridgeError) as caught:
        await types(bridge, body)
    return caught.value


async def test_events_come_in_order_to_the_last(bridge: Bridge) -> None:
    got = await types(bridge)
    assert (got[0], got[-1]) == ("response.created", "response.completed")


async def test_a_rate_limit_is_waited_out_as_long_as_the_api_says(bridge: Bridge, emulator: RunningEmulator) -> None:
    emulator.state.faults.add("429x2:0.01")
    waits: list[str] = []

    async def on_wait(reason: str, seconds: float) -> None:
        waits.append(reason)

    assert (await types(bridge, on_wait=on_wait))[-1] == "response.completed"
    assert waits == ["rate limited", "rate limited"]
    assert len(emulator.state.request_log.to("/responses")) == 3


async def test_a_rate_limit_in_the_header_alone_is_obeyed_too(bridge: Bridge, emulator: RunningEmulator) -> None:
    emulator.state.faults.add("429:header=0")
    assert (await types(bridge))[-1] == "response.completed"


async def test_a_wait_that_the_callers_deadline_does_not_allow_is_not_begun(
    bridge: Bridge, emulator: RunningEmulator
) -> None:
    # Longer than the deadline, and no longer than anyone is made to wait.
    emulator.state.faults.add(f"429:{DEADLINE_SECONDS + 20}")
    with anyio.fail_after(DEADLINE_SECONDS):
        error = await failure(bridge)
    assert (error.code, error.retryable, error.status) == (ErrorCode.RATE_LIMITED, True, 429)
    assert len(emulator.state.request_log.to("/responses")) == 1


async def test_retries_end(emulator: RunningEmulator, tmp_path: Path) -> None:
    emulator.state.faults.add("429x9:0.01")
    async with open_bridge(settings_for(emulator, tmp_path, max_retries=2), {}) as bridge:
        error = await failure(bridge)
    assert (error.code, error.retry_after_seconds) == (ErrorCode.RATE_LIMITED, 0.01)
    assert len(emulator.state.request_log.to("/responses")) == 3


async def test_an_unavailable_workspace_is_asked_again(bridge: Bridge, emulator: RunningEmulator) -> None:
    emulator.state.faults.add("503:header=0.01")
    assert (await types(bridge))[-1] == "response.completed"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("500", ErrorCode.UPSTREAM_ERROR),
        ("html:502", ErrorCode.UPSTREAM_UNAVAILABLE),
        ("login", ErrorCode.NOT_CONFIGURED),
        ("drop", ErrorCode.UPSTREAM_UNAVAILABLE),
    ],
)
async def test_what_may_have_been_billed_is_never_sent_twice(
    bridge: Bridge, emulator: RunningEmulator, fault: str, code: ErrorCode
) -> None:
    emulator.state.faults.add(fault)
    error = await failure(bridge)
    assert error.code == code
    assert error.message
    assert error.hint
    assert "<" not in str(error)
    assert len(emulator.state.request_log.to("/responses")) == 1


async def test_a_wrong_token_says_so_without_showing_it(emulator: RunningEmulator) -> None:
    settings = load_settings({"DATABRICKS_HOST": emulator.host, "DATABRICKS_TOKEN": "dapi-wrong-0123456789abcdef"})
    async with open_bridge(settings, {}) as bridge:
        error = await failure(bridge)
    assert error.code in (ErrorCode.UNAUTHENTICATED, ErrorCode.PERMISSION_DENIED)
    assert "0123456789" not in str(error)


async def test_a_host_where_nobody_listens_is_named_with_the_way_to_find_out_more() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{free.getsockname()[1]}"
        settings = load_settings({"DATABRICKS_HOST": host, "DATABRICKS_TOKEN": "t"}, {"max_retries": 0})
        async with open_bridge(settings, {}) as bridge:
            error = await failure(bridge)
    assert (error.code, error.retryable) == (ErrorCode.UPSTREAM_UNAVAILABLE, True)
    assert host in error.message
    assert error.advice == (Advice(Action.RUN_DOCTOR),)


async def test_an_unknown_endpoint_is_model_not_found(bridge: Bridge) -> None:
    error = await failure(bridge, {**BODY, "model": "databricks-gpt-99"})
    assert (error.code, error.status, error.retryable) == (ErrorCode.MODEL_NOT_FOUND, 404, False)
    assert "databricks-gpt-99" in error.message


async def test_a_request_over_the_hard_limit_is_refused_before_it_is_sent(
    bridge: Bridge, emulator: RunningEmulator
) -> None:
    error = await failure(bridge, {**BODY, "instructions": "x" * 34_000_000})
    assert error.code == ErrorCode.TOO_LARGE
    assert emulator.state.request_log.to("/responses") == []


async def test_leaving_the_stream_closes_the_connection_at_once(bridge: Bridge, emulator: RunningEmulator) -> None:
    with anyio.fail_after(DEADLINE_SECONDS), emulator.state.hold(after_events=2) as hold:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(types, bridge)
            await hold.reached.wait()
            tasks.cancel_scope.cancel()
        await (await emulator.state.request_log.wait_for(1)).disconnected.wait()


COMPLETED = b'{"type":"response.completed","response":{"output":[]}}'


@pytest.mark.parametrize(
    ("body", "content_type", "events"),
    [
        (b"data: " + COMPLETED + b"\n\ndata: [DONE]\n\n", "text/event-stream", ["response.completed"]),
        (b"data: " + COMPLETED + b"\n\n", "application/octet-stream", ["response.completed"]),
        (b'\n {"object":"response","output":[]}', "text/event-stream", [None]),
        (b'{"object":"response","output":[]}', "application/json; charset=utf-8", [None]),
        (b"data: {oops\n\ndata: " + COMPLETED, "text/event-stream", ["response.completed"]),
        (b'event: error\ndata: {"message":"no"}\n\n', "text/event-stream", ["error"]),
    ],
    ids=["done mark", "no content type", "json as sse", "json", "malformed event", "error event without type"],
)
async def test_answers_are_read_by_what_they_are(body: bytes, content_type: str, events: list[str | None]) -> None:
    async with raw_server(answer(body, content_type)) as (_, bridge):
        assert await types(bridge) == events


@pytest.mark.parametrize("body", [b"<html><title>Sign in</title></html>", b"{half"])
async def test_a_200_that_is_not_an_answer_is_an_upstream_error_without_its_text(body: bytes) -> None:
    async with raw_server(answer(body, "text/html")) as (_, bridge):
        error = await failure(bridge)
        assert error.code == ErrorCode.UPSTREAM_ERROR
        assert "Sign in" not in str(error)


@pytest.mark.parametrize("status", [b"301 Moved Permanently", b"303 See Other", b"307 Temporary Redirect"])
async def test_a_redirect_is_not_followed(status: bytes) -> None:
    async with raw_server(answer(STREAM, "text/event-stream")) as (elsewhere, _):
        head = b"HTTP/1.1 %b\r\nLocation: %b/stolen\r\nContent-Length: 0\r\n\r\n" % (status, elsewhere.host.encode())
        async with raw_server(head) as (server, bridge):
            error = await failure(bridge)
    assert (elsewhere.connections, len(server.requests)) == (0, 1)
    assert not error.retryable


async def call(bridge: Bridge) -> None:
    """One call as a turn makes it: to the terminal event, then what is left."""
    async with bridge.client.responses(BODY) as stream:
        async for event in stream.events():
            if event["type"] == "response.completed":
                await stream.drain()
                break


STREAM = b"".join(b"data: " + part + b"\n\n" for part in (b'{"type":"response.created"}', COMPLETED))


async def test_calls_one_after_another_use_one_connection() -> None:
    async with raw_server(answer(STREAM, "text/event-stream")) as (server, bridge):
        for _ in range(3):
            await call(bridge)
        assert server.connections == 1


async def test_a_new_connection_that_closes_on_its_first_request_is_not_tried_again() -> None:
    async with raw_server(b"", each=0) as (server, bridge):
        error = await failure(bridge)
        assert (error.code, error.retryable, server.connections) == (ErrorCode.UPSTREAM_UNAVAILABLE, True, 1)
        assert "billed" in error.message


async def test_an_error_whose_body_never_ends_is_told_by_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "_ERROR_BODY_SECONDS", 0.05)
    hanging = b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"
    with anyio.fail_after(DEADLINE_SECONDS):
        async with raw_server(hanging) as (_, bridge):
            error = await failure(bridge)
    assert (error.code, error.status) == (ErrorCode.UPSTREAM_ERROR, 500)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "ftp://127.0.0.1:1"])
async def test_a_proxy_that_cannot_be_used_is_told_by_its_setting(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    settings = load_settings({"DATABRICKS_HOST": "https://workspace.example.com", "DATABRICKS_TOKEN": "t"})
    async with open_bridge(settings, {}) as bridge:
        error = await failure(bridge)
    assert error.code == ErrorCode.NOT_CONFIGURED
    assert "HTTPS_PROXY" in error.hint


async def test_events_that_never_end_are_refused_instead_of_filling_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_stream_module, "MAX_EVENT_BYTES", 100_000)
    endless = answer(b"data: xxxxxxxxxxxxxxxx\n" * 20_000, "text/event-stream")
    async with raw_server(endless) as (_, bridge):
        error = await failure(bridge)
    assert error.code == ErrorCode.TOO_LARGE


async def test_an_endless_stream_is_stopped_at_the_limit_with_its_text_and_a_code() -> None:
    delta = b'data: {"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"word "}\n\n'
    async with raw_server(answer(delta * 1000, "text/event-stream"), max_answer_bytes=20_000) as (_, bridge):
        with pytest.raises(BridgeError) as caught:
            await send_one_stream(bridge.client, BODY, CallContext.start(bridge.settings, seconds=30))
    error = caught.value
    assert (error.code, error.retryable) == (ErrorCode.TOO_LARGE, False)
    assert "RESPONSES_MCP_MAX_ANSWER_BYTES" in error.hint
    assert set(error.partial["text"].split()) == {"word"}
    assert 1000 < len(error.partial["text"]) < 20_000


async def test_an_endless_json_answer_is_stopped_at_the_limit() -> None:
    endless = answer(b'{"output": "' + b"x" * 100_000, "application/json")
    async with raw_server(endless, max_answer_bytes=20_000) as (_, bridge):
        assert (await failure(bridge)).code == ErrorCode.TOO_LARGE


def bomb() -> bytes:
    """Fifty megabytes of text in a few hundred bytes."""
    return gzip.compress(gzip.compress(b"data: " + b"x" * 50_000_000 + b"\n\n"))


@pytest.mark.parametrize("status", [b"200 OK", b"500 Internal Server Error"])
@pytest.mark.parametrize("encoding", [b"gzip, gzip", b"br", b"GZIP"])
async def test_an_answer_with_unrequested_compression_is_never_decompressed(
    status: bytes, encoding: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpack(*_: object) -> object:
        raise AssertionError("unpacked")

    monkeypatch.setattr(zlib, "decompressobj", unpack)
    body = bomb()
    head = b"HTTP/1.1 %s\r\nContent-Type: text/event-stream\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n"
    async with raw_server(head % (status, encoding, len(body)) + body) as (server, bridge):
        error = await failure(bridge)
        assert (error.code, error.status) == (ErrorCode.UPSTREAM_ERROR, int(status[:3]))
        assert len(server.requests) == 1


async def test_a_proxy_password_with_a_slash_is_told_by_its_setting_and_never_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:hunter22/x@proxy.example:8080")
    settings = load_settings({"DATABRICKS_HOST": "https://workspace.example.com", "DATABRICKS_TOKEN": "t"})
    async with open_bridge(settings, {}) as bridge:
        error = await failure(bridge)
    assert error.code == ErrorCode.NOT_CONFIGURED
    assert "hunter22" not in f"{error} {error.__cause__} {error.__context__}"
    assert "HTTPS_PROXY" in error.hint
