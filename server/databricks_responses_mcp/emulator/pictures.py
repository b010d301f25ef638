"""Pictures drawn from a prompt: the same prompt draws the same picture, another prompt another one. No model paints."""

import hashlib
import math
import random
import re
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from databricks_responses_mcp.errors import BridgeError, ErrorCode

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

_DEFAULT_SIZE = (1024, 1024)
_SHAPES = {"low": 6, "medium": 10, "high": 16, "auto": 10}
_JPEG_QUALITY = 90

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Drawing:
    """What to draw.

    Attributes:
        prompt: draws and is written small in a corner.
        size: ``WIDTHxHEIGHT`` in pixels, or ``auto``.
        quality: ``low``, ``medium``, ``high`` or ``auto``: more of it, more shapes.
        background: ``transparent`` leaves the ground out.
        output_format: ``png``, ``jpeg`` or ``webp``.
        output_compression: 0 to 100, for jpeg and webp.
        sources: pictures to edit, encoded; the last is the one that is painted on.
        mask: encoded; where it is transparent the source is painted on.
    """

    prompt: str
    size: str = "auto"
    quality: str = "auto"
    background: str = "auto"
    output_format: str = "png"
    output_compression: int | None = None
    sources: tuple[bytes, ...] = ()
    mask: bytes | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """A finished picture and the unfinished ones before it, encoded."""

    data: bytes
    partials: tuple[bytes, ...]
    size: str


async def draw(drawing: Drawing, partials: int = 0) -> Drawn:
    """Draw in a worker thread.

    Args:
        partials: how many unfinished versions to make as well.

    Raises:
        BridgeError: if a picture to edit turns out to be broken.
    """
    return await anyio.to_thread.run_sync(_draw, drawing, partials)


def _draw(drawing: Drawing, partials: int) -> Drawn:
    try:
        picture = _paint(drawing)
    except (OSError, ValueError, SyntaxError) as error:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT, "A picture to edit could not be decoded.", "Send it whole."
        ) from error
    unfinished = tuple(
        _encode(_unfinished(picture, (number + 1) / (partials + 1)), drawing) for number in range(partials)
    )
    return Drawn(_encode(picture, drawing), unfinished, f"{picture.width}x{picture.height}")


def _paint(drawing: Drawing) -> "Picture":
    from PIL import Image

    chance = random.Random(hashlib.sha256(drawing.prompt.encode()).digest())  # noqa: S311 - repeatable, not secret
    sources = [Image.open(BytesIO(data)).convert("RGBA") for data in drawing.sources]
    size = _size(drawing.size, sources)
    palette = _palette(chance)
    ground = _gradient(size, palette[0], palette[1], chance)
    if drawing.background == "transparent":
        ground.putalpha(0)
    for _ in range(_SHAPES.get(drawing.quality, _SHAPES["auto"])):
        _add_shape(ground, chance.choice(palette), chance)
    if sources:
        ground = _edited(sources, ground, drawing.mask)
    _sign(ground, drawing.prompt)
    return ground


def _size(size: str, sources: "list[Picture]") -> tuple[int, int]:
    if match := re.fullmatch(r"(\d+)x(\d+)", size):
        return int(match[1]), int(match[2])
    return sources[-1].size if sources else _DEFAULT_SIZE


def _palette(chance: random.Random) -> list[Colour]:
    """Five colours that go together: neighbours on the wheel and one from across it."""
    import colorsys

    start = chance.random()
    places = [0.0, 0.08, 0.16, 0.24, 0.55]
    tones = [
        colorsys.hls_to_rgb((start + place) % 1, chance.uniform(0.4, 0.72), chance.uniform(0.55, 0.9))
        for place in places
    ]
    return [(round(red * 255), round(green * 255), round(blue * 255)) for red, green, blue in tones]


def _gradient(size: tuple[int, int], start: Colour, end: Colour, chance: random.Random) -> "Picture":
    from PIL import Image

    # Drawn small and stretched: a smooth gradient costs nothing that way.
    small = Image.new("RGBA", (16, 16))
    turn = chance.uniform(0, 2 * math.pi)
    for x in range(16):
        for y in range(16):
            share = 0.5 + ((x - 7.5) * math.cos(turn) + (y - 7.5) * math.sin(turn)) / 22
            mixed = [round(one + (other - one) * share) for one, other in zip(start, end, strict=True)]
            small.putpixel((x, y), (mixed[0], mixed[1], mixed[2], 255))
    return small.resize(size, Image.Resampling.BICUBIC)


def _add_shape(ground: "Picture", colour: Colour, chance: random.Random) -> None:
    """A disc, a polygon or an arc, drawn on a tile at twice its size for smooth edges."""
    from PIL import Image, ImageDraw

    radius = max(2, round(chance.uniform(0.05, 0.28) * min(ground.size)))
    x, y = chance.randrange(ground.width), chance.randrange(ground.height)
    fill = (*colour, chance.randint(90, 200))
    tile = Image.new("RGBA", (4 * radius, 4 * radius), (*colour, 0))
    pen = ImageDraw.Draw(tile)
    box = (1, 1, 4 * radius - 2, 4 * radius - 2)
    match chance.randrange(3):
        case 0:
            pen.ellipse(box, fill=fill)
        case 1:
            pen.regular_polygon(
                (2 * radius, 2 * radius, 2 * radius - 2), chance.randint(3, 6), chance.uniform(0, 360), fill=fill
            )
        case _:
            begin, span = chance.randint(0, 360), chance.randint(60, 300)
            pen.arc(box, begin, begin + span, fill=fill, width=max(1, radius // 3))
    tile = tile.resize((2 * radius, 2 * radius), Image.Resampling.BOX)
    left, top = x - radius, y - radius
    # Compositing takes no negative place: cut off what lies outside.
    tile = tile.crop((max(0, -left), max(0, -top), tile.width, tile.height))
    ground.alpha_composite(tile, (max(0, left), max(0, top)))


def _edited(sources: "list[Picture]", paint: "Picture", mask: bytes | None) -> "Picture":
    """The last source painted over where the mask is open (all of it, thinly, without one); the others as insets."""
    from PIL import Image

    base = sources[-1].resize(paint.size)
    if mask is None:
        edited = Image.blend(base, paint, 0.4)
    else:
        closed = Image.open(BytesIO(mask)).convert("RGBA").getchannel("A").resize(paint.size)
        edited = Image.composite(base, paint, closed)
    side = max(1, min(paint.size) // 6)
    for number, source in enumerate(sources[:-1][:6]):
        edited.paste(source.resize((side, side)), (number * side, 0))
    return edited


def _sign(picture: "Picture", prompt: str) -> None:
    from PIL import Image, ImageDraw, ImageFont

    if min(picture.size) < 64:
        return
    font = ImageFont.load_default(size=max(10, min(picture.size) // 36))
    text = " ".join(prompt.split())[:90] or "(no prompt)"
    layer = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    pen = ImageDraw.Draw(layer)
    margin = picture.width // 40
    while len(text) > 8 and pen.textlength(text, font=font) > picture.width - 2 * margin:
        text = text[: len(text) * 9 // 10 - 1] + "…"
    place = (margin, picture.height - margin)
    pen.rectangle(pen.textbbox(place, text, font=font, anchor="ls"), fill=(0, 0, 0, 90))
    pen.text(place, text, font=font, anchor="ls", fill=(255, 255, 255, 230))
    picture.alpha_composite(layer)


def _unfinished(picture: "Picture", share: float) -> "Picture":
    from PIL import Image

    cells = max(2, round(min(picture.size) * share / 12))
    small = picture.resize((cells, max(2, cells * picture.height // picture.width)), Image.Resampling.BOX)
    return small.resize(picture.size, Image.Resampling.NEAREST)


def _encode(picture: "Picture", drawing: Drawing) -> bytes:
    out = BytesIO()
    options: dict[str, Any] = {}
    if drawing.output_format != "png":
        options["quality"] = _JPEG_QUALITY if drawing.output_compression is None else drawing.output_compression
    keep_alpha = drawing.background == "transparent" and drawing.output_format != "jpeg"
    image = picture if keep_alpha else picture.convert("RGB")
    image.save(out, {"jpeg": "JPEG", "webp": "WEBP"}.get(drawing.output_format, "PNG"), **options)
    return out.getvalue()
