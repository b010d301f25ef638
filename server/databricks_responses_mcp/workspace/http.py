"""HTTP requests to the workspace: credentials for each request, retries where they are safe, limits on answers."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
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
"""The largest documented limit of one request (``Limit(bytes): 33554432``)."""

MAX_LISTING_BYTES = 32 * 1024 * 1024
"""The maximum size of one page of a listing."""

_TAGS_HEADER = "Databricks-Ai-Gateway-Request-Tags"
_OFF_LOOP_BYTES = 512 * 1024
_ERROR_BODY_BYTES = 1024 * 1024
_ERROR_BODY_SECONDS = 30
_LIST_SECONDS = 60
_TRANSFER_SECONDS = 120
_DEFAULT_RATE_LIMIT_SECONDS = 30.0

_MAX_WAIT_SECONDS = 150.0
"""No call waits longer for a retry: the error says when to try again."""

_REFUSED_FOR_NOW = (ErrorCode.RATE_LIMITED, ErrorCode.UPSTREAM_UNAVAILABLE)

OnWait = Callable[[str, float], Awaitable[None]]
"""Called before a wait, with the reason and the seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """One request to be sent.

    Attributes:
        target: a path of the workspace, or the whole URL of an App.
        is_app: whether it is the URL of an App.
        is_repeatable: whether it changes and costs nothing, so that it may be sent again even if the server has
            read it.
        may_be_empty: whether status 204 is a success.
    """

    method: str
    target: str
    content: bytes | None = None
    params: Mapping[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    model: str | None = None
    is_app: bool = False
    is_repeatable: bool = False
    may_be_empty: bool = False


@dataclass(frozen=True, slots=True)
class _Refusal:
    """An attempt that returned no answer.

    Attributes:
        error: the error for the caller if there is no retry.
        wait: seconds before the request may be sent again; None for never.
        fresh: whether the retry needs a new connection, and is the last one.
    """

    error: BridgeError
    wait: float | None = None
    fresh: bool = False


class WorkspaceClient:
    """The workspace's HTTP API. Use it as an async context manager; one for each process serves all calls.

    Args:
        settings: limits and paths.
        credentials: the source of the host and the headers of every request.
        transport: connections that others share; they are not closed with the client.
        instrumentation: telemetry of the requests on connections of its own.

    Attributes:
        apps: the workspace's Apps.
        access: gives out the credentials, only for addresses of the workspace and its Apps.
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
        """Return the JSON of ``GET path``.

        Raises:
            BridgeError: for every failure, by the error contract.
        """
        body = await self._json(_Request(method="GET", target=path, params=params, is_repeatable=True))
        return self._settings.secrets.remove_from(body)

    async def post_json(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the JSON of ``POST path``, for a request that may be sent twice without harm.

        Secrets are not removed from it: it may be one.

        Raises:
            BridgeError: for every failure, by the error contract.
        """
        headers = {"content-type": "application/json"}
        return await self._json(
            _Request(method="POST", target=path, content=to_json(body), headers=headers, is_repeatable=True)
        )

    async def _json(self, request: _Request) -> Any:
        with anyio.move_on_after(_LIST_SECONDS) as scope:
            async with self._exchange(request) as response:
                body = await read_body(response, MAX_LISTING_BYTES)
            try:
                return parse_json(body)
            except ValueError as exc:
                raise upstream_error(
                    status=response.status_code, headers=response.headers, body=body, model=None, host=self._origin
                ) from exc
        assert scope.cancelled_caught
        raise BridgeError(
            ErrorCode.TIMEOUT,
            f"The workspace did not answer {request.method} {request.target} within {_LIST_SECONDS} s.",
            "Check the network and DATABRICKS_HOST.",
            retryable=True,
            advice=(Advice(Action.RUN_DOCTOR),),
        )

    async def transfer(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        params: Mapping[str, str] | None = None,
        most_bytes: int = MAX_LISTING_BYTES,
    ) -> bytes:
        """Send bytes to a path of the workspace, or read them from it; returns what it answers with.

        Args:
            method: GET, PUT or DELETE.
            most_bytes: the most that the answer may have.

        Raises:
            BridgeError: for every failure, by the error contract; ``too_large`` for a longer answer.
        """
        with anyio.move_on_after(_TRANSFER_SECONDS):
            headers = {} if content is None else {"content-type": "application/octet-stream"}
            request = _Request(
                method=method,
                target=path,
                content=content,
                params=params,
                headers=headers,
                is_repeatable=method in ("GET", "PUT"),
                may_be_empty=True,
            )
            async with self._exchange(request) as response:
                return await _read_whole(response, most_bytes, path)
        raise BridgeError(
            ErrorCode.TIMEOUT,
            f"The workspace did not finish {method} {path} within {_TRANSFER_SECONDS} s.",
            "Try again.",
            retryable=True,
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
        """Send a model request and read its answer as it arrives.

        The request is sent again only if the workspace certainly did not process it: 429 and 503, a connection that
        could not be opened, 401 and 403 once after new credentials. It is never sent again if the server may have read
        it: a connection that breaks after the request was written ends the call. No retry exceeds the caller's
        deadline.

        Args:
            model: the requested serving endpoint; the default is the body's.
            path: a path of the workspace, or the whole URL of an App that the workspace has confirmed; the default is
                the configured path of the Responses API.
            is_gateway: whether to send the gateway's tags.
            is_app: whether ``path`` is the URL of an App.

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
            # Only to the workspace itself: an App is another party's program.
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
        """Return the seconds to wait before a request is sent again that was refused in its stream; None for never.

        As for HTTP 429 and 503, but only if the workspace stated the wait. The caller checks that the stream had no
        output.

        Args:
            error: the error in the stream.
            retries: how often the request has been sent again.
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
            # For each attempt: a new sign-in may read another host from the configuration.
            address = await self.access.address(request.target)
            opened = self._transport.fresh(address) if fresh else nullcontext(await self._transport.kept(address))
            async with opened as connections:
                outcome = await self._attempt(connections, request, address)
                if isinstance(outcome, httpx.Response):
                    try:
                        yield outcome
                    finally:
                        await close_response(outcome)
                    return
            error = outcome.error
            # By the code too: the status for a wrong token may be 400, with "Invalid Token".
            if (error.status in (401, 403) or error.code is ErrorCode.UNAUTHENTICATED) and not refreshed:
                refreshed = True
                if await self.access.refresh():
                    continue
            if outcome.wait is None or fresh or attempt >= self._settings.max_retries or not _fits(outcome.wait):
                raise self.access.explained(error)
            fresh = outcome.fresh
            attempt += 1
            if on_wait is not None:
                await on_wait(error.code.value.replace("_", " "), outcome.wait)
            await anyio.sleep(outcome.wait)

    async def _attempt(self, connections: Connections, request: _Request, address: str) -> httpx.Response | _Refusal:
        """Send a request once; yield an answer to read, or the reason why there is none."""
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
        if response.status_code != 200 and not (response.status_code == 204 and request.may_be_empty):
            return await self._refusal(response, request, readable=encoding is None)
        if encoding is None:
            return response
        await close_response(response)
        raise BridgeError(
            ErrorCode.UPSTREAM_ERROR,
            f"The answer was compressed ({encoding}) without being requested, and was not read.",
            "Check that DATABRICKS_HOST is the workspace's own address and that no proxy compresses answers.",
            status=response.status_code,
        )

    async def _refusal(self, response: httpx.Response, request: _Request, *, readable: bool) -> _Refusal:
        body = b""
        try:
            with anyio.move_on_after(_ERROR_BODY_SECONDS):
                body = await read_body(response, _ERROR_BODY_BYTES) if readable else b""
        finally:
            await close_response(response)
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
            # Limits are per minute: without a stated wait, a retry within half a minute would be wasted.
            wait = _told_wait(error)
            if wait is None:
                wait = _DEFAULT_RATE_LIMIT_SECONDS * random.uniform(1.0, 1.3)  # noqa: S311 - jitter
        elif response.status_code == 503:
            wait = error.retry_after_seconds if error.retry_after_seconds is not None else _backoff(2.0)
        return _Refusal(error, wait)

    async def _ask_origin(self) -> str:
        return await self.access.origin()


def _refused(request: _Request, failure: SendError) -> _Refusal:
    """Decide whether a request without an answer is sent again."""
    if failure.delivery is Delivery.NOT_SENT:
        return _Refusal(failure.error, _backoff(1.0))
    if request.is_repeatable and failure.error.code is not ErrorCode.TIMEOUT:
        return _Refusal(failure.error, 0.0, fresh=True)
    return _Refusal(failure.error)


async def read_body(response: httpx.Response, limit: int) -> bytes:
    """Return the body as far as it can be read, at most a little more than ``limit`` bytes."""
    body = bytearray()
    try:
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) >= limit:
                break
    except httpx.HTTPError:
        # The status is enough; a body that cannot be read must not hide it.
        return bytes(body)
    return bytes(body)


async def _read_whole(response: httpx.Response, most_bytes: int, path: str) -> bytes:
    """The body, which must not be cut off or longer than allowed."""
    body = bytearray()
    try:
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > most_bytes:
                raise BridgeError(
                    ErrorCode.TOO_LARGE, f"What {path} has is larger than {most_bytes} bytes.", "Ask for a smaller one."
                )
    except httpx.HTTPError as error:
        raise BridgeError(
            ErrorCode.UPSTREAM_UNAVAILABLE,
            f"The connection broke while {path} was read ({type(error).__name__}).",
            "Try again.",
            retryable=True,
        ) from error
    return bytes(body)


async def close_response(response: httpx.Response) -> None:
    """Close an answer that may not have been read to its end, in two seconds at most and even if cancelled."""
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
    """Return whether a wait is short enough, and ends before the caller's deadline."""
    return wait <= _MAX_WAIT_SECONDS and wait < anyio.current_effective_deadline() - anyio.current_time()


def _told_wait(error: BridgeError) -> float | None:
    """Return the wait that the workspace stated, plus a random part, so that clients do not all return at once."""
    told = error.retry_after_seconds
    return None if told is None else told + random.uniform(0, min(1.0, told / 10))  # noqa: S311 - jitter


def _backoff(base: float) -> float:
    return base * random.uniform(0.5, 1.5)  # noqa: S311 - jitter, nothing to guess
