"""Images drawn from a prompt by rule, without a model: the same prompt gives the same image."""

import hashlib
import random
import re
from dataclasses import dataclass
from html import escape
from io import BytesIO
from typing import Any

import anyio.to_thread
from PIL import Image, ImageDraw, ImageEnhance, ImageFont
from PIL.Image import Image as Picture

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_workspace_emulator.drawing.canvas import Canvas
from databricks_workspace_emulator.drawing.landscape import paint, paint_figures, paint_weather
from databricks_workspace_emulator.drawing.scene import Scene, read_scene, tint_of

_DEFAULT_SIZE = (1024, 1024)
_DETAIL = {"low": 0.5, "medium": 1.0, "high": 1.5, "xhigh": 2.0, "max": 2.5, "auto": 1.0}
_FRAMES = 9
_FRAME_MS = 200
_ADDING = frozenset({"add", "with", "put", "draw", "place", "include", "insert"})
_JPEG_QUALITY = 90


@dataclass(frozen=True, slots=True)
class Drawing:
    """The parameters of an image.

    Attributes:
        prompt: determines the scene, and is written in a corner.
        size: ``WIDTHxHEIGHT`` in pixels, or ``auto``.
        quality: ``low`` to ``max``, or ``auto``: a higher quality has more details and smoother edges.
        background: ``transparent`` leaves out sky and land.
        output_format: ``png``, ``jpeg``, ``webp``, ``gif`` (frames that become sharper) or ``svg``.
        output_compression: 0 to 100, for jpeg and webp.
        sources: images to edit, encoded; the last one is changed: its light and its weather become those of the prompt.
        complexity: for an ``svg``: the number of shapes.
        frame_count: for a ``gif``; None for 9.
        frame_duration_ms: for each frame; None for 200.
        mask: encoded; where it is transparent, the prompt's scene replaces the source.
    """

    prompt: str
    size: str = "auto"
    quality: str = "auto"
    background: str = "auto"
    output_format: str = "png"
    output_compression: int | None = None
    complexity: str = "medium"
    frame_count: int | None = None
    frame_duration_ms: int | None = None
    sources: tuple[bytes, ...] = ()
    mask: bytes | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """A finished image and the unfinished ones before it, encoded."""

    data: bytes
    partials: tuple[bytes, ...]
    size: str


async def draw(drawing: Drawing, partials: int = 0) -> Drawn:
    """Draw in a worker thread.

    Args:
        partials: the number of unfinished versions to make as well.

    Raises:
        BridgeError: if an image to edit is damaged.
    """
    return await anyio.to_thread.run_sync(_draw, drawing, partials)


def _draw(drawing: Drawing, partials: int) -> Drawn:
    try:
        sources = [_decoded(data) for data in drawing.sources]
        mask = None if drawing.mask is None else _decoded(drawing.mask).getchannel("A")
    except (OSError, ValueError, SyntaxError) as error:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT, "A picture to edit could not be decoded.", "Send it whole."
        ) from error
    picture = _paint(drawing, sources, mask)
    unfinished = tuple(
        _encode(_unfinished(picture, (number + 1) / (partials + 1)), drawing) for number in range(partials)
    )
    return Drawn(_encode(picture, drawing), unfinished, f"{picture.width}x{picture.height}")


def _decoded(data: bytes) -> Picture:
    with Image.open(BytesIO(data)) as picture:
        return picture.convert("RGBA")


def _paint(drawing: Drawing, sources: list[Picture], mask: Picture | None) -> Picture:
    digest = hashlib.sha256(drawing.prompt.encode(errors="surrogatepass")).digest()
    chance = random.Random(digest)  # noqa: S311 - repeatable, not secret
    size = _size(drawing.size, sources)
    scene = read_scene(drawing.prompt, chance)
    canvas = Canvas(size, fine=drawing.quality != "low")
    if sources and mask is None:
        picture = _retouched(sources, scene, drawing.prompt, canvas, chance)
    elif drawing.background == "transparent" and not sources:
        paint_figures(canvas, scene.with_a_figure(), chance)
        picture = canvas.finished()
    else:
        paint(canvas, scene, chance, _DETAIL.get(drawing.quality, _DETAIL["auto"]))
        picture = canvas.finished()
        if sources and mask is not None:
            picture = _painted_in(sources[-1], picture, mask)
    if sources:
        _add_insets(picture, sources[:-1])
    _sign(picture, drawing.prompt)
    return picture


def _size(size: str, sources: list[Picture]) -> tuple[int, int]:
    if match := re.fullmatch(r"(\d+)x(\d+)", size):
        return int(match[1]), int(match[2])
    return sources[-1].size if sources else _DEFAULT_SIZE


def _retouched(sources: list[Picture], scene: Scene, prompt: str, canvas: Canvas, chance: random.Random) -> Picture:
    """Return the last source in the light and the weather of the prompt, with the additions of the prompt."""
    colour, share = tint_of(prompt, scene, chance)
    picture = sources[-1].resize(canvas.size)
    if scene.land == "snow":
        picture = ImageEnhance.Color(picture).enhance(0.45)
    tinted = Image.blend(picture.convert("RGB"), Image.new("RGB", canvas.size, colour), share)
    tinted.putalpha(picture.getchannel("A"))
    if set(re.findall(r"\w+", prompt.lower())) & _ADDING:
        paint_figures(canvas, scene, chance)
    paint_weather(canvas, scene, chance, 1.0)
    tinted.alpha_composite(canvas.finished())
    return tinted


def _painted_in(source: Picture, paint: Picture, mask: Picture) -> Picture:
    """Return the source, painted over where the mask, an alpha channel, is transparent."""
    return Image.composite(source.resize(paint.size), paint, mask.resize(paint.size))


def _add_insets(picture: Picture, sources: list[Picture]) -> None:
    """Draw the other sources small, along the upper edge."""
    side = max(1, min(picture.size) // 6)
    for number, source in enumerate(sources[:6]):
        picture.paste(source.resize((side, side)), (number * side, 0))


def _sign(picture: Picture, prompt: str) -> None:
    if min(picture.size) < 128:
        return
    side = min(picture.size)
    font = ImageFont.load_default(size=max(9, side // 52))
    text = " ".join(prompt.split())[:90] or "(no prompt)"
    layer = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    pen = ImageDraw.Draw(layer)
    margin = side // 48
    while len(text) > 8 and pen.textlength(text, font=font) > picture.width - 2 * margin:
        text = text[: len(text) * 9 // 10 - 1] + "…"
    place = (picture.width - margin, picture.height - margin)
    shade = max(1, side // 700)
    pen.text((place[0] + shade, place[1] + shade), text, font=font, anchor="rs", fill=(0, 0, 0, 110))
    pen.text(place, text, font=font, anchor="rs", fill=(255, 255, 255, 190))
    picture.alpha_composite(layer)


def _unfinished(picture: Picture, share: float) -> Picture:
    cells = max(2, round(min(picture.size) * share / 12))
    small = picture.resize((cells, max(2, cells * picture.height // picture.width)), Image.Resampling.BOX)
    return small.resize(picture.size, Image.Resampling.NEAREST)


def _encode(picture: Picture, drawing: Drawing) -> bytes:
    if drawing.output_format == "svg":
        return _as_svg(picture, drawing)
    out = BytesIO()
    if drawing.output_format == "gif":
        frames = drawing.frame_count or _FRAMES
        first, *others = [_unfinished(picture, (number + 1) / frames).convert("RGB") for number in range(frames)]
        duration = (drawing.frame_duration_ms or _FRAME_MS) // 10 * 10
        first.save(out, "GIF", save_all=True, append_images=others, duration=duration, loop=0)
        return out.getvalue()
    options: dict[str, Any] = {}
    if drawing.output_format != "png":
        options["quality"] = _JPEG_QUALITY if drawing.output_compression is None else drawing.output_compression
    keep_alpha = drawing.background == "transparent" and drawing.output_format != "jpeg"
    image = picture if keep_alpha else picture.convert("RGB")
    image.save(out, {"jpeg": "JPEG", "webp": "WEBP"}.get(drawing.output_format, "PNG"), **options)
    return out.getvalue()


def _as_svg(picture: Picture, drawing: Drawing) -> bytes:
    """Return the image as a mosaic of coloured tiles, with the prompt as its title."""
    across = {"low": 12, "medium": 24, "high": 48}[drawing.complexity]
    side = max(1, round(picture.width / across))
    columns, rows = max(1, picture.width // side), max(1, picture.height // side)
    small = picture.convert("RGB").resize((columns, rows), Image.Resampling.BOX)
    colours = small.tobytes()
    tiles = "".join(
        f'<rect x="{column * side}" y="{row * side}" width="{side}" height="{side}" '
        f'fill="#{colours[3 * (row * columns + column) :][:3].hex()}"/>'
        for row in range(rows)
        for column in range(columns)
    )
    size = f'width="{picture.width}" height="{picture.height}" viewBox="0 0 {columns * side} {rows * side}"'
    title = escape(" ".join(drawing.prompt.split())[:90])
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}><title>{title}</title>{tiles}</svg>'.encode()
