"""Any OpenAI-compatible server that the user already runs: Ollama, LM Studio, vLLM, llama-server."""

import os
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import anyio

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_workspace_emulator.engines.base import TextRequest
from databricks_workspace_emulator.engines.chat_completions import ChatCompletions
from databricks_workspace_emulator.engines.sentences import first_sentence

API_KEY_VARIABLE = "RESPONSES_MCP_ENGINE_API_KEY"

_NOT_CHAT = re.compile(r"embed|rerank|whisper|tts|\bbge\b|moderation", re.IGNORECASE)
_ADVICE = "Check that it runs and that the address is right, or choose --engine local or --engine rules."


class OpenAICompatibleEngine:
    """An engine that passes the conversation to a server's ``/v1/chat/completions``.

    Args:
        base_url: such as ``http://127.0.0.1:11434``, with or without ``/v1``; ``#model`` at its end names a model.
        model: the server's name of the model, which takes precedence over the URL's. By default the first chat model in
            the server's list, when it is first needed.
        api_key: the server's key; by default the value of ``RESPONSES_MCP_ENGINE_API_KEY``.

    Raises:
        BridgeError: the URL is invalid.
    """

    def __init__(self, base_url: str, model: str | None = None, api_key: str | None = None) -> None:
        url, self._host, named = _read_url(base_url)
        self._model = model or named
        self._probing = anyio.Lock()
        self._chat = ChatCompletions(url, api_key=api_key or os.environ.get(API_KEY_VARIABLE) or None, advice=_ADVICE)

    @property
    def label(self) -> str:
        """``model at host:port``; only the address until the model is known."""
        return f"{self._model} at {self._host}" if self._model else self._host

    async def start(self) -> None:
        """Find the model, unless it is known. Raises ``BridgeError`` if the server has none or cannot be reached."""
        await self._resolved_model()

    async def stream(self, request: TextRequest) -> AsyncGenerator[str]:
        """Yield the answer in pieces; after a simulated hosted tool, only its first sentence.

        Raises:
            BridgeError: the server cannot be reached, refuses or ends early.
        """
        model = await self._resolved_model()
        text = self._chat.stream(model, request, max_tokens=request.max_output_tokens)
        if request.played and request.json_schema is None:
            text = first_sentence(text)
        async with aclosing(text) as pieces:
            async for piece in pieces:
                yield piece

    async def aclose(self) -> None:
        """Close the connections. Safe to call twice."""
        await self._chat.aclose()

    async def _resolved_model(self) -> str:
        async with self._probing:
            if self._model is None:
                self._model = _first_that_chats(await self._chat.get("models"), self._host)
            return self._model


def _first_that_chats(listed: Any, host: str) -> str:
    entries = listed.get("data") if isinstance(listed, dict) else None
    names: list[str] = [
        entry["id"]
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and isinstance(entry.get("id"), str) and entry["id"]
    ]
    if not names:
        raise BridgeError(
            ErrorCode.MODEL_NOT_FOUND,
            f"The engine at {host} lists no model.",
            "Load one there (with Ollama: ollama pull NAME), or name it with URL#model.",
        )
    return next((name for name in names if not _NOT_CHAT.search(name)), names[0])


def _read_url(text: str) -> tuple[str, str, str | None]:
    """Return the URL up to and including ``/v1``, ``host:port``, and the model that it names."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            "The engine's URL is not an http:// or https:// address.",
            "Give it like http://127.0.0.1:11434 or http://127.0.0.1:11434#model.",
        )
    path = re.sub(r"/(chat/completions|models)?/*$", "", parts.path.rstrip("/") + "/")
    if not re.search(r"/v\d+\w*$", path):
        path += "/v1"
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    url = urlunsplit((parts.scheme, parts.netloc, path, "", ""))
    return url, f"{name}:{port}" if port else name, parts.fragment or None
