"""A simulated model of a host on loopback: it makes given tool calls, and records the host's requests."""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol, Self

from harness.deadlines import DEADLINE_SECONDS

LAST_WORDS = "That was it."
"""The model's text after its tool calls."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model makes: the tool by the host's name for it, and its arguments."""

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


class Dialect(Protocol):
    """The API between a host and its model."""

    def read(self, path: str, body: dict[str, Any]) -> tuple[set[str], int]:
        """Return the tools that a request declares, and its number of tool results."""
        ...

    def write(self, path: str, answer: str | ToolCall, number: int) -> tuple[str, bytes]:
        """Return the content type and the body of an answer; ``number`` distinguishes the calls."""
        ...


class StandIn:
    """The model and its server.

    Attributes:
        url: its address, ``http://127.0.0.1:PORT``.
        requests: the bodies of the requests that declare the tools to call.
        others: the paths of all other requests, such as for the title of a session.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.requests: list[dict[str, Any]] = []
        self.others: list[str] = []
        self._dialect = dialect
        self._calls: list[ToolCall] = []
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                stand_in.others.append(self.path)
                self.send_error(404)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                content_type, answer = stand_in._answer(self.path, body)
                self.send_response(200)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @classmethod
    @contextmanager
    def running(cls, dialect: Dialect) -> Iterator[Self]:
        """Run a model that answers while the context is open."""
        model = cls(dialect)
        model._thread.start()
        try:
            yield model
        finally:
            model._server.shutdown()
            model._server.server_close()
            model._thread.join(timeout=DEADLINE_SECONDS)

    def will_call(self, *calls: ToolCall) -> None:
        """Let every conversation from now on consist of these calls in order, followed by the final text."""
        self._calls = list(calls)
        self.requests.clear()

    def _answer(self, path: str, body: dict[str, Any]) -> tuple[str, bytes]:
        declared, results = self._dialect.read(path, body)
        if not self._calls or any(call.tool not in declared for call in self._calls):
            self.others.append(path)
            return self._dialect.write(path, LAST_WORDS, 0)
        self.requests.append(body)
        answer = self._calls[results] if results < len(self._calls) else LAST_WORDS
        return self._dialect.write(path, answer, results)


def events(messages: Sequence[Mapping[str, Any]], end: str = "") -> bytes:
    """Return messages as a stream of server-sent events."""
    return ("".join(f"data: {json.dumps(message)}\n\n" for message in messages) + end).encode()
