"""Small copies of images, for hosts that show them inline and limit the size of a result.

Pillow is imported at the first use.
"""

import base64
import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from math import log, sqrt
from pathlib import Path
from typing import TYPE_CHECKING

from databricks_responses_mcp.media.formats import ACCEPTED_FORMATS, Buffer, dimensions, sniff

if TYPE_CHECKING:
    from PIL.Image import Image, Resampling

WRAPPER_BYTES = 160
"""The size of the encoded ``ImageContent`` without the base64: type, MIME type, keys, some metadata."""
MAX_PIXELS = 64_000_000
_FORMATS = tuple(image_format.name for image_format in ACCEPTED_FORMATS)
_HEADER_BYTES = 2 * 1024 * 1024
_GOOD, _FAIR = 85, 70  # encoder qualities
_MAX_STEPS = 6
_SMALLEST_SIDE = 8
_AIM, _ENOUGH = 0.9, 0.6  # shares of the budget: the aim of an attempt, and the result that ends the search
# The exceptions of Pillow for damaged data.
_DAMAGED = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    MemoryError,
    OverflowError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """An image to show inline.

    Attributes:
        base64: the data of an ``ImageContent``.
        mime_type: its type.
        width: pixels.
        height: pixels.
        is_original: whether these are the bytes of the image itself.
    """

    base64: str
    mime_type: str
    width: int
    height: int
    is_original: bool


def make_thumbnail(source: Buffer | Path, *, budget_bytes: int, max_side: int = 1568) -> Thumbnail | None:
    """Return a copy of a PNG, JPEG, WEBP or GIF whose encoded ``ImageContent`` has at most ``budget_bytes`` bytes of
    JSON.

    It is the image itself if it fits and no side is longer than ``max_side`` pixels. Otherwise it is a smaller one,
    upright, with the same aspect ratio: JPEG, or WEBP if it has transparent parts. Blocks and uses CPU time: call it in
    a worker thread.

    Returns:
        None if it cannot be made: no budget, a damaged image, or one of more than 64 million pixels.
    """
    budget = (budget_bytes - WRAPPER_BYTES) // 4 * 3
    if budget <= 0 or max_side < 1:
        return None
    try:
        return _original(source, budget, max_side) or _smaller(source, budget, max_side)
    except (*_DAMAGED, Warning):
        return None


def _original(source: Buffer | Path, budget: int, max_side: int) -> Thumbnail | None:
    size = source.stat().st_size if isinstance(source, Path) else len(source)
    if size > budget:
        return None
    data = source.read_bytes() if isinstance(source, Path) else source
    image_format, pixels = sniff(data), dimensions(data)
    if len(data) > budget or image_format not in ACCEPTED_FORMATS or pixels is None or max(pixels) > max_side:
        return None
    return Thumbnail(base64.b64encode(data).decode("ascii"), image_format.mime_type, *pixels, is_original=True)


def _smaller(source: Buffer | Path, budget: int, max_side: int) -> Thumbnail | None:
    # Imported here once: Pillow is not needed to answer `tools/list`.
    from PIL import Image, ImageOps

    if not _is_drawable(source):
        return None
    opened = source if isinstance(source, Path) else io.BytesIO(source)
    try:
        with Image.open(opened, formats=_FORMATS) as picture:
            if picture.format == "JPEG":
                # Decodes at a half, quarter or eighth; twice the target, so that resampling remains good.
                picture.draft(None, (2 * max_side, 2 * max_side))
            if picture.width * picture.height > MAX_PIXELS:  # the frame of a GIF may be larger than its header says
                return None
            small = _resizable(picture)
            small.thumbnail((max_side, max_side), Image.Resampling.HAMMING, reducing_gap=2.0)
            if small.mode == "RGBA" and small.getchannel("A").getextrema() == (255, 255):
                small = small.convert("RGB")
            try:
                small = ImageOps.exif_transpose(small)
            except (*_DAMAGED, Warning):
                pass  # its metadata is damaged, its pixels are not
            return _encoded(small, budget, Image.Resampling.LANCZOS)
    except Image.DecompressionBombError:
        return None


def _is_drawable(source: Buffer | Path) -> bool:
    """Return whether the header has a size that will be decoded. Checked before Pillow reads the bytes."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            source = file.read(_HEADER_BYTES)
    pixels = dimensions(source)
    return pixels is not None and pixels[0] * pixels[1] <= MAX_PIXELS


def _resizable(picture: "Image") -> "Image":
    """Return the image in a mode that can be resampled and encoded; the same object if it already has one."""
    if picture.mode.startswith("I"):  # 16 bits for each pixel
        return picture.convert("I").point(lambda value: value / 256).convert("L")
    if picture.has_transparency_data:
        return picture if picture.mode == "RGBA" else picture.convert("RGBA")
    if picture.mode in ("RGB", "L"):
        return picture
    return picture.convert("L" if picture.mode == "1" else "RGB")


def _encoded(picture: "Image", budget: int, resampling: "Resampling") -> Thumbnail | None:
    encoder, mime_type = ("WEBP", "image/webp") if picture.mode == "RGBA" else ("JPEG", "image/jpeg")

    def encode(size: tuple[int, int], quality: int) -> tuple[int, Thumbnail | None]:
        sized = picture if size == picture.size else picture.resize(size, resampling, reducing_gap=2.0)
        buffer = io.BytesIO()
        sized.save(buffer, encoder, quality=quality)
        used = buffer.tell()
        if used > budget:
            return used, None
        data = base64.b64encode(buffer.getbuffer()).decode("ascii")
        return used, Thumbnail(data, mime_type, *size, is_original=False)

    used, made = encode(picture.size, _GOOD)
    if made is None and used < 1.6 * budget:  # about what the lower quality saves
        used, made = encode(picture.size, _FAIR)
    if made:
        return made
    return _shrunk(picture.size, used, budget, encode)


def _shrunk(
    full: tuple[int, int],
    used: int,
    budget: int,
    encode: Callable[[tuple[int, int], int], tuple[int, Thumbnail | None]],
) -> Thumbnail | None:
    """Return the largest copy found in a few attempts that fits, estimated from the bytes for each pixel so far."""
    best: Thumbnail | None = None
    scale, slope = 1.0, 1.0
    tried = {full}
    for _ in range(_MAX_STEPS):
        before = scale
        scale = min(0.95, scale * sqrt((_AIM * budget / used) ** (1 / slope)))
        size = (max(1, round(full[0] * scale)), max(1, round(full[1] * scale)))
        if size in tried or max(size) < _SMALLEST_SIDE:
            break
        tried.add(size)
        last = used
        used, made = encode(size, _FAIR)
        if made:
            best = made if best is None or made.width * made.height > best.width * best.height else best
            if used > _ENOUGH * budget:
                break
        if scale != before and used != last:
            slope = min(2.0, max(0.4, log(used / last) / (2 * log(scale / before))))
    return best
