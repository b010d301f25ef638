"""A client of streamed chat completions, the API that every local model server has."""

import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any, NoReturn
from urllib.parse import urljoin, urlsplit

import httpx

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.responses.sse import EventTooLargeError, SSEDecoder
from databricks_workspace_emulator.engines.base import TextRequest

_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 30.0
_MAX_EVENT_BYTES = 4 * 1024 * 1024
_MAX_BODY_BYTES = 16 * 1024 * 1024
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class ChatCompletions:
    """One server of ``/chat/completions``.

    Args:
        base_url: up to and including ``/v1``.
        api_key: sent as a bearer token if given.
        advice: the hint of errors about a server that does not answer.
        piece_seconds: the time limit for the next piece of a stream; the first includes reading the prompt.
    """

    def __init__(self, base_url: str, *, api_key: str | None, advice: str, piece_seconds: float = 180.0) -> None:
        parts = urlsplit(base_url)
        self.address = parts.netloc.rpartition("@")[2]
        self._base_url = base_url.rstrip("/") + "/"
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._advice = advice
        self._piece_seconds = piece_seconds
        # A proxy of the environment is not for servers on this machine.
        self._trust_env = parts.hostname not in _LOOPBACK
        self._verify = parts.scheme == "https"  # Without TLS there is no need to load certificates.
        self._client: httpx.AsyncClient | None = None

    async def get(self, path: str) -> Any:
        """Return the JSON of a GET; the path is below the base URL, or from the root with a slash. Raises
        ``BridgeError``.
        """
        return await self._json("GET", path, None)

    async def post(self, path: str, body: Mapping[str, object]) -> Any:
        """Return the JSON of a POST; the path as for ``get``. Raises ``BridgeError``."""
        return await self._json("POST", path, body)

    async def stream(self, model: str, request: TextRequest, *, max_tokens: int | None) -> AsyncGenerator[str]:
        """Yield the text of the answer, in pieces as they arrive.

        An answer that reached a limit which the caller did not set ends with a note; one that had to be JSON raises,
        because a part of it is useless.

        Args:
            model: the server's name of the model.
            request: the conversation and its settings.
            max_tokens: the limit to send, which may be lower than the request's own; None leaves it to the server.

        Raises:
            BridgeError: the server cannot be reached, refused, or ended early; ``partial`` has the text so far.
        """
        body = _chat_body(model, request, max_tokens)
        said: list[str] = []
        finish: str | None = None
        async with self._opened("POST", "chat/completions", body, self._piece_seconds) as response:
            try:
                async for chunk in _chunks(response):
                    if chunk is None:
                        finish = "stop"
                        break
                    piece, finish = _read_chunk(chunk, response.status_code, self.address, said)
                    if piece:
                        said.append(piece)
                        yield piece
                    if finish is not None:
                        break  # Some servers keep the connection open after that.
            except httpx.TimeoutException as error:
                raise self._failure(
                    ErrorCode.TIMEOUT, f"wrote nothing for {self._piece_seconds:.0f} seconds", said
                ) from error
            except (httpx.TransportError, EventTooLargeError) as error:
                raise self._failure(ErrorCode.UPSTREAM_UNAVAILABLE, "broke off its answer", said) from error
        if finish is None:
            raise self._failure(ErrorCode.UPSTREAM_UNAVAILABLE, "broke off its answer", said)
        limit_is_the_callers = request.max_output_tokens is not None and max_tokens == request.max_output_tokens
        if finish == "length" and not limit_is_the_callers:
            limit = "its limit" if max_tokens is None else f"{max_tokens} tokens"
            if request.json_schema is not None:
                raise BridgeError(
                    ErrorCode.UPSTREAM_ERROR,
                    f"The model had not finished its JSON after {limit}.",
                    "Ask for a smaller object or set max_output_tokens higher.",
                    partial=_partial(said),
                )
            yield f"\n\n[The model was stopped here, after {limit}.]"

    async def aclose(self) -> None:
        """Close every connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                headers={**self._headers, "accept-encoding": "identity"},
                trust_env=self._trust_env,
                verify=self._verify,
                # None is kept open: a request on one that the server has closed meanwhile would have to be sent again,
                # although the server may have read it, and it may be paid for.
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            )
        return self._client

    async def _json(self, method: str, path: str, body: Mapping[str, object] | None) -> Any:
        async with self._opened(method, path, body, _ANSWER_SECONDS) as response:
            try:
                return json.loads(await _read(response, _MAX_BODY_BYTES))
            except httpx.TransportError as error:
                raise self._failure(ErrorCode.UPSTREAM_UNAVAILABLE, "broke off its answer", []) from error
            except ValueError as error:
                raise BridgeError(
                    ErrorCode.UPSTREAM_ERROR,
                    f"The engine at {self.address} answered {path} with something that is not JSON.",
                    "Check that the address is that of an OpenAI-compatible server.",
                ) from error

    @contextlib.asynccontextmanager
    async def _opened(
        self, method: str, path: str, body: Mapping[str, object] | None, read_seconds: float
    ) -> AsyncIterator[httpx.Response]:
        timeout = httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS, read=read_seconds)
        url = urljoin(self._base_url, path)
        try:
            headers = {"content-type": "application/json"} if body is not None else {}
            request = self._http().build_request(method, url, content=_encode(body), headers=headers, timeout=timeout)
            response = await self._http().send(request, stream=True)
        except httpx.TimeoutException as error:
            raise self._failure(ErrorCode.TIMEOUT, "did not answer in time", []) from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise self._failure(ErrorCode.UPSTREAM_UNAVAILABLE, "cannot be reached", []) from error
        try:
            if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
                # A few kilobytes of it can expand to gigabytes.
                raise self._failure(ErrorCode.UPSTREAM_ERROR, "compressed its answer without being asked to", [])
            if response.status_code != 200:
                await self._refused(response, path)
            yield response
        finally:
            await response.aclose()

    def _failure(self, code: ErrorCode, what: str, said: list[str]) -> BridgeError:
        return BridgeError(
            code, f"The engine at {self.address} {what}.", self._advice, retryable=True, partial=_partial(said)
        )

    async def _refused(self, response: httpx.Response, path: str) -> NoReturn:
        try:
            words = _error_words(json.loads(await _read(response, 65536)))
        except (httpx.TransportError, ValueError):
            words = ""
        status = response.status_code
        code, hint = ErrorCode.UPSTREAM_ERROR, self._advice
        if status in {401, 403}:
            code, hint = ErrorCode.UNAUTHENTICATED, "Set RESPONSES_MCP_ENGINE_API_KEY to the key of that server."
        elif status == 404:
            code, hint = ErrorCode.MODEL_NOT_FOUND, "Check the address, and name a model it has with URL#model."
        elif status in {400, 413, 422}:
            code, hint = ErrorCode.INVALID_ARGUMENT, "Change the request to what that server accepts."
        elif status == 429:
            code = ErrorCode.RATE_LIMITED
        elif status in {502, 503, 504}:
            code = ErrorCode.UPSTREAM_UNAVAILABLE
        raise BridgeError(
            code,
            f"The engine at {self.address} answered {path} with HTTP {status}{f': {words}' if words else '.'}",
            hint,
            retryable=status == 429 or status >= 500,
            status=status,
        )


def _encode(body: Mapping[str, object] | None) -> bytes | None:
    if body is None:
        return None
    try:
        # A lone surrogate cannot be sent; it becomes a question mark.
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode(errors="replace")
    except (TypeError, ValueError) as error:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            "The request has a value that JSON cannot carry.",
            "Use finite numbers, text, lists and objects only.",
        ) from error


def _chat_body(model: str, request: TextRequest, max_tokens: int | None) -> dict[str, object]:
    body: dict[str, object] = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        "stream": True,
    }
    if max_tokens is not None:
        body["max_tokens"] = max_tokens
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.top_p is not None:
        body["top_p"] = request.top_p
    if request.json_schema is not None:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": request.json_schema, "strict": True},
        }
    return body


async def _chunks(response: httpx.Response) -> AsyncIterator[Any]:
    """Yield the parsed events; None for the end. A server that answers a stream request in one piece is
    accepted too.
    """
    if "json" in response.headers.get("content-type", ""):
        try:
            answer = json.loads(await _read(response, _MAX_BODY_BYTES))
        except ValueError:
            return
        yield answer
        yield None
        return
    decoder = SSEDecoder(_MAX_EVENT_BYTES)
    async for data in response.aiter_bytes():
        for event in decoder.feed(data):
            yield _parse(event.data)
    for event in decoder.finish():
        yield _parse(event.data)


def _parse(data: bytes | bytearray) -> Any:
    if data.strip() == b"[DONE]":
        return None
    try:
        return json.loads(data) or {}
    except ValueError:
        return {}  # A server's comment or invalid line must not lose the answer.


def _read_chunk(chunk: Any, status: int, address: str, said: list[str]) -> tuple[str, str | None]:
    """Return the text of a chunk and why the answer ended, if it did.

    Args:
        said: the text so far, for the error.

    Raises:
        BridgeError: the chunk is an error.
    """
    if not isinstance(chunk, dict):
        return "", None
    if chunk.get("error"):
        words = _error_words(chunk)
        raise BridgeError(
            ErrorCode.UPSTREAM_ERROR,
            f"The engine at {address} failed while it answered{f': {words}' if words else '.'}",
            "Try again; if it stays, look at that server's log.",
            retryable=True,
            status=status,
            partial=_partial(said),
        )
    choices = chunk.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        return "", None
    part = choice.get("delta") or choice.get("message")
    text = part.get("content") if isinstance(part, dict) else None
    reason = choice.get("finish_reason")
    return text if isinstance(text, str) else "", reason if isinstance(reason, str) and reason else None


async def _read(response: httpx.Response, limit: int) -> bytes:
    body = bytearray()
    async for data in response.aiter_bytes():
        body += data
        if len(body) > limit:
            raise ValueError("the answer is too large")
    return bytes(body)


def _error_words(body: Any) -> str:
    error = body.get("error", body) if isinstance(body, dict) else None
    words = error.get("message") if isinstance(error, dict) else error
    # A page instead of JSON is reported only by its status.
    return " ".join(words.split())[:300] if isinstance(words, str) and "<html" not in words.lower() else ""


def _partial(said: list[str]) -> dict[str, Any]:
    return {"text": "".join(said)} if said else {}
