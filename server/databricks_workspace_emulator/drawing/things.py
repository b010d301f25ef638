"""Buildings, vehicles and plants, each drawn by a function like the animals."""

import math
import random

from databricks_workspace_emulator.drawing.canvas import Colour, Pen, darker, lighter, mix

_INK: Colour = (38, 32, 44)
_CREAM: Colour = (255, 246, 232)
_LAMP: Colour = (255, 218, 130)
_WOOD: Colour = (122, 82, 56)


def draw_house(pen: Pen, colour: Colour, _chance: random.Random) -> None:
    """Draw a house."""
    pen.shadow(0.62)
    roof = mix(darker(colour, 0.45), (120, 56, 60), 0.35)
    pen.shape([(0.16, 0.72), (0.16, 1.0), (0.28, 1.0), (0.28, 0.62)], darker(roof, 0.2))
    pen.shape([(0.14, 0.98), (0.14, 1.03), (0.3, 1.03), (0.3, 0.98)], (245, 248, 252))
    for x, y, radius in ((0.24, 1.12, 0.045), (0.29, 1.22, 0.06), (0.37, 1.33, 0.075)):
        pen.oval(x, y, radius, radius * 0.8, (245, 245, 250), 130)
    pen.shaded(
        [(-0.46, 0.0), (-0.46, 0.5), (0.46, 0.5), (0.46, 0.0)], lighter(colour, 0.08), darker(colour, 0.1), smooth=False
    )
    pen.shaded([(-0.56, 0.47), (0, 0.9), (0.56, 0.47)], lighter(roof, 0.08), roof, smooth=False)
    pen.line([(-0.56, 0.475), (0, 0.905), (0.56, 0.475)], 0.03, lighter(roof, 0.3))
    pen.shape([(-0.09, 0.0), (-0.09, 0.3), (0.09, 0.3), (0.09, 0.0)], darker(roof, 0.15))
    pen.oval(0.055, 0.15, 0.014, 0.014, _LAMP)
    for x in (-0.28, 0.28):
        pen.glow(x, 0.28, 0.24, _LAMP, 0.55)
        pen.shape([(x - 0.09, 0.2), (x - 0.09, 0.38), (x + 0.09, 0.38), (x + 0.09, 0.2)], _LAMP)
        pen.line([(x, 0.2), (x, 0.38)], 0.014, darker(roof, 0.1))
        pen.line([(x - 0.09, 0.29), (x + 0.09, 0.29)], 0.014, darker(roof, 0.1))
    pen.oval(0, 0.62, 0.06, 0.06, _LAMP)
    pen.line([(-0.06, 0.62), (0.06, 0.62)], 0.012, darker(roof, 0.1))


def draw_castle(pen: Pen, colour: Colour, _chance: random.Random) -> None:
    """Draw a castle."""
    pen.shadow(0.66)
    roof = (150, 66, 80)

    def tower(x: float, across: float, top: float, shade: float) -> None:
        wall = darker(colour, shade)
        pen.shaded(
            [(x - across, 0), (x - across, top), (x + across, top), (x + across, 0)],
            lighter(wall, 0.08),
            darker(wall, 0.15),
            smooth=False,
        )
        pen.shape([(x - across * 1.25, top), (x, top + across * 2.6), (x + across * 1.25, top)], roof)
        pen.line([(x, top + across * 2.6), (x, top + across * 3.4)], 0.012, _INK)
        pen.shape([(x, top + across * 3.4), (x + 0.1, top + across * 3.1), (x, top + across * 2.9)], (236, 186, 74))
        pen.oval(x, top - across * 0.9, across * 0.24, across * 0.42, _LAMP)

    tower(-0.3, 0.1, 0.72, 0.18)
    tower(0.3, 0.1, 0.66, 0.18)
    tower(0, 0.14, 0.82, 0.1)
    pen.shaded([(-0.5, 0.0), (-0.5, 0.42), (0.5, 0.42), (0.5, 0.0)], colour, darker(colour, 0.2), smooth=False)
    for step in range(9):
        x = -0.5 + step * 0.115
        pen.shape([(x, 0.42), (x, 0.48), (x + 0.07, 0.48), (x + 0.07, 0.42)], colour)
    tower(-0.5, 0.1, 0.56, 0.05)
    tower(0.5, 0.1, 0.56, 0.05)
    pen.shape(
        [(-0.11, 0.0), (-0.11, 0.18), (-0.07, 0.26), (0, 0.29), (0.07, 0.26), (0.11, 0.18), (0.11, 0.0)],
        darker(_WOOD, 0.4),
    )


def draw_lighthouse(pen: Pen, colour: Colour, _chance: random.Random) -> None:
    """Draw a lighthouse."""
    pen.shaded(
        [(-0.46, -0.04), (-0.34, 0.1), (-0.14, 0.16), (0.12, 0.15), (0.3, 0.08), (0.5, -0.04)],
        (104, 98, 110),
        (58, 56, 74),
    )
    for side in (1, -1):
        pen.shape([(0, 0.97), (side * 1.3, 1.2), (side * 1.3, 0.86)], (255, 238, 170), 70)
    for index in range(5):
        low, high = 0.12 + index * 0.15, 0.27 + index * 0.15
        wide, narrow = 0.15 - index * 0.013, 0.15 - (index + 1) * 0.013
        stripe = colour if index % 2 == 0 else _CREAM
        pen.shape([(-wide, low), (-narrow, high), (narrow, high), (wide, low)], stripe)
        pen.shape([(wide * 0.35, low), (narrow * 0.35, high), (narrow, high), (wide, low)], darker(stripe, 0.14))
    pen.shape([(-0.13, 0.87), (-0.13, 0.905), (0.13, 0.905), (0.13, 0.87)], _INK)
    pen.shape([(-0.07, 0.905), (-0.07, 1.03), (0.07, 1.03), (0.07, 0.905)], (255, 240, 178))
    pen.glow(0, 0.97, 0.5, (255, 236, 160), 0.9)
    for x in (-0.07, 0, 0.07):
        pen.line([(x, 0.905), (x, 1.03)], 0.012, _INK)
    pen.shape([(-0.1, 1.03), (0, 1.13), (0.1, 1.03)], colour)
    pen.shape([(-0.04, 0.13), (-0.04, 0.22), (0, 0.25), (0.04, 0.22), (0.04, 0.13)], darker(_WOOD, 0.3))


def draw_boat(pen: Pen, colour: Colour, _chance: random.Random) -> None:
    """Draw a sailing boat."""
    pen.line([(0, 0.16), (0, 1.02)], 0.028, _WOOD)
    pen.shaded([(0.03, 0.98), (0.05, 0.28), (0.48, 0.28)], (255, 252, 244), (222, 214, 214), smooth=False)
    pen.shaded([(-0.03, 0.9), (-0.05, 0.28), (-0.36, 0.28)], (250, 240, 226), (206, 196, 202), smooth=False)
    pen.shape([(0, 1.02), (0.16, 0.985), (0, 0.95)], (230, 92, 82))
    pen.shaded(
        [(-0.5, 0.22), (-0.38, 0.02), (-0.3, -0.03), (0.34, -0.03), (0.42, 0.04), (0.56, 0.22)],
        lighter(colour, 0.05),
        darker(colour, 0.3),
        smooth=False,
    )
    pen.shape([(-0.5, 0.22), (-0.48, 0.18), (0.54, 0.18), (0.56, 0.22)], _CREAM)


def draw_balloon(pen: Pen, colour: Colour, chance: random.Random) -> None:
    """Draw a hot-air balloon."""
    other = lighter(colour, 0.75) if chance.random() < 0.5 else mix(colour, (255, 205, 96), 0.85)
    outline = [
        (0, 1.1),
        (0.26, 1.03),
        (0.4, 0.8),
        (0.36, 0.58),
        (0.2, 0.38),
        (0.07, 0.28),
        (-0.07, 0.28),
        (-0.2, 0.38),
        (-0.36, 0.58),
        (-0.4, 0.8),
        (-0.26, 1.03),
    ]
    pen.blob(outline, colour)
    pen.blob([(x * 0.68, y) for x, y in outline], other)
    pen.blob([(x * 0.3, y) for x, y in outline], darker(colour, 0.08))
    for x in (-0.075, 0.075):
        pen.line([(x * 0.9, 0.28), (x * 0.75, 0.13)], 0.01, _INK)
    pen.shape([(-0.07, 0.14), (0.07, 0.14), (0.055, 0.0), (-0.055, 0.0)], _WOOD)
    pen.shape([(-0.078, 0.14), (0.078, 0.14), (0.076, 0.115), (-0.076, 0.115)], lighter(_WOOD, 0.3))


def draw_rocket(pen: Pen, colour: Colour, _chance: random.Random) -> None:
    """Draw a rocket."""
    pen.glow(0, 0.0, 0.4, (255, 196, 90), 0.8)
    pen.blob([(-0.09, 0.16), (0.09, 0.16), (0.06, -0.06), (0, -0.26), (-0.06, -0.06)], (250, 158, 60))
    pen.blob([(-0.045, 0.16), (0.045, 0.16), (0, -0.08)], (255, 236, 150))
    pen.both([(0.1, 0.42), (0.27, 0.2), (0.24, 0.1), (0.1, 0.18)], darker(colour, 0.1))
    pen.shaded(
        [
            (0, 1.06),
            (0.11, 0.84),
            (0.15, 0.56),
            (0.12, 0.26),
            (0.08, 0.15),
            (-0.08, 0.15),
            (-0.12, 0.26),
            (-0.15, 0.56),
            (-0.11, 0.84),
        ],
        (252, 250, 250),
        (196, 200, 216),
    )
    pen.blob([(0, 1.06), (0.075, 0.93), (0.108, 0.83), (0, 0.81), (-0.108, 0.83), (-0.075, 0.93)], colour)
    pen.oval(0, 0.62, 0.078, 0.078, darker(colour, 0.1))
    pen.oval(0, 0.62, 0.054, 0.054, (150, 212, 240))
    pen.oval(0.018, 0.64, 0.018, 0.018, (255, 255, 255))


def draw_robot(pen: Pen, colour: Colour, _chance: random.Random) -> None:
    """Draw a robot."""
    pen.shadow(0.4)
    metal = mix(colour, (150, 156, 172), 0.25)
    for side in (1, -1):
        pen.line([(side * 0.11, 0.22), (side * 0.12, 0.05)], 0.075, darker(metal, 0.35))
        pen.oval(side * 0.13, 0.03, 0.09, 0.045, darker(metal, 0.5))
        pen.line([(side * 0.24, 0.5), (side * 0.35, 0.4), (side * 0.33, 0.28)], 0.065, darker(metal, 0.25))
        pen.oval(side * 0.33, 0.26, 0.048, 0.048, darker(metal, 0.5))
    pen.shaded(
        [(-0.22, 0.2), (-0.25, 0.4), (-0.22, 0.56), (0.22, 0.56), (0.25, 0.4), (0.22, 0.2)],
        lighter(metal, 0.15),
        darker(metal, 0.15),
    )
    pen.shape([(-0.12, 0.28), (-0.12, 0.44), (0.12, 0.44), (0.12, 0.28)], darker(metal, 0.45))
    for x, lamp in ((-0.07, (240, 110, 100)), (0, (246, 200, 90)), (0.07, (120, 216, 150))):
        pen.oval(x, 0.36, 0.026, 0.026, lamp)
    pen.line([(0, 0.9), (0, 1.02)], 0.02, darker(metal, 0.3))
    pen.oval(0, 1.04, 0.036, 0.036, (244, 112, 96))
    pen.shaded(
        [(-0.24, 0.62), (-0.25, 0.76), (-0.21, 0.9), (0.21, 0.9), (0.25, 0.76), (0.24, 0.62), (0, 0.59)],
        lighter(metal, 0.2),
        metal,
    )
    pen.blob([(-0.18, 0.68), (-0.18, 0.83), (0, 0.85), (0.18, 0.83), (0.18, 0.68), (0, 0.66)], (34, 40, 62))
    for side in (1, -1):
        pen.oval(side * 0.085, 0.765, 0.036, 0.04, (130, 232, 240))
    pen.line([(-0.05, 0.7), (0, 0.685), (0.05, 0.7)], 0.014, (130, 232, 240))


def draw_flower(pen: Pen, colour: Colour, chance: random.Random) -> None:
    """Draw three flowers."""
    for x, y, lean, size in ((-0.26, 0.56, -0.1, 0.13), (0.24, 0.64, 0.08, 0.14), (0.0, 0.86, 0.0, 0.18)):
        stem = (66, 128, 74)
        pen.line([(lean * 0.4, 0.0), (x * 0.6, y * 0.5), (x, y)], 0.026, stem)
        pen.blob(
            [(x * 0.55, y * 0.42), (x * 0.55 + 0.14, y * 0.42 + 0.12), (x * 0.55 + 0.03, y * 0.42 + 0.13)],
            lighter(stem, 0.1),
        )
        turn = chance.uniform(0, 1)
        for ring, shade in ((1.0, darker(colour, 0.12)), (0.8, colour)):
            for petal in range(9):
                angle = turn + ring + 2 * math.pi * petal / 9
                pen.oval(
                    x + math.cos(angle) * size * 0.62 * ring,
                    y + math.sin(angle) * size * 0.62 * ring,
                    size * 0.4,
                    size * 0.4,
                    shade,
                )
        pen.oval(
            x, y, size * 0.42, size * 0.42, (92, 62, 44) if colour[0] > 220 and colour[1] > 170 else (250, 206, 92)
        )


def draw_tree(pen: Pen, colour: Colour, chance: random.Random) -> None:
    """Draw a tree."""
    pen.shadow(0.34)
    pen.shaded([(-0.07, 0), (-0.045, 0.5), (0.045, 0.5), (0.08, 0)], _WOOD, darker(_WOOD, 0.3), smooth=False)
    pen.line([(0, 0.34), (0.15, 0.52)], 0.035, _WOOD)
    pen.line([(0, 0.3), (-0.14, 0.48)], 0.035, _WOOD)
    for shade, count, rise in ((darker(colour, 0.22), 7, 0.0), (colour, 7, 0.06), (lighter(colour, 0.14), 5, 0.13)):
        for _ in range(count):
            x, y = chance.uniform(-0.26, 0.26), chance.uniform(0.52, 0.84) + rise
            pen.oval(x * (1 - rise), y, 0.15 - rise * 0.4, 0.13 - rise * 0.4, shade)
