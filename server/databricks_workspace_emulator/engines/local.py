"""A real small model on this machine: llama.cpp and SmolLM2-135M-Instruct, fetched and started at the first use."""

import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import anyio

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_workspace_emulator.engines.artifacts import WITHOUT_IT, supported
from databricks_workspace_emulator.engines.base import ChatMessage, TextRequest
from databricks_workspace_emulator.engines.download import default_root, fetch, find_cached
from databricks_workspace_emulator.engines.fitting import fit
from databricks_workspace_emulator.engines.llama_server import SLOTS, LlamaServer
from databricks_workspace_emulator.engines.pip_source import FetchStoppedError
from databricks_workspace_emulator.engines.progress import Progress
from databricks_workspace_emulator.engines.sentences import first_sentence

DEFAULT_MAX_TOKENS = 512
"""The limit of an answer if the request sets none: so small a model may never end by itself."""

# The model's own default, about its name and makers, makes its answers worse. Callers request the length of a large
# model's answer; so small a model repeats itself beyond this length.
_MAX_TOKENS = 1024
_INSTRUCTIONS = ChatMessage("system", "You are a helpful assistant.")

_POLL_SECONDS = 0.05
_STOP_SECONDS = 10.0
_CRASH_SECONDS = 2.0


class LocalEngine:
    """An engine with its own model. Nothing is fetched or started before the first use.

    Args:
        cache_dir: the directory of the files instead of the user's cache.
        progress: receives the progress of the download, from a worker thread.
    """

    def __init__(self, cache_dir: Path | None = None, progress: Progress | None = None) -> None:
        self._root = cache_dir
        self._progress = progress
        self._fetching: _Fetching | None = None
        self._server: LlamaServer | None = None
        self._starting = anyio.Lock()
        # More would only wait inside the server, where a deadline runs.
        self._slots = anyio.Semaphore(SLOTS)
        self._closed = False

    @property
    def label(self) -> str:
        return "SmolLM2-135M-Instruct (local llama.cpp)"

    async def start(self) -> None:
        """Fetch missing files and start the server, unless it runs. Concurrent callers share one start.

        A download continues if the caller is cancelled, so that the next caller finds it further along.

        Raises:
            BridgeError: this machine cannot run it, the download failed, or the server does not start.
        """
        await self._running()

    async def stream(self, request: TextRequest) -> AsyncGenerator[str]:
        """Yield the answer in pieces. A request without a limit is stopped after ``DEFAULT_MAX_TOKENS``, with a note.

        A conversation that is too long for the model is shortened, and the answer begins with a line about it (not if
        JSON was requested). A server that ended is started again, once for each request.

        After a hosted tool the model is not used (nor fetched): the simulated result is reported instead, because so
        small a model would contradict it at length. After the client's own tools it writes one sentence.

        Raises:
            BridgeError: as ``start``; or the server ended while it wrote, with the end of its log.
        """
        if request.played and request.json_schema is None:
            yield " ".join(request.played)
            return
        async with self._slots:
            for last_try in (False, True):
                server = await self._running()
                said = False
                try:
                    async with aclosing(_answer(server, request)) as pieces:
                        async for piece in pieces:
                            said = True
                            yield piece
                    return
                except BridgeError as error:
                    if not await server.ends_within(_CRASH_SECONDS if error.retryable else 0):
                        raise
                    if (said or last_try) and not self._closed:
                        raise await _crashed(server, error) from error
                    if self._closed:
                        raise _closed_error() from error

    async def aclose(self) -> None:
        """Stop the download and the server. Safe to call twice; the engine cannot be used afterwards."""
        self._closed = True
        with anyio.CancelScope(shield=True):
            if self._fetching is not None:
                self._fetching.stop.set()
                with anyio.move_on_after(_STOP_SECONDS):
                    await self._fetching.ended()
            async with self._starting:
                server, self._server = self._server, None
                if server is not None:
                    await server.aclose()

    async def _running(self) -> LlamaServer:
        if self._server is not None and not self._server.has_ended:
            return self._server
        directory = await self._files()
        async with self._starting:
            if self._closed:
                raise _closed_error()
            if self._server is not None and self._server.has_ended:
                await self._server.aclose()
                self._server = None
            if self._server is None:
                self._server = await LlamaServer.start(directory, directory.parent / "logs")
            return self._server

    async def _files(self) -> Path:
        if self._closed:
            raise _closed_error()
        if self._root is None:
            self._root = default_root()
        if (reason := await anyio.to_thread.run_sync(supported)) is not None:
            raise BridgeError(
                ErrorCode.NOT_CONFIGURED,
                f"{reason[0].upper()}{reason[1:]}.",
                f"{WITHOUT_IT[0].upper()}{WITHOUT_IT[1:]}.",
            )
        if (directory := await anyio.to_thread.run_sync(find_cached, self._root)) is not None:
            return directory
        if self._fetching is None:
            self._fetching = _Fetching(self._root, self._progress)
        fetching = self._fetching
        await fetching.ended()
        if self._fetching is fetching:
            self._fetching = None
        if fetching.error is not None:
            raise _closed_error() if isinstance(fetching.error, FetchStoppedError) else fetching.error
        assert fetching.directory is not None
        return fetching.directory


class _Fetching:
    """A download in its own thread, which outlives the request that started it."""

    def __init__(self, root: Path, progress: Progress | None) -> None:
        self.stop = threading.Event()
        self.directory: Path | None = None
        self.error: BaseException | None = None
        self._root = root
        self._progress = progress
        # A daemon: a process that ends without closing its engine does not wait for a download.
        self._thread = threading.Thread(target=self._run, name="engine-download", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.directory = fetch(self._root, progress=self._progress, stop=self.stop)
        except BaseException as error:  # noqa: BLE001  # handed to those who wait
            self.error = error

    async def ended(self) -> None:
        while self._thread.is_alive():  # noqa: ASYNC110  # a thread has no event of this loop
            await anyio.sleep(_POLL_SECONDS)


async def _answer(server: LlamaServer, request: TextRequest) -> AsyncGenerator[str]:
    # At most half of the context is for the answer, so that the question fits.
    asked = request.max_output_tokens if request.max_output_tokens is not None else DEFAULT_MAX_TOKENS
    max_tokens = max(1, min(asked, server.context_tokens // 2, _MAX_TOKENS))
    messages = request.messages
    if all(message.role != "system" for message in messages):
        messages = (_INSTRUCTIONS, *messages)
    fitted = await fit(messages, server.context_tokens - max_tokens, server.tokens)
    if fitted.note is not None and request.json_schema is None:
        yield f"{fitted.note}\n\n"
    shown = replace(request, messages=fitted.messages)
    text = server.chat.stream("SmolLM2-135M-Instruct", shown, max_tokens=max_tokens)
    if request.after_outputs and request.json_schema is None:
        text = first_sentence(text)
    async with aclosing(text) as pieces:
        async for piece in pieces:
            yield piece


async def _crashed(server: LlamaServer, error: BridgeError) -> BridgeError:
    return BridgeError(
        ErrorCode.UPSTREAM_UNAVAILABLE,
        f"The local model's server {server.how_it_ended()} while it answered. The end of its log: "
        f"{await server.log_tail() or '(empty)'}",
        f"Try again: it is started anew; if it stays, {WITHOUT_IT}.",
        retryable=True,
        partial=error.partial,
    )


def _closed_error() -> BridgeError:
    return BridgeError(
        ErrorCode.CANCELLED, "The local model's engine was closed.", "Start the embedded workspace again."
    )
