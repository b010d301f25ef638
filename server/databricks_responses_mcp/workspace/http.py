"""HTTP with the workspace: one connection pool, credentials on each request, retries where they are safe."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
import httpx
from pydantic_core import to_json

from databricks_responses_mcp import __version__
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.responses.payloads import parse_json
from databricks_responses_mcp.workspace.advice import upstream_error
from databricks_responses_mcp.workspace.credentials import Credentials
from databricks_responses_mcp.workspace.event_stream import EventStream
from databricks_responses_mcp.workspace.redaction import clean
from databricks_responses_mcp.workspace.settings import Settings
from databricks_responses_mcp.workspace.tls import Trust, trust_for

HARD_LIMIT_BYTES = 32 * 1024 * 1024
"""The most that the limit is in one request (``Limit(bytes): 33554432``)."""

SOFT_LIMIT_BYTES = 4_000_000
"""What the documentation names for foundation, external and agent endpoints; more is often taken."""

_TAGS_HEADER = "Databricks-Ai-Gateway-Request-Tags"
_OFF_LOOP_BYTES = 512 * 1024
_ERROR_BODY_BYTES = 1024 * 1024
_ERROR_BODY_SECONDS = 30
_LIST_SECONDS = 60
_DEFAULT_RATE_LIMIT_SECONDS = 30.0
_REFUSED_WITHIN_SECONDS = 0.25
# Reasoning may be silent for as long as model serving lets a request run (297 s), so reading has no shorter limit.
_TIMEOUT = httpx.Timeout(connect=10, read=310, write=60, pool=None)
_LIMITS = httpx.Limits(max_connections=512, max_keepalive_connections=64, keepalive_expiry=60)

_MOST_WAIT_SECONDS = 150.0
"""Longer than that nobody is made to wait for a second try: the error says when to come back."""

OnWait = Callable[[str, float], Awaitable[None]]
"""Told before a wait: why, and for how many seconds."""


class WorkspaceClient:
    """The workspace's HTTP API. Use as an async context manager; one per process serves all calls.

    Args:
        settings: limits and paths.
        credentials: where host and headers come from; asked on every request.
    """

    def __init__(self, settings: Settings, credentials: Credentials) -> None:
        self._settings = settings
        self._credentials = credentials
        self._http: httpx.AsyncClient | None = None
        self._origin = ""
        self._opening = anyio.Lock()

    async def __aenter__(self) -> "WorkspaceClient":
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def get_json(self, path: str, *, params: Mapping[str, str] | None = None) -> Any:
        """The JSON that ``GET path`` answers with.

        Raises:
            BridgeError: for every failure, by the error contract.
        """
        with anyio.move_on_after(_LIST_SECONDS) as scope:
            async with self._exchange("GET", path, None, model=None, params=params) as response:
                body = await self._read(response, 64 * 1024 * 1024)
            try:
                return parse_json(body)
            except ValueError as exc:
                raise upstream_error(
                    status=response.status_code, headers=response.headers, body=body, model=None, host=self._origin
                ) from exc
        assert scope.cancelled_caught
        raise BridgeError(
            ErrorCode.TIMEOUT,
            f"The workspace did not answer GET {path} within {_LIST_SECONDS} s.",
            "Check the network and DATABRICKS_HOST; `databricks-responses-mcp doctor` shows where it stops.",
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
        on_wait: OnWait | None = None,
    ) -> AsyncIterator[EventStream]:
        """Send a model request and read its answer as it comes.

        The request is sent again only where the workspace surely did not take it: 429 and 503, a connection that could
        not be made, a kept-alive connection that had gone stale, 401/403 once after fresh credentials. Never after the
        answer has begun, never past the caller's own deadline.

        Args:
            model: the serving endpoint that is asked; the body's, if not given.
            path: where it goes, or a whole address; the configured path of the Responses API, if not given.
            is_gateway: whether the gateway's tags go along.

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
        where = path or self._settings.responses_path
        try:
            async with self._exchange("POST", where, content, model=model, extra=extra, on_wait=on_wait) as response:
                yield EventStream(response)
        except BridgeError as error:
            if len(content) > SOFT_LIMIT_BYTES and error.status in (400, 413, 500) and not error.partial:
                error.hint = (
                    f"{error.hint} The request was {len(content) / 1e6:.1f} MB; foundation, external and agent "
                    f"endpoints may take no more than {SOFT_LIMIT_BYTES / 1e6:.0f}."
                )
            raise

    @asynccontextmanager
    async def _exchange(
        self,
        method: str,
        path: str,
        content: bytes | None,
        *,
        model: str | None,
        params: Mapping[str, str] | None = None,
        extra: Mapping[str, str] | None = None,
        on_wait: OnWait | None = None,
    ) -> AsyncIterator[httpx.Response]:
        attempt = 0
        refreshed = False
        while True:
            response, wait, error = await self._attempt(
                method, path, content, model=model, params=params, extra=extra or {}
            )
            if response is not None:
                try:
                    yield response
                finally:
                    with anyio.CancelScope(shield=True), anyio.move_on_after(2):
                        await response.aclose()
                return
            assert error is not None
            # By code as well: a wrong token may be a 400 that says "Invalid Token".
            if (error.status in (401, 403) or error.code is ErrorCode.UNAUTHENTICATED) and not refreshed:
                refreshed = True
                if await self._credentials.refresh():
                    self._origin = (await self._credentials.host()).origin
                    continue
            if wait is None or attempt >= self._settings.max_retries or not _fits(wait):
                raise error
            attempt += 1
            if on_wait is not None:
                await on_wait(error.code.value.replace("_", " "), wait)
            await anyio.sleep(wait)

    async def _attempt(
        self,
        method: str,
        path: str,
        content: bytes | None,
        *,
        model: str | None,
        params: Mapping[str, str] | None,
        extra: Mapping[str, str],
    ) -> tuple[httpx.Response | None, float | None, BridgeError | None]:
        """One request: an answer to read; or the error, with the wait before it may be sent again (None: never)."""
        http = await self._client()
        headers = {**await self._credentials.headers(), **extra}
        if content is not None:
            headers["content-type"] = "application/json"
            headers["accept"] = "text/event-stream, application/json"
        journey = _Journey()
        address = path if path.startswith(("https://", "http://")) else self._origin + path
        request = http.build_request(
            method, address, content=content, headers=headers, params=params, extensions={"trace": journey}
        )
        try:
            response = await http.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout) as exc:
            return None, _backoff(1.0), _unreachable(self._origin, exc)
        except httpx.ProxyError as exc:
            raise _wrong_proxy(exc) from exc
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError) as exc:
            stale = journey.was_stale()
            return None, 0.0 if stale else None, _broken(exc, sent=not stale)
        except httpx.TimeoutException as exc:
            raise BridgeError(
                ErrorCode.TIMEOUT,
                "The workspace took the request and did not begin to answer in time.",
                "Ask again, or ask for less at once; the request may have been billed.",
                retryable=True,
            ) from exc
        except httpx.HTTPError as exc:
            raise _broken(exc, sent=True) from exc
        if response.status_code == 200:
            return response, None, None
        return None, *await self._refusal(response, model)

    async def _refusal(self, response: httpx.Response, model: str | None) -> tuple[float | None, BridgeError]:
        body = b""
        try:
            with anyio.move_on_after(_ERROR_BODY_SECONDS):
                body = await self._read(response, _ERROR_BODY_BYTES)
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(2):
                await response.aclose()
        error = upstream_error(
            status=response.status_code, headers=response.headers, body=body, model=model, host=self._origin
        )
        wait: float | None = None
        if response.status_code == 429:
            # Budgets are per minute: without advice from the API less than half a minute is a wasted request.
            asked = error.retry_after_seconds
            wait = asked if asked is not None else _DEFAULT_RATE_LIMIT_SECONDS * random.uniform(1.0, 1.3)  # noqa: S311 - jitter
            if asked is not None:
                wait += random.uniform(0, min(1.0, asked / 10))  # noqa: S311 - jitter
        elif response.status_code == 503:
            wait = error.retry_after_seconds if error.retry_after_seconds is not None else _backoff(2.0)
        return wait, error

    async def _read(self, response: httpx.Response, limit: int) -> bytes:
        body = bytearray()
        try:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) >= limit:
                    break
        except httpx.HTTPError:
            # The status says enough; a body that cannot be read must not hide it.
            return bytes(body)
        return bytes(body)

    async def _client(self) -> httpx.AsyncClient:
        if self._http is not None:
            return self._http
        async with self._opening:
            if self._http is None:
                host = await self._credentials.host()
                self._origin = host.origin
                trust = await trust_for(host.origin)
                self._http = _open_client(trust)
            return self._http


class _Journey:
    """Follows one request through httpcore (its trace): onto which connection, and whether it left."""

    __slots__ = ("_opened", "_sent_at")

    def __init__(self) -> None:
        self._opened = False
        self._sent_at: float | None = None

    async def __call__(self, name: str, info: Mapping[str, Any]) -> None:
        if name == "connection.connect_tcp.started":
            self._opened = True
        elif name == "http11.send_request_body.complete":
            self._sent_at = anyio.current_time()

    def was_stale(self) -> bool:
        """Whether the connection was a kept one that the other side had closed: then nobody read the request.

        Into a closed connection a request can still be written; the refusal comes back at once. A server that takes its
        time before it closes has read the request, and may have worked on it.
        """
        if self._opened:
            return False
        return self._sent_at is None or anyio.current_time() - self._sent_at < _REFUSED_WITHIN_SECONDS


def _open_client(trust: Trust) -> httpx.AsyncClient:
    try:
        return httpx.AsyncClient(
            timeout=_TIMEOUT,
            limits=_LIMITS,
            follow_redirects=False,
            verify=trust.context,
            # A proxy of the environment has no business between us and a server on this machine.
            trust_env=not trust.loopback,
            headers={
                "user-agent": f"databricks-responses-mcp/{__version__}",
                # Compression would hold events back until a block is full.
                "accept-encoding": "identity",
            },
        )
    except (ImportError, ValueError) as exc:
        # A proxy URL of a kind that httpx does not take, or takes only with more packages.
        raise _wrong_proxy(exc) from exc


def _wrong_proxy(exc: Exception) -> BridgeError:
    return BridgeError(
        ErrorCode.NOT_CONFIGURED,
        f"The proxy of the environment cannot be used ({clean(str(exc), 200) or type(exc).__name__}).",
        "Correct HTTPS_PROXY or ALL_PROXY (http:// or https://, with its credentials if it wants any), or name the "
        "workspace's host in NO_PROXY.",
    )


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
    return wait <= _MOST_WAIT_SECONDS and wait < anyio.current_effective_deadline() - anyio.current_time()


def _backoff(base: float) -> float:
    return base * random.uniform(0.5, 1.5)  # noqa: S311 - jitter, nothing to guess


def _unreachable(origin: str, exc: httpx.HTTPError) -> BridgeError:
    reason = str(exc) or type(exc).__name__
    hint = "Check DATABRICKS_HOST, the network and any proxy; `databricks-responses-mcp doctor` shows where it stops."
    if "CERTIFICATE" in reason.upper():
        hint = "A proxy that inspects TLS may be in the way: point SSL_CERT_FILE at its certificate authority."
    return BridgeError(ErrorCode.UPSTREAM_UNAVAILABLE, f"Cannot reach {origin}: {reason[:300]}.", hint, retryable=True)


def _broken(exc: httpx.HTTPError, *, sent: bool) -> BridgeError:
    billed = " It may have been processed and billed." if sent else ""
    return BridgeError(
        ErrorCode.UPSTREAM_UNAVAILABLE,
        f"The workspace closed the connection before it answered ({type(exc).__name__}).{billed}",
        "Ask again.",
        retryable=True,
    )
