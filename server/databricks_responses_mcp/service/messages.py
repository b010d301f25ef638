"""Reading requests over HTTP like those over stdio, including clients that do not follow the protocol exactly."""

import json
import re
from typing import Any

import anyio.to_thread
from mcp.server.streamable_http import check_accept_headers
from mcp_types.jsonrpc import INTERNAL_ERROR, JSONRPCRequest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from databricks_responses_mcp.service.listening import PATH
from databricks_responses_mcp.transport.messages import escape_line_breaks, read_message

_LARGE_BYTES = 256 * 1024
_EVENT_END = re.compile(rb"\r\n\r\n|\n\n")
_JSON, _STREAM = "application/json", "text/event-stream"


class MessageCheck:
    """ASGI middleware in front of the SDK's Streamable HTTP application.

    A message that the SDK would drop, or refuse without its id, is refused with its id. Lone surrogates are replaced. A
    client that accepts only JSON gets JSON, one without an ``Accept`` header is served, and ``/mcp/`` is accepted.

    Args:
        app: the SDK's application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whose size was checked before."""
        if scope["type"] != "http" or scope["path"] not in (PATH, f"{PATH}/"):
            await self._app(scope, receive, send)
            return
        scope = {**scope, "path": PATH, "raw_path": PATH.encode()}
        if scope["method"] == "POST":
            await self._post(scope, receive, send)
        else:
            await self._app(scope, receive, _escaping(send))

    async def _post(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body: bytes | bytearray = await Request(scope, receive).body()
        except ClientDisconnect:
            return
        received = (
            await anyio.to_thread.run_sync(read_message, body) if len(body) > _LARGE_BYTES else read_message(body)
        )
        if refusals := received.refusals:
            answer: Any = refusals[0] if len(refusals) == 1 else refusals
            await Response(json.dumps(answer), status_code=400, media_type=_JSON)(scope, receive, send)
            return
        body = received.body or body
        accepts_json, accepts_stream = check_accept_headers(Request(scope))
        if not any(name == b"accept" for name, _ in scope["headers"]):
            accepts_json = accepts_stream = True
        replaced = {b"content-length": str(len(body)).encode()}
        if accepts_json or accepts_stream:
            # The SDK serves only clients that accept both.
            replaced[b"accept"] = f"{_JSON}, {_STREAM}".encode()
        kept = [(name, value) for name, value in scope["headers"] if name not in replaced]
        scope["headers"] = [*kept, *replaced.items()]
        if accepts_json and not accepts_stream and isinstance(received.message, JSONRPCRequest):
            await self._app(scope, _replaying(body, receive), _JsonAnswer(send, received.message.id))
        else:
            await self._app(scope, _replaying(body, receive), _escaping(send))


class _JsonAnswer:
    """Sends the response in an event stream as one JSON body, and drops the other events of the stream.

    Args:
        send: sends the JSON response.
        identifier: the id of the request.
    """

    def __init__(self, send: Send, identifier: str | int) -> None:
        self._send = send
        self._id = identifier
        self._start: Message | None = None
        self._is_answered = False
        self._rest = b""

    async def __call__(self, message: Message) -> None:
        """Process one message of the SDK's application."""
        if message["type"] == "http.response.start" and _is_stream(message):
            self._start = message
        elif self._start is None:
            await self._send(message)
        elif message["type"] == "http.response.body" and not self._is_answered:
            await self._read(self._start, message)

    async def _read(self, start: Message, message: Message) -> None:
        *events, self._rest = _EVENT_END.split(self._rest + message.get("body", b""))
        for event in events:
            if (response := self._response_in(event)) is not None:
                await self._answer(start, response)
                return
        if not message.get("more_body", False):
            problem = {"code": INTERNAL_ERROR, "message": "The request ended without a response"}
            await self._answer(start, json.dumps({"jsonrpc": "2.0", "id": self._id, "error": problem}).encode())

    def _response_in(self, event: bytes) -> bytes | None:
        lines = [line.removeprefix(b"data:").removeprefix(b" ") for line in event.splitlines() if line[:5] == b"data:"]
        data = b"\n".join(lines)
        try:
            message = json.loads(data)
        except (ValueError, RecursionError):
            return None  # a comment, or an event without data
        is_response = message.get("id") == self._id and ("result" in message or "error" in message)
        return data if is_response else None

    async def _answer(self, start: Message, body: bytes) -> None:
        self._is_answered = True
        headers = [(name, value) for name, value in start["headers"] if name.lower() == b"mcp-session-id"]
        headers += [(b"content-type", _JSON.encode()), (b"content-length", str(len(body)).encode())]
        await self._send({"type": "http.response.start", "status": start["status"], "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


def _is_stream(start: Message) -> bool:
    headers = {name.lower(): value for name, value in start.get("headers", ())}
    return bool(headers.get(b"content-type", b"").startswith(_STREAM.encode()))


def _escaping(send: Send) -> Send:
    """Return a ``send`` that escapes separators at which some clients split lines. Each chunk has complete events."""
    is_stream = False

    async def escaping(message: Message) -> None:
        nonlocal is_stream
        if message["type"] == "http.response.start":
            is_stream = _is_stream(message)
        elif is_stream and message.get("body"):
            message = {**message, "body": escape_line_breaks(message["body"])}
        await send(message)

    return escaping


def _replaying(body: bytes | bytearray, receive: Receive) -> Receive:
    """Return a ``receive`` that returns the body again, then the following messages."""
    is_replayed = False

    async def replaying() -> Message:
        nonlocal is_replayed
        if is_replayed:
            return await receive()
        is_replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replaying
