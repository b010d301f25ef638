"""A receiver of telemetry by OTLP over HTTP on loopback; decodes with OpenTelemetry's own messages."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from harness.deadlines import DEADLINE_SECONDS


@dataclass(frozen=True, slots=True)
class Span:
    """A span as it was received; ids are hexadecimal, and empty for none."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    is_error: bool
    attributes: dict[str, Any]
    scope: str


@dataclass(slots=True)
class Collector:
    """What was received.

    Attributes:
        url: its address.
        spans: in the order of their arrival.
        metrics: the names of the metrics.
        services: the values of ``service.name``.
        raw: all received bodies.
    """

    url: str
    spans: list[Span] = field(default_factory=list)
    metrics: set[str] = field(default_factory=set)
    services: set[str] = field(default_factory=set)
    raw: list[bytes] = field(default_factory=list)

    def receive(self, path: str, body: bytes) -> None:
        """Decode one request."""
        self.raw.append(body)
        if path == "/v1/traces":
            for traced in ExportTraceServiceRequest.FromString(body).resource_spans:
                self._note_service(traced.resource)
                for scoped in traced.scope_spans:
                    self.spans.extend(_span(span, scoped.scope.name) for span in scoped.spans)
        else:
            for measured in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self._note_service(measured.resource)
                self.metrics |= {metric.name for scope in measured.scope_metrics for metric in scope.metrics}

    def _note_service(self, resource: Any) -> None:
        self.services |= {a.value.string_value for a in resource.attributes if a.key == "service.name"}


@contextmanager
def otlp_collector() -> Iterator[Collector]:
    """Run a collector."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.headers.get("content-encoding", "identity") == "identity"
            collector.receive(self.path, body)
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join(DEADLINE_SECONDS)
        server.server_close()


def _span(span: Any, scope: str) -> Span:
    return Span(
        name=span.name,
        kind=type(span).SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        is_error=span.status.code == span.status.STATUS_CODE_ERROR,
        attributes={attribute.key: _value(attribute.value) for attribute in span.attributes},
        scope=scope,
    )


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind)
