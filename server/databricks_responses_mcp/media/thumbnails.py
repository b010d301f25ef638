"""Small copies of pictures, for hosts that show them inline and count every byte.

Pillow is imported on first need.
"""

import base64
import io
import warnings
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING

from databricks_responses_mcp.media.formats import ACCEPTED_FORMATS, Buffer, dimensions, sniff

if TYPE_CHECKING:
    from PIL.Image import Image

WRAPPER_BYTES = 160
"""What surrounds the base64 in the encoded ``ImageContent``: type, MIME type, keys, some metadata."""
MAX_PIXELS = 64_000_000
_FORMATS = tuple(image_format.name for image_format in ACCEPTED_FORMATS)
_QUALITIES = (85, 70)
_MOST_STEPS = 8
_SMALLEST_SIDE = 8
_DAMAGED = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, MemoryError, OverflowError)


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A picture to show inline.

    Attributes:
        base64: the data of an ``ImageContent``.
        mime_type: its type.
        width: pixels.
        height: pixels.
        is_original: whether these are the bytes of the picture itself.
    """

    base64: str
    mime_type: str
    width: int
    height: int
    is_original: bool


def make_thumbnail(source: Buffer | Path, *, budget_bytes: int, max_side: int = 1568) -> Thumbnail | None:
    """A copy of a PNG, JPEG, WEBP or GIF whose encoded ``ImageContent`` has at most ``budget_bytes`` bytes of JSON.

    The picture itself if it fits and no side is longer than ``max_side`` pixels. Else a smaller one, upright, of the
    same shape: JPEG, or WEBP if it has transparent parts. Blocks and takes CPU: call it in a worker thread.

    Returns:
        None if it cannot be done: no budget, a damaged picture, or one of more than 64 million pixels.
    """
    budget = (budget_bytes - WRAPPER_BYTES) // 4 * 3
    if budget <= 0 or max_side < 1:
        return None
    try:
        return _original(source, budget, max_side) or _smaller(source, budget, max_side)
    except _DAMAGED:
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
    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        # Pillow warns of odd metadata and of large pictures; the first does not matter, the second is checked here.
        warnings.simplefilter("ignore")
        opened = source if isinstance(source, Path) else io.BytesIO(source)
        try:
            with Image.open(opened, formats=_FORMATS) as picture:
                if picture.format == "JPEG":
                    # Decodes at a half, quarter or eighth; twice the target, so that the resampling stays good.
                    picture.draft("RGB", (2 * max_side, 2 * max_side))
                if picture.width * picture.height > MAX_PIXELS:
                    return None
                small = _plain(picture)
                small.thumbnail((max_side, max_side), Image.Resampling.LANCZOS, reducing_gap=2.0)
                small = ImageOps.exif_transpose(small)
        except Image.DecompressionBombError:
            return None
        return _encoded(small, budget)


def _plain(picture: "Image") -> "Image":
    """The picture in RGB, or RGBA if some of it is transparent."""
    if picture.mode.startswith("I;16") or picture.mode == "I":
        return picture.convert("I").point(lambda value: value / 256).convert("L").convert("RGB")
    if picture.has_transparency_data:
        with_alpha = picture.convert("RGBA")
        opaque = with_alpha.getchannel("A").getextrema() == (255, 255)
        return with_alpha.convert("RGB") if opaque else with_alpha
    return picture.convert("RGB")


def _encoded(picture: "Image", budget: int) -> Thumbnail | None:
    from PIL import Image

    encoder, mime_type = ("WEBP", "image/webp") if picture.mode == "RGBA" else ("JPEG", "image/jpeg")
    sized = picture
    for step in range(_MOST_STEPS):
        quality = _QUALITIES[min(step, len(_QUALITIES) - 1)]
        buffer = io.BytesIO()
        sized.save(buffer, encoder, quality=quality)
        size = buffer.tell()
        if size <= budget:
            data = base64.b64encode(buffer.getbuffer()).decode("ascii")
            return Thumbnail(data, mime_type, sized.width, sized.height, is_original=False)
        # The lower quality saves about a third; what it cannot save, pixels must.
        need = budget / size * (1.5 if step == 0 else 1)
        if need < 1:
            scale = min(0.9, 0.95 * sqrt(need))
            width, height = (max(1, int(side * scale)) for side in sized.size)
            if max(width, height) < _SMALLEST_SIDE:
                return None
            sized = picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return None
