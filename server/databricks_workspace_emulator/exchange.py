"""Handling one HTTP request of the workspace: read, logged, answered, and stopped when the client disconnects."""

import json
import logging
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import anyio
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from databricks_workspace_emulator.authentication import signed_in
from databricks_workspace_emulator.faults import Fault
from databricks_workspace_emulator.replies import ApiError, too_large, workspace_error
from databricks_workspace_emulator.request_log import Exchange
from databricks_workspace_emulator.state import EmulatorState
from databricks_workspace_emulator.users import User

_log = logging.getLogger(__name__)
_SECRET_HEADERS = {"authorization", "cookie", "proxy-authorization"}


@dataclass(frozen=True, slots=True)
class Reply:
    """The response to send.

    Attributes:
        body: the whole body, or its chunks as they are made.
        status: HTTP status.
        content_type: its media type.
        headers: extra headers.
    """

    body: bytes | AsyncGenerator[bytes]
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


class Aborted(Exception):  # noqa: N818 - not an error: a connection that is to be cut
    """Close the connection immediately."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request that has been read and authenticated.

    Attributes:
        raw: the body.
        path_params: the parameters in the path.
        exchange: its entry in the request log.
        faults: the faults to simulate for it.
        authorization: the credential; it is not in the request log.
        user: the authenticated user; the first user on paths that need no credentials.
    """

    state: EmulatorState
    raw: bytes
    path_params: dict[str, str]
    exchange: Exchange
    user: User
    faults: tuple[Fault, ...] = ()
    authorization: str | None = None


Handler = Callable[[Incoming], Awaitable[Reply]]


def json_reply(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    """Return a reply with a JSON body."""
    return Reply(json.dumps(value, ensure_ascii=False).encode(), status, headers=headers or {})


class Route:
    """An ASGI application that answers one path.

    Args:
        state: the workspace.
        handler: makes the reply.
        public: whether it answers without credentials.
    """

    def __init__(self, state: EmulatorState, handler: Handler, *, public: bool = False) -> None:
        self._state = state
        self._handler = handler
        self._public = public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        kept = {name: value for name, value in headers.items() if name not in _SECRET_HEADERS}
        query = scope.get("query_string", b"").decode("latin-1")
        exchange = self._state.request_log.record(scope["method"], scope["path"], query, kept)
        try:
            async with anyio.create_task_group() as tasks:
                raw = await _read_body(receive, self._state.max_request_bytes)
                exchange.raw_body_bytes = len(raw) if raw is not None else self._state.max_request_bytes + 1
                tasks.start_soon(_leave_with_client, receive, exchange, tasks.cancel_scope)
                tasks.start_soon(_leave_at_closing, self._state, tasks.cancel_scope)
                await self._answer(scope, headers, raw, exchange, send)
                exchange.finished.set()
                tasks.cancel_scope.cancel()
        finally:
            exchange.finished.set()

    async def _answer(self, scope: Scope, headers: Headers, raw: bytes | None, exchange: Exchange, send: Send) -> None:
        try:
            reply = await self._reply(scope, headers, raw, exchange)
            await _send_reply(reply, exchange, send)
        except Aborted:
            _abort(scope)
        except Exception:  # noqa: BLE001 - it is in the log, and the client gets its 500
            _log.exception("The embedded workspace failed to answer %s %s", exchange.method, exchange.path)
            if exchange.status is None:
                failed = workspace_error(500, "INTERNAL_ERROR", "The embedded workspace failed; see its log.")
                await _send_reply(error_reply(failed), exchange, send)
            else:
                _abort(scope)

    async def _reply(self, scope: Scope, headers: Headers, raw: bytes | None, exchange: Exchange) -> Reply:
        try:
            user = self._state.users.first
            if not self._public:
                user = signed_in(headers.get("authorization"), self._state)
                exchange.user = user.name
            if raw is None:
                raise too_large(headers.get("content-length", "unknown"), self._state.max_request_bytes)
            exchange.body = _json_or_none(raw)
            path_params, faults = scope.get("path_params", {}), self._faults(headers, scope)
            authorization = headers.get("authorization")
            incoming = Incoming(self._state, raw, path_params, exchange, user, faults, authorization)
            return await self._handler(incoming)
        except ApiError as error:
            return error_reply(error)

    def _faults(self, headers: Headers, scope: Scope) -> tuple[Fault, ...]:
        if scope["method"] != "POST":
            return ()
        try:
            return self._state.faults.take(headers.get("x-emulator-fault"))
        except ValueError as error:
            raise workspace_error(400, "INVALID_PARAMETER_VALUE", f"X-Emulator-Fault: {error}") from None


def _abort(scope: Scope) -> None:
    abort = (scope.get("extensions") or {}).get("emulator.abort")
    if abort is not None:
        abort()


def error_reply(error: ApiError) -> Reply:
    """Return the reply for an error."""
    if isinstance(error.body, str):
        return Reply(error.body.encode(), error.status, "text/plain; charset=utf-8", error.headers)
    return json_reply(error.body, error.status, error.headers)


async def _read_body(receive: Receive, limit: int) -> bytes | None:
    """Return the body; None if it is larger than the limit (it is still read to its end)."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b""
        size += len(message.get("body", b""))
        if size <= limit:
            chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks) if size <= limit else None


def _json_or_none(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


async def _leave_with_client(receive: Receive, exchange: Exchange, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    if not exchange.complete:
        exchange.disconnected.set()
    scope.cancel()


async def _leave_at_closing(state: EmulatorState, scope: anyio.CancelScope) -> None:
    await state.closing.wait()
    scope.cancel()


async def _send_reply(reply: Reply, exchange: Exchange, send: Send) -> None:
    headers = {"content-type": reply.content_type, "x-request-id": secrets.token_hex(16), **reply.headers}
    if isinstance(reply.body, bytes):
        headers["content-length"] = str(len(reply.body))
    exchange.status = reply.status
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    start = {"type": "http.response.start", "status": reply.status, "headers": encoded}
    await send(start)
    last = reply.body if isinstance(reply.body, bytes) else b""
    if not isinstance(reply.body, bytes):
        async with aclosing(reply.body) as chunks:
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
    # A client that disconnects after the last byte has not left early.
    exchange.complete = True
    await send({"type": "http.response.body", "body": last})
