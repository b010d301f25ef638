"""The format of an image, detected from its bytes alone: no Pillow, no file name, no declared type."""

import struct
from dataclasses import dataclass

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """One image format.

    Attributes:
        name: for people (``PNG``).
        mime_type: for requests and results (``image/png``).
        extension: with the dot (``.png``).
        accepted: whether the Responses API accepts it as input.
    """

    name: str
    mime_type: str
    extension: str
    accepted: bool = False


PNG = ImageFormat("PNG", "image/png", ".png", accepted=True)
JPEG = ImageFormat("JPEG", "image/jpeg", ".jpg", accepted=True)
WEBP = ImageFormat("WEBP", "image/webp", ".webp", accepted=True)
GIF = ImageFormat("GIF", "image/gif", ".gif", accepted=True)
AVIF = ImageFormat("AVIF", "image/avif", ".avif")
HEIC = ImageFormat("HEIC", "image/heic", ".heic")
SVG = ImageFormat("SVG", "image/svg+xml", ".svg")
BMP = ImageFormat("BMP", "image/bmp", ".bmp")
TIFF = ImageFormat("TIFF", "image/tiff", ".tiff")

ACCEPTED_FORMATS = (PNG, JPEG, WEBP, GIF)
DRAWN_FORMATS = (*ACCEPTED_FORMATS, SVG)
"""The formats that models generate and that are saved."""
DRAWN_SUFFIXES = (*(f.extension for f in DRAWN_FORMATS), ".jpeg")
IMAGE_SUFFIXES = frozenset(
    {f.extension for f in (*ACCEPTED_FORMATS, AVIF, HEIC, SVG, BMP, TIFF)} | {".jpeg", ".jpe", ".jfif", ".tif", ".heif"}
)

_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}
_JPEG_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})


def sniff(data: Buffer) -> ImageFormat | None:
    """Return the format of an image from its first bytes (1 KB is enough); None if it is unknown.

    AVIF, HEIC, SVG, BMP and TIFF are detected so that they can be refused by name: see ``ImageFormat.accepted``.
    """
    head = bytes(memoryview(data)[:1024])
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return GIF
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    if head[:4] in (b"II*\x00", b"MM\x00*"):
        return TIFF
    # "BM" is also the beginning of words; the header's reserved bytes and its size field decide.
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0" and head[14:15] in (b"\x0c", b"\x28", b"\x40", b"\x6c", b"\x7c"):
        return BMP
    return SVG if _is_svg(head) else None


def _iso_media(head: bytes) -> ImageFormat | None:
    size = int.from_bytes(head[:4], "big")
    brands = {head[8:12], *(head[i : i + 4] for i in range(16, min(size, len(head)), 4))}
    if brands & _AVIF_BRANDS:
        return AVIF
    return HEIC if brands & _HEIC_BRANDS else None


def _is_svg(head: bytes) -> bool:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return text.startswith(b"<svg") or (text.startswith((b"<?xml", b"<!doctype svg", b"<!--")) and b"<svg" in text)


def dimensions(data: Buffer) -> tuple[int, int] | None:
    """Return width and height in pixels of a PNG, JPEG, WEBP or GIF; None if the header does not contain them.

    The beginning of the file is enough, except for a JPEG with large metadata: pass all available bytes. The size is
    the one of the stored image; an EXIF orientation is not applied.
    """
    image_format = sniff(data)
    view = memoryview(data)
    try:
        if image_format is PNG:
            size = struct.unpack_from(">II", view, 16) if bytes(view[12:16]) == b"IHDR" else None
        elif image_format is GIF:
            size = struct.unpack_from("<HH", view, 6)
        elif image_format is WEBP:
            size = _webp_dimensions(view)
        elif image_format is JPEG:
            size = _jpeg_dimensions(view)
        else:
            size = None
    except (struct.error, IndexError):
        return None
    return (size[0], size[1]) if size and size[0] and size[1] else None


def _webp_dimensions(view: memoryview) -> tuple[int, int] | None:
    kind = bytes(view[12:16])
    if kind == b"VP8X" and len(view) >= 30:
        return 1 + int.from_bytes(view[24:27], "little"), 1 + int.from_bytes(view[27:30], "little")
    if kind == b"VP8L" and view[20] == 0x2F:
        (bits,) = struct.unpack_from("<I", view, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and bytes(view[23:26]) == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", view, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg_dimensions(view: memoryview) -> tuple[int, int] | None:
    at = 2
    while True:
        if view[at] != 0xFF:
            return None
        while view[at] == 0xFF:  # any number of fill bytes may precede a marker
            at += 1
        marker = view[at]
        at += 1
        if marker in _JPEG_FRAME_HEADERS:
            height, width = struct.unpack_from(">HH", view, at + 3)
            return width, height
        if marker in (0xD9, 0xDA):
            return None
        if marker not in _JPEG_STANDALONE:
            length = int.from_bytes(view[at : at + 2], "big")
            if length < 2:
                return None
            at += length


def is_animated(data: Buffer) -> bool:
    """Return whether a GIF, PNG or WEBP has more than one frame. Needs the whole image; other formats are never
    animated.
    """
    image_format = sniff(data)
    view = memoryview(data)
    try:
        if image_format is GIF:
            return _gif_has_two_frames(view)
        if image_format is PNG:
            return _png_is_animated(view)
    except (struct.error, IndexError):
        return False
    return image_format is WEBP and bytes(view[12:16]) == b"VP8X" and len(view) > 20 and bool(view[20] & 0x02)


def _png_is_animated(view: memoryview) -> bool:
    at = 8
    while at + 8 <= len(view):
        (length,) = struct.unpack_from(">I", view, at)
        kind = bytes(view[at + 4 : at + 8])
        if kind == b"acTL":
            return int(struct.unpack_from(">I", view, at + 8)[0]) > 1
        if kind == b"IDAT":
            return False
        at += 12 + length
    return False


def _gif_has_two_frames(view: memoryview) -> bool:
    frames = 0
    at = 13 + _gif_palette_bytes(view[10])
    while at < len(view):
        block = view[at]
        if block == 0x2C:
            frames += 1
            if frames == 2:
                return True
            at += 10 + _gif_palette_bytes(view[at + 9]) + 1
        elif block == 0x21:
            at += 2
        else:
            return False
        while view[at]:
            at += view[at] + 1
        at += 1
    return False


def _gif_palette_bytes(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0
