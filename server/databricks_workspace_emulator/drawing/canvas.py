"""A canvas in units of its shorter side, with the shapes of scenes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]

_CURVE_STEPS = 10
_MAX_WORKING_PIXELS = 5_000_000
_MAX_OVERSAMPLING = 4


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """Return the colour at ``share`` (0 to 1) between ``one`` and ``other``."""
    return (
        round(one[0] + (other[0] - one[0]) * share),
        round(one[1] + (other[1] - one[1]) * share),
        round(one[2] + (other[2] - one[2]) * share),
    )


def lighter(colour: Colour, share: float = 0.2) -> Colour:
    """Return ``colour`` mixed with white."""
    return mix(colour, (255, 255, 255), share)


def darker(colour: Colour, share: float = 0.2) -> Colour:
    """Return ``colour`` mixed with a deep blue, like shadows outdoors."""
    return mix(colour, (14, 18, 44), share)


def curve(points: Sequence[Point]) -> list[Point]:
    """Return a closed smooth curve through ``points`` (Catmull-Rom)."""
    count = len(points)
    out: list[Point] = []
    for index in range(count):
        before, start, end, after = (points[(index + offset) % count] for offset in (-1, 0, 1, 2))
        for step in range(_CURVE_STEPS):
            t = step / _CURVE_STEPS
            weights = (
                (-t + 2 * t**2 - t**3) / 2,
                (2 - 5 * t**2 + 3 * t**3) / 2,
                (t + 4 * t**2 - 3 * t**3) / 2,
                (t**3 - t**2) / 2,
            )
            around = (before, start, end, after)
            out.append(
                (
                    sum(weight * point[0] for weight, point in zip(weights, around, strict=True)),
                    sum(weight * point[1] for weight, point in zip(weights, around, strict=True)),
                )
            )
    return out


class Canvas:
    """An unfinished image, drawn larger than its final size so that its edges are smooth.

    ``y`` grows downwards; both axes are in units of the shorter side.

    Args:
        size: width and height of the finished image in pixels.
        fine: whether to smooth edges as far as memory allows; otherwise only a little.
    """

    def __init__(self, size: tuple[int, int], *, fine: bool = True) -> None:
        self.size = size
        most = (_MAX_WORKING_PIXELS / (size[0] * size[1])) ** 0.5
        factor = max(1.0, min(most, _MAX_OVERSAMPLING if fine else 1.5))
        self._pixels = (round(size[0] * factor), round(size[1] * factor))
        self.scale = min(self._pixels)
        self.width, self.height = (side / self.scale for side in self._pixels)
        self.image = Image.new("RGBA", self._pixels, (0, 0, 0, 0))
        self._pen = ImageDraw.Draw(self.image)

    def finished(self) -> Image.Image:
        """Return the image in its final size."""
        if self.image.size == self.size:
            return self.image
        return self.image.resize(self.size, Image.Resampling.BOX, reducing_gap=None)

    def sky(self, stops: Sequence[Colour], until: float) -> None:
        """Fill the canvas with a vertical gradient through ``stops``, evenly spread from the top to ``until``."""
        column = Image.new("RGB", (1, self._pixels[1]))
        span = max(until * self.scale, 1.0)
        for y in range(self._pixels[1]):
            place = min(y / span, 1.0) * (len(stops) - 1)
            index = min(int(place), len(stops) - 2)
            column.putpixel((0, y), mix(stops[index], stops[index + 1], place - index))
        self.image.paste(column.resize(self._pixels), (0, 0))

    def fill(self, points: Sequence[Point], colour: Colour, alpha: int = 255) -> None:
        """Fill a polygon with one colour."""
        placed = self._placed(points)
        if alpha >= 255:
            self._pen.polygon(placed, fill=(*colour, 255))
            return
        if (box := self._box(placed)) is None:
            return
        tile = Image.new("RGBA", (box[2] - box[0], box[3] - box[1]), (*colour, 0))
        ImageDraw.Draw(tile).polygon([(x - box[0], y - box[1]) for x, y in placed], fill=(*colour, alpha))
        self.image.alpha_composite(tile, box[:2])

    def shade(self, points: Sequence[Point], top: Colour, bottom: Colour) -> None:
        """Fill a polygon with a gradient from ``top`` to ``bottom``."""
        placed = self._placed(points)
        if (box := self._box(placed)) is None:
            return
        size = (box[2] - box[0], box[3] - box[1])
        mask = Image.new("L", size, 0)
        ImageDraw.Draw(mask).polygon([(x - box[0], y - box[1]) for x, y in placed], fill=255)
        low, high = min(y for _, y in placed), max(y for _, y in placed)
        column = Image.new("RGB", (1, size[1]))
        for y in range(size[1]):
            share = (y + box[1] - low) / max(high - low, 1.0)
            column.putpixel((0, y), mix(top, bottom, min(max(share, 0.0), 1.0)))
        self.image.paste(column.resize(size), box[:2], mask)

    def disc(self, x: float, y: float, radius: float, colour: Colour, alpha: int = 255) -> None:
        """Fill a circle."""
        self.ellipse(x, y, radius, radius, colour, alpha)

    def ellipse(self, x: float, y: float, across: float, up: float, colour: Colour, alpha: int = 255) -> None:
        """Fill an ellipse with these radii."""
        corners = [
            ((x - across) * self.scale, (y - up) * self.scale),
            ((x + across) * self.scale, (y + up) * self.scale),
        ]
        if alpha >= 255:
            self._pen.ellipse([corners[0], corners[1]], fill=(*colour, 255))
        elif (box := self._box(corners)) is not None:
            tile = Image.new("RGBA", (box[2] - box[0], box[3] - box[1]), (*colour, 0))
            left, top = corners[0][0] - box[0], corners[0][1] - box[1]
            right, bottom = corners[1][0] - box[0], corners[1][1] - box[1]
            ImageDraw.Draw(tile).ellipse([left, top, right, bottom], fill=(*colour, alpha))
            self.image.alpha_composite(tile, box[:2])

    def glow(self, x: float, y: float, radius: float, colour: Colour, strength: float) -> None:
        """Draw light around a point, which fades out at ``radius``."""
        side = max(2, round(2 * radius * self.scale))
        left, top = round((x - radius) * self.scale), round((y - radius) * self.scale)
        light = Image.radial_gradient("L").resize((side, side))
        mask = light.point([round(255 * strength * max(0.0, 1 - level / 181) ** 2) for level in range(256)])
        mask = self._cropped(mask, left, top)
        if mask.width and mask.height:
            tile = Image.new("RGBA", mask.size, (*colour, 0))
            tile.putalpha(mask)
            self.image.alpha_composite(tile, (max(0, left), max(0, top)))

    def line(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        """Draw a line with round joints and ends."""
        placed = self._placed(points)
        pixels = max(1, round(width * self.scale))
        self._pen.line(placed, fill=(*colour, 255), width=pixels, joint="curve")
        if pixels > 2:
            radius = pixels / 2
            for x, y in (placed[0], placed[-1]):
                self._pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=(*colour, 255))

    def darken_edges(self, strength: float) -> None:
        """Darken the edges softly."""
        light = Image.radial_gradient("L").resize(self._pixels)
        mask = light.point([round(255 * strength * max(0.0, level / 255 - 0.45) ** 1.5) for level in range(256)])
        tile = Image.new("RGBA", self._pixels, (12, 12, 36, 0))
        tile.putalpha(ImageChops.multiply(mask, self.image.getchannel("A")))
        self.image.alpha_composite(tile)

    def _placed(self, points: Sequence[Point]) -> list[Point]:
        return [(x * self.scale, y * self.scale) for x, y in points]

    def _box(self, placed: Sequence[Point]) -> tuple[int, int, int, int] | None:
        """Return the part of the canvas that the points span; None if it is outside."""
        left = max(0, math.floor(min(x for x, _ in placed)))
        top = max(0, math.floor(min(y for _, y in placed)))
        right = min(self._pixels[0], math.ceil(max(x for x, _ in placed)) + 1)
        bottom = min(self._pixels[1], math.ceil(max(y for _, y in placed)) + 1)
        return (left, top, right, bottom) if left < right and top < bottom else None

    def _cropped(self, tile: Image.Image, left: int, top: int) -> Image.Image:
        right = min(tile.width, self._pixels[0] - left)
        bottom = min(tile.height, self._pixels[1] - top)
        return tile.crop((max(0, -left), max(0, -top), max(max(0, -left), right), max(max(0, -top), bottom)))


@dataclass(frozen=True, slots=True)
class Pen:
    """Draws one subject in its own coordinates: ``x`` from its middle, ``y`` up from the ground, its height about 1.

    Attributes:
        x: the position of its middle on the canvas.
        y: the position of its ground.
        size: the length of 1 on the canvas.
        flip: whether it is mirrored.
    """

    canvas: Canvas
    x: float
    y: float
    size: float
    flip: bool = False

    def blob(self, points: Sequence[Point], colour: Colour) -> None:
        """Draw a closed smooth shape through the points."""
        self.canvas.fill(curve(self._all(points)), colour)

    def shaded(self, points: Sequence[Point], top: Colour, bottom: Colour, *, smooth: bool = True) -> None:
        """Draw a closed shape with a vertical gradient."""
        placed = self._all(points)
        self.canvas.shade(curve(placed) if smooth else placed, top, bottom)

    def shape(self, points: Sequence[Point], colour: Colour, alpha: int = 255) -> None:
        """Draw a polygon."""
        self.canvas.fill(self._all(points), colour, alpha)

    def oval(self, x: float, y: float, across: float, up: float, colour: Colour, alpha: int = 255) -> None:
        """Draw an ellipse with these radii."""
        cx, cy = self._at((x, y))
        self.canvas.ellipse(cx, cy, across * self.size, up * self.size, colour, alpha)

    def line(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        """Draw a line with round ends."""
        self.canvas.line(self._all(points), width * self.size, colour)

    def glow(self, x: float, y: float, radius: float, colour: Colour, strength: float) -> None:
        """Draw light around a point."""
        cx, cy = self._at((x, y))
        self.canvas.glow(cx, cy, radius * self.size, colour, strength)

    def both(self, points: Sequence[Point], colour: Colour, *, smooth: bool = True) -> None:
        """Draw a shape on the right, and mirrored on the left."""
        for side in (1, -1):
            mirrored = [(side * x, y) for x, y in points]
            if smooth:
                self.blob(mirrored, colour)
            else:
                self.shape(mirrored, colour)

    def shadow(self, across: float, colour: Colour = (14, 18, 44)) -> None:
        """Draw the shadow on the ground."""
        self.oval(0.04, 0, across, across * 0.16, colour, 60)

    def _at(self, point: Point) -> Point:
        return self.x + (-point[0] if self.flip else point[0]) * self.size, self.y - point[1] * self.size

    def _all(self, points: Sequence[Point]) -> list[Point]:
        return [self._at(point) for point in points]
