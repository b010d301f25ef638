"""Images that a caller names, on their way to a model."""

import base64
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.images_in import InputImage, load_image, load_images
from databricks_responses_mcp.media.path_policy import AllowedPaths
from databricks_responses_mcp.media.several import MAX_REFERENCES

pytestmark = pytest.mark.anyio
Picture = Callable[..., bytes]
ROOM = 1_000_000


def data_url(data: bytes, mime_type: str = "image/png") -> str:
    return f"data:{mime_type};base64,{base64.b64encode(data).decode()}"


async def failure(reference: str, **options: object) -> BridgeError:
    with pytest.raises(BridgeError) as caught:
        await load_image(reference, **({"max_bytes": ROOM} | options))  # type: ignore[arg-type]
    return caught.value


async def test_a_local_picture_becomes_a_data_url(tmp_path: Path, picture: Picture) -> None:
    data = picture("PNG", size=(40, 30))
    (tmp_path / "a cat.png").write_bytes(data)
    assert await load_image(str(tmp_path / "a cat.png"), max_bytes=ROOM) == InputImage(
        data_url(data), "image/png", len(data), 40, 30, "a cat.png"
    )


async def test_every_way_to_name_a_file_finds_it(
    tmp_path: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "ü #1?.png").write_bytes(picture())
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    absolute = str(tmp_path / "sub" / "ü #1?.png")
    ways = [
        absolute,
        f"  {absolute}\n",
        "sub/ü #1?.png",
        "~/sub/ü #1?.png",
        f"file://{quote(absolute)}",
        f"file://localhost{quote(absolute)}",
        f"FILE:{quote(absolute)}",
        f"file://{absolute}",
    ]
    images = await load_images(ways, max_bytes=ROOM)
    images.append(await load_image("ü #1?.png", max_bytes=ROOM, base=tmp_path / "sub"))
    assert images == [images[0]] * 9


@pytest.mark.parametrize(
    ("written_as", "mime_type"),
    [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp"), ("GIF", "image/gif")],
)
async def test_the_type_follows_the_bytes_not_the_name(
    tmp_path: Path, picture: Picture, written_as: str, mime_type: str
) -> None:
    (tmp_path / "x.bmp").write_bytes(picture(written_as))
    image = await load_image("x.bmp", max_bytes=ROOM, base=tmp_path)
    assert (image.mime_type, image.url.partition(";")[0]) == (mime_type, f"data:{mime_type}")


@pytest.mark.parametrize("written_as", ["AVIF", "BMP", "TIFF"])
async def test_other_formats_are_refused_by_name_with_a_way_to_convert(
    tmp_path: Path, picture: Picture, written_as: str
) -> None:
    (tmp_path / "x.png").write_bytes(picture(written_as))
    error = await failure("x.png", base=tmp_path)
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert error.message == f"“x.png” is {written_as}; models take PNG, JPEG, WEBP or a GIF that is not animated."
    assert f"magick in.{written_as.lower()} out.png" in error.hint


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "“x.png” is empty;"),
        (b"hello", "“x.png” is not an image, though its name says image/png;"),
        (b"%PDF-1.4", "“x.png” is a PDF;"),
        (b" <!DOCTYPE html><p>", "“x.png” is a web page;"),
        (b"<svg/>", "“x.png” is SVG;"),
        (b"\x89PNG\r\n\x1a\n", "“x.png” is a damaged PNG:"),
    ],
)
async def test_what_is_no_picture_is_called_what_it_is(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "x.png").write_bytes(content)
    error = await failure("x.png", base=tmp_path)
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert error.message.startswith(said)


async def test_an_animated_gif_is_refused_and_a_still_one_taken(tmp_path: Path, picture: Picture) -> None:
    (tmp_path / "still.gif").write_bytes(picture("GIF"))
    (tmp_path / "moving.gif").write_bytes(picture("GIF", frames=2))
    assert (await load_image("still.gif", max_bytes=ROOM, base=tmp_path)).mime_type == "image/gif"
    assert "is an animated GIF" in (await failure("moving.gif", base=tmp_path)).message


async def test_a_file_over_the_limit_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(1 << 40)  # a terabyte of nothing: reading it would show
    error = await failure("huge.png", base=tmp_path, max_bytes=5_000_000)
    assert (error.code, error.message) == (
        ErrorCode.TOO_LARGE,
        "“huge.png” has 1099511.6 MB; an image may have 5.0 MB.",
    )


async def test_the_limit_itself_is_allowed(tmp_path: Path, picture: Picture) -> None:
    data = picture()
    (tmp_path / "x.png").write_bytes(data)
    assert (await load_image("x.png", base=tmp_path, max_bytes=len(data))).bytes == len(data)
    assert (await load_image(data_url(data), max_bytes=len(data))).bytes == len(data)
    for reference in ("x.png", data_url(data)):
        assert (await failure(reference, base=tmp_path, max_bytes=len(data) - 1)).code is ErrorCode.TOO_LARGE


async def test_a_missing_file_is_named_with_where_it_was_sought_and_what_was_meant(tmp_path: Path) -> None:
    (tmp_path / "picture-1.png").touch()
    error = await failure("picture1.png", base=tmp_path)
    assert error.code is ErrorCode.NOT_FOUND
    assert error.message == f"There is no file “picture1.png” (looked for {tmp_path / 'picture1.png'})."
    assert error.hint == "Did you mean picture-1.png? Check the path, or give an absolute one."


async def test_a_directory_tells_its_files(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    error = await failure(str(tmp_path))
    assert (error.code, error.hint) == (ErrorCode.INVALID_ARGUMENT, "Name the files in it, such as a.png.")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes in the file system are POSIX")
async def test_a_pipe_a_socket_and_a_device_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for reference in ("pipe", "socket", "/dev/zero"):
            assert (await failure(reference, base=tmp_path)).code is ErrorCode.INVALID_ARGUMENT


@pytest.mark.parametrize("reference", ["", "  ", "a\0b", "ftp://host/x.png", "file://elsewhere/x.png", "x" * 5000])
async def test_what_cannot_be_a_path_is_refused(reference: str) -> None:
    assert (await failure(reference)).code is ErrorCode.INVALID_ARGUMENT


async def test_a_data_url_is_made_canonical_and_its_type_true(picture: Picture) -> None:
    data = picture("JPEG")
    plain = base64.b64encode(data).decode()
    wrapped = "\n".join(plain[i : i + 76] for i in range(0, len(plain), 76))
    written = [
        f"data:image/png;base64,{plain}",
        f"DATA:image/JPEG;charset=utf-8;BASE64,{plain}",
        f"data:;base64,{plain.rstrip('=')}",
        f"data:image/jpeg;base64,{quote(plain, safe='')}",
        f"data:image/jpeg;base64,{base64.urlsafe_b64encode(data).decode()}",
        f"data:image/jpeg;base64,{wrapped}",
        plain,
    ]
    images = await load_images(written, max_bytes=ROOM)
    assert images == [InputImage(data_url(data, "image/jpeg"), "image/jpeg", len(data), 32, 24, "image.jpg")] * 7


@pytest.mark.parametrize("reference", ["data:image/png,abc", "data:image/png", "data:;base64,????", "data:"])
async def test_a_data_url_that_is_not_base64_is_refused(reference: str) -> None:
    error = await failure(reference)
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert "is not base64 data" in error.message


async def test_an_error_never_repeats_a_data_url() -> None:
    error = await failure(data_url(b"secret secret secret" * 50))
    assert error.message.startswith("the data URL (image/png, 1358 characters) is not an image;")


async def test_all_failures_are_told_at_once_and_order_is_kept(tmp_path: Path, picture: Picture) -> None:
    for n in range(9):
        (tmp_path / f"{n}.png").write_bytes(picture(size=(n + 1, 1)))
    images = await load_images([f"{n}.png" for n in range(9)], max_bytes=ROOM, base=tmp_path)
    assert [image.width for image in images] == list(range(1, 10))

    with pytest.raises(BridgeError) as caught:
        await load_images(["0.png", "no.png", "http://h/x", "nor.png"], max_bytes=ROOM, base=tmp_path)
    message = caught.value.message
    assert message.startswith("3 of 4 images cannot be used: (1) There is no file “no.png”")
    assert "(2) “http://h/x” is http" in message
    assert "(3) There is no file “nor.png”" in message
    assert caught.value.code is ErrorCode.INVALID_ARGUMENT


async def test_failures_that_agree_keep_their_code(tmp_path: Path) -> None:
    with pytest.raises(BridgeError) as caught:
        await load_images(["a", "b"], max_bytes=ROOM, base=tmp_path)
    assert caught.value.code is ErrorCode.NOT_FOUND


async def test_images_too_large_together_are_refused(tmp_path: Path, picture: Picture) -> None:
    (tmp_path / "a.png").write_bytes(picture(size=(300, 300), noise=True))
    with pytest.raises(BridgeError) as caught:
        await load_images(["a.png"] * 3, max_bytes=ROOM, max_total_bytes=200_000, base=tmp_path)
    assert caught.value.code is ErrorCode.TOO_LARGE
    assert caught.value.message == "The 3 images have more than 200.0 kB together, which is all that can be sent."


async def test_an_image_that_is_named_150_times_is_read_once(
    tmp_path: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    opened = []
    real = AllowedPaths.open

    def counting(self: AllowedPaths, path: Path, reference: str) -> tuple[BinaryIO, int]:
        opened.append(reference)
        return real(self, path, reference)

    monkeypatch.setattr(AllowedPaths, "open", counting)
    names = ["a.png", "./a.png", str(tmp_path / "a.png")] * 50
    images = await load_images(names, max_bytes=ROOM, base=tmp_path)
    assert (len(images), len({id(image) for image in images}), opened) == (150, 1, ["a.png"])


async def test_reading_stops_at_the_limit(tmp_path: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    data = picture(size=(300, 300), noise=True)
    for number in range(100):
        (tmp_path / f"{number}.png").write_bytes(data)
    opened = []
    real = AllowedPaths.open

    def counting(self: AllowedPaths, path: Path, reference: str) -> tuple[BinaryIO, int]:
        opened.append(reference)
        return real(self, path, reference)

    monkeypatch.setattr(AllowedPaths, "open", counting)
    with pytest.raises(BridgeError) as caught:
        await load_images(
            [f"{n}.png" for n in range(100)], max_bytes=ROOM, max_total_bytes=3 * len(data), base=tmp_path
        )
    assert caught.value.code is ErrorCode.TOO_LARGE
    assert len(opened) <= 12  # what is allowed, and what was being read at once


async def test_more_references_than_anybody_means_are_refused_before_any_is_looked_at(tmp_path: Path) -> None:
    with pytest.raises(BridgeError) as caught:
        await load_images(["absent.png"] * (MAX_REFERENCES + 1), max_bytes=ROOM, base=tmp_path)
    assert caught.value.message == snapshot("1001 images were named; the limit of one call is 1000.")


async def test_no_images_are_no_images() -> None:
    assert await load_images([], max_bytes=ROOM) == []
