"""Telemetry of a server's process, received over a socket by OTLP."""

import socket
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from inline_snapshot import snapshot

from databricks_workspace_emulator.server import RunningEmulator
from harness.deadlines import DEADLINE_SECONDS
from harness.otlp_collector import Collector, Span, otlp_collector
from harness.stdio_process import ASK, environment, server

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

TRACE = "0af7651916cd43dd8448eb211c80319c"
HOST_SPAN = "b7ad6b7169203331"
SECRET_WORDS = "the-prompt-of-the-user"
_VOLATILE = (
    "server.port",
    "gen_ai.conversation.id",
    "gen_ai.response.id",
    "gen_ai.response.time_to_first_chunk",
    "url.full",
)


async def ask(
    emulator: RunningEmulator,
    tmp_path: Path,
    collector: Collector,
    prompt: str,
    took: list[float] | None = None,
    **more: str,
) -> dict[str, Any]:
    """Run a server, ask a question in a trace of the host, end the server, and return the result.

    Args:
        took: gets the seconds that the end of the process took.
    """
    env = environment(
        emulator,
        tmp_path,
        RESPONSES_MCP_TELEMETRY="true",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        **more,
    )
    async with server(env) as raw:
        await raw.initialize()
        meta = {"traceparent": f"00-{TRACE}-{HOST_SPAN}-01"}
        answer = await raw.ask(1, "tools/call", name=ASK, arguments={"prompt": prompt}, _meta=meta)
        assert raw.process.stdin is not None
        ending = time.monotonic()
        await raw.process.stdin.aclose()
        await raw.process.wait()
        if took is not None:
            took.append(time.monotonic() - ending)
    result: dict[str, Any] = answer["result"]
    return result


def named(collector: Collector, name: str) -> Span:
    """Return the one span of a name."""
    (span,) = [span for span in collector.spans if span.name == name]
    return span


async def test_one_trace_joins_the_host_the_tool_the_model_and_the_workspace(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    with otlp_collector() as collector:
        await ask(emulator, tmp_path, collector, f"[[say yes]] {SECRET_WORDS}")
    tool, model = named(collector, f"tools/call {ASK}"), named(collector, "chat databricks-gpt-5")
    posts = [span for span in collector.spans if span.parent_id == model.span_id]
    assert {span.trace_id for span in (tool, model, *posts)} == {TRACE}
    assert (tool.parent_id, model.parent_id) == (HOST_SPAN, tool.span_id)
    (post,) = posts
    (sent,) = emulator.state.request_log.to("/responses")
    assert sent.headers["traceparent"] == f"00-{TRACE}-{post.span_id}-01"
    assert collector.services == {"databricks-responses-mcp"}
    attributes = {name: value for name, value in model.attributes.items() if name not in _VOLATILE}
    assert (model.kind, model.scope, attributes) == snapshot(
        (
            "client",
            "databricks_responses_mcp",
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "databricks",
                "gen_ai.request.model": "databricks-gpt-5",
                "server.address": "127.0.0.1",
                "gen_ai.request.stream": True,
                "gen_ai.request.max_tokens": 16384,
                "gen_ai.response.finish_reasons": ["completed"],
                "gen_ai.response.model": "embedded-rules",
                "gen_ai.usage.input_tokens": 19,
                "gen_ai.usage.output_tokens": 1,
                "databricks.surface": "responses",
            },
        )
    )
    # An answer that arrives in one read has no time between its pieces.
    between = "gen_ai.client.operation.time_per_output_chunk"
    assert {name for name in collector.metrics if name.startswith("gen_ai")} - {between} == snapshot(
        {"gen_ai.client.operation.duration", "gen_ai.client.operation.time_to_first_chunk", "gen_ai.client.token.usage"}
    )


async def test_no_content_and_no_secret_is_sent_unless_the_standard_variable_asks_for_content(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    content = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
    with otlp_collector() as silent:
        await ask(emulator, tmp_path, silent, f"[[say aloud-{SECRET_WORDS}]]")
    with otlp_collector() as telling:
        await ask(emulator, tmp_path, telling, f"[[say aloud-{SECRET_WORDS}]]", **{content: "span_only"})
    sent = b"".join(silent.raw)
    assert SECRET_WORDS.encode() not in sent
    assert emulator.token.encode() not in sent
    assert emulator.token.encode() not in b"".join(telling.raw)
    messages = named(telling, "chat databricks-gpt-5").attributes["gen_ai.output.messages"]
    assert f"aloud-{SECRET_WORDS}" in messages


async def test_a_failed_request_is_a_failed_span_that_quotes_nobody(emulator: RunningEmulator, tmp_path: Path) -> None:
    with otlp_collector() as collector:
        result = await ask(emulator, tmp_path, collector, f"[[fail 400 {SECRET_WORDS}]]")
    span = named(collector, "chat databricks-gpt-5")
    assert result["isError"] is True
    assert (span.is_error, span.attributes["error.type"]) == (True, result["structuredContent"]["error"]["code"])
    assert SECRET_WORDS.encode() not in b"".join(collector.raw)


async def test_a_collector_that_cannot_be_reached_does_not_fail_a_call(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    with otlp_collector() as gone:
        pass
    result = await ask(emulator, tmp_path, gone, "[[say yes]]")
    assert result["structuredContent"]["text"] == "yes"


async def test_a_collector_that_never_answers_delays_neither_a_call_nor_the_end(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, anyio.fail_after(DEADLINE_SECONDS):
        collector = Collector(f"http://127.0.0.1:{silent.getsockname()[1]}")
        seconds = str(3 * DEADLINE_SECONDS)
        took: list[float] = []
        result = await ask(emulator, tmp_path, collector, "[[say yes]]", took, OTEL_EXPORTER_OTLP_TIMEOUT=seconds)
    assert result["structuredContent"]["text"] == "yes"
    assert took[0] < 25  # on an idle machine 4; the SDK alone takes 33


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({}, "no variable says where telemetry goes"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL is grpc",
        ),
    ],
)
async def test_telemetry_that_goes_nowhere_is_reported_at_the_start(
    emulator: RunningEmulator, tmp_path: Path, variables: dict[str, str], problem: str
) -> None:
    env = environment(emulator, tmp_path, RESPONSES_MCP_TELEMETRY="true", **variables)
    async with server(env) as raw:
        assert raw.process.stderr is not None
        printed = b"".join([piece async for piece in raw.process.stderr]).decode()
        assert await raw.process.wait() != 0
    assert problem in printed
    assert "Traceback" not in printed
