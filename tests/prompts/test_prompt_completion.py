"""Completion of prompts' arguments: the suggested values and their order; failures do not reach the host."""

import logging
import os
import subprocess
from pathlib import Path

import anyio
import pytest
from mcp.types import Completion, CompletionArgument, PromptReference, ResourceTemplateReference

from databricks_responses_mcp.calls.state import App
from databricks_responses_mcp.prompts import completion, endpoint_names
from databricks_responses_mcp.prompts.completion import rank
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_workspace_emulator.server import RunningEmulator
from harness import Connect, Host
from harness.deadlines import DEADLINE_SECONDS
from harness.raw_server import answer, raw_server

pytestmark = pytest.mark.anyio

LISTING = "/api/2.0/serving-endpoints"


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Extend the deadlines, after which completion returns nothing, for tests on a busy machine."""
    monkeypatch.setattr(completion, "DEADLINE_SECONDS", DEADLINE_SECONDS)
    monkeypatch.setattr(endpoint_names, "_WAIT_SECONDS", DEADLINE_SECONDS)


async def completed(host: Host, prompt: str, argument: str, typed: str = "") -> Completion:
    result = await host.client.complete(PromptReference(name=prompt), {"name": argument, "value": typed})
    return result.completion


async def values(host: Host, prompt: str, argument: str, typed: str = "") -> list[str]:
    return list((await completed(host, prompt, argument, typed)).values)


async def test_models_are_completed_from_one_request_for_the_list_of_endpoints(
    connect: Connect, emulator: RunningEmulator, era: str
) -> None:
    async with connect(era) as host:
        every = await values(host, "second_opinion", "model")
        some = await completed(host, "review_diff", "model", "GPT-5-5")
    assert some == Completion(values=["databricks-gpt-5-5", "databricks-gpt-5-5-pro"], total=2, has_more=False)
    serving = {"databricks-gpt-5", "databricks-gpt-5-5-pro", "my-openai-external"}
    assert serving <= set(every) < set(emulator.state.endpoints)
    assert not [name for name in every if "embedding" in name or "bge" in name]
    assert len(emulator.state.request_log.to(LISTING)) == 1


async def test_only_models_that_generate_images_are_suggested_for_images(connect: Connect, era: str) -> None:
    async with connect(era) as host:
        offered = await values(host, "illustrate", "model")
        _, facts, _ = await host.call("list_databricks_models", capability="image_generation")
    assert offered
    assert set(offered) == {model["name"] for model in facts["models"]}


async def test_constant_values_are_suggested_without_a_workspace(connect: Connect, emulator: RunningEmulator) -> None:
    async with connect() as host:
        assert await values(host, "illustrate", "size", "1024") == ["1024x1024", "1024x1536", "1536x1024"]
        assert await values(host, "illustrate", "quality") == ["auto", "low", "medium", "high", "xhigh", "max"]
        assert await values(host, "illustrate", "style", "draw") == ["line drawing"]
        assert await values(host, "review_diff", "focus", "sec") == ["security"]
    assert emulator.state.request_log.to(LISTING) == []


def test_values_that_begin_with_the_typed_text_come_before_values_that_contain_it() -> None:
    names = ["a-gpt", "gpt-b", "GPT-a", "other"]
    assert rank(names, " gpt") == ["gpt-b", "GPT-a", "a-gpt"]
    assert rank(names, "") == names


async def test_at_most_as_many_values_as_the_protocol_allows_are_returned_with_the_total(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(130):
        (tmp_path / f"file{number:03}").touch()
    monkeypatch.chdir(tmp_path)
    async with connect() as host:
        found = await completed(host, "review_diff", "changes", "file")
    assert (len(found.values), found.values[0], found.total, found.has_more) == (100, "file000", 130, True)


@pytest.mark.parametrize(
    ("prompt", "argument"), [("third_opinion", "model"), ("second_opinion", "zzz"), ("second_opinion", "question")]
)
async def test_an_unknown_argument_has_no_suggestions(connect: Connect, era: str, prompt: str, argument: str) -> None:
    async with connect(era) as host:
        assert await completed(host, prompt, argument, "x") == Completion(values=[], total=0, has_more=False)


async def test_a_failing_workspace_gives_no_error_and_no_request_for_each_keystroke(
    connect: Connect, emulator: RunningEmulator, era: str
) -> None:
    emulator.state.endpoints.clear()
    async with connect(era, environ={"DATABRICKS_HOST": emulator.host, "DATABRICKS_TOKEN": "wrong"}) as host:
        for typed in ("", "d", "da"):
            assert await values(host, "second_opinion", "model", typed) == []
    assert len(emulator.state.request_log.to(LISTING)) == 1


async def test_a_malformed_list_of_endpoints_gives_no_error() -> None:
    async with raw_server(answer(b'{"endpoints": [1, {"name": 7}, {"name": "mine"}, null]}', "application/json")) as (
        _,
        bridge,
    ):
        assert await _models(bridge) == []
    async with raw_server(answer(b"<html>login</html>", "text/html")) as (_, bridge):
        assert await _models(bridge) == []


async def test_the_endpoints_of_a_slow_workspace_are_suggested_at_the_next_keystroke(
    emulator: RunningEmulator, bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_names, "_WAIT_SECONDS", 0.05)
    released, asked = anyio.Event(), anyio.Event()
    fetch = bridge.endpoints._fetch

    async def slowly() -> object:
        asked.set()
        await released.wait()
        return await fetch()

    monkeypatch.setattr(bridge.endpoints, "_fetch", slowly)
    with anyio.fail_after(DEADLINE_SECONDS):
        async with anyio.create_task_group() as background:
            app = App(bridge, background=background)
            assert await _models(bridge, app) == []
            assert asked.is_set()
            released.set()
        assert "databricks-gpt-5" in await _models(bridge)
    assert len(emulator.state.request_log.to(LISTING)) == 1


async def test_a_source_that_hangs_or_fails_gives_no_suggestion(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def hang(app: App, typed: str) -> list[str]:
        await anyio.sleep_forever()
        return []

    async def break_(app: App, typed: str) -> list[str]:
        raise RuntimeError("a defect")

    template = ResourceTemplateReference(uri="conversation://{id}")
    typed = CompletionArgument(name="id", value="")
    monkeypatch.setattr(completion, "DEADLINE_SECONDS", 0.05)
    nothing = Completion(values=[], total=0, has_more=False)
    with anyio.fail_after(DEADLINE_SECONDS):
        monkeypatch.setattr(completion, "RESOURCES", {template.uri: {"id": hang}})
        assert await completion.complete(App(bridge), template, typed) == nothing
        monkeypatch.setattr(completion, "RESOURCES", {template.uri: {"id": break_}})
        with caplog.at_level(logging.ERROR):
            assert await completion.complete(App(bridge), template, typed) == nothing
    assert "a defect" in caplog.text


async def test_saved_images_are_suggested_for_their_template_newest_first(
    connect: Connect, tmp_path: Path, era: str
) -> None:
    reference = ResourceTemplateReference(uri="image://{name}")
    async with connect(era) as host:
        none = await host.client.complete(reference, {"name": "name", "value": ""})
        await host.call("generate_image", prompt="A cat", size="256x256")
        await host.call("generate_image", prompt="A dog", size="256x256")
        files = sorted((tmp_path / "pictures").iterdir())
        os.utime(files[0], (1, 1))
        (tmp_path / "pictures" / "notes.txt").touch()
        for number, name in enumerate(("drawing.svg", "moving.gif"), 2):
            (tmp_path / "pictures" / name).touch()
            os.utime(tmp_path / "pictures" / name, (number, number))
        found = await host.client.complete(reference, {"name": "name", "value": ""})
        read = await host.client.read_resource(f"image://{found.completion.values[0]}")
    assert none.completion.values == []
    assert found.completion.values == [files[1].name, "moving.gif", "drawing.svg", files[0].name]
    assert read.contents[0].mime_type == "image/png"


def _repository(path: Path) -> None:
    """Create two branches, one of them packed, and files, one of them hidden."""
    git = ["git", "-C", str(path), "-c", "user.name=t", "-c", "user.email=t@t.example"]
    (path / "server" / "inner").mkdir(parents=True)
    (path / "server" / "app.py").write_text("x = 1\n", encoding="utf-8")
    (path / ".env").write_text("secret\n", encoding="utf-8")
    for command in (
        ["init", "-q", "-b", "main"],
        ["commit", "-q", "--allow-empty", "-m", "one"],
        ["branch", "old/packed"],
        ["pack-refs", "--all"],
        ["branch", "feature/completion"],
    ):
        subprocess.run([*git, *command], check=True)


async def test_changes_are_completed_with_branches_and_paths(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, era: str
) -> None:
    _repository(tmp_path)
    monkeypatch.chdir(tmp_path)
    async with connect(era) as host:
        assert await values(host, "review_diff", "changes") == [
            "staged",
            "HEAD",
            "HEAD~1",
            "feature/completion",
            "main",
            "old/packed",
            "server/",
        ]
        assert await values(host, "review_diff", "changes", "feat") == ["feature/completion"]
        assert await values(host, "review_diff", "changes", "server/") == ["server/app.py", "server/inner/"]
        assert await values(host, "review_diff", "changes", ".e") == [".env"]


@pytest.mark.parametrize("typed", ["../", "/etc/", "//share/x/", "link/", "no/such/", "\x00/", "a" * 5000 + "/"])
async def test_nothing_outside_the_allowed_directories_is_suggested(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret").touch()
    try:
        (inside / "link").symlink_to(outside)
    except OSError:
        assert os.name == "nt"
    monkeypatch.chdir(inside)
    async with connect(allowed_dirs=(inside,)) as host:
        assert await values(host, "review_diff", "changes", typed) == []


async def test_a_server_outside_the_allowed_directories_suggests_only_constant_values(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _repository(tmp_path)
    monkeypatch.chdir(tmp_path)
    async with connect(allowed_dirs=(tmp_path / "server",)) as host:
        assert await values(host, "review_diff", "changes") == ["staged", "HEAD", "HEAD~1"]


async def _models(bridge: Bridge, app: App | None = None) -> list[str]:
    argument = CompletionArgument(name="model", value="gpt")
    found = await completion.complete(app or App(bridge), PromptReference(name="second_opinion"), argument)
    return list(found.values)
