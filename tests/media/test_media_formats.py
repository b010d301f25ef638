"""What a picture is, told from its bytes."""

import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from databricks_responses_mcp.media.formats import dimensions, is_animated, sniff

Picture = Callable[..., bytes]


@pytest.mark.parametrize(
    ("written_as", "mime_type", "extension", "accepted"),
    [
        ("PNG", "image/png", ".png", True),
        ("JPEG", "image/jpeg", ".jpg", True),
        ("WEBP", "image/webp", ".webp", True),
        ("GIF", "image/gif", ".gif", True),
        ("AVIF", "image/avif", ".avif", False),
        ("BMP", "image/bmp", ".bmp", False),
        ("TIFF", "image/tiff", ".tiff", False),
    ],
)
def test_a_format_is_known_by_its_bytes(
    picture: Picture, written_as: str, mime_type: str, extension: str, accepted: bool
) -> None:
    found = sniff(picture(written_as))
    assert found is not None
    assert (found.name, found.mime_type, found.extension, found.accepted) == (
        written_as,
        mime_type,
        extension,
        accepted,
    )


def test_heic_is_known_by_its_brand() -> None:
    found = sniff(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic")
    assert found is not None
    assert found.name == "HEIC"


@pytest.mark.parametrize(
    "text", ["<svg/>", "\ufeff<?xml version='1.0'?>\n<svg xmlns='…'/>", "<!-- drawn by hand --><SVG></SVG>"]
)
def test_svg_is_known_with_or_without_a_prologue(text: str) -> None:
    found = sniff(text.encode())
    assert found is not None
    assert found.name == "SVG"


@pytest.mark.parametrize(
    "data", [b"", b"BMW builds cars.", b"<html>", b"%PDF-1.7", b"\x00\x00\x00\x18ftypisom", b"GIF8"]
)
def test_what_is_no_picture_has_no_format(data: bytes) -> None:
    assert sniff(data) is None


@pytest.mark.parametrize(
    ("written_as", "options"),
    [
        ("PNG", {}),
        ("GIF", {}),
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"exif": b"Exif\0\0" + b"x" * 60_000, "comment": b"y" * 60_000}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"mode": "RGBA"}),
        ("WEBP", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"}),
    ],
)
@pytest.mark.parametrize("size", [(1, 1), (301, 17), (16, 1025)])
def test_dimensions_come_from_the_header(
    picture: Picture, written_as: str, options: dict[str, object], size: tuple[int, int]
) -> None:
    data = picture(written_as, size=size, **options)
    assert dimensions(data) == size
    assert dimensions(memoryview(data)) == size
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.size == size


def test_a_picture_of_another_format_has_no_dimensions(picture: Picture) -> None:
    assert dimensions(picture("BMP")) is None


@given(
    st.sampled_from(
        [
            b"\x89PNG\r\n\x1a\n",
            b"\xff\xd8\xff",
            b"RIFF0000WEBPVP8X",
            b"RIFF0000WEBPVP8L",
            b"RIFF0000WEBPVP8 ",
            b"GIF89a",
        ]
    ),
    st.binary(max_size=200),
)
def test_damaged_headers_never_raise(magic: bytes, rest: bytes) -> None:
    size = dimensions(magic + rest)
    assert size is None or min(size) > 0
    assert is_animated(magic + rest) in (True, False)


@given(st.data())
def test_cut_pictures_never_raise(data: st.DataObject) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (9, 7)).save(buffer, data.draw(st.sampled_from(["PNG", "JPEG", "WEBP", "GIF"])))
    whole = buffer.getvalue()
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    assert dimensions(cut) in (None, (9, 7))
    assert is_animated(cut) is False


@pytest.mark.parametrize("written_as", ["GIF", "PNG", "WEBP"])
def test_more_than_one_frame_is_an_animation(picture: Picture, written_as: str) -> None:
    assert is_animated(picture(written_as, frames=3))
    assert not is_animated(picture(written_as))


def test_a_gif_of_one_frame_with_extensions_is_not_animated(picture: Picture) -> None:
    assert not is_animated(picture("GIF", comment=b"c" * 700, transparency=0, loop=0))
