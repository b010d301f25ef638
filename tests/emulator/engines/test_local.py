"""The real model: fetched from the registry, run by llama.cpp, killed and brought back."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_workspace_emulator.engines import local, model_server
from databricks_workspace_emulator.engines.artifacts import (
    LOCAL_ENGINE,
    directory_name,
    supported,
)
from databricks_workspace_emulator.engines.base import ChatMessage, TextRequest
from databricks_workspace_emulator.engines.download import find_cached
from databricks_workspace_emulator.engines.llama_server import usable_cores
from databricks_workspace_emulator.engines.local import LocalEngine
from databricks_workspace_emulator.engines.openai_compatible import OpenAICompatibleEngine
from harness.deadlines import DEADLINE_SECONDS, LONG_DEADLINE_SECONDS

pytestmark = pytest.mark.anyio

real = [pytest.mark.slow, pytest.mark.skipif(supported() is not None, reason=supported() or "")]


def ask(text: str, **settings: object) -> TextRequest:
    return TextRequest("databricks-gpt-5", [ChatMessage("user", text)], **settings)  # type: ignore[arg-type]


async def said(engine: LocalEngine | OpenAICompatibleEngine, request: TextRequest) -> str:
    return "".join([piece async for piece in engine.stream(request)])


def servers(cache: Path) -> list[int]:
    """The ids of the model servers that run from this cache, without their keepers."""
    found = []
    program = [b"-I", b"-S", b"-B", model_server.__file__.encode()]
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            arguments = (process / "cmdline").read_bytes().split(b"\0")
            if arguments[1:5] == program and arguments[5].startswith(str(cache).encode()):
                found.append(int(process.name))
    return found


@contextlib.contextmanager
def handle_of_server(cache: Path) -> Iterator[int]:
    (pid,) = servers(cache)
    handle = os.pidfd_open(pid)
    try:
        yield handle
    finally:
        os.close(handle)


def has_ended(handle: int) -> bool:
    return bool(select.select([handle], [], [], DEADLINE_SECONDS)[0])


@pytest.fixture
async def engine(engine_cache: Path) -> AsyncIterator[LocalEngine]:
    engine = LocalEngine(engine_cache)
    with anyio.fail_after(LONG_DEADLINE_SECONDS):
        await engine.start()
    yield engine
    await engine.aclose()
    assert servers(engine_cache) == []


async def test_nothing_is_fetched_or_started_before_it_is_used(tmp_path: Path) -> None:
    engine = LocalEngine(tmp_path / "cache")
    assert engine.label == "SmolLM2-135M-Instruct (local llama.cpp)"
    await engine.aclose()
    await engine.aclose()
    assert not (tmp_path / "cache").exists()


async def test_after_a_hosted_tool_no_model_is_fetched_or_asked(tmp_path: Path) -> None:
    engine = LocalEngine(cache_dir=tmp_path)
    request = ask("A red fox", played=("image_generation drew a picture.", "search of genie gave a made-up output."))
    assert await said(engine, request) == "image_generation drew a picture. search of genie gave a made-up output."
    assert list(tmp_path.iterdir()) == []


async def test_a_closed_engine_says_so(tmp_path: Path) -> None:
    engine = LocalEngine(tmp_path / "cache")
    await engine.aclose()
    with pytest.raises(BridgeError) as raised:
        await said(engine, ask("Hello"))
    assert raised.value.code is ErrorCode.CANCELLED


async def test_a_machine_that_cannot_run_it_is_told_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "supported", lambda: "the processor is too old")
    with pytest.raises(BridgeError) as raised:
        await said(LocalEngine(tmp_path / "cache"), ask("Hello"))
    assert raised.value.message == "The processor is too old."
    assert not (tmp_path / "cache").exists()


async def test_a_server_that_does_not_start_is_told_with_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for the server, in a cache that looks complete."""
    directory = tmp_path / directory_name(LOCAL_ENGINE)
    directory.mkdir()
    (directory / "xllamacpp.py").write_text("import sys\nprint('no such model', file=sys.stderr)\nsys.exit(3)\n")
    monkeypatch.setattr(local, "supported", lambda: None)
    monkeypatch.setattr(local, "find_cached", lambda _: directory)
    engine = LocalEngine(tmp_path)
    with anyio.fail_after(DEADLINE_SECONDS), pytest.raises(BridgeError) as raised:
        await said(engine, ask("Hello"))
    await engine.aclose()
    assert raised.value.message == ("The local model's server ended with status 3. The end of its log: no such model")
    assert "--engine rules" in raised.value.hint


@pytest.mark.skipif(supported() is not None, reason=supported() or "")
async def test_closing_during_the_download_ends_it(index: Any, tmp_path: Path) -> None:
    begun, released = threading.Event(), threading.Event()
    index.directory.mkdir()
    (index.directory / LOCAL_ENGINE[0].filename).write_bytes(b"never sent")

    def hang() -> None:
        begun.set()
        released.wait(DEADLINE_SECONDS)

    index.before_file = hang
    engine = LocalEngine(tmp_path / "cache")
    errors: list[ErrorCode] = []

    async def start() -> None:
        with pytest.raises(BridgeError) as raised:
            await engine.start()
        errors.append(raised.value.code)

    with anyio.fail_after(DEADLINE_SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(start)
            tasks.start_soon(start)
            assert await anyio.to_thread.run_sync(begun.wait, DEADLINE_SECONDS)
            await engine.aclose()
    released.set()
    assert errors == [ErrorCode.CANCELLED] * 2
    assert index.files_fetched() == [LOCAL_ENGINE[0].filename]


def test_threads_fit_the_cores() -> None:
    assert 1 <= usable_cores() <= min(8, os.cpu_count() or 1)


class TestTheRealModel:
    pytestmark = real

    async def test_it_answers_a_question(self, engine: LocalEngine) -> None:
        pieces = [piece async for piece in engine.stream(ask("What is the capital of France?"))]
        assert "Paris" in "".join(pieces)
        assert len(pieces) > 3

    async def test_json_fits_its_schema(self, engine: LocalEngine) -> None:
        schema: dict[str, object] = {
            "type": "object",
            "properties": {"city": {"enum": ["Paris", "Rome"]}, "big": {"type": "boolean"}},
            "required": ["city", "big"],
            "additionalProperties": False,
        }
        answer = json.loads(await said(engine, ask("The capital of France, as JSON.", json_schema=schema)))
        assert set(answer) == {"city", "big"}
        assert answer["city"] in {"Paris", "Rome"}

    async def test_a_limit_is_kept_and_its_own_limit_is_told(
        self, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        story = "Write a very long story."
        assert len((await said(engine, ask(story, max_output_tokens=8))).split()) <= 8
        monkeypatch.setattr(local, "DEFAULT_MAX_TOKENS", 16)
        assert (await said(engine, ask(story))).endswith("\n\n[The model was stopped here, after 16 tokens.]")

    async def test_a_prompt_beyond_the_context_is_cut_and_the_answer_says_so(self, engine: LocalEngine) -> None:
        history = [ChatMessage("user", "old " * 500), ChatMessage("assistant", "Yes.")]
        request = TextRequest(
            "m",
            [ChatMessage("system", "Be brief."), *history, ChatMessage("user", "<|im_end|> 語 word " * 60_000)],
            max_output_tokens=4,
        )
        answer = await said(engine, request)
        assert answer.startswith(
            "[This small model cannot read that much at once: it was not shown the 2 oldest messages and "
        )

    async def test_many_at_once_share_one_server(self, engine_cache: Path) -> None:
        async with aclosing(LocalEngine(engine_cache)) as engine:
            answers: list[str] = []

            async def one() -> None:
                answers.append(await said(engine, ask("Say hello.", max_output_tokens=8)))

            with anyio.fail_after(DEADLINE_SECONDS):
                async with anyio.create_task_group() as tasks:
                    for _ in range(20):
                        tasks.start_soon(one)
            assert len(answers) == 20
            assert len(servers(engine_cache)) == 1

    async def test_leaving_in_the_middle_frees_its_place_at_once(self, engine: LocalEngine) -> None:
        with anyio.fail_after(DEADLINE_SECONDS):
            for _ in range(6):  # More often than there are places.
                async with aclosing(engine.stream(ask("Write a very long story.", max_output_tokens=2000))) as pieces:
                    async for _piece in pieces:
                        break
            assert await said(engine, ask("Say hello.", max_output_tokens=8))

    async def test_a_server_that_was_killed_in_between_is_started_again_unnoticed(
        self, engine: LocalEngine, engine_cache: Path
    ) -> None:
        with handle_of_server(engine_cache) as handle:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            assert has_ended(handle)
        assert await said(engine, ask("Say hello.", max_output_tokens=8))

    async def test_a_server_that_dies_while_it_writes_is_told_and_started_at_the_next_use(
        self, engine: LocalEngine, engine_cache: Path
    ) -> None:
        async def read_and_kill(handle: int) -> None:
            async for _ in engine.stream(ask("Write a very long story.", max_output_tokens=2000)):
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)

        with handle_of_server(engine_cache) as handle, pytest.raises(BridgeError) as raised:
            await read_and_kill(handle)
        assert raised.value.message.startswith(
            "The local model's server ended with status 137 while it answered. The end of its log: "
        )
        assert raised.value.retryable
        assert raised.value.partial["text"]
        assert await said(engine, ask("Say hello.", max_output_tokens=8))

    async def test_closing_while_it_writes_ends_the_server(self, engine: LocalEngine, engine_cache: Path) -> None:
        async def read_and_close() -> None:
            async for _ in engine.stream(ask("Write a very long story.", max_output_tokens=2000)):
                await engine.aclose()

        with handle_of_server(engine_cache) as handle, anyio.fail_after(DEADLINE_SECONDS):
            with pytest.raises(BridgeError) as raised:
                await read_and_close()
            assert has_ended(handle)
        assert raised.value.code is ErrorCode.CANCELLED

    async def test_a_process_that_is_killed_leaves_no_server(self, engine: LocalEngine, engine_cache: Path) -> None:
        await engine.aclose()
        program = (
            "import sys, anyio; from pathlib import Path\n"
            "from databricks_workspace_emulator.engines.local import LocalEngine\n"
            "async def main():\n"
            "    await LocalEngine(Path(sys.argv[1])).start()\n"
            "    print('ready', flush=True)\n"
            "    await anyio.sleep_forever()\n"
            "anyio.run(main)\n"
        )
        command = [sys.executable, "-c", program, str(engine_cache)]
        async with await anyio.open_process(command, stdout=subprocess.PIPE, stderr=None) as process:
            assert process.stdout is not None
            with anyio.fail_after(DEADLINE_SECONDS):
                assert await BufferedByteReceiveStream(process.stdout).receive_until(b"\n", 99) == b"ready"
            with handle_of_server(engine_cache) as handle:
                process.kill()
                assert await anyio.to_thread.run_sync(has_ended, handle)

    async def test_a_download_outlives_the_call_that_began_it(self, tmp_path: Path) -> None:
        begun = anyio.Event()
        token = anyio.lowlevel.current_token()
        calls: list[tuple[str, int, int]] = []

        def progress(name: str, done: int, total: int) -> None:
            calls.append((name, done, total))
            anyio.from_thread.run_sync(begun.set, token=token)

        engine = LocalEngine(tmp_path, progress)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(engine.start)
            with anyio.fail_after(DEADLINE_SECONDS):
                await begun.wait()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(LONG_DEADLINE_SECONDS):
            await engine.start()
        assert find_cached(tmp_path) is not None
        fetched = [done for name, done, _ in calls if name == LOCAL_ENGINE[0].distribution]
        assert fetched == sorted(fetched)  # Not begun anew.
        await engine.aclose()

    async def test_its_server_is_also_a_users_own_server(self, engine: LocalEngine) -> None:
        server = engine._server
        assert server is not None
        key = server.chat._headers["authorization"].removeprefix("Bearer ")
        async with aclosing(OpenAICompatibleEngine(f"http://{server.chat.address}", api_key=key)) as other:
            assert await said(other, ask("Say hello.", max_output_tokens=8))
            assert other.label == f"SmolLM2-135M-Instruct at {server.chat.address}"
        wrong = OpenAICompatibleEngine(f"http://{server.chat.address}#m", api_key="wrong")
        async with aclosing(wrong):
            with pytest.raises(BridgeError) as raised:
                await said(wrong, ask("Hello"))
        assert raised.value.code is ErrorCode.UNAUTHENTICATED
