"""HTTP with the workspace: credentials on each request, retries where they are safe, limits on what comes back."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.to_thread
import httpx
from pydantic_core import to_json

from databricks_responses_mcp.errors import Action, Advice, BridgeError, ErrorCode
from databricks_responses_mcp.responses.payloads import parse_json
from databricks_responses_mcp.workspace.access import Access
from databricks_responses_mcp.workspace.api_errors import upstream_error
from databricks_responses_mcp.workspace.apps import Apps
from databricks_responses_mcp.workspace.credentials import Credentials
from databricks_responses_mcp.workspace.event_stream import EventStream
from databricks_responses_mcp.workspace.extra_headers import read_headers
from databricks_responses_mcp.workspace.settings import Settings
from databricks_responses_mcp.workspace.transport import (
    Connections,
    Delivery,
    Instrumentation,
    SendError,
    Transport,
    send,
    unasked_encoding,
)

HARD_LIMIT_BYTES = 32 * 1024 * 1024
"""The most that the limit is in one request (``Limit(bytes): 33554432``)."""

MAX_LISTING_BYTES = 32 * 1024 * 1024
"""The most that is read of one page of a listing."""

_TAGS_HEADER = "Databricks-Ai-Gateway-Request-Tags"
_OFF_LOOP_BYTES = 512 * 1024
_ERROR_BODY_BYTES = 1024 * 1024
_ERROR_BODY_SECONDS = 30
_LIST_SECONDS = 60
_DEFAULT_RATE_LIMIT_SECONDS = 30.0

_MAX_WAIT_SECONDS = 150.0
"""Longer than that nobody is made to wait for a second try: the error says when to come back."""

_REFUSED_FOR_NOW = (ErrorCode.RATE_LIMITED, ErrorCode.UPSTREAM_UNAVAILABLE)

OnWait = Callable[[str, float], Awaitable[None]]
"""Told before a wait: why, and for how many seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """One request to be sent.

    Attributes:
        target: a path of the workspace, or the whole address of an App.
        is_app: whether it is that of an App.
    """

    method: str
    target: str
    content: bytes | None = None
    params: Mapping[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    model: str | None = None
    is_app: bool = False

    @property
    def is_repeatable(self) -> bool:
        """Whether it changes and costs nothing, so that it may be sent again although it may have been read."""
        return self.method == "GET"


@dataclass(frozen=True, slots=True)
class _Refusal:
    """An attempt without an answer.

    Attributes:
        error: what the caller is told in the end.
        wait: seconds before the request may be sent again; None for never.
        fresh: whether it must then go on a connection of its own, and for the last time.
    """

    error: BridgeError
    wait: float | None = None
    fresh: bool = False


class WorkspaceClient:
    """The workspace's HTTP API. Use as an async context manager; one per process serves all calls.

    Args:
        settings: limits and paths.
        credentials: where host and headers come from; asked on every request.
        transport: connections that others share; they are not closed with the client.
        instrumentation: telemetry of the requests on connections of its own.

    Attributes:
        apps: the workspace's Apps.
        access: gives out the credentials, for the workspace's own addresses and its Apps alone.
    """

    def __init__(
        self,
        settings: Settings,
        credentials: Credentials,
        *,
        transport: Transport | None = None,
        instrumentation: Instrumentation | None = None,
    ) -> None:
        self._settings = settings
        self.apps = Apps(self.get_json, self._ask_origin)
        self.access = Access(credentials, self.apps)
        self._owns_transport = transport is None
        self._transport = Transport(instrumentation) if transport is None else transport
        self._origin = ""

    async def __aenter__(self) -> "WorkspaceClient":
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._owns_transport:
            await self._transport.aclose()

    async def get_json(self, path: str, *, params: Mapping[str, str] | None = None) -> Any:
        """The JSON that ``GET path`` answers with.

        Raises:
            BridgeError: for every failure, by the error contract.
        """
        with anyio.move_on_after(_LIST_SECONDS) as scope:
            request = _Request(method="GET", target=path, params=params)
            async with self._exchange(request) as response:
                body = await _read(response, MAX_LISTING_BYTES)
            try:
                return self._settings.secrets.remove_from(parse_json(body))
            except ValueError as exc:
                raise upstream_error(
                    status=response.status_code, headers=response.headers, body=body, model=None, host=self._origin
                ) from exc
        assert scope.cancelled_caught
        raise BridgeError(
            ErrorCode.TIMEOUT,
            f"The workspace did not answer GET {path} within {_LIST_SECONDS} s.",
            "Check the network and DATABRICKS_HOST.",
            retryable=True,
            advice=(Advice(Action.RUN_DOCTOR),),
        )

    @asynccontextmanager
    async def responses(
        self,
        body: Mapping[str, Any],
        *,
        model: str = "",
        path: str = "",
        is_gateway: bool = False,
        is_app: bool = False,
        on_wait: OnWait | None = None,
    ) -> AsyncIterator[EventStream]:
        """Send a model request and read its answer as it comes.

        The request is sent again only where the workspace surely did not take it: 429 and 503, a connection that could
        not be made, 401/403 once after fresh credentials. Never where it may have been read: a connection that breaks
        after the request was written ends the call. Never past the caller's own deadline.

        Args:
            model: the serving endpoint that is asked; the body's, if not given.
            path: where it goes: a path of the workspace, or the whole address of an App that the workspace has
                confirmed; the configured path of the Responses API, if not given.
            is_gateway: whether the gateway's tags go along.
            is_app: whether ``path`` is the address of an App.

        Raises:
            BridgeError: for every failure, by the error contract.
        """
        model = model or str(body.get("model", ""))
        content = await _encode(body)
        if len(content) > HARD_LIMIT_BYTES:
            raise BridgeError(
                ErrorCode.TOO_LARGE,
                f"The request is {len(content) / 1e6:.1f} MB; the limit is {HARD_LIMIT_BYTES / 1e6:.1f}.",
                "Send fewer or smaller images and files.",
            )
        tags = self._settings.request_tags if is_gateway else None
        extra = {} if tags is None else {_TAGS_HEADER: tags}
        if self._settings.extra_headers is not None and (path or "/").startswith("/"):
            # Only to the workspace itself: an App is a program of somebody else.
            extra |= read_headers(self._settings.extra_headers.get_secret_value())
        request = _Request(
            method="POST",
            target=path or self._settings.responses_path,
            content=content,
            headers={
                "content-type": "application/json",
                "accept": "text/event-stream, application/json",
                **extra,
            },
            model=model,
            is_app=is_app,
        )
        async with self._exchange(request, on_wait=on_wait) as response:
            yield EventStream(response, self._settings.max_answer_bytes)

    def wait_after_stream_error(self, error: BridgeError, *, retries: int) -> float | None:
        """How many seconds to wait before a request is sent again that was refused in its stream; None for never.

        As for HTTP 429 and 503, but only if the workspace said how long to wait. The caller makes sure that the stream
        held no output.

        Args:
            error: what the stream said.
            retries: how often the request was sent again already.
        """
        if error.code not in _REFUSED_FOR_NOW or retries >= self._settings.max_retries:
            return None
        wait = _told_wait(error)
        return wait if wait is not None and _fits(wait) else None

    @asynccontextmanager
    async def _exchange(self, request: _Request, *, on_wait: OnWait | None = None) -> AsyncIterator[httpx.Response]:
        attempt = 0
        refreshed = fresh = False
        while True:
            # Anew each time: signing in again may have read another host from the configuration.
            address = await self.access.address(request.target)
            async with self._transport.connections(address, fresh=fresh) as connections:
                outcome = await self._attempt(connections, request, address)
                if isinstance(outcome, httpx.Response):
                    try:
                        yield outcome
                    finally:
                        await _close(outcome)
                    return
            error = outcome.error
            # By code as well: a wrong token may be a 400 that says "Invalid Token".
            if (error.status in (401, 403) or error.code is ErrorCode.UNAUTHENTICATED) and not refreshed:
                refreshed = True
                if await self.access.refresh():
                    continue
            if outcome.wait is None or fresh or attempt >= self._settings.max_retries or not _fits(outcome.wait):
                raise error
            fresh = outcome.fresh
            attempt += 1
            if on_wait is not None:
                await on_wait(error.code.value.replace("_", " "), outcome.wait)
            await anyio.sleep(outcome.wait)

    async def _attempt(self, connections: Connections, request: _Request, address: str) -> httpx.Response | _Refusal:
        """Send a request once: gives an answer to read, or why there is none."""
        headers = {**await self.access.headers_for(address), **request.headers}
        self._origin = await self.access.origin()
        try:
            response = await send(
                connections,
                request.method,
                address,
                headers=headers,
                content=request.content,
                params=request.params,
            )
        except SendError as failure:
            return _refused(request, failure)
        encoding = unasked_encoding(response)
        if response.status_code != 200:
            return await self._refusal(response, request, readable=encoding is None)
        if encoding is None:
            return response
        await _close(response)
        raise BridgeError(
            ErrorCode.UPSTREAM_ERROR,
            f"The answer came compressed ({encoding}), which was not asked for, and was not read.",
            "Check that DATABRICKS_HOST is the workspace's own address and that no proxy compresses answers.",
            status=response.status_code,
        )

    async def _refusal(self, response: httpx.Response, request: _Request, *, readable: bool) -> _Refusal:
        body = b""
        try:
            with anyio.move_on_after(_ERROR_BODY_SECONDS):
                body = await _read(response, _ERROR_BODY_BYTES) if readable else b""
        finally:
            await _close(response)
        error = upstream_error(
            status=response.status_code,
            headers=response.headers,
            body=body,
            model=request.model,
            host=self._origin,
            profile=self.access.profile,
            request_bytes=len(request.content or b""),
            is_app=request.is_app,
        )
        wait: float | None = None
        if response.status_code == 429:
            # Budgets are per minute: without advice from the API less than half a minute is a wasted request.
            wait = _told_wait(error)
            if wait is None:
                wait = _DEFAULT_RATE_LIMIT_SECONDS * random.uniform(1.0, 1.3)  # noqa: S311 - jitter
        elif response.status_code == 503:
            wait = error.retry_after_seconds if error.retry_after_seconds is not None else _backoff(2.0)
        return _Refusal(error, wait)

    async def _ask_origin(self) -> str:
        return await self.access.origin()


def _refused(request: _Request, failure: SendError) -> _Refusal:
    """Decide whether a request that got no answer is sent again."""
    if failure.delivery is Delivery.NOT_SENT:
        return _Refusal(failure.error, _backoff(1.0))
    if request.is_repeatable and failure.error.code is not ErrorCode.TIMEOUT:
        return _Refusal(failure.error, 0.0, fresh=True)
    return _Refusal(failure.error)


async def _read(response: httpx.Response, limit: int) -> bytes:
    """The body as far as it comes, at most a little more than ``limit`` bytes."""
    body = bytearray()
    try:
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) >= limit:
                break
    except httpx.HTTPError:
        # The status says enough; a body that cannot be read must not hide it.
        return bytes(body)
    return bytes(body)


async def _close(response: httpx.Response) -> None:
    if response.is_closed:
        return
    with anyio.CancelScope(shield=True), anyio.move_on_after(2):
        await response.aclose()


async def _encode(body: Mapping[str, Any]) -> bytes:
    if _has_bulk(body):
        return await anyio.to_thread.run_sync(to_json, body)
    return to_json(body)


def _has_bulk(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) > _OFF_LOOP_BYTES
    if isinstance(value, Mapping):
        return any(map(_has_bulk, value.values()))
    return isinstance(value, list) and any(map(_has_bulk, value))


def _fits(wait: float) -> bool:
    """Whether a wait is worth it, and leaves any of the caller's time."""
    return wait <= _MAX_WAIT_SECONDS and wait < anyio.current_effective_deadline() - anyio.current_time()


def _told_wait(error: BridgeError) -> float | None:
    """How long the workspace said to wait, and a little more: whoever waits must not come back all at once."""
    told = error.retry_after_seconds
    return None if told is None else told + random.uniform(0, min(1.0, told / 10))  # noqa: S311 - jitter


def _backoff(base: float) -> float:
    return base * random.uniform(0.5, 1.5)  # noqa: S311 - jitter, nothing to guess
