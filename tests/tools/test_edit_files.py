"""``edit_files`` as a host uses it, on real files, with a model that patches them."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anyio
import pytest
from inline_snapshot import snapshot
from mcp import Client, StdioServerParameters
from pydantic import SecretStr

from databricks_responses_mcp.calls.edit_previews import MAX_PREVIEW_CHARACTERS, MAX_PREVIEWS, EditPreview, EditPreviews
from databricks_responses_mcp.calls.state import App
from databricks_responses_mcp.media.write_journal import Step
from databricks_responses_mcp.server import _warm_up, build_server
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_workspace_emulator.server import RunningEmulator
from harness import Connect, Host
from harness.deadlines import DEADLINE_SECONDS
from harness.raw_server import answer, raw_server
from harness.stdio_process import COMMAND, environment

pytestmark = pytest.mark.anyio

EDIT = "edit_files"
SOURCE = "def greet():\n    return 'hi'\n"
CHANGED = SOURCE.replace("\n", "\n# Changed by the embedded workspace, no model asked\n", 1)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "greet.py"
    file.write_bytes(SOURCE.encode())
    return file


def response(*items: dict[str, Any]) -> bytes:
    event = {"type": "response.completed", "response": {"status": "completed", "output": list(items)}}
    return answer(f"data: {json.dumps(event)}\n\n".encode(), "text/event-stream")


def call(number: int, kind: str, path: str, diff: str = "") -> dict[str, Any]:
    operation = {"type": kind, "path": path, "diff": diff}
    return {"type": "apply_patch_call", "call_id": f"c{number}", "status": "completed", "operation": operation}


DONE = response({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Done."}]})


class Scripted:
    """A host of a server whose model answers what a test says."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.requests: list[bytes] = []

    @asynccontextmanager
    async def host(self, *answers: bytes) -> AsyncIterator[Host]:
        async with raw_server(DONE) as (server, bridge):
            server.first = [*answers]
            self.requests = server.requests
            store = SecretStr(f"{self.directory}-store/conversations.db")
            bridge.settings = bridge.settings.model_copy(update={"allowed_dirs": (self.directory,), "store": store})
            async with Client(build_server(lambda: nullcontext(bridge)), mode="2026-07-28") as client:
                yield Host(client)

    async def edit(self, *answers: bytes, **arguments: Any) -> tuple[dict[str, Any], bool]:
        async with self.host(*answers) as host:
            _, facts, failed = await host.call(EDIT, instruction="Change it.", model="m", **arguments)
        return facts, failed


class Held:
    """Stands for files that were read, of which a preview wants the sizes."""

    texts: dict[str, str] = {}  # noqa: RUF012 - never changed


@pytest.fixture
def scripted(tmp_path: Path) -> Scripted:
    return Scripted(tmp_path)


async def test_the_changes_are_shown_and_nothing_is_written_unless_asked(
    connect: Connect, era: str, source: Path
) -> None:
    async with connect(era) as host:
        content, facts, failed = await host.call(EDIT, instruction="Say more.", paths=[str(source)])
        assert source.read_text() == SOURCE
        _, applied, _ = await host.call(EDIT, instruction="Say more.", paths=str(source), apply=True)
    assert not failed
    assert source.read_text() == CHANGED
    assert (facts["applied"], applied["applied"], facts["diff"], facts["operations"]) == snapshot(
        (
            False,
            True,
            """\
diff --git a/greet.py b/greet.py
--- a/greet.py
+++ b/greet.py
@@ -1,2 +1,3 @@
 def greet():
+# Changed by the embedded workspace, no model asked
     return 'hi'
""",
            [{"type": "update_file", "path": "greet.py", "status": "previewed"}],
        )
    )
    assert applied["operations"] == [{"type": "update_file", "path": "greet.py", "status": "written"}]
    assert applied["diff"] == facts["diff"]
    text = content[0].text
    assert "Nothing was written" in text
    assert facts["diff"] in text
    assert "update_file greet.py: previewed" in text
    assert facts["text"] in text


async def test_a_patch_that_does_not_fit_is_corrected_by_the_model(connect: Connect, era: str, source: Path) -> None:
    async with connect(era) as host:
        _, facts, failed = await host.call(EDIT, instruction="[[misfit 2]]", paths=[str(source)], apply=True)
    assert not failed
    assert [(operation["status"], "error" in operation) for operation in facts["operations"]] == [
        ("failed", True),
        ("failed", True),
        ("written", False),
    ]
    assert (facts["applied"], source.read_text()) == (True, CHANGED)


async def test_how_it_goes_is_told_to_a_host_that_asks_for_it(connect: Connect, source: Path) -> None:
    async with connect("legacy") as host:
        await host.call(EDIT, instruction="[[misfit]]", paths=[str(source)])
    assert [message for _, message in host.progress] == [
        "databricks-gpt-5: the model is answering",
        "0 operations applied, 1 failed; the model continues",
        "databricks-gpt-5: the model is answering",
        "1 operation applied, 1 failed; the model continues",
        "databricks-gpt-5: the model is answering",
    ]


async def test_a_model_that_never_gets_it_right_writes_nothing(connect: Connect, source: Path) -> None:
    async with connect() as host:
        content, facts, failed = await host.call(EDIT, instruction="[[misfit 99]]", paths=[str(source)], apply=True)
    assert (failed, facts["status"], facts["incomplete_reason"], facts["applied"]) == (
        False,
        "incomplete",
        "max_steps",
        False,
    )
    assert source.read_text() == SOURCE
    assert "was asked 8 times" in content[0].text


async def test_it_works_over_pipes_in_both_eras(
    emulator: RunningEmulator, tmp_path: Path, source: Path, era: str
) -> None:
    env = environment(emulator, tmp_path / "home")
    project = tmp_path / "project"
    project.mkdir()
    source.rename(project / "greet.py")
    parameters = StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=env, cwd=project)
    with anyio.fail_after(DEADLINE_SECONDS):
        async with Client(parameters, mode=era) as client:
            # No setting: the working directory is a project.
            _, facts, failed = await Host(client).call(EDIT, instruction="[[misfit 1]]", paths=["greet.py"], apply=True)
    assert (failed, facts["applied"], (project / "greet.py").read_text()) == (False, True, CHANGED)


async def test_several_files_are_changed_made_and_deleted_together(scripted: Scripted, source: Path) -> None:
    (source.parent / "old.txt").write_bytes("ä\r\n".encode("utf-16"))
    (source.parent / "gone.txt").write_text("x\n")
    facts, failed = await scripted.edit(
        response(
            call(1, "update_file", "old.txt", " ä\n+ö\n"),
            call(2, "delete_file", "gone.txt"),
            call(3, "create_file", "new/folder/a.txt", "+new\n"),
        ),
        paths=[str(source.parent / name) for name in ("old.txt", "gone.txt", "greet.py")],
        new_paths=[str(source.parent / "new/folder/a.txt")],
        apply=True,
    )
    assert (failed, facts["applied"], facts["text"]) == (False, True, "Done.")
    left = {p.relative_to(source.parent).as_posix(): p.read_bytes() for p in source.parent.rglob("*") if p.is_file()}
    assert left == {
        "greet.py": SOURCE.encode(),
        "old.txt": "ä\r\nö\r\n".encode("utf-16"),
        "new/folder/a.txt": b"new\n",
    }


async def test_new_files_may_be_asked_for_alone(scripted: Scripted, tmp_path: Path) -> None:
    facts, _ = await scripted.edit(
        response(call(1, "create_file", "a.txt", "+new\n")), new_paths=[str(tmp_path / "a.txt")], apply=True
    )
    assert (facts["applied"], (tmp_path / "a.txt").read_bytes()) == (True, b"new\n")


@pytest.mark.parametrize("path", ["../escape.txt", "/tmp/escape.txt", "there.txt", "link/escape.txt"])
async def test_what_the_model_may_not_touch_is_answered_as_failed(
    scripted: Scripted, tmp_path: Path, source: Path, path: str
) -> None:
    inner = tmp_path / "project"
    inner.mkdir()
    (inner / "there.txt").write_text("mine\n")
    if os.name != "nt":
        (inner / "link").symlink_to(tmp_path)
    source.rename(inner / "greet.py")
    scripted.directory = inner
    facts, failed = await scripted.edit(
        response(call(1, "create_file", path, "+x\n"), call(2, "update_file", "greet.py", " def greet():\n+x\n")),
        paths=[str(inner / "greet.py")],
        apply=True,
    )
    assert [operation["status"] for operation in facts["operations"]] == ["failed", "not_written"]
    assert (failed, facts["applied"], facts["status"], facts["incomplete_reason"]) == (
        False,
        False,
        "incomplete",
        "failed_operations",
    )
    assert "Nothing was written" in facts["notes"][-1]
    assert (inner / "greet.py").read_text() == SOURCE
    assert not (tmp_path / "escape.txt").exists()


async def test_a_file_that_changed_while_the_model_worked_is_left_alone_and_the_diff_is_kept(
    connect: Connect, emulator: RunningEmulator, source: Path
) -> None:
    got: dict[str, Any] = {}
    async with connect() as host:
        with emulator.state.hold(after_events=2) as hold:
            async with anyio.create_task_group() as tasks:

                async def edit() -> None:
                    got["result"] = await host.call(EDIT, instruction="x", paths=[str(source)], apply=True)

                tasks.start_soon(edit)
                with anyio.fail_after(DEADLINE_SECONDS):
                    await hold.reached.wait()
                source.write_text("def greet():\n    return 'from the user'\n")
                hold.release()
    content, facts, failed = got["result"]
    assert (failed, facts["error"]["code"], facts["error"]["retryable"], facts["applied"], facts["status"]) == (
        True,
        "invalid_argument",
        True,
        False,
        "failed",
    )
    assert [operation["status"] for operation in facts["operations"]] == ["not_written"]
    assert "+# Changed by the embedded workspace" in facts["diff"]
    assert facts["diff"] in content[0].text
    assert "from the user" in source.read_text()


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"x" * 2000, "too_large"), (b"\x89PNG\r\n\x1a\n\0\0", "invalid_argument"), (None, "not_found")],
)
async def test_what_cannot_be_edited_is_refused_before_anything_is_sent(
    connect: Connect, emulator: RunningEmulator, tmp_path: Path, content: bytes | None, code: str
) -> None:
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    async with connect(max_file_bytes=1000) as host:
        _, facts, failed = await host.call(EDIT, instruction="x", paths=[str(tmp_path / "file")])
    assert (failed, facts["error"]["code"]) == (True, code)
    assert emulator.state.request_log.to("/responses") == []


async def test_a_diff_that_is_too_long_for_a_host_is_whole_as_a_resource(connect: Connect, source: Path) -> None:
    source.write_text("".join(f"line {number} {'x' * 90}\n" for number in range(4)))
    async with connect(max_text_tokens=100) as host:
        _, facts, _ = await host.call(EDIT, instruction="[[say ok]]", paths=[str(source)])
        whole = (await host.client.read_resource(facts["diff_uri"])).contents[0]
    assert len(facts["diff"]) == 400
    assert whole.text.startswith(facts["diff"])
    assert len(whole.text) > 400


async def test_an_edit_goes_on_with_what_was_said_before(
    connect: Connect, emulator: RunningEmulator, source: Path
) -> None:
    async with connect() as host:
        _, asked, _ = await host.call(
            "ask_databricks_model", prompt="[[say Greetings are warm.]]", instructions="Rhyme."
        )
        _, edited, failed = await host.call(
            EDIT, instruction="Say more.", paths=[str(source)], conversation_id=asked["conversation_id"]
        )
    assert (failed, edited["conversation_id"]) == (False, asked["conversation_id"])
    sent = emulator.state.request_log.to("/serving-endpoints/responses")[1].body
    assert [item.get("role") for item in sent["input"]] == ["user", "assistant", "user"]
    assert sent["instructions"] == "Rhyme."


HOSTILE = [
    ".git/hooks/pre-commit",
    ".GIT/config",
    ".claude/settings.json",
    ".mcp.json",
    ".cursor/mcp.json",
    ".vscode/tasks.json",
    ".envrc",
    ".husky/pre-commit",
    ".devcontainer/devcontainer.json",
    "lib/HEAD",
]


@pytest.mark.parametrize("path", HOSTILE)
async def test_a_model_cannot_create_files_that_tools_run_automatically(
    scripted: Scripted, tmp_path: Path, source: Path, path: str
) -> None:
    facts, _ = await scripted.edit(
        response(
            call(1, "create_file", path, "+#!/bin/sh\n"), call(2, "update_file", "greet.py", " def greet():\n+x\n")
        ),
        paths=[str(source)],
        apply=True,
    )
    assert [operation["status"] for operation in facts["operations"]] == ["failed", "not_written"]
    assert (facts["applied"], source.read_text()) == (False, SOURCE)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["greet.py"]


async def test_a_hidden_file_is_created_if_exactly_it_was_named_and_a_file_of_gits_never(
    scripted: Scripted, tmp_path: Path
) -> None:
    path = tmp_path / ".github" / "workflows" / "ci.yml"
    facts, failed = await scripted.edit(
        response(call(1, "create_file", ".github/workflows/ci.yml", "+on: push\n")), new_paths=[str(path)], apply=True
    )
    assert (failed, facts["applied"], facts["new_files"]) == (False, True, [".github/workflows/ci.yml"])
    assert path.read_text() == "on: push\n"
    facts, failed = await scripted.edit(new_paths=[str(tmp_path / ".git" / "config")], apply=True)
    assert (failed, facts["error"]["code"]) == (True, "permission_denied")


async def test_unnamed_new_files_are_previewed_and_then_written_by_the_previews_id(
    scripted: Scripted, tmp_path: Path, source: Path
) -> None:
    async with scripted.host(response(call(1, "create_file", "conftest.py", "+import os\n"))) as host:
        content, shown, failed = await host.call(EDIT, instruction="x", model="m", paths=[str(source)], apply=True)
        assert (failed, shown["applied"], shown["status"], shown["new_files"]) == (
            False,
            False,
            "incomplete",
            ["conftest.py"],
        )
        assert not (tmp_path / "conftest.py").exists()
        assert "Would be created: conftest.py" in content[0].text
        assert f'preview_id "{shown["preview_id"]}"' in content[0].text
        _, written, _ = await host.call(EDIT, preview_id=shown["preview_id"], apply=True)
    assert (written["applied"], (tmp_path / "conftest.py").read_text()) == (True, "import os\n")


@pytest.fixture
def change() -> bytes:
    return response(call(1, "update_file", "greet.py", " def greet():\n+    # more\n"))


async def test_a_preview_is_written_exactly_as_shown_without_another_request(
    scripted: Scripted, source: Path, change: bytes
) -> None:
    async with scripted.host(change) as host:
        _, shown, _ = await host.call(EDIT, instruction="x", model="m", paths=[str(source)])
        asked = len(scripted.requests)
        content, again, _ = await host.call(EDIT, preview_id=shown["preview_id"])
        assert (again["applied"], again["diff"], source.read_text()) == (False, shown["diff"], SOURCE)
        content, written, failed = await host.call(EDIT, preview_id=shown["preview_id"], apply=True)
        assert len(scripted.requests) == asked
        _, repeated, _ = await host.call(EDIT, preview_id=shown["preview_id"], apply=True)
    assert source.read_text() == SOURCE.replace("\n", "\n    # more\n", 1)
    assert not failed
    assert written.pop("directory") == str(source.parent)
    del written["conversation_id"]
    assert written == snapshot(
        {
            "applied": True,
            "status": "completed",
            "model": "m",
            "endpoint": "m",
            "diff": """\
diff --git a/greet.py b/greet.py
--- a/greet.py
+++ b/greet.py
@@ -1,2 +1,3 @@
 def greet():
+    # more
     return 'hi'
""",
            "operations": [{"type": "update_file", "path": "greet.py", "status": "written"}],
        }
    )
    assert "These changes were written" in content[0].text
    assert (repeated["applied"], repeated["notes"]) == (True, ["It had been written before; nothing was done now."])


async def test_a_preview_of_files_that_have_changed_since_is_refused_as_failed(
    scripted: Scripted, source: Path, change: bytes
) -> None:
    async with scripted.host(change) as host:
        _, shown, _ = await host.call(EDIT, instruction="x", model="m", paths=[str(source)])
        source.write_text("by the user\n")
        content, facts, failed = await host.call(EDIT, preview_id=shown["preview_id"], apply=True)
    assert (failed, facts["status"], facts["applied"], facts["error"]["code"]) == (
        True,
        "failed",
        False,
        "invalid_argument",
    )
    assert [operation["status"] for operation in facts["operations"]] == ["not_written"]
    assert "completed" not in json.dumps(facts)
    assert "was changed by another program since it was read; nothing was changed" in content[0].text
    assert source.read_text() == "by the user\n"


@pytest.mark.parametrize("preview_id", ["preview_absent", "x" * 100_000, "../x"])
async def test_a_preview_that_is_not_there_says_where_previews_are_kept(connect: Connect, preview_id: str) -> None:
    async with connect() as host:
        _, facts, failed = await host.call(EDIT, preview_id=preview_id, apply=True)
    assert (failed, facts["error"]["code"]) == (True, "not_found")
    assert "the newest 50 are kept in memory" in facts["error"]["message"]
    assert len(facts["error"]["message"]) < 300


async def test_an_edit_without_an_instruction_is_refused(connect: Connect, source: Path) -> None:
    async with connect() as host:
        for given in ({}, {"instruction": ""}, {"instruction": None, "preview_id": ""}):
            _, facts, failed = await host.call(EDIT, paths=[str(source)], **given)
            assert (failed, facts["error"]["code"]) == (True, "invalid_argument")
            assert "needs an instruction" in facts["error"]["message"]


async def test_old_previews_go_when_there_are_too_many(scripted: Scripted, source: Path, change: bytes) -> None:
    async with scripted.host(change, DONE, change, DONE) as host:
        ids = []
        for _ in range(2):
            _, shown, _ = await host.call(EDIT, instruction="x", model="m", paths=[str(source)])
            ids.append(shown["preview_id"])
    kept = EditPreviews()
    text = {"a": "x" * (MAX_PREVIEW_CHARACTERS // 3)}
    held = [kept.keep(EditPreview(Held(), text, {})) for _ in range(4)]
    assert [kept.get(preview_id) is not None for preview_id in held] == [False, True, True, True]
    many = EditPreviews()
    held = [many.keep(EditPreview(Held(), {}, {})) for _ in range(MAX_PREVIEWS + 3)]
    assert [many.get(preview_id) is not None for preview_id in held] == [False] * 3 + [True] * MAX_PREVIEWS
    assert len({*ids, *held}) == len(ids) + len(held)


async def test_what_a_killed_server_was_writing_is_undone_when_the_next_one_starts(
    bridge: Bridge, tmp_path: Path
) -> None:
    """As the journal's own tests do, which kill at every step; here it is the server that recovers."""
    project = tmp_path / "project"
    project.mkdir()
    copy = ".databricks-responses-mcp-0123456789ab.new"
    (project / copy).write_text("half")
    step = Step(str(project), "new.txt", None, "0" * 64, copy, "")
    record = {"steps": [asdict(step)], "made": [str(project)]}
    (tmp_path / "store" / "writes").mkdir(parents=True)
    (tmp_path / "store" / "writes" / "x.jsonl").write_text(json.dumps(record) + "\n")
    has_list = anyio.Event()
    has_list.set()
    await _warm_up(App(bridge), has_list)
    assert not project.exists()
    assert not (tmp_path / "store" / "writes").exists()


@pytest.mark.skipif(os.name == "nt", reason="the root of the file system is not that of the test there")
async def test_an_edit_is_not_about_the_root_that_a_host_started_the_server_in(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    file = tmp_path / "project" / "main.py"
    file.parent.mkdir()
    file.write_text("def f(n):\n    return n\n")
    async with connect(allowed_dirs=(file.parent, Path("/"))) as host:
        _, facts, failed = await host.call("edit_files", instruction="Validate.", paths=[str(file)])
    assert (failed, facts["directory"]) == (False, str(file.parent))
    assert [operation["path"] for operation in facts["operations"]] == ["main.py"]
