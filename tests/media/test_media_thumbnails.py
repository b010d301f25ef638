"""Small copies that keep to a budget."""

import base64
import io
import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from databricks_responses_mcp.media.thumbnails import Thumbnail, make_thumbnail

Picture = Callable[..., bytes]


def wire(thumbnail: Thumbnail) -> int:
    content = {"type": "image", "data": thumbnail.base64, "mimeType": thumbnail.mime_type}
    return len(json.dumps(content | {"annotations": {"audience": ["user"], "priority": 1.0}}))


def opened(thumbnail: Thumbnail) -> Image.Image:
    image = Image.open(io.BytesIO(base64.b64decode(thumbnail.base64)))
    image.load()
    assert image.size == (thumbnail.width, thumbnail.height)
    assert Image.MIME[image.format or ""] == thumbnail.mime_type
    return image


@pytest.mark.parametrize("written_as", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("as_file", [False, True])
def test_a_picture_that_fits_passes_untouched(tmp_path: Path, picture: Picture, written_as: str, as_file: bool) -> None:
    data = picture(written_as, size=(64, 48))
    (tmp_path / "x").write_bytes(data)
    made = make_thumbnail(tmp_path / "x" if as_file else data, budget_bytes=700_000)
    encoded = base64.b64encode(data).decode()
    assert made == Thumbnail(encoded, f"image/{written_as.lower()}", 64, 48, is_original=True)


@pytest.mark.parametrize("written_as", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("budget", [2_000, 9_000, 40_000, 150_000])
def test_the_budget_is_never_exceeded_and_well_used(picture: Picture, written_as: str, budget: int) -> None:
    made = make_thumbnail(picture(written_as, size=(900, 600), noise=True), budget_bytes=budget)
    assert made is not None
    assert budget / 3 < wire(made) <= budget
    assert not made.is_original
    assert abs(made.width / made.height - 1.5) < 0.1
    opened(made)


def test_the_budget_is_kept_to_the_byte(picture: Picture) -> None:
    data = picture("PNG", size=(100, 100), noise=True)
    exact = len(base64.b64encode(data)) + 160
    whole, less = make_thumbnail(data, budget_bytes=exact), make_thumbnail(data, budget_bytes=exact - 4)
    assert whole is not None
    assert whole.is_original
    assert less is not None
    assert not less.is_original


@pytest.mark.parametrize("written_as", ["PNG", "JPEG", "WEBP", "GIF"])
def test_no_side_is_longer_than_asked(picture: Picture, written_as: str) -> None:
    made = make_thumbnail(picture(written_as, size=(3000, 1000)), budget_bytes=700_000)
    assert made is not None
    assert (made.width, made.height, made.is_original) == (1568, 523, False)
    opened(made)


def test_transparency_is_kept(tmp_path: Path) -> None:
    image = Image.new("RGBA", (2000, 1000), (255, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 1000, 1000))
    image.save(tmp_path / "x.png")
    made = make_thumbnail(tmp_path / "x.png", budget_bytes=700_000)
    assert made is not None
    assert made.mime_type == "image/webp"
    small = opened(made).convert("RGBA")
    assert small.getpixel((100, 100))[3] == 0  # type: ignore[index]
    assert small.getpixel((1400, 400))[3] == 255  # type: ignore[index]


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "I;16"])
def test_every_kind_of_png_makes_a_picture_of_the_same_brightness(mode: str) -> None:
    grey = Image.new("L", (1600, 1600), 255)
    image = Image.new("I;16", (1600, 1600), 65535) if mode == "I;16" else grey.convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    made = make_thumbnail(buffer.getvalue(), budget_bytes=700_000, max_side=100)
    assert made is not None
    assert made.mime_type == "image/jpeg"
    assert opened(made).convert("L").getpixel((50, 50)) in (254, 255)


def test_a_palette_with_a_transparent_colour_stays_transparent() -> None:
    image = Image.new("P", (200, 200), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    buffer = io.BytesIO()
    image.save(buffer, "GIF", transparency=0)
    made = make_thumbnail(buffer.getvalue(), budget_bytes=700_000, max_side=50)
    assert made is not None
    assert made.mime_type == "image/webp"


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_photograph_is_turned_upright(mode: str) -> None:
    image = Image.new("L", (2000, 1000), 0)
    image.paste(255, (0, 0, 1000, 1000))  # bright on the left: at the top when turned to the right
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "taken at home"
    buffer = io.BytesIO()
    image.convert(mode).save(buffer, "JPEG", exif=exif)
    made = make_thumbnail(buffer.getvalue(), budget_bytes=700_000, max_side=200)
    assert made is not None
    assert (made.width, made.height) == (100, 200)
    small = opened(made)
    assert small.convert("L").getpixel((50, 20)) > 200  # type: ignore[operator]
    assert small.convert("L").getpixel((50, 180)) < 50  # type: ignore[operator]
    assert not small.getexif()


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's own, of the metadata
def test_damaged_metadata_do_not_cost_the_picture(picture: Picture) -> None:
    data = picture("JPEG", size=(2000, 1000), exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + os.urandom(50))
    assert make_thumbnail(data, budget_bytes=700_000) is not None


@pytest.mark.parametrize("written_as", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_damaged_picture_has_no_thumbnail(picture: Picture, written_as: str) -> None:
    data = picture(written_as, size=(900, 600), noise=True)
    assert make_thumbnail(data[: len(data) // 2], budget_bytes=20_000) is None
    assert make_thumbnail(data[:40], budget_bytes=1000, max_side=10) is None


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_damage_ever_raises(data: st.DataObject) -> None:
    buffer = io.BytesIO()
    image = Image.frombytes("L", (60, 60), Random(0).randbytes(3600)).convert(
        data.draw(st.sampled_from(["RGB", "L", "P", "RGBA"]))
    )
    written_as = data.draw(st.sampled_from(["PNG", "WEBP", "GIF"] + ["JPEG"] * (image.mode in ("RGB", "L"))))
    image.save(buffer, written_as)
    damaged = bytearray(buffer.getvalue())
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(damaged) - 1), st.integers(0, 255)), max_size=8)):
        damaged[at] = value
    made = make_thumbnail(damaged, budget_bytes=3000, max_side=40)
    assert made is None or wire(made) <= 3000


@pytest.mark.parametrize("budget", [-1, 0, 100, 160, 164, 400])
def test_no_room_means_no_thumbnail(picture: Picture, budget: int) -> None:
    assert make_thumbnail(picture(size=(500, 500), noise=True), budget_bytes=budget) is None


def test_what_is_no_picture_has_no_thumbnail(tmp_path: Path, picture: Picture) -> None:
    for data in (b"", b"text", picture("BMP"), picture("TIFF")):
        assert make_thumbnail(data, budget_bytes=700_000) is None
    assert make_thumbnail(tmp_path / "missing.png", budget_bytes=700_000) is None
    assert make_thumbnail(tmp_path, budget_bytes=700_000) is None


def test_a_decompression_bomb_is_not_decoded() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    for width, height in ((65_000, 65_000), (8_001, 8_000)):
        header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x00\x00\x00\x00"
        pixels = chunk(b"IDAT", zlib.compress(bytes(10_000_000)))
        bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")
        assert make_thumbnail(bomb, budget_bytes=700_000) is None
