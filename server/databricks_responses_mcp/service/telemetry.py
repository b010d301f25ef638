"""Telemetry with OpenTelemetry: a span and metrics for each request to a model, and a span for each HTTP request.

The MCP SDK makes the spans of MCP requests itself, and takes their parents from ``_meta.traceparent``. Names and
attributes are those of OpenTelemetry's semantic conventions for generative AI, as ``opentelemetry-util-genai`` has
them. Content is recorded only where ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`` says so.
"""

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.httpx import AsyncOpenTelemetryTransport, HTTPXClientInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.util.genai.handler import TelemetryHandler
from opentelemetry.util.genai.invocation import Error, InferenceInvocation
from opentelemetry.util.genai.types import InputMessage, OutputMessage, TextPart

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.hosts.server_info import SERVER
from databricks_responses_mcp.turns.observation import ModelRequest
from databricks_responses_mcp.turns.outcome import Outcome

_PROVIDER = "databricks"
_SCOPE = "databricks_responses_mcp"
_FLUSH_SECONDS = 3
_PROTOCOL = "http/protobuf"
_SIGNALS = ("TRACES", "METRICS")
# The names of HTTP attributes that are stable, not those of before.
_STABLE_NAMES = ("OTEL_SEMCONV_STABILITY_OPT_IN", "http")


class Telemetry:
    """Sends telemetry where the standard variables ``OTEL_*`` say.

    It observes requests to models (`turns.observation.Observer`) and instruments HTTP
    (`workspace.transport.Instrumentation`).

    Args:
        tracers: makes spans.
        meters: makes metrics.
        exporters: send both.
    """

    def __init__(
        self, tracers: TracerProvider, meters: MeterProvider, exporters: Sequence[OTLPSpanExporter | OTLPMetricExporter]
    ) -> None:
        self._tracers, self._meters, self._exporters = tracers, meters, exporters
        self._handler = TelemetryHandler(
            tracers, meters, instrumentation_scope_name=_SCOPE, instrumentation_scope_version=SERVER.version
        )

    @contextmanager
    def observe(self, request: ModelRequest) -> Iterator["_Observation"]:
        """See `Observer.observe`."""
        origin = urlsplit(request.origin)
        invocation = self._handler.inference(
            _PROVIDER,
            request_model=request.model,
            server_address=origin.hostname,
            server_port=origin.port,
            conversation_id=request.conversation_id,
        )
        _describe(invocation, request)
        try:
            yield _Observation(invocation)
        except BridgeError as error:
            # Not its message, which may quote what the caller has said.
            invocation.fail(Error(type=error.code.value, message=error.code.value))
            raise
        except BaseException as error:
            invocation.fail(Error(type=type(error).__qualname__, message=""))
            raise
        invocation.stop()

    def instrument_transport(self, transport: httpx.AsyncBaseTransport) -> httpx.AsyncBaseTransport:
        """See `Instrumentation.instrument_transport`."""
        instrumented: httpx.AsyncBaseTransport = AsyncOpenTelemetryTransport(transport, self._tracers, self._meters)
        return instrumented

    def instrument_client(self, client: httpx.AsyncClient) -> None:
        """See `Instrumentation.instrument_client`."""
        HTTPXClientInstrumentor.instrument_client(client, self._tracers, self._meters)

    def close(self) -> None:
        """Send what has not been sent, and stop. Blocks for `_FLUSH_SECONDS` at most: call it in a thread."""
        # The SDK waits up to 30 seconds for a collector that does not answer. So it does that in threads, which do not
        # keep the process running.
        stopping = [
            threading.Thread(target=provider.shutdown, daemon=True) for provider in (self._tracers, self._meters)
        ]
        until = time.monotonic() + _FLUSH_SECONDS
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join(max(0.0, until - time.monotonic()))
        if any(thread.is_alive() for thread in stopping):
            for exporter in self._exporters:
                exporter.shutdown()  # nothing is tried again


class _Observation:
    """See `turns.observation.Observation`."""

    def __init__(self, invocation: InferenceInvocation) -> None:
        self._invocation = invocation

    def receive(self) -> None:
        """See `Observation.receive`."""
        self._invocation.record_stream_chunk()

    def complete(self, outcome: Outcome) -> None:
        """See `Observation.complete`."""
        invocation, usage = self._invocation, outcome.usage or {}
        invocation.response_model_name = outcome.model
        invocation.response_id = outcome.response_id
        invocation.finish_reasons = [outcome.incomplete_reason or outcome.status]
        invocation.input_tokens = _count(usage, "input_tokens")
        invocation.output_tokens = _count(usage, "output_tokens")
        invocation.cache_read_input_tokens = _count(usage.get("input_tokens_details"), "cached_tokens")
        invocation.thinking_tokens = _count(usage.get("output_tokens_details"), "reasoning_tokens")
        if invocation.should_capture_content:
            invocation.output_messages = [OutputMessage("assistant", [TextPart(outcome.text)])]


def start_telemetry(environ: Mapping[str, str] = os.environ) -> Telemetry:
    """Start to send telemetry where the standard variables ``OTEL_*`` say.

    Raises:
        BridgeError: ``not_configured`` if they say nowhere, or by a protocol that this server does not have.
    """
    exported = [signal for signal in _SIGNALS if _is_exported(environ, signal)]
    if not exported:
        raise BridgeError(
            ErrorCode.NOT_CONFIGURED,
            "RESPONSES_MCP_TELEMETRY is true, and no variable says where telemetry goes.",
            "Set OTEL_EXPORTER_OTLP_ENDPOINT, or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, to the address of a collector.",
        )
    for signal in exported:
        _check_protocol(environ, signal)
    os.environ.setdefault(*_STABLE_NAMES)
    resource = Resource.create(_attributes(environ))
    # `Telemetry.close` shuts them down; the SDK's own handler at exit would wait for a collector.
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporters: list[OTLPSpanExporter | OTLPMetricExporter] = []
    readers = []
    if "TRACES" in exported:
        exporters.append(spans := OTLPSpanExporter())
        tracers.add_span_processor(BatchSpanProcessor(spans))
    if "METRICS" in exported:
        exporters.append(measured := OTLPMetricExporter())
        readers.append(PeriodicExportingMetricReader(measured))
    meters = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
    # Also for the spans of the MCP SDK.
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(meters)
    return Telemetry(tracers, meters, exporters)


def _attributes(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes of this service that the variables do not set."""
    attributes = {"service.version": SERVER.version}
    if "service.name=" not in environ.get("OTEL_RESOURCE_ATTRIBUTES", "") and not environ.get("OTEL_SERVICE_NAME"):
        attributes["service.name"] = SERVER.distribution
    return attributes


def _is_exported(environ: Mapping[str, str], signal: str) -> bool:
    if environ.get(f"OTEL_{signal}_EXPORTER", "otlp").strip().lower() != "otlp":
        return False
    names = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
    return any(environ.get(name, "").strip() for name in names)


def _check_protocol(environ: Mapping[str, str], signal: str) -> None:
    for name in (f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        protocol = environ.get(name, "").strip().lower()
        if protocol and protocol != _PROTOCOL:
            raise BridgeError(
                ErrorCode.NOT_CONFIGURED,
                f"{name} is {protocol}, and this server sends telemetry by {_PROTOCOL} only.",
                f"Set it to {_PROTOCOL}, and the endpoint to the one for it: port 4318 for most collectors.",
            )
        if protocol:
            return


def _describe(invocation: InferenceInvocation, request: ModelRequest) -> None:
    """Set the attributes of a request."""
    body = request.body
    invocation.attributes["databricks.surface"] = request.surface
    invocation.max_tokens = _number(body.get("max_output_tokens"), int)
    invocation.temperature = _number(body.get("temperature"), int, float)
    invocation.top_p = _number(body.get("top_p"), int, float)
    reasoning = body.get("reasoning")
    effort = reasoning.get("effort") if isinstance(reasoning, Mapping) else None
    invocation.reasoning_level = effort if isinstance(effort, str) else None
    if invocation.should_capture_content:
        invocation.input_messages = list(_messages(body.get("input")))


def _messages(items: Any) -> Iterator[InputMessage]:
    """Yield the messages of a request, with their texts alone."""
    if isinstance(items, str):
        yield InputMessage("user", [TextPart(items)])
        return
    for item in items if isinstance(items, list) else ():
        if not isinstance(item, Mapping) or not isinstance(item.get("role"), str):
            continue
        content = item.get("content")
        parts = [{"text": content}] if isinstance(content, str) else content if isinstance(content, list) else []
        texts = [part["text"] for part in parts if isinstance(part, Mapping) and isinstance(part.get("text"), str)]
        yield InputMessage(item["role"], [TextPart(text) for text in texts])


def _number(value: Any, *kinds: type) -> Any:
    return value if isinstance(value, kinds) and not isinstance(value, bool) else None


def _count(usage: Any, name: str) -> int | None:
    return _number(usage.get(name), int) if isinstance(usage, Mapping) else None
