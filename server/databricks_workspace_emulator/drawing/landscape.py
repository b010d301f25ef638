"""Painting a scene from the back to the front: sky, mountains, hills, water, trees, subjects, weather."""

import math
import random

from databricks_workspace_emulator.drawing.canvas import Canvas, Colour, Pen, Point, darker, lighter, mix
from databricks_workspace_emulator.drawing.light import GROUNDS, HORIZON, SKIES, SPACE, Light
from databricks_workspace_emulator.drawing.scene import Scene
from databricks_workspace_emulator.drawing.sky import paint_planet, paint_sky

_WHITE: Colour = (255, 255, 255)
_AUTUMN: tuple[Colour, ...] = ((206, 98, 46), (224, 152, 54), (176, 66, 48), (222, 184, 76))


def paint(canvas: Canvas, scene: Scene, chance: random.Random, detail: float) -> None:
    """Paint the whole scene.

    Args:
        detail: 1 is usual; less leaves out small things, more adds some.
    """
    sky = SPACE if scene.land == "space" else SKIES[scene.hour]
    if scene.weather in ("rain", "fog"):
        sky = tuple(mix(colour, (138, 146, 164), 0.5) for colour in sky)
    light = Light(scene, sky[-1])
    horizon = canvas.height * HORIZON
    canvas.sky(sky, horizon * 1.02)
    paint_sky(canvas, scene, light, chance, detail)
    if scene.land == "space":
        paint_planet(canvas, chance, light)
    else:
        _paint_land(canvas, scene, light, chance, detail)
    paint_figures(canvas, scene, chance)
    paint_weather(canvas, scene, chance, detail)
    canvas.darken_edges(0.5)


def paint_figures(canvas: Canvas, scene: Scene, chance: random.Random) -> None:
    """Draw the subjects that the prompt names, side by side, each in its place."""
    heights = {"sky": 0.34, "water": 0.79, "ground": 0.93}
    count = len(scene.figures)
    crowd = 1.0 if count == 1 else max(0.5, 1.15 - 0.17 * count)
    order = ("sky", "water", "ground")
    # From left to right in the order of the prompt; distant ones are painted first.
    for index, figure in sorted(enumerate(scene.figures), key=lambda one: order.index(one[1].subject.place)):
        place = figure.subject.place
        share = 0.5 if count == 1 else 0.5 + (index / (count - 1) - 0.5) * (0.3 + 0.08 * count)
        x = canvas.width * (share + chance.uniform(-0.04, 0.04))
        size = figure.subject.size * crowd * chance.uniform(0.96, 1.06) * min(1.25, canvas.width**0.4)
        y = canvas.height * heights[place]
        if place == "sky":
            # In the sky, the position is the middle of a subject.
            y += size * 0.5 + canvas.height * (chance.uniform(-0.12, 0.04) if count > 1 else 0.0)
        flip = chance.random() < 0.5
        pen = Pen(canvas, x, y, size, flip)
        figure.subject.draw(pen, figure.colour, chance)
        if place == "water":
            _lap(canvas, scene, x, y, size)


def paint_weather(canvas: Canvas, scene: Scene, chance: random.Random, detail: float) -> None:
    """Draw falling snow, rain or fog in front of everything."""
    if scene.weather == "snow" or (scene.land == "snow" and scene.weather == "clear"):
        for _ in range(round(190 * detail)):
            size = chance.choice((0.002, 0.003, 0.003, 0.004, 0.006))
            place = chance.uniform(0, canvas.width), chance.uniform(0, canvas.height)
            canvas.disc(*place, size, _WHITE, 235 if size < 0.005 else 170)
    elif scene.weather == "rain":
        for _ in range(round(150 * detail)):
            x, y = chance.uniform(0, canvas.width), chance.uniform(-0.05, canvas.height)
            length = chance.uniform(0.02, 0.05)
            drop = [(x, y), (x + 0.003, y), (x + 0.003 - length * 0.3, y + length), (x - length * 0.3, y + length)]
            canvas.fill(drop, (226, 236, 248), 130)
    elif scene.weather == "fog":
        for index in range(5):
            x, y = canvas.width * chance.uniform(0.1, 0.9), canvas.height * (0.46 + index * 0.1)
            # Thin layers one on the other have no visible edge.
            for layer in range(9):
                share = 1 - layer / 10
                canvas.ellipse(x, y, canvas.width * 0.7 * share, 0.07 * share, (236, 238, 244), 16)


def _paint_land(canvas: Canvas, scene: Scene, light: Light, chance: random.Random, detail: float) -> None:
    horizon = canvas.height * HORIZON
    ground = GROUNDS[scene.land]
    if scene.autumn and scene.land == "meadow":
        ground = (190, 158, 84)
    if scene.peaks or scene.land == "snow":
        _paint_mountains(canvas, scene, light, chance, horizon)
    far = mix((92, 112, 150), ground, 0.4 if scene.land != "desert" else 0.75)
    for index, distance in enumerate((0.62, 0.4)):
        base = horizon - 0.05 + index * 0.045
        top, bottom = light.seen(far, distance), light.seen(ground, distance * 0.8)
        canvas.shade(_ridge(canvas, base, 0.05, chance), top, bottom)
        if scene.wooded and scene.land in ("meadow", "snow"):
            _paint_far_forest(canvas, light, chance, base, distance)
    if scene.land == "city":
        _paint_city(canvas, light, chance, horizon)
    if scene.water:
        _paint_water(canvas, scene, light, chance, horizon)
        grounded = any(figure.subject.place == "ground" for figure in scene.figures)
        rise = 0.84 if grounded else 0.94
        shore = _ridge(canvas, canvas.height * rise, 0.02, chance)
        canvas.shade(shore, light.seen(lighter(ground, 0.06)), light.seen(darker(ground, 0.25)))
        _paint_ground_cover(canvas, scene, light, chance, canvas.height * (rise + 0.03), detail)
        return
    middle = _ridge(canvas, horizon + 0.05, 0.03, chance)
    canvas.shade(middle, light.seen(lighter(ground, 0.03), 0.2), light.seen(darker(ground, 0.1), 0.1))
    _paint_trees(canvas, scene, light, chance, horizon + 0.08, detail)
    near = _ridge(canvas, canvas.height * 0.78, 0.03, chance)
    canvas.shade(
        near, light.seen(lighter(ground, 0.08)), light.seen(darker(ground, 0.24 if scene.land != "snow" else 0.14))
    )
    _paint_ground_cover(canvas, scene, light, chance, canvas.height * 0.82, detail)


def _ridge(canvas: Canvas, base: float, height: float, chance: random.Random) -> list[Point]:
    """Return a rolling outline from the left to the right, closed along the bottom."""
    waves = [(chance.uniform(1.2, 2.6) * factor, chance.uniform(0, 6.3), height / factor) for factor in (1, 2.1, 4.3)]
    steps = 90
    line = [
        (
            canvas.width * step / steps,
            base - sum(up * math.sin(often * step / steps * math.pi + at) for often, at, up in waves),
        )
        for step in range(steps + 1)
    ]
    return [*line, (canvas.width, canvas.height), (0.0, canvas.height)]


def _paint_mountains(canvas: Canvas, scene: Scene, light: Light, chance: random.Random, horizon: float) -> None:
    for distance, tall, count in ((0.66, 0.34, 4), (0.42, 0.25, 5)):
        rock = light.seen((92, 104, 140), distance)
        shade = light.seen((64, 74, 116), distance)
        snow, snow_shade = light.seen((250, 252, 255), distance * 0.55), light.seen((196, 210, 236), distance * 0.6)
        for index in range(count):
            x = canvas.width * ((index + chance.uniform(0.25, 0.75)) / count)
            up = tall * chance.uniform(0.6, 1.05)
            half = up * chance.uniform(0.85, 1.2)
            foot = horizon + 0.03
            peak = (x, foot - up)
            ridge = [
                (x + half * side * share + chance.uniform(-0.012, 0.012), foot - up * (1 - share))
                for side in (-1, 1)
                for share in (0.35, 0.7)
            ]
            left, right = ridge[:2], ridge[2:]
            spine = [(x + chance.uniform(-0.02, 0.03) * share, foot - up * (1 - share)) for share in (0.25, 0.5, 0.8)]
            canvas.fill([peak, *left, (x - half, foot + 0.05), (x + half, foot + 0.05), *reversed(right)], rock)
            canvas.fill(
                [peak, *spine, (x + half * 0.15, foot + 0.05), (x + half, foot + 0.05), *reversed(right)], shade
            )
            if scene.land == "desert":
                continue
            cap = chance.uniform(0.32, 0.46)
            lower = []
            for step in range(7):
                across = -1 + step / 3
                drop = cap * (1.0 if step % 2 else 0.68) * (0.85 + 0.3 * chance.random())
                lower.append((x + across * half * cap * 0.92, peak[1] + up * max(drop, cap * abs(across) * 0.98)))
            canvas.fill([peak, *lower], snow)
            canvas.fill([peak, spine[0], *lower[3:]], snow_shade)
    canvas.glow(canvas.width / 2, horizon, max(canvas.width, 1) * 0.7, light.haze, 0.4)


def _paint_far_forest(canvas: Canvas, light: Light, chance: random.Random, base: float, distance: float) -> None:
    colour = light.seen((44, 84, 78), distance)
    x = -0.02
    while x < canvas.width + 0.02:
        tall = chance.uniform(0.03, 0.065) * (1.2 - distance)
        foot = base + 0.045
        canvas.fill([(x - tall * 0.34, foot), (x, foot - tall * 1.7), (x + tall * 0.34, foot)], colour)
        x += tall * chance.uniform(0.25, 0.55)


def _paint_city(canvas: Canvas, light: Light, chance: random.Random, horizon: float) -> None:
    for distance, tall in ((0.55, 0.4), (0.25, 0.28)):
        x = -0.02
        while x < canvas.width:
            wide, up = chance.uniform(0.05, 0.11), tall * chance.uniform(0.35, 1.0)
            wall = light.seen(chance.choice(((84, 96, 130), (104, 98, 126), (74, 88, 110))), distance)
            top = horizon + 0.06 - up
            canvas.fill([(x, horizon + 0.1), (x, top), (x + wide, top), (x + wide, horizon + 0.1)], wall)
            if chance.random() < 0.3:
                canvas.line([(x + wide / 2, top), (x + wide / 2, top - 0.05)], 0.004, wall)
            lit = (255, 220, 138) if light.scene.hour in ("night", "dusk") else lighter(wall, 0.25)
            for row in range(int(up / 0.03)):
                for column in range(int(wide / 0.018)):
                    if chance.random() < 0.5:
                        wx, wy = x + 0.007 + column * 0.018, top + 0.012 + row * 0.03
                        canvas.fill(
                            [(wx, wy), (wx + 0.008, wy), (wx + 0.008, wy + 0.013), (wx, wy + 0.013)],
                            mix(lit, wall, distance * 0.6),
                        )
            x += wide + chance.choice((0.0, 0.006, 0.02))


def _paint_water(canvas: Canvas, scene: Scene, light: Light, chance: random.Random, horizon: float) -> None:
    sky = SKIES[scene.hour]
    top = mix(sky[-1], light.seen((70, 130, 160)), 0.35)
    deep = mix(light.seen((34, 92, 132)), sky[0], 0.3)
    canvas.shade(
        [(0, horizon + 0.02), (canvas.width, horizon + 0.02), (canvas.width, canvas.height), (0, canvas.height)],
        top,
        deep,
    )
    for _ in range(90):
        share = chance.random() ** 1.4
        y = horizon + 0.03 + share * (canvas.height - horizon)
        x, wide = chance.uniform(0, canvas.width), 0.02 + 0.06 * share
        canvas.ellipse(x, y, wide, 0.0016 + 0.002 * share, lighter(top, 0.4), 110)


def _lap(canvas: Canvas, scene: Scene, x: float, y: float, size: float) -> None:
    """Draw water in front of a floating subject, so that it stands in the water and not on it."""
    sky = SKIES[scene.hour]
    light = Light(scene, sky[-1])
    water = mix(light.seen((46, 106, 142)), sky[0], 0.25)
    canvas.ellipse(x, y + size * 0.05, size * 0.7, size * 0.055, darker(water, 0.15), 120)
    for dx, dy, wide in ((-0.3, 0.02, 0.26), (0.25, 0.03, 0.3), (0.0, 0.06, 0.42), (-0.12, 0.1, 0.24)):
        canvas.ellipse(x + dx * size, y + dy * size, wide * size, size * 0.011, lighter(water, 0.55), 190)


def _paint_trees(canvas: Canvas, scene: Scene, light: Light, chance: random.Random, base: float, detail: float) -> None:
    if scene.land in ("desert", "city"):
        for _ in range(4 if scene.land == "desert" else 0):
            _cactus(
                canvas,
                light,
                chance,
                canvas.width * chance.choice((chance.uniform(0, 0.25), chance.uniform(0.75, 1))),
                base,
            )
        return
    count = round((16 if scene.wooded else 7) * canvas.width * min(detail, 1.3))
    spots = sorted((chance.uniform(0.0, 0.13), chance.random(), chance.random()) for _ in range(count))
    pines = scene.land == "snow" or scene.peaks or scene.wooded
    for depth, place, kind in spots:
        across = place
        # The middle stays empty for what is in front.
        if not (scene.wooded and not scene.figures):
            margin = 0.6 if scene.wooded else 0.34
            across = across * margin if across < 0.5 else 1 - (1 - across) * margin
        x = canvas.width * across
        tall = 0.12 + depth * 1.15
        if pines and (kind < 0.85 or scene.land == "snow"):
            _pine(canvas, scene, light, x, base + depth, tall, chance)
        else:
            colour = chance.choice(_AUTUMN) if scene.autumn else mix((78, 132, 70), (128, 170, 84), kind)
            _round_tree(canvas, light.seen(colour, 0.15 - depth), x, base + depth, tall * 0.85, chance)


def _pine(canvas: Canvas, scene: Scene, light: Light, x: float, y: float, tall: float, chance: random.Random) -> None:
    green = light.seen(mix((34, 84, 74), (58, 112, 84), chance.random()), 0.1)
    canvas.ellipse(x, y, tall * 0.24, tall * 0.035, (20, 26, 56), 50)
    canvas.fill(
        [
            (x - tall * 0.025, y),
            (x - tall * 0.02, y - tall * 0.2),
            (x + tall * 0.02, y - tall * 0.2),
            (x + tall * 0.025, y),
        ],
        light.seen((92, 66, 54)),
    )
    for layer in range(4):
        low = y - tall * (0.1 + layer * 0.205)
        high = low - tall * 0.34
        half = tall * (0.23 - layer * 0.045)
        canvas.fill([(x - half, low), (x, high), (x + half, low)], green)
        canvas.fill([(x, high), (x + half, low), (x + half * 0.1, low)], darker(green, 0.18))
        if scene.land == "snow" or scene.weather == "snow":
            snow = light.seen((246, 250, 255))
            canvas.fill(
                [
                    (x - half * 0.62, low - tall * 0.125),
                    (x, high),
                    (x + half * 0.5, low - tall * 0.15),
                    (x + half * 0.2, low - tall * 0.12),
                    (x, low - tall * 0.17),
                    (x - half * 0.25, low - tall * 0.1),
                ],
                snow,
            )


def _round_tree(canvas: Canvas, leaf: Colour, x: float, y: float, tall: float, chance: random.Random) -> None:
    canvas.ellipse(x, y, tall * 0.3, tall * 0.045, (20, 26, 56), 50)
    canvas.fill(
        [
            (x - tall * 0.04, y),
            (x - tall * 0.025, y - tall * 0.5),
            (x + tall * 0.025, y - tall * 0.5),
            (x + tall * 0.04, y),
        ],
        mix(leaf, (92, 62, 48), 0.8),
    )
    for shade, shift in ((darker(leaf, 0.2), 0.03), (leaf, 0.0), (lighter(leaf, 0.14), -0.05)):
        for dx, dy, radius in ((-0.15, 0.5, 0.17), (0.15, 0.5, 0.17), (0, 0.66, 0.22), (0, 0.45, 0.18)):
            size = radius * (0.7 if shift < 0 else 1.0)
            wobble = chance.uniform(-0.02, 0.02)
            canvas.disc(x + (dx + shift + wobble) * tall, y - (dy - shift) * tall, size * tall, shade)


def _cactus(canvas: Canvas, light: Light, chance: random.Random, x: float, base: float) -> None:
    tall, green = chance.uniform(0.1, 0.17), light.seen((76, 128, 92))
    y = base + chance.uniform(0.0, 0.06)
    canvas.line([(x, y), (x, y - tall)], tall * 0.16, green)
    canvas.line(
        [(x, y - tall * 0.4), (x - tall * 0.26, y - tall * 0.4), (x - tall * 0.26, y - tall * 0.7)], tall * 0.11, green
    )
    canvas.line(
        [(x, y - tall * 0.55), (x + tall * 0.24, y - tall * 0.55), (x + tall * 0.24, y - tall * 0.85)],
        tall * 0.11,
        green,
    )


def _paint_ground_cover(
    canvas: Canvas, scene: Scene, light: Light, chance: random.Random, top: float, detail: float
) -> None:
    for _ in range(round(80 * canvas.width * detail)):
        x = chance.uniform(0, canvas.width)
        y = top + (canvas.height - top) * chance.random()
        near = 0.5 + (y - top) / max(canvas.height - top, 0.01)
        kind = chance.random()
        if scene.land == "snow":
            if kind < 0.4:
                canvas.ellipse(x, y, 0.03 * near, 0.004 * near, light.seen((214, 226, 244)), 150)
            else:
                canvas.disc(x, y, 0.0022 * near, light.seen(_WHITE))
        elif scene.land == "desert":
            canvas.ellipse(x, y, 0.035 * near, 0.0025, light.seen((206, 156, 96)), 120)
        elif kind < 0.72:
            blade = light.seen(
                mix((74, 130, 66), (150, 186, 92), chance.random()) if not scene.autumn else (176, 132, 62)
            )
            for lean in (-0.008, 0.0, 0.008):
                canvas.line([(x + lean * 0.3, y), (x + lean * near, y - 0.022 * near)], 0.0026 * near, blade)
        else:
            petal = light.seen(chance.choice(((250, 246, 236), (250, 206, 92), (232, 122, 140), (186, 150, 226))))
            canvas.line([(x, y), (x, y - 0.016 * near)], 0.0024 * near, light.seen((84, 136, 74)))
            for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                canvas.disc(x + dx * 0.0042 * near, y - 0.018 * near + dy * 0.0042 * near, 0.0044 * near, petal)
            canvas.disc(x, y - 0.018 * near, 0.0032 * near, light.seen((246, 186, 72)))
