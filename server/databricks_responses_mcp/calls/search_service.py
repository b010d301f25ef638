"""The web search service of the workspace (``system.ai.web_search``), used as an MCP client.

Models that have no web search of their own (Claude, Gemini) get its tools as functions; the bridge executes their
calls.
"""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import TextContent

from databricks_responses_mcp.errors import BridgeError, ErrorCode, as_bridge_error, quoted
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.search import SEARCH_SERVICE
from databricks_responses_mcp.workspace.managed_mcp import managed_path
from databricks_responses_mcp.workspace.tls import trust_for

T = TypeVar("T")

_ADVICE = "Ask an administrator for EXECUTE on it and for its preview, or search with an OpenAI model."
MAX_TOOLS = 10
"""The maximum number of the service's tools that a model gets."""
MAX_RESULT_CHARACTERS = 100_000
"""The maximum size of one result for a model; the rest is left out, with a note."""
MAX_ANSWER_BYTES = 8_000_000
"""The maximum size of one answer of the service."""
_SECONDS = 120.0
_FUNCTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class SearchService:
    """Lists and calls the tools of the service, each time in a new session.

    Args:
        bridge: the bridge to the workspace, which authenticates the requests.
    """

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    async def tools(self) -> list[dict[str, Any]]:
        """Return the tools of the service as function tools of the Responses API.

        Raises:
            BridgeError: if the service cannot be used.
        """

        async def listed(client: Client) -> list[dict[str, Any]]:
            return [
                {
                    "type": "function",
                    "name": tool.name,
                    "description": tool.description or "Searches the web.",
                    "parameters": tool.input_schema,
                }
                for tool in (await client.list_tools()).tools
                if _FUNCTION_NAME.fullmatch(tool.name)
            ]

        if not (tools := (await self._with_client(listed))[:MAX_TOOLS]):
            raise BridgeError(
                ErrorCode.UPSTREAM_ERROR, f"The MCP service {SEARCH_SERVICE} lists no tool.", _ADVICE, retryable=True
            )
        return tools

    async def call(self, name: str, arguments: str) -> str:
        """Call a tool; return its text.

        Args:
            arguments: a JSON object, written by a model.

        Raises:
            BridgeError: ``invalid_argument`` if the arguments are not an object; if the call fails.
        """
        try:
            given = json.loads(arguments or "{}")
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, dict):
            raise BridgeError(ErrorCode.INVALID_ARGUMENT, f"The arguments of {quoted(name)} are not a JSON object.", "")

        async def called(client: Client) -> str:
            result = await client.call_tool(name, given)
            parts = [part.text for part in result.content if isinstance(part, TextContent)]
            text = "\n".join(parts) or json.dumps(result.structured_content or {}, ensure_ascii=False)
            text = self._bridge.settings.secrets.remove(text)
            if result.is_error:
                raise BridgeError(ErrorCode.UPSTREAM_ERROR, f"The search failed: {text[:500]}", "")
            cut = f"\n[{len(text) - MAX_RESULT_CHARACTERS} more characters are left out]"
            return text if len(text) <= MAX_RESULT_CHARACTERS else text[:MAX_RESULT_CHARACTERS] + cut

        return await self._with_client(called)

    async def _with_client(self, use: Callable[[Client], Awaitable[T]]) -> T:
        access = self._bridge.client.access
        path = managed_path(SEARCH_SERVICE)
        assert path is not None
        url = await access.address(path)
        headers = await access.headers_for(url)
        trust = await trust_for(await access.origin())
        try:
            async with (
                httpx2.AsyncClient(
                    # A few kilobytes of a compressed answer can expand to gigabytes.
                    headers={**headers, "accept-encoding": "identity"},
                    timeout=_SECONDS,
                    verify=trust.context,
                    trust_env=not trust.loopback,
                    event_hooks={"response": [_bound]},
                ) as http,
                Client(
                    streamable_http_client(url, http_client=http, max_sse_event_size=MAX_ANSWER_BYTES),
                    read_timeout_seconds=_SECONDS,
                    cache=None,
                ) as client,
            ):
                return await use(client)
        except Exception as raised:
            raise _failure(raised) from raised


class _Bounded(httpx2.AsyncByteStream):
    """A body that raises an error when it is larger than `MAX_ANSWER_BYTES`."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._stream:
            size += len(chunk)
            if size > MAX_ANSWER_BYTES:
                raise httpx2.ReadError(f"over {MAX_ANSWER_BYTES} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _bound(response: httpx2.Response) -> None:
    if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise httpx2.DecodingError("the answer is compressed without being requested")
    if isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Bounded(response.stream)


def _failure(raised: Exception) -> BridgeError:
    cause: BaseException = raised
    while isinstance(cause, BaseExceptionGroup) and len(cause.exceptions) == 1:
        cause = cause.exceptions[0]
    if isinstance(cause, BridgeError):
        return as_bridge_error(raised, SEARCH_SERVICE)
    return BridgeError(
        ErrorCode.UPSTREAM_ERROR,
        f"The MCP service {SEARCH_SERVICE} could not be used ({type(cause).__name__}).",
        _ADVICE,
        retryable=True,
    )
