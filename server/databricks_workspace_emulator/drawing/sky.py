"""The upper half of a scene."""

import math
import random

from databricks_workspace_emulator.drawing.canvas import Canvas, darker, lighter, mix
from databricks_workspace_emulator.drawing.light import GROUNDS, HORIZON, Light
from databricks_workspace_emulator.drawing.scene import Scene


def paint_sky(canvas: Canvas, scene: Scene, light: Light, chance: random.Random, detail: float) -> None:
    """Paint the objects in the sky: stars, moon or sun, clouds, distant birds, northern lights."""
    width, horizon = canvas.width, canvas.height * HORIZON
    x = width * chance.choice((chance.uniform(0.16, 0.34), chance.uniform(0.66, 0.84)))
    clear = scene.weather != "rain"
    if scene.hour == "night" or scene.land == "space":
        for _ in range(round((260 if scene.land == "space" else 130) * detail)):
            y = chance.uniform(0, canvas.height if scene.land == "space" else horizon * 0.9)
            size = chance.choice((0.0012, 0.0016, 0.0016, 0.0022, 0.0032))
            canvas.disc(chance.uniform(0, width), y, size, (255, 250, 232), chance.choice((150, 200, 255)))
    if scene.aurora:
        _paint_aurora(canvas, chance)
    if scene.land == "space":
        return
    if scene.hour == "night":
        y = horizon * chance.uniform(0.22, 0.34)
        canvas.glow(x, y, 0.34, (206, 216, 255), 0.55)
        canvas.disc(x, y, 0.062, (250, 246, 226))
        for dx, dy, size in ((-0.02, -0.014, 0.014), (0.018, 0.012, 0.018), (0.012, -0.03, 0.008)):
            canvas.disc(x + dx, y + dy, size, (230, 224, 204))
    elif clear:
        low = scene.hour in ("dusk", "dawn")
        y = horizon * (chance.uniform(0.66, 0.78) if low else chance.uniform(0.22, 0.34))
        canvas.glow(x, y, 0.62 if low else 0.42, (255, 226, 150), 0.85)
        canvas.disc(x, y, 0.078 if low else 0.062, (255, 244, 204) if low else (255, 248, 220))
    for _ in range(round(chance.randint(2, 4) * (1 if scene.hour != "night" else 0.6))):
        _paint_cloud(canvas, light, chance, horizon)
    if scene.hour in ("day", "dusk", "dawn") and clear and not any(one.subject.place == "sky" for one in scene.figures):
        for _ in range(round(chance.randint(0, 5) * detail)):
            bx, by = width * chance.uniform(0.25, 0.75), horizon * chance.uniform(0.2, 0.5)
            wing = chance.uniform(0.012, 0.02)
            ink = mix((50, 44, 76), light.haze, 0.25)
            canvas.line([(bx - wing, by - wing * 0.5), (bx - wing * 0.4, by - wing * 0.7), (bx, by)], 0.003, ink)
            canvas.line([(bx, by), (bx + wing * 0.4, by - wing * 0.7), (bx + wing, by - wing * 0.5)], 0.003, ink)


def _paint_cloud(canvas: Canvas, light: Light, chance: random.Random, horizon: float) -> None:
    x, y = chance.uniform(0, canvas.width), horizon * chance.uniform(0.1, 0.55)
    size = chance.uniform(0.06, 0.12)
    white = {"day": (255, 255, 255), "dusk": (255, 176, 150), "dawn": (255, 226, 216), "night": (86, 98, 150)}
    colour = mix(white[light.scene.hour], light.haze, 0.12)
    for shade, drop in ((mix(colour, (120, 120, 170), 0.16), 0.016), (colour, 0.0)):
        parts = [(dx, chance.uniform(0.34, 0.6)) for dx in (-1.1, -0.5, 0.1, 0.7, 1.2)]
        for dx, radius in parts:
            up = radius * (1.0 - abs(dx) * 0.35)
            canvas.ellipse(
                x + dx * size, y + drop - up * size * 0.35, size * radius * 1.15, size * up * 0.62, shade, 235
            )
        canvas.ellipse(x, y + drop - size * 0.04, size * 1.5, size * 0.17, shade, 235)


def _paint_aurora(canvas: Canvas, chance: random.Random) -> None:
    for colour, height in (((90, 230, 170), 0.26), ((120, 150, 240), 0.2), ((190, 110, 220), 0.15)):
        phase, base = chance.uniform(0, 6), canvas.height * chance.uniform(0.26, 0.36)
        steps = 70
        for step in range(steps):
            x = canvas.width * step / steps
            y = base + 0.05 * math.sin(phase + step / 9) + 0.02 * math.sin(step / 3 + phase)
            tall = height * (0.6 + 0.4 * math.sin(step / 5 + phase))
            wide = canvas.width / steps
            for part in range(5):
                low, high = y - tall * part / 5, y - tall * (part + 1) / 5
                canvas.fill([(x, low), (x, high), (x + wide, high), (x + wide, low)], colour, 46 - part * 9)


def paint_planet(canvas: Canvas, chance: random.Random, light: Light) -> None:
    """Paint a planet with a ring, and the ground of another one."""
    hue = chance.choice(((226, 140, 110), (120, 170, 220), (220, 190, 120), (150, 200, 170)))
    x, y, size = (
        canvas.width * chance.choice((0.22, 0.78)),
        canvas.height * chance.uniform(0.2, 0.3),
        chance.uniform(0.1, 0.14),
    )
    canvas.glow(x, y, size * 2.2, hue, 0.5)
    canvas.disc(x, y, size, hue)
    for offset, share in ((-0.4, 0.9), (0.05, 1.0), (0.45, 0.85)):
        canvas.ellipse(x, y + offset * size, size * share * 0.98, size * 0.1, lighter(hue, 0.25), 150)
    canvas.ellipse(x, y, size * 1.75, size * 0.2, lighter(hue, 0.5), 120)
    canvas.disc(canvas.width * 0.5, canvas.height * 0.86 + 1.6, 1.6, light.seen(GROUNDS["space"]))
    for _ in range(14):
        cx, cy = canvas.width * chance.uniform(0, 1), canvas.height * chance.uniform(0.9, 1.0)
        wide = chance.uniform(0.02, 0.07)
        canvas.ellipse(cx, cy, wide, wide * 0.28, darker(light.seen(GROUNDS["space"]), 0.22))
