"""An MCP server that serves Streamable HTTP, as a child that a benchmark calls over persistent connections."""

import http.client
import json
import socket
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.processes import LEGACY, MODERN, ServerDiedError, ServerProcess

BRIDGE_HTTP = (sys.executable, "-m", "databricks_responses_mcp", "serve", "--http")
FLOOR_HTTP = (sys.executable, "-m", "benchmarks.floor_server", "--http")
TOKEN = "0123456789abcdef0123456789abcdef"
_CLIENT = {"name": "benchmarks", "version": "1"}
_PREFIX = "io.modelcontextprotocol/"
META = {
    f"{_PREFIX}protocolVersion": MODERN,
    f"{_PREFIX}clientInfo": _CLIENT,
    f"{_PREFIX}clientCapabilities": {},
}
_START_SECONDS = 120.0


class HttpServer(ServerProcess):
    """A server behind HTTP, spoken to as a host of either protocol era does; each thread has a connection of its own.

    Args:
        command: what to run; the address is put after it.
        environ: its whole environment.
        tool: a prefix of the command, such as valgrind.
        patience: seconds after which it is ended.
        token: what its user signs in with.
    """

    def __init__(
        self,
        command: tuple[str, ...],
        environ: Mapping[str, str],
        *,
        tool: tuple[str, ...] = (),
        patience: float = _START_SECONDS,
        token: str = TOKEN,
    ) -> None:
        self._token = token
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = int(found.getsockname()[1])
        whole = (*tool, *command, f"127.0.0.1:{self.port}")
        environ = {**environ, "RESPONSES_MCP_HTTP_TOKEN": TOKEN}
        super().__init__(whole, environ, patience=patience, has_pipes=False)
        self._of_thread = threading.local()
        self._session = ""

    def __enter__(self) -> "HttpServer":
        until = time.monotonic() + _START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                break
            except OSError:
                if time.monotonic() > until or self._process.poll() is not None:
                    raise ServerDiedError(self.errors()[-2000:].decode(errors="replace")) from None
                time.sleep(0.05)
        initialize = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": _CLIENT}
        self._session = self._post({"id": 0, "method": "initialize", "params": initialize}, {})[1]
        self._post({"method": "notifications/initialized"}, {"mcp-session-id": self._session})
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.terminate()
        self._wait_for_end()

    def call(self, era: str, params: Mapping[str, Any]) -> None:
        """Call a tool, and read the whole answer.

        Raises:
            ServerDiedError: if the server refuses or the call fails.
        """
        message: dict[str, Any] = {"id": threading.get_ident(), "method": "tools/call", "params": params}
        if era == MODERN:
            message["params"] = {**params, "_meta": META}
            headers = {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": params["name"]}
        else:
            headers = {"mcp-protocol-version": LEGACY, "mcp-session-id": self._session}
        answer, _ = self._post(message, headers)
        if b'"result"' not in answer or b'"isError":true' in answer:
            raise ServerDiedError(answer[:2000].decode(errors="replace"))

    def calls(self, era: str, params: Mapping[str, Any], count: int, in_flight: int) -> None:
        """Make ``count`` calls, so many at a time."""
        if in_flight == 1:
            for _ in range(count):
                self.call(era, params)
            return
        with ThreadPoolExecutor(in_flight) as threads:
            for done in [threads.submit(self.call, era, params) for _ in range(count)]:
                done.result()

    def _post(self, message: Mapping[str, Any], headers: Mapping[str, str]) -> tuple[bytes, str]:
        connection: http.client.HTTPConnection | None = getattr(self._of_thread, "connection", None)
        if connection is None:
            connection = self._of_thread.connection = http.client.HTTPConnection("127.0.0.1", self.port)
        sent = {
            "authorization": f"Bearer {self._token}",
            "accept": "application/json, text/event-stream",
            "content-type": "application/json",
            **headers,
        }
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        try:
            connection.request("POST", "/mcp", body, sent)
            response = connection.getresponse()
        except ConnectionError:
            connection.close()  # the server had closed it, because nothing was asked on it for a while
            connection.request("POST", "/mcp", body, sent)
            response = connection.getresponse()
        answer = response.read()
        if response.status >= 300:
            raise ServerDiedError(f"{response.status} {answer[:2000].decode(errors='replace')}")
        return answer, response.headers.get("mcp-session-id", "")
