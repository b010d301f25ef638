"""A user's own model server: a small real one on loopback that behaves as told."""

import json
import os
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
import uvicorn
from inline_snapshot import snapshot
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from databricks_responses_mcp.calls.advice import mcp_words
from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_workspace_emulator.engines.base import ChatMessage, TextRequest
from databricks_workspace_emulator.engines.openai_compatible import OpenAICompatibleEngine
from harness.deadlines import DEADLINE_SECONDS

pytestmark = pytest.mark.anyio

HELLO = TextRequest("databricks-gpt-5", [ChatMessage("user", "Hello")])


def delta(text: str | None = None, finish: str | None = None) -> str:
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'content': text}, 'finish_reason': finish}]})}\n\n"


@dataclass
class Server:
    """What the server does: the models it lists, and what it answers a chat with."""

    url: str = ""
    models: Any = field(default_factory=lambda: {"data": [{"id": "nomic-embed-text"}, {"id": "llama3"}]})
    answer: Any = field(
        default_factory=lambda: [delta("Hi "), delta("there."), delta(None, "stop"), "data: [DONE]\n\n"]
    )
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    model_calls: int = 0
    hang_after: bool = False
    left: threading.Event = field(default_factory=threading.Event)

    async def list_models(self, request: Request) -> Response:
        self.model_calls += 1
        return self.models if isinstance(self.models, Response) else JSONResponse(self.models)

    async def chat(self, request: Request) -> Response:
        self.bodies.append(await request.json())
        self.headers.append(dict(request.headers))
        if isinstance(self.answer, Response):
            return self.answer
        return StreamingResponse(self.pieces(), media_type="text/event-stream")

    async def pieces(self) -> AsyncIterator[str]:
        try:
            for piece in self.answer:
                yield piece
            if self.hang_after:
                await anyio.sleep_forever()
        finally:
            self.left.set()


@pytest.fixture(scope="module")
def running_server() -> Iterator[Server]:
    told = Server()
    app = Starlette(
        routes=[
            Route("/v1/models", told.list_models),
            Route("/v1/chat/completions", told.chat, methods=["POST"]),
        ]
    )
    listening = socket.create_server(("127.0.0.1", 0))
    told.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    running = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    yield told
    running.should_exit = True
    thread.join()


@pytest.fixture
def server(running_server: Server) -> Server:
    """The module's server as if it were new."""
    vars(running_server).update(vars(Server(url=running_server.url)))
    return running_server


async def said(engine: OpenAICompatibleEngine, request: TextRequest = HELLO) -> str:
    async with aclosing(engine):
        return "".join([piece async for piece in engine.stream(request)])


async def failure(engine: OpenAICompatibleEngine, request: TextRequest = HELLO) -> BridgeError:
    with pytest.raises(BridgeError) as raised:
        await said(engine, request)
    return raised.value


async def test_it_asks_once_which_models_there_are_and_takes_the_first_that_chats(server: Server) -> None:
    engine = OpenAICompatibleEngine(server.url)
    host = server.url.removeprefix("http://")
    assert engine.label == host
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(engine.start)
    assert server.model_calls == 1
    assert engine.label == f"llama3 at {host}"
    assert await said(engine) == "Hi there."
    assert server.bodies == snapshot(
        [{"model": "llama3", "messages": [{"role": "user", "content": "Hello"}], "stream": True}]
    )


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/", "/v1/chat/completions", "#other:7b", "/v1#other:7b"])
async def test_the_address_may_be_written_in_many_ways(ending: str, server: Server) -> None:
    assert await said(OpenAICompatibleEngine(server.url + ending)) == "Hi there."
    assert server.bodies[0]["model"] == ("other:7b" if "#" in ending else "llama3")


@pytest.mark.parametrize("url", ["", "localhost:11434", "ftp://host", "http://", "http://host:port", "http://[bad"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(BridgeError) as raised:
        OpenAICompatibleEngine(url)
    assert raised.value.code is ErrorCode.INVALID_ARGUMENT


def test_a_password_in_the_address_is_not_shown() -> None:
    assert OpenAICompatibleEngine("http://me:secret@host:1/v1#m").label == "m at host:1"


async def test_every_setting_of_the_request_is_passed_on(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESPONSES_MCP_ENGINE_API_KEY", "sk-test")
    schema: dict[str, object] = {"type": "object"}
    await said(
        OpenAICompatibleEngine(server.url, model="named"),
        TextRequest("m", HELLO.messages, max_output_tokens=7, temperature=0, top_p=0.5, json_schema=schema),
    )
    assert server.headers[0]["authorization"] == "Bearer sk-test"
    assert server.bodies[0] == snapshot(
        {
            "model": "named",
            "messages": [{"role": "user", "content": "Hello"}],
            "stream": True,
            "max_tokens": 7,
            "temperature": 0,
            "top_p": 0.5,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
            },
        }
    )


@pytest.mark.parametrize(
    "pieces",
    [
        [delta("Hi "), delta("there."), delta("", "stop")],
        [delta("Hi "), delta("there."), "data: [DONE]\n\n"],
        [": ping\n\n", "data: {}\n\ndata: null\n\ndata: nonsense\n\n", delta("Hi there.", "stop")],
        [delta("Hi there.", "stop").replace("\n", "\r\n"), 'data: {"choices": [], "usage": {}}\n\n'],
        [delta("Hi there.", "stop").rstrip()],
        list(delta("Hi there.") + delta(None, "eos")),
    ],
)
async def test_streams_of_every_style_are_read(pieces: list[str], server: Server) -> None:
    server.answer = pieces
    assert await said(OpenAICompatibleEngine(server.url)) == "Hi there."


async def test_an_answer_in_one_piece_is_taken(server: Server) -> None:
    server.answer = JSONResponse({"choices": [{"message": {"role": "assistant", "content": "Hi there."}}]})
    assert await said(OpenAICompatibleEngine(server.url)) == "Hi there."


async def test_after_a_tool_that_was_only_played_one_sentence_is_taken(server: Server) -> None:
    server.answer, server.hang_after = [delta("I drew "), delta("it. Now "), delta("I go on")], True
    request = TextRequest("m", HELLO.messages, played=("image_generation drew a picture.",))
    with anyio.fail_after(DEADLINE_SECONDS):
        assert await said(OpenAICompatibleEngine(server.url), request) == "I drew it."


async def test_a_server_that_keeps_the_connection_open_after_the_end_is_not_waited_for(server: Server) -> None:
    server.answer, server.hang_after = [delta("Hi there."), delta(None, "stop")], True
    with anyio.fail_after(DEADLINE_SECONDS):
        assert await said(OpenAICompatibleEngine(server.url)) == "Hi there."


async def test_text_that_is_no_unicode_does_not_end_the_call(server: Server) -> None:
    assert (
        await said(OpenAICompatibleEngine(server.url), TextRequest("m", [ChatMessage("user", "\ud83d")])) == "Hi there."
    )
    assert server.bodies[0]["messages"] == [{"role": "user", "content": "?"}]


async def test_a_number_that_json_has_no_word_for_is_refused(server: Server) -> None:
    request = TextRequest("m", HELLO.messages, temperature=float("nan"))
    assert (await failure(OpenAICompatibleEngine(server.url), request)).code is ErrorCode.INVALID_ARGUMENT


async def test_a_stream_that_breaks_off_keeps_what_came(server: Server) -> None:
    server.answer = [delta("Hi ")]
    error = await failure(OpenAICompatibleEngine(server.url + "#m"))
    assert (error.code, error.retryable, error.partial) == (ErrorCode.UPSTREAM_UNAVAILABLE, True, {"text": "Hi "})


async def test_an_error_in_the_stream_is_told_with_what_came(server: Server) -> None:
    server.answer = [delta("Hi "), 'data: {"error": {"code": 500, "message": "out of memory"}}\n\n']
    error = await failure(OpenAICompatibleEngine(server.url + "#m"))
    assert "out of memory" in error.message
    assert error.partial == {"text": "Hi "}


async def test_an_answer_stopped_by_the_servers_own_limit_says_so(server: Server) -> None:
    server.answer = [delta("Hi "), delta(None, "length")]
    assert await said(OpenAICompatibleEngine(server.url)) == "Hi \n\n[The model was stopped here, after its limit.]"
    asked = TextRequest("m", HELLO.messages, max_output_tokens=1)
    assert await said(OpenAICompatibleEngine(server.url), asked) == "Hi "


async def test_json_that_was_not_finished_is_an_error(server: Server) -> None:
    server.answer = [delta('{"a'), delta(None, "length")]
    error = await failure(OpenAICompatibleEngine(server.url), TextRequest("m", HELLO.messages, json_schema={}))
    assert error.partial == {"text": '{"a'}


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, ErrorCode.INVALID_ARGUMENT),
        (401, ErrorCode.UNAUTHENTICATED),
        (404, ErrorCode.MODEL_NOT_FOUND),
        (429, ErrorCode.RATE_LIMITED),
        (500, ErrorCode.UPSTREAM_ERROR),
        (503, ErrorCode.UPSTREAM_UNAVAILABLE),
        (302, ErrorCode.UPSTREAM_ERROR),
    ],
)
async def test_refusals_become_the_error_contract_without_a_page_of_html(
    status: int, code: ErrorCode, server: Server
) -> None:
    server.answer = HTMLResponse("<html>nope</html>", status)
    error = await failure(OpenAICompatibleEngine(server.url + "#m"))
    assert (error.code, error.status, error.retryable) == (code, status, status in {429, 500, 503})
    assert "<html" not in str(error)
    server.answer = JSONResponse({"error": {"message": "for a reason"}}, status)
    assert "for a reason" in (await failure(OpenAICompatibleEngine(server.url + "#m"))).message


@pytest.mark.parametrize("models", [{}, {"data": []}, {"data": None}, {"data": [1, {"id": None}]}, [], None])
async def test_a_server_without_a_model_is_told(models: object, server: Server) -> None:
    server.models = models
    error = await failure(OpenAICompatibleEngine(server.url))
    assert error.code is ErrorCode.MODEL_NOT_FOUND
    assert error.hint == snapshot("Load one there (with Ollama: ollama pull NAME), or name it with URL#model.")


async def test_something_that_is_no_model_server_is_told(server: Server) -> None:
    server.models = HTMLResponse("<html>a router</html>")
    assert "not JSON" in (await failure(OpenAICompatibleEngine(server.url))).message


async def test_a_server_that_is_not_there_is_told_with_the_fix() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    error = await failure(OpenAICompatibleEngine(f"http://127.0.0.1:{port}"))
    assert error.as_dict(mcp_words) == {
        "code": "upstream_unavailable",
        "message": f"The engine at 127.0.0.1:{port} cannot be reached.",
        "retryable": True,
        "hint": "Check that it runs and that the address is right, or choose --engine local or --engine rules.",
    }


async def test_a_proxy_of_the_environment_is_not_used_on_this_machine(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in [name for name in os.environ if name.upper() == "NO_PROXY"]:
        monkeypatch.delenv(name)
    assert await said(OpenAICompatibleEngine(server.url)) == "Hi there."


async def test_a_caller_who_leaves_closes_the_connection(server: Server) -> None:
    server.answer, server.hang_after = [delta("Hi ")], True
    engine = OpenAICompatibleEngine(server.url + "#m")
    with anyio.fail_after(DEADLINE_SECONDS):
        async with anyio.create_task_group() as tasks, aclosing(engine):
            started = anyio.Event()

            async def read() -> None:
                async for _ in engine.stream(HELLO):
                    started.set()

            tasks.start_soon(read)
            await started.wait()
            tasks.cancel_scope.cancel()
        assert await anyio.to_thread.run_sync(server.left.wait, DEADLINE_SECONDS)


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 20",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip, gzip\r\ncontent-length: 40\r\n\r\n" + b"\x1f\x8b" * 20,
    ],
    ids=["closed", "half a status line", "compressed"],
)
async def test_a_question_that_was_read_is_not_sent_again_and_no_answer_is_unpacked(reply: bytes) -> None:
    models = json.dumps({"data": [{"id": "m"}]}).encode()
    asked: list[bytes] = []
    done = threading.Event()

    def serve(listening: socket.socket) -> None:
        listening.settimeout(0.05)
        while not done.is_set():
            try:
                connection = listening.accept()[0]
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(10)
                request = b""
                while b"\r\n\r\n" not in request:
                    request += connection.recv(65536)
                asked.append(request[:4])
                head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(models)
                connection.sendall(head + models if request.startswith(b"GET") else reply)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        try:
            with pytest.raises(BridgeError):
                await said(OpenAICompatibleEngine(f"http://127.0.0.1:{listening.getsockname()[1]}"))
        finally:
            done.set()
            thread.join()
    assert asked.count(b"POST") == 1


async def test_a_kept_connection_that_the_server_has_closed_is_replaced() -> None:
    """The server answers one request on a connection, keeps it as if for more, and closes it at the next."""
    body = json.dumps({"data": [{"id": "m"}]}).encode()
    chat = json.dumps({"choices": [{"message": {"content": "Hi there."}, "finish_reason": "stop"}]}).encode()
    connections: list[int] = []

    def serve(listening: socket.socket) -> None:
        for _ in range(2):
            with listening.accept()[0] as connection:
                connections.append(len(connections))
                asked = b""
                while b"\r\n\r\n" not in asked:
                    asked += connection.recv(65536)
                answer = body if asked.startswith(b"GET") else chat
                head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(answer)}\r\n\r\n"
                connection.sendall(head.encode() + answer)
                if asked.startswith(b"GET"):
                    connection.recv(65536)  # The next request, or the end, comes, and the connection closes.

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        assert await said(OpenAICompatibleEngine(f"http://127.0.0.1:{listening.getsockname()[1]}")) == "Hi there."
        thread.join()
    assert len(connections) == 2
