"""No user can use files of the service's machine, unless each has a folder there."""

import stat
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot
from mcp.types import PromptReference

from databricks_workspace_emulator.server import RunningEmulator
from harness.team import add_user, team

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "a file": ("ask_databricks_model", {"prompt": "x", "files": ["PATH"]}),
    "a file by URL": ("ask_databricks_model", {"prompt": "x", "files": ["file://PATH"]}),
    "lines of a file": ("ask_databricks_model", {"prompt": "x", "files": ["PATH:1-2"]}),
    "an image": ("ask_databricks_model", {"prompt": "x", "images": ["PATH"]}),
    "an image to edit": ("generate_image", {"prompt": "x", "images": ["PATH"]}),
    "a mask": ("generate_image", {"prompt": "x", "images": [PNG], "mask": "PATH"}),
    "a place to save": ("generate_image", {"prompt": "x", "save_to": "PATH"}),
    "a name to save": ("generate_image", {"prompt": "x", "save_to": "fox.png"}),
    "an edit": ("edit_files", {"instruction": "x", "paths": ["PATH"]}),
    "a new file": ("edit_files", {"instruction": "x", "new_paths": ["PATH"]}),
    "an edit of no named file": ("edit_files", {"instruction": "x"}),
}


@pytest.mark.parametrize("case", CALLS)
async def test_every_use_of_a_local_path_is_refused_with_the_reason_and_the_alternative(
    emulator: RunningEmulator, tmp_path: Path, case: str
) -> None:
    there = tmp_path / "notes.txt"
    there.write_text("private", encoding="utf-8")
    tool, arguments = CALLS[case]
    ann = add_user(emulator, "ann")
    said = set()
    async with team(emulator, tmp_path, allowed_dirs="*") as service, service.user("ann", workspace_token=ann) as host:
        for path in (str(there), str(tmp_path / "none.txt"), "/etc/passwd"):

            def named(value: Any, path: str = path) -> Any:
                if isinstance(value, str):
                    return value.replace("PATH", path)
                return [named(item) for item in value] if isinstance(value, list) else value

            given = {name: named(value) for name, value in arguments.items()}
            _, facts, failed = await host.call(tool, **given)
            assert (failed, facts["error"]["code"]) == (True, "permission_denied")
            said.add((facts["error"]["message"].replace(path, "PATH"), facts["error"]["hint"]))
    ((message, hint),) = said
    assert message.endswith("this server is shared by several people, so nobody uses files of its machine.")
    assert hint == snapshot(
        "Give an https URL or a data URL, put the text into the prompt, or name a picture by its image:// URI; edits "
        "and files on your own machine are the host's to make."
    )
    assert emulator.state.request_log.to("/responses") == []


async def test_completion_shows_nothing_of_the_services_working_directory(
    emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret-project").mkdir()
    monkeypatch.chdir(tmp_path)
    ann = add_user(emulator, "ann")
    async with team(emulator, tmp_path, allowed_dirs="*") as service, service.user("ann", workspace_token=ann) as host:
        prompts = (await host.client.list_prompts()).prompts
        seen: set[str] = set()
        for prompt in prompts:
            for argument in prompt.arguments or ():
                reference = PromptReference(name=prompt.name)
                completed = await host.client.complete(reference, {"name": argument.name, "value": "secret"})
                seen |= set(completed.completion.values)
    assert seen == set()


async def test_in_a_folder_of_their_own_users_read_edit_and_save_and_see_no_other_folder(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    folders = tmp_path / "users"
    ann, ben = add_user(emulator, "ann"), add_user(emulator, "ben")
    async with team(emulator, tmp_path, user_folder=folders) as service:
        async with service.user("ann", workspace_token=ann) as host:
            _, edited, failed = await host.call(
                "edit_files", instruction="Write a greeting", new_paths=["hello.txt"], apply=True
            )
            assert not failed, edited
            (folder,) = folders.iterdir()
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            (folder / "notes.txt").write_text("Ann's notes", encoding="utf-8")
            _, facts, failed = await host.call("ask_databricks_model", prompt="x", files=["notes.txt"])
            assert not failed, facts
            _, drawn, failed = await host.call("generate_image", prompt="A red fox", save_to="fox.png")
            assert not failed, drawn
            assert (folder / "fox.png").is_file()
        async with service.user("ben", workspace_token=ben) as host:
            refused = []
            for path in ("notes.txt", f"../{folder.name}/notes.txt", str(folder / "notes.txt"), "/etc/passwd"):
                _, facts, failed = await host.call("ask_databricks_model", prompt="x", files=[path])
                refused.append((failed, facts["error"]["code"]))
    assert refused == [(True, "not_found"), *[(True, "permission_denied")] * 3]
