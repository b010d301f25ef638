"""Pictures read by name, and nothing else."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.gallery import PictureGallery
from databricks_responses_mcp.media.pictures import save_picture

pytestmark = pytest.mark.anyio
Picture = Callable[..., bytes]


async def failure(gallery: PictureGallery, name: str) -> ErrorCode:
    with pytest.raises(BridgeError) as caught:
        await gallery.read(name)
    return caught.value.code


async def test_a_picture_of_the_default_directory_is_read_by_its_file_name(tmp_path: Path, picture: Picture) -> None:
    saved = save_picture(picture("JPEG"), tmp_path, "A fox")
    uri = PictureGallery(tmp_path).uri_for(saved.path)
    assert uri == f"image://{saved.path.name}"
    # Another process, later, that never saved it:
    assert await PictureGallery(tmp_path).read(saved.path.name) == (picture("JPEG"), "image/jpeg")


async def test_a_picture_saved_elsewhere_is_known_while_the_process_lives(tmp_path: Path, picture: Picture) -> None:
    gallery = PictureGallery(tmp_path / "default")
    one = save_picture(picture(), tmp_path / "a" / "My Fox.png", "x")
    two = save_picture(picture("WEBP"), tmp_path / "b" / "My Fox.webp", "x")
    uris = [gallery.uri_for(one.path), gallery.uri_for(two.path), gallery.uri_for(one.path)]
    assert uris[0] == uris[2] != uris[1]
    names = [uri.removeprefix("image://") for uri in uris]
    assert all(name == name.lower() == quote(name) and name.startswith("my-fox-") for name in names)
    assert [await gallery.read(name) for name in names[:2]] == [
        (picture(), "image/png"),
        (picture("WEBP"), "image/webp"),
    ]
    assert await failure(PictureGallery(tmp_path / "default"), names[0]) is ErrorCode.NOT_FOUND


async def test_a_name_with_spaces_is_found_encoded_or_not(tmp_path: Path, picture: Picture) -> None:
    (tmp_path / "Été 1.png").write_bytes(picture())
    gallery = PictureGallery(tmp_path)
    assert await gallery.read("Été 1.png") == await gallery.read(quote("Été 1.png")) == (picture(), "image/png")
    assert await gallery.read(gallery.uri_for(tmp_path / "Été 1.png").removeprefix("image://"))


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", "../x.png", "..%2Fx.png", "%2e%2e%2fx.png", "sub/x.png", "sub\\x.png", "/etc/passwd", "C:x.png",
        "x.png:stream", "x\0.png", "x%00.png", "x\n.png", ".hidden.png", "a..png", "*",
    ],
)  # fmt: skip
async def test_anything_but_a_plain_file_name_is_refused(tmp_path: Path, picture: Picture, name: str) -> None:
    (tmp_path / "sub").mkdir()
    for place in (tmp_path / "x.png", tmp_path / "sub" / "x.png", tmp_path / "sub" / ".hidden.png"):
        place.write_bytes(picture())
    assert await failure(PictureGallery(tmp_path / "sub"), name) is ErrorCode.INVALID_ARGUMENT


async def test_a_link_that_leaves_the_directory_is_refused(tmp_path: Path, picture: Picture) -> None:
    (tmp_path / "outside.png").write_bytes(picture())
    gallery = PictureGallery(tmp_path / "in")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "real.png").write_bytes(picture("GIF"))
    (tmp_path / "in" / "leaves.png").symlink_to(tmp_path / "outside.png")
    (tmp_path / "in" / "stays.png").symlink_to("real.png")
    (tmp_path / "in" / "loop.png").symlink_to("loop.png")
    assert await failure(gallery, "leaves.png") is ErrorCode.PERMISSION_DENIED
    assert await failure(gallery, "loop.png") is ErrorCode.NOT_FOUND
    assert await gallery.read("stays.png") == (picture("GIF"), "image/gif")


async def test_only_pictures_are_read(tmp_path: Path, picture: Picture) -> None:
    (tmp_path / "notes.png").write_text("password")
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder.png").mkdir()
    gallery = PictureGallery(tmp_path)
    codes = [await failure(gallery, name) for name in ("notes.png", "empty.png")]
    assert codes == [ErrorCode.NOT_FOUND] * 2
    assert await failure(gallery, "folder.png") is ErrorCode.INVALID_ARGUMENT


async def test_a_missing_picture_and_a_missing_directory_are_not_found(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "missing"):
        with pytest.raises(BridgeError) as caught:
            await PictureGallery(directory).read("gone-0123456789.png")
        assert caught.value.code is ErrorCode.NOT_FOUND
        assert caught.value.message == "There is no picture “gone-0123456789.png” here."


async def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(1 << 40)
    assert await failure(PictureGallery(tmp_path), "huge.png") is ErrorCode.TOO_LARGE
