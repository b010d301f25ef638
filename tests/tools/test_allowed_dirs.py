"""What a host's model may have read: through the tools, as a host meets it."""

from pathlib import Path

import pytest
from PIL import Image

from databricks_workspace_emulator.server import RunningEmulator
from harness import Connect

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("ask_databricks_model", {"files": ["outside.txt"]}),
        ("ask_databricks_model", {"images": ["outside.png"]}),
        ("generate_image", {"images": ["outside.png"]}),
        ("generate_image", {"mask": "outside.png"}),
    ],
    ids=str,
)
async def test_a_file_outside_is_refused_with_the_setting_that_opens_it(
    connect: Connect, tmp_path: Path, tool: str, arguments: dict[str, object]
) -> None:
    Image.new("RGBA", (8, 8)).save(tmp_path / "outside.png")
    (tmp_path / "outside.txt").write_text("secret")
    absolute = {
        name: str(tmp_path / value) if isinstance(value, str) else [str(tmp_path / value[0])]
        for name, value in arguments.items()
        if isinstance(value, str | list)
    }
    (tmp_path / "project").mkdir()
    async with connect(allowed_dirs=(tmp_path / "project",)) as host:
        _, facts, failed = await host.call(tool, prompt="Hi", **absolute)
    assert failed
    assert facts["error"]["code"] == "permission_denied"
    assert "RESPONSES_MCP_ALLOWED_DIRS" in facts["error"]["hint"]
    async with connect(allowed_dirs="*") as host:
        _, facts, failed = await host.call(tool, prompt="Hi", **absolute)
    assert not failed


@pytest.mark.parametrize(
    ("tool", "argument"),
    [("ask_databricks_model", "files"), ("ask_databricks_model", "images"), ("edit_files", "paths")],
)
async def test_a_file_of_secrets_is_not_sent_and_the_refusal_names_the_setting_that_opens_it(
    connect: Connect, emulator: RunningEmulator, tmp_path: Path, tool: str, argument: str
) -> None:
    secret = tmp_path / ".env"
    if argument == "images":
        Image.new("RGBA", (8, 8)).save(secret, "PNG")
    else:
        secret.write_text("TOKEN=secret\n")
    words = {"instruction" if tool == "edit_files" else "prompt": "Hi"}
    for dirs in ((tmp_path,), "*"):
        async with connect(allowed_dirs=dirs) as host:
            _, facts, failed = await host.call(tool, **words, **{argument: [str(secret)]})
        assert (failed, facts["error"]["code"]) == (True, "permission_denied")
        assert "RESPONSES_MCP_ALLOW_SECRET_FILES" in facts["error"]["hint"]
    assert emulator.state.request_log.to("/responses") == []
    async with connect(allow_secret_files=True) as host:
        _, facts, failed = await host.call(tool, **words, **{argument: [str(secret)]})
    assert not failed, facts


async def test_a_picture_that_was_drawn_can_be_gone_on_with_wherever_files_are_closed(
    connect: Connect, tmp_path: Path
) -> None:
    async with connect(allowed_dirs=()) as host:
        _, drawn, _ = await host.call("generate_image", prompt="A cat", size="64x64")
        _, edited, failed = await host.call("generate_image", prompt="Bluer", images=[drawn["images"][0]["path"]])
    assert not failed, edited
