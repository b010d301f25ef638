"""``generate_image`` as a host uses it: the picture on disk, in the result, and never lost."""

import base64
import hashlib
import io
import json
import os
import threading
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS
from PIL import Image

from databricks_responses_mcp.calls import generated_images
from databricks_responses_mcp.calls.generated_images import GeneratedImages
from databricks_responses_mcp.calls.state import App
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_workspace_emulator.server import RunningEmulator
from harness import Connect
from harness.deadlines import DEADLINE_SECONDS

pytestmark = pytest.mark.anyio

DRAW = "generate_image"


def picture(block: Any) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(block.data)))


async def test_a_picture_is_on_disk_exact_shown_small_and_readable_as_a_resource(
    connect: Connect, era: str, tmp_path: Path
) -> None:
    async with connect(era) as host:
        content, facts, failed = await host.call(DRAW, prompt="A red fox in the snow", size="640x512")
        (image,) = facts["images"]
        resource = (await host.client.read_resource(image["uri"])).contents[0]
    assert not failed
    data = Path(image["path"]).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    revised = image.pop("revised_prompt")
    assert "fox" in revised
    assert image == {
        "path": str(tmp_path / "pictures" / f"a-red-fox-in-the-snow-{digest[:10]}.png"),
        "uri": f"image://a-red-fox-in-the-snow-{digest[:10]}.png",
        "mime_type": "image/png",
        "width": 640,
        "height": 512,
        "bytes": len(data),
        "sha256": digest,
    }
    assert Image.open(io.BytesIO(data)).size == (640, 512)
    assert (resource.mime_type, base64.b64decode(resource.blob)) == ("image/png", data)
    assert [block.type for block in content] == ["text", "image", "text"]
    assert content[0].text.startswith(f"Picture (640x512 image/png, {len(data)} bytes) saved to {image['path']}")
    assert content[2].text == (
        f"MCP resource {image['uri']} (image/png, {len(data)} bytes): The whole image from the model."
    )
    assert facts["output"][0]["type"] == "image_generation_call"
    assert base64.b64encode(data).decode()[:100] not in json.dumps(facts)


@pytest.mark.parametrize(
    ("client_name", "kind"),
    [
        ("visual-studio-code", "resource_link"),
        ("claude-code", "resource_link"),
        ("opencode", "resource_link"),
        ("mcp", "text"),
    ],
)
async def test_a_link_is_text_for_whoever_is_not_known_to_take_links(
    connect: Connect, client_name: str, kind: str
) -> None:
    async with connect(client_name=client_name) as host:
        content, facts, _ = await host.call(DRAW, prompt="A cat", size="256x256")
    assert content[-1].type == kind
    assert facts["images"][0]["uri"] in content[-1].model_dump_json()


async def test_what_is_asked_of_the_picture_reaches_the_request_and_nothing_else_does(
    connect: Connect, emulator: RunningEmulator
) -> None:
    async with connect() as host:
        await host.call(DRAW, prompt="A cat")
        await host.call(
            DRAW,
            prompt="A cat",
            size="512x512",
            quality="low",
            background="opaque",
            output_format="webp",
            output_compression=50,
            extra={"moderation": "low"},
        )
    plain, full = (exchange.body for exchange in emulator.state.request_log.to("/responses"))
    plain["tools"][0].pop("partial_images", None)
    full["tools"][0].pop("partial_images", None)
    assert plain == {
        "model": "databricks-gpt-5",
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "A cat"}]}],
        "stream": True,
        "tools": [{"type": "image_generation"}],
        "tool_choice": {"type": "image_generation"},
    }
    assert full["tools"] == [
        {
            "type": "image_generation",
            "size": "512x512",
            "quality": "low",
            "background": "opaque",
            "output_format": "webp",
            "output_compression": 50,
            "moderation": "low",
        }
    ]


@pytest.mark.parametrize(("output_format", "suffix"), [("png", ".png"), ("jpeg", ".jpg"), ("webp", ".webp")])
async def test_the_files_name_ends_in_what_its_bytes_are(connect: Connect, output_format: str, suffix: str) -> None:
    async with connect() as host:
        _, facts, _ = await host.call(DRAW, prompt="A cat", output_format=output_format, size="256x256")
    (image,) = facts["images"]
    assert image["path"].endswith(suffix)
    assert image["mime_type"] == f"image/{output_format}"


async def test_a_thumbnail_keeps_to_the_budget_of_the_encoded_result(connect: Connect) -> None:
    async with connect(inline_image_bytes=8000) as host:
        content, _, _ = await host.call(DRAW, prompt="A busy market", size="1024x1024")
    encoded = content[1].model_dump_json(by_alias=True)
    assert 1000 < len(encoded) <= 8000
    assert max(picture(content[1]).size) < 1024


async def test_a_budget_of_nothing_leaves_the_link(connect: Connect) -> None:
    async with connect(inline_image_bytes=0) as host:
        content, facts, _ = await host.call(DRAW, prompt="A cat", size="256x256")
    assert [block.type for block in content] == ["text", "text"]
    assert Path(facts["images"][0]["path"]).exists()


async def test_several_pictures_are_asked_for_at_once_and_share_the_budget(
    connect: Connect, emulator: RunningEmulator
) -> None:
    with anyio.fail_after(DEADLINE_SECONDS), emulator.state.hold(after_events=1) as hold:
        async with connect("legacy", inline_image_bytes=60_000) as host, anyio.create_task_group() as tasks:
            results: list[Any] = []

            async def draw() -> None:
                results.append(await host.call(DRAW, prompt="A cat", n=3, size="512x512"))

            tasks.start_soon(draw)
            # All three have arrived before the first one may go on.
            await emulator.state.request_log.wait_for(3)
            hold.release()
    ((content, facts, failed),) = results
    assert not failed
    assert len(facts["images"]) == 3
    assert [block.type for block in content] == ["text", *["image", "text"] * 3]
    assert sum(len(block.model_dump_json()) for block in content if block.type == "image") <= 60_000
    one = emulator.state.request_log.to("/responses")[0]
    assert one.body["tools"][0]["partial_images"] == 2
    assert {message.partition(":")[0] for _, message in host.progress} == {f"picture {n} of 3" for n in (1, 2, 3)}


async def test_previews_show_as_progress(connect: Connect) -> None:
    async with connect("legacy") as host:
        await host.call(DRAW, prompt="A cat", size="256x256")
    messages = [message for _, message in host.progress]
    assert messages[0] == "databricks-gpt-5: the model is answering"
    assert any("drawing, preview" in message for message in messages)


async def test_one_of_several_that_fails_is_told_and_the_others_are_kept(
    connect: Connect, emulator: RunningEmulator
) -> None:
    emulator.state.faults.add("500")
    async with connect() as host:
        content, facts, failed = await host.call(DRAW, prompt="A cat", n=2, size="256x256")
    assert not failed
    assert len(facts["images"]) == 1
    assert facts["notes"][0].startswith("An image failed: ")
    assert facts["notes"][0] in content[0].text


async def test_reference_images_and_a_mask_go_along_for_an_edit(
    connect: Connect, emulator: RunningEmulator, tmp_path: Path
) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "base.png")
    Image.new("RGBA", (64, 64), (0, 0, 0, 0)).save(tmp_path / "mask.png")
    async with connect() as host:
        _, _, failed = await host.call(
            DRAW, prompt="Make it blue", images=[str(tmp_path / "base.png")], mask=str(tmp_path / "mask.png")
        )
    assert not failed
    body = emulator.state.request_log.to("/responses")[0].body
    assert [part["type"] for part in body["input"][0]["content"]] == ["input_text", "input_image"]
    mask = body["tools"][0]["input_image_mask"]["image_url"]
    assert base64.b64decode(mask.partition(",")[2]) == (tmp_path / "mask.png").read_bytes()


async def test_save_to_names_a_folder_or_a_file_and_nothing_is_overwritten(connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"mine")
    async with connect() as host:
        _, folder, _ = await host.call(DRAW, prompt="A cat", size="256x256", save_to=str(tmp_path / "new" / "folder"))
        content, file, _ = await host.call(DRAW, prompt="A cat", size="256x256", save_to=str(tmp_path / "cat.png"))
        resource = (await host.client.read_resource(file["images"][0]["uri"])).contents[0]
    assert Path(folder["images"][0]["path"]).parent == tmp_path / "new" / "folder"
    assert (tmp_path / "cat.png").read_bytes() == b"mine"
    saved = Path(file["images"][0]["path"])
    assert saved.parent == tmp_path
    assert saved.name != "cat.png"
    assert base64.b64decode(resource.blob) == saved.read_bytes()
    assert str(saved) in file["notes"][0]
    assert file["notes"][0] in content[0].text


FORBIDDEN = [
    "/etc/cat.png",
    "/etc",
    "~/.ssh",
    "~/.config/autostart/cat.png",
    "../cat.png",
    "../elsewhere",
    ".git/hooks",
    ".git/hooks/pre-commit.png",
    ".GIT/cat.png",
    ".claude",
    "pictures/.hidden/cat.png",
    ".cat.png",
    "x" * 300 + ".png",
    "out/cat.png",
]


@pytest.mark.parametrize("save_to", FORBIDDEN)
async def test_save_to_outside_the_allowed_directories_is_refused_before_a_request(
    connect: Connect, emulator: RunningEmulator, tmp_path: Path, save_to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    (project / "pictures").mkdir(parents=True)
    (project / "out").symlink_to(tmp_path)
    monkeypatch.chdir(project)
    async with connect(allowed_dirs=(project,), image_dir=tmp_path / "drawn") as host:
        _, facts, failed = await host.call(DRAW, prompt="A cat", size="256x256", save_to=save_to)
    assert (failed, facts["error"]["code"]) == (
        True,
        "invalid_argument" if save_to.startswith("x") else "permission_denied",
    )
    assert emulator.state.request_log.to("/responses") == []
    assert [p.name for p in tmp_path.rglob("*.png")] == []
    assert not (project / ".git").exists()


@pytest.mark.parametrize("dirs", ["project", "*", ()])
async def test_what_was_saved_can_be_read_back_as_an_image(
    connect: Connect, tmp_path: Path, dirs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    drawn = tmp_path / ".share" / "drawn"  # it may be under a name with a dot: somebody configured it
    async with connect(allowed_dirs=(project,) if dirs == "project" else dirs, image_dir=drawn) as host:
        paths = []
        for save_to in ("", "sub", "sub/cat.png", str(drawn / "deep")):
            _, saved, failed = await host.call(DRAW, prompt="A cat", size="256x256", save_to=save_to)
            assert not failed, saved
            paths.append(saved["images"][0]["path"])
        _, again, failed = await host.call(DRAW, prompt="Bluer", images=paths, size="256x256")
    assert not failed, again
    here = drawn if dirs == () else project
    assert [Path(path).parent for path in paths] == [drawn, here / "sub", here / "sub", drawn / "deep"]


@pytest.mark.parametrize(
    "data", [b"#!/bin/sh\nrm -rf ~\n", b"<svg onload='x()'/>", b"\x89PNG\r\n\x1a\n#!/bin/sh\n", b"\xff\xd8\xff"]
)
async def test_bytes_that_are_not_an_image_are_not_written_but_stay_readable(
    tmp_path: Path, data: bytes, bridge: Bridge
) -> None:
    app = App(bridge)
    taker = GeneratedImages(app, "x", save_to="sub/cat.png")
    bridge.settings = bridge.settings.model_copy(update={"allowed_dirs": (tmp_path,), "image_dir_setting": tmp_path})
    await taker.prepare()
    await taker({"type": "image_generation_call", "result": base64.b64encode(data).decode()})
    facts = taker.extend({})
    assert "path" not in facts["images"][0]
    assert app.unsaved.get(facts["images"][0]["uri"].partition("://")[2]) == data
    assert facts["images"][0]["mime_type"] != "image/svg+xml"
    assert "is not written to the disk: it is " in facts["notes"][0]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_an_svg_is_saved_shown_by_a_thumbnail_and_read_as_a_resource(connect: Connect) -> None:
    async with connect() as host:
        extra = {"complexity": "low", "svg": {"reasoning": {"effort": "low"}}}
        content, facts, failed = await host.call(DRAW, prompt="A lake", output_format="svg", extra=extra)
        (image,) = facts["images"]
        resource = (await host.client.read_resource(image["uri"])).contents[0]
    assert not failed, facts
    data = Path(image["path"]).read_bytes()
    assert data.startswith(b"<svg ")
    assert (image["mime_type"], image["width"], image["height"]) == ("image/svg+xml", 1024, 1024)
    assert image["path"].endswith(".svg")
    assert (resource.mime_type, base64.b64decode(resource.blob)) == ("image/svg+xml", data)
    assert [block.type for block in content] == ["text", "image", "text"]
    assert picture(content[1]).size == (1568, 1568)
    assert "notes" not in facts


async def test_without_a_renderer_the_result_says_why_an_svg_has_no_thumbnail(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generated_images, "can_render_svg", lambda: False)
    monkeypatch.setattr("databricks_responses_mcp.media.svg_picture.can_render_svg", lambda: False)
    async with connect() as host:
        content, facts, failed = await host.call(DRAW, prompt="A lake", output_format="svg")
    assert not failed
    assert [block.type for block in content] == ["text", "text"]
    assert "databricks-responses-mcp[svg]" in facts["notes"][0]


async def test_scripts_of_an_svg_are_removed_and_the_result_says_so(tmp_path: Path, bridge: Bridge) -> None:
    app = App(bridge)
    taker = GeneratedImages(app, "x")
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script><rect/></svg>'
    await taker({"type": "image_generation_call", "result": base64.b64encode(svg).decode()})
    facts = taker.extend({})
    assert b"alert" not in Path(facts["images"][0]["path"]).read_bytes()
    assert facts["notes"] == ["Removed from the SVG, because it does more than draw: scripts."]


async def test_a_gif_has_frames_and_no_previews(connect: Connect, emulator: RunningEmulator) -> None:
    async with connect() as host:
        extra = {"frame_count": 4, "frame_duration_ms": 90, "action": "generate"}
        asked = {"prompt": "A cat", "size": "256x256", "quality": "max", "output_format": "gif", "extra": extra}
        content, facts, failed = await host.call(DRAW, **asked)
        resource = (await host.client.read_resource(facts["images"][0]["uri"])).contents[0]
    assert not failed, facts
    with Image.open(facts["images"][0]["path"]) as drawn:
        assert (drawn.format, drawn.n_frames, drawn.info["duration"]) == ("GIF", 4, 90)
    assert resource.mime_type == "image/gif"
    assert [block.type for block in content] == ["text", "image", "text"]
    (request,) = emulator.state.request_log.to("/responses")
    assert "partial_images" not in request.body["tools"][0]


@pytest.mark.slow
async def test_one_thumbnail_is_made_at_a_time(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    busy, most = 0, 0
    lock = threading.Lock()

    def counting(source: Any, *, budget_bytes: int) -> None:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        threading.Event().wait(0.02)
        with lock:
            busy -= 1

    monkeypatch.setattr(generated_images, "make_thumbnail", counting)
    async with connect() as host, anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(partial(host.call, DRAW, prompt="A cat", size="256x256", n=4))
    assert most == 1


async def test_a_disk_that_takes_nothing_does_not_lose_a_picture_that_was_paid_for(
    connect: Connect, tmp_path: Path
) -> None:
    (tmp_path / "pictures").write_text("a file where the folder should be", encoding="utf-8")
    async with connect() as host:
        content, facts, failed = await host.call(DRAW, prompt="A cat", size="256x256")
        (image,) = facts["images"]
        resource = (await host.client.read_resource(image["uri"])).contents[0]
    assert not failed
    assert "path" not in image
    data = base64.b64decode(resource.blob)
    assert hashlib.sha256(data).hexdigest() == image["sha256"]
    assert [block.type for block in content] == ["text", "image", "text"]
    assert "paid for" in facts["notes"][0]
    assert "RESPONSES_MCP_IMAGE_DIR" in facts["notes"][0]
    assert facts["notes"][0] in content[0].text


async def test_a_stream_that_breaks_after_the_picture_still_gives_the_picture(
    connect: Connect, emulator: RunningEmulator
) -> None:
    emulator.state.faults.add("no_terminal")
    emulator.state.faults.add("cut:8")
    async with connect() as host:
        _, whole, failed = await host.call(DRAW, prompt="A cat", size="256x256")
        content, broken, broke = await host.call(DRAW, prompt="A dog", size="256x256")
    assert not failed
    assert len(whole["images"]) == 1
    assert broke
    assert broken["error"]["code"] == "upstream_unavailable"
    assert Path(broken["images"][0]["path"]).exists()
    assert [block.type for block in content] == ["text", "image", "text"]


async def test_an_endpoint_that_answers_without_drawing_is_told_as_such(
    connect: Connect, emulator: RunningEmulator
) -> None:
    async with connect() as host:
        _, facts, failed = await host.call(DRAW, prompt="[[refuse]] [[no tools]]")
    assert failed
    assert facts["error"]["code"] in ("content_filtered", "unsupported_by_model")


async def test_a_picture_resource_that_is_not_there_says_so(connect: Connect) -> None:
    async with connect() as host:
        for uri in ("image://absent.png", "image://..%2F..%2Fetc%2Fpasswd"):
            with pytest.raises(MCPError) as caught:
                await host.client.read_resource(uri)
            assert (caught.value.error.code, caught.value.error.data) == (INVALID_PARAMS, {"uri": uri})


@pytest.mark.skipif(os.name == "nt", reason="the root of the file system is not that of the test there")
@pytest.mark.parametrize("started_in", ["root", "home"])
async def test_a_relative_save_to_means_no_root_and_no_home_that_a_host_starts_servers_in(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started_in: str
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir("/" if started_in == "root" else home)
    name = f"{tmp_path.name}-cat.png"
    # Even where everything may be used.
    async with connect(allowed_dirs=(Path("/"),)) as host:
        _, facts, failed = await host.call(DRAW, prompt="A cat", size="64x64", save_to=name)
    assert (failed, [image["path"] for image in facts["images"]]) == (False, [str(tmp_path / "pictures" / name)])


async def test_a_relative_save_to_means_the_project_that_a_server_was_started_in(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    async with connect() as host:
        _, facts, failed = await host.call(DRAW, prompt="A cat", size="64x64", save_to="cat.png")
    assert (failed, [image["path"] for image in facts["images"]]) == (False, [str(tmp_path / "project" / "cat.png")])
