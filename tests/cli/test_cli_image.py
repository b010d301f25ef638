"""``image``: paths on stdout, pictures on disk, and none that was paid for lost."""

import json
from pathlib import Path

import pytest
from inline_snapshot import snapshot
from PIL import Image

from databricks_workspace_emulator.server import RunningEmulator
from harness.terminal import CommandLine

pytestmark = pytest.mark.anyio


async def test_the_path_alone_is_on_stdout(cli: CommandLine, tmp_path: Path) -> None:
    ran = await cli.run("image", "a red fox", "--size", "1024x1536", "--output-format", "jpeg", "--save-to", "foxes/")
    path = Path(ran.out.removesuffix("\n"))
    assert (path.parent, path.suffix) == (tmp_path / "foxes", ".jpg")
    with Image.open(path) as picture:
        assert (picture.format, picture.size) == ("JPEG", (1024, 1536))
    size = path.stat().st_size
    assert (ran.err.replace(str(size), "SIZE"), ran.code) == snapshot(
        (
            """\
1024x1536 image/jpeg, SIZE bytes; drawn from: Drawn by rule, no model asked: a red fox
No model was asked: this is the embedded workspace's rule engine.
You sent 9 characters in 3 words, beginning: “a red fox”
[tool] image_generation drew a picture of 1024x1536 pixels.
(embedded-rules as databricks-gpt-6-1-sol, 1105 tokens out, conversation CONVERSATION)
""",
            0,
        )
    )


async def test_an_edit_sends_the_images_and_the_mask_and_json_has_the_facts(
    cli: CommandLine, emulator: RunningEmulator, tmp_path: Path
) -> None:
    Image.new("RGB", (64, 64), "green").save(tmp_path / "day.png")
    Image.new("RGBA", (64, 64)).save(tmp_path / "mask.png")
    ran = await cli.run(
        "image", "make it night", "-i", "day.png", "--mask", "mask.png", "--save-to", "night.png", "--json",
        "--model", "databricks-gpt-5-1", "--extra", '{"input_fidelity": "high"}',
    )  # fmt: skip
    facts = json.loads(ran.out)
    assert [picture["path"] for picture in facts["images"]] == [str(tmp_path / "night.png")]
    body = emulator.state.request_log.to("/responses")[0].body
    tool = body["tools"][0]
    assert tool.pop("input_image_mask")["image_url"].startswith("data:image/png;base64,")
    assert (body["model"], tool) == snapshot(
        ("databricks-gpt-5-1", {"type": "image_generation", "input_fidelity": "high"})
    )


async def test_a_picture_that_no_disk_takes_where_it_should_go_is_rescued(
    cli: CommandLine, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    ran = await cli.run("image", "a fox", "--save-to", "file/inside", TMPDIR=str(temporary), TEMP=str(temporary))
    path = Path(ran.out.removesuffix("\n"))
    assert (path.parent, path.read_bytes()[:4], ran.code) == (temporary, b"\x89PNG", 0)
    assert f"It could not be saved in its folder, and is in the temporary directory: {path}" in ran.err


async def test_a_failure_after_the_picture_names_the_file_that_was_saved(
    cli: CommandLine, emulator: RunningEmulator, tmp_path: Path
) -> None:
    emulator.state.faults.add("failed:7")  # the picture is whole by then
    ran = await cli.run("image", "a fox", "--size", "64x64", "--save-to", "fox.png", "--json")
    facts = json.loads(ran.out)
    assert (ran.code, facts["error"]["code"]) == (8, "upstream_error")
    assert [picture["path"] for picture in facts["images"]] == [str(tmp_path / "fox.png")]


async def test_of_several_pictures_one_may_fail(cli: CommandLine, emulator: RunningEmulator) -> None:
    emulator.state.faults.add("500")
    ran = await cli.run("image", "a fox", "-n", "2")
    assert (len(ran.out.splitlines()), ran.code) == (1, 8)
    assert ran.folded().err.splitlines()[-4:] == snapshot(
        [
            "upstream_error: The workspace failed inside (HTTP 500): The embedded workspace was told to fail.",
            "  Ask again; if it happens every time, the model may not be served on this path. Run",
            "`databricks-responses-mcp models` to see the models of this workspace and how each is reached.",
            "Request id: REQUEST.",
        ]
    )
