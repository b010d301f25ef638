"""Animals, each drawn by a function with a pen, the animal's colour and a random number generator."""

import random

from databricks_workspace_emulator.drawing.canvas import Colour, Pen, darker, lighter, mix

_INK: Colour = (38, 32, 44)
_CREAM: Colour = (255, 246, 232)
_WOOD: Colour = (122, 82, 56)


def _eyes(pen: Pen, x: float, y: float, size: float, colour: Colour = _INK) -> None:
    for side in (1, -1):
        pen.oval(side * x, y, size, size * 1.15, colour)
        pen.oval(side * x + size * 0.3, y + size * 0.4, size * 0.35, size * 0.35, (255, 255, 255))


def _sitting(pen: Pen, colour: Colour, belly: Colour, feet: Colour) -> None:
    """Draw the body of a sitting animal that faces the viewer, up to its neck."""
    pen.shaded(
        [(0, 0.62), (0.13, 0.56), (0.22, 0.34), (0.27, 0.12), (0.2, 0.0), (0, -0.01), (-0.2, 0.0), (-0.27, 0.12),
         (-0.22, 0.34), (-0.13, 0.56)], lighter(colour, 0.06), darker(colour, 0.16),
    )  # fmt: skip
    pen.blob(
        [(0, 0.56), (0.1, 0.45), (0.12, 0.26), (0.06, 0.12), (0, 0.1), (-0.06, 0.12), (-0.12, 0.26), (-0.1, 0.45)],
        belly,
    )
    for side in (1, -1):
        leg = [(0.035, 0.3), (0.105, 0.3), (0.115, 0.08), (0.12, 0.01), (0.03, 0.01), (0.025, 0.12)]
        pen.shaded([(side * x, y) for x, y in leg], colour, darker(colour, 0.08))
        pen.oval(side * 0.075, 0.02, 0.06, 0.034, feet)
        pen.oval(side * 0.2, 0.025, 0.075, 0.038, feet)


def draw_fox(pen: Pen, colour: Colour, _chance: random.Random) -> None:
    """Draw a fox."""
    pen.shadow(0.46)
    dark = mix(colour, (52, 28, 30), 0.72)
    pen.shaded(
        [(0.12, 0.04), (0.3, 0.0), (0.47, 0.07), (0.56, 0.24), (0.53, 0.43), (0.43, 0.52), (0.38, 0.42), (0.39, 0.28),
         (0.33, 0.17), (0.2, 0.15)], lighter(colour, 0.05), darker(colour, 0.18),
    )  # fmt: skip
    pen.blob([(0.43, 0.53), (0.53, 0.43), (0.545, 0.34), (0.48, 0.37), (0.43, 0.34), (0.385, 0.4)], _CREAM)
    _sitting(pen, colour, _CREAM, dark)
    for side in (1, -1):
        outer = [(0.07, 0.86), (0.21, 1.06), (0.235, 0.78)]
        pen.shape([(side * x, y) for x, y in outer], darker(colour, 0.1))
        pen.shape([(side * x, y) for x, y in [(0.115, 0.87), (0.196, 0.99), (0.205, 0.82)]], dark)
    pen.shaded(
        [(0, 0.92), (0.13, 0.89), (0.225, 0.77), (0.26, 0.66), (0.15, 0.58), (0.05, 0.5), (0, 0.485), (-0.05, 0.5),
         (-0.15, 0.58), (-0.26, 0.66), (-0.225, 0.77), (-0.13, 0.89)], lighter(colour, 0.08), colour,
    )  # fmt: skip
    pen.both(
        [(0.02, 0.66), (0.1, 0.7), (0.19, 0.71), (0.252, 0.66), (0.15, 0.585), (0.05, 0.505), (0.005, 0.49)], _CREAM
    )
    _eyes(pen, 0.105, 0.735, 0.026)
    pen.oval(0, 0.513, 0.034, 0.026, _INK)


def draw_cat(pen: Pen, colour: Colour, _chance: random.Random) -> None:
    """Draw a cat."""
    pen.shadow(0.4)
    pen.line(
        [
            (0.16, 0.045),
            (0.3, 0.04),
            (0.37, 0.07),
            (0.41, 0.13),
            (0.42, 0.2),
            (0.415, 0.28),
            (0.425, 0.35),
            (0.46, 0.4),
        ],
        0.075,
        darker(colour, 0.1),
    )
    _sitting(pen, colour, lighter(colour, 0.45), lighter(colour, 0.45))
    stripe = darker(colour, 0.35)
    for side in (1, -1):
        pen.shape([(side * x, y) for x, y in [(0.05, 0.88), (0.2, 1.02), (0.225, 0.76)]], colour)
        pen.shape(
            [(side * x, y) for x, y in [(0.1, 0.87), (0.185, 0.96), (0.2, 0.8)]], mix(colour, (240, 150, 150), 0.6)
        )
        pen.line([(side * 0.21, 0.32), (side * 0.15, 0.34)], 0.022, stripe)
        pen.line([(side * 0.235, 0.22), (side * 0.16, 0.245)], 0.022, stripe)
    pen.oval(0, 0.73, 0.235, 0.2, lighter(colour, 0.05))
    for x in (-0.06, 0.0, 0.06):
        pen.line([(x, 0.915 - abs(x) * 0.2), (x * 0.8, 0.845)], 0.022, stripe)
    for side in (1, -1):
        pen.oval(side * 0.1, 0.745, 0.046, 0.05, (176, 204, 92))
        pen.oval(side * 0.1, 0.745, 0.018, 0.044, _INK)
        pen.oval(side * 0.1 + 0.012, 0.765, 0.01, 0.01, (255, 255, 255))
        pen.line([(side * 0.09, 0.655), (side * 0.27, 0.675)], 0.007, lighter(colour, 0.7))
        pen.line([(side * 0.09, 0.64), (side * 0.26, 0.625)], 0.007, lighter(colour, 0.7))
    pen.both([(0.0, 0.66), (0.05, 0.67), (0.085, 0.635), (0.05, 0.595), (0, 0.605)], lighter(colour, 0.5))
    pen.shape([(-0.026, 0.675), (0.026, 0.675), (0, 0.645)], (214, 110, 120))


def draw_dog(pen: Pen, colour: Colour, _chance: random.Random) -> None:
    """Draw a dog."""
    pen.shadow(0.4)
    pen.line([(0.16, 0.06), (0.26, 0.075), (0.33, 0.12), (0.38, 0.19), (0.41, 0.27)], 0.07, darker(colour, 0.05))
    _sitting(pen, colour, _CREAM, _CREAM)
    pen.shaded(
        [(0, 0.95), (0.15, 0.92), (0.205, 0.77), (0.17, 0.6), (0.08, 0.53), (0, 0.52), (-0.08, 0.53), (-0.17, 0.6),
         (-0.205, 0.77), (-0.15, 0.92)], lighter(colour, 0.08), colour,
    )  # fmt: skip
    pen.both([(0.12, 0.93), (0.22, 0.91), (0.29, 0.74), (0.27, 0.6), (0.21, 0.62), (0.17, 0.78)], darker(colour, 0.3))
    pen.blob(
        [(0, 0.93), (0.035, 0.8), (0.1, 0.67), (0.09, 0.56), (0, 0.52), (-0.09, 0.56), (-0.1, 0.67), (-0.035, 0.8)],
        _CREAM,
    )
    _eyes(pen, 0.095, 0.775, 0.028)
    pen.oval(0, 0.668, 0.046, 0.034, _INK)
    pen.blob([(-0.03, 0.58), (0.03, 0.58), (0.028, 0.52), (0, 0.505), (-0.028, 0.52)], (226, 112, 120))
    pen.line([(-0.17, 0.55), (0, 0.515), (0.17, 0.55)], 0.035, (200, 66, 60))


def draw_rabbit(pen: Pen, colour: Colour, _chance: random.Random) -> None:
    """Draw a rabbit."""
    pen.shadow(0.38)
    pen.oval(0.26, 0.12, 0.075, 0.075, lighter(colour, 0.6))
    _sitting(pen, colour, lighter(colour, 0.5), lighter(colour, 0.3))
    pen.both([(0.03, 0.84), (0.05, 1.1), (0.115, 1.24), (0.16, 1.12), (0.15, 0.86)], darker(colour, 0.06))
    pen.both([(0.065, 0.88), (0.08, 1.08), (0.115, 1.17), (0.135, 1.08), (0.125, 0.88)], (236, 178, 178))
    pen.oval(0, 0.71, 0.2, 0.19, lighter(colour, 0.08))
    pen.both([(0.0, 0.64), (0.06, 0.65), (0.09, 0.61), (0.05, 0.57), (0, 0.58)], lighter(colour, 0.6))
    _eyes(pen, 0.105, 0.735, 0.029)
    pen.shape([(-0.025, 0.662), (0.025, 0.662), (0, 0.634)], (222, 120, 130))


def draw_bear(pen: Pen, colour: Colour, _chance: random.Random) -> None:
    """Draw a bear."""
    pen.shadow(0.46)
    pen.shaded(
        [(0, 0.66), (0.2, 0.58), (0.3, 0.36), (0.31, 0.12), (0.22, 0.0), (0, -0.01), (-0.22, 0.0), (-0.31, 0.12),
         (-0.3, 0.36), (-0.2, 0.58)], colour, darker(colour, 0.25),
    )  # fmt: skip
    pen.oval(0, 0.27, 0.16, 0.2, lighter(colour, 0.22))
    for side in (1, -1):
        pen.oval(side * 0.2, 0.05, 0.11, 0.08, darker(colour, 0.12))
        pen.oval(side * 0.2, 0.05, 0.055, 0.042, lighter(colour, 0.3))
        pen.oval(side * 0.18, 0.92, 0.075, 0.075, darker(colour, 0.1))
        pen.oval(side * 0.18, 0.915, 0.042, 0.042, lighter(colour, 0.3))
    pen.oval(0, 0.76, 0.24, 0.215, lighter(colour, 0.05))
    pen.oval(0, 0.68, 0.11, 0.085, lighter(colour, 0.4))
    _eyes(pen, 0.1, 0.79, 0.026)
    pen.oval(0, 0.715, 0.042, 0.03, _INK)


def draw_owl(pen: Pen, colour: Colour, _chance: random.Random) -> None:
    """Draw an owl."""
    pen.shadow(0.42)
    pen.shaded([(-0.4, -0.02), (-0.3, 0.05), (0.3, 0.05), (0.4, -0.02)], _WOOD, darker(_WOOD, 0.3), smooth=False)
    pen.oval(0, 0.05, 0.3, 0.05, lighter(_WOOD, 0.35))
    pen.oval(0, 0.05, 0.18, 0.026, lighter(_WOOD, 0.2))
    pen.shaded(
        [(0, 0.92), (0.2, 0.88), (0.27, 0.6), (0.22, 0.2), (0, 0.04), (-0.22, 0.2), (-0.27, 0.6), (-0.2, 0.88)],
        colour, darker(colour, 0.2),
    )  # fmt: skip
    pen.blob([(0, 0.6), (0.15, 0.5), (0.14, 0.2), (0, 0.1), (-0.14, 0.2), (-0.15, 0.5)], lighter(colour, 0.5))
    for row, y in enumerate((0.44, 0.36, 0.28, 0.2)):
        for x in (-0.09, -0.03, 0.03, 0.09) if row % 2 else (-0.06, 0.0, 0.06):
            pen.shape([(x - 0.02, y), (x + 0.02, y), (x, y - 0.035)], darker(colour, 0.05))
    pen.both([(0.2, 0.74), (0.29, 0.5), (0.24, 0.2), (0.17, 0.3), (0.17, 0.58)], darker(colour, 0.28))
    pen.both([(0.06, 0.88), (0.2, 1.0), (0.23, 0.78)], darker(colour, 0.15), smooth=False)
    for side in (1, -1):
        pen.oval(side * 0.1, 0.74, 0.115, 0.115, lighter(colour, 0.55))
        pen.oval(side * 0.1, 0.74, 0.075, 0.075, (246, 190, 70))
        pen.oval(side * 0.1, 0.74, 0.042, 0.042, _INK)
        pen.oval(side * 0.1 + 0.02, 0.762, 0.016, 0.016, (255, 255, 255))
        for toe in (0.06, 0.1, 0.14):
            pen.oval(side * toe, 0.05, 0.018, 0.03, (232, 164, 64))
    pen.shape([(-0.032, 0.7), (0.032, 0.7), (0, 0.62)], (232, 164, 64))


def draw_bird(pen: Pen, colour: Colour, _chance: random.Random) -> None:
    """Draw a bird."""
    pen.shape([(-0.32, 0.5), (-0.62, 0.62), (-0.6, 0.46), (-0.66, 0.4)], darker(colour, 0.3))
    pen.shaded(
        [(0.42, 0.66), (0.3, 0.74), (0.12, 0.66), (-0.2, 0.6), (-0.42, 0.52), (-0.2, 0.38), (0.1, 0.34), (0.34, 0.46)],
        colour, darker(colour, 0.15),
    )  # fmt: skip
    pen.blob([(0.36, 0.5), (0.1, 0.47), (-0.2, 0.44), (-0.15, 0.38), (0.1, 0.35), (0.32, 0.44)], lighter(colour, 0.6))
    pen.blob(
        [(0.12, 0.6), (0.02, 0.82), (-0.22, 1.06), (-0.36, 1.06), (-0.3, 0.8), (-0.18, 0.56)], darker(colour, 0.25)
    )
    pen.shape([(0.43, 0.66), (0.56, 0.6), (0.43, 0.57)], (240, 176, 66))
    pen.oval(0.34, 0.65, 0.024, 0.026, _INK)


def draw_whale(pen: Pen, colour: Colour, _chance: random.Random) -> None:
    """Draw a whale with its spout."""
    pen.blob(
        [
            (0.46, 0.34),
            (0.6, 0.56),
            (0.78, 0.72),
            (0.86, 0.66),
            (0.72, 0.5),
            (0.9, 0.5),
            (0.92, 0.42),
            (0.7, 0.36),
            (0.58, 0.2),
        ],
        darker(colour, 0.2),
    )
    pen.shaded(
        [(-0.62, 0.3), (-0.5, 0.56), (-0.2, 0.66), (0.16, 0.56), (0.44, 0.34), (0.62, 0.2), (0.4, 0.02), (0, -0.06),
         (-0.5, -0.04)], lighter(colour, 0.1), darker(colour, 0.2),
    )  # fmt: skip
    pen.blob([(-0.6, 0.22), (-0.3, 0.2), (0.1, 0.14), (0.36, 0.08), (0.2, -0.02), (-0.2, -0.06), (-0.52, 0.0)], _CREAM)
    pen.oval(-0.4, 0.33, 0.024, 0.026, _INK)
    for x, y, side in ((-0.2, 0.7, -1), (-0.2, 0.7, 1)):
        pen.line(
            [(x, y), (x + side * 0.04, y + 0.2), (x + side * 0.16, y + 0.24), (x + side * 0.22, y + 0.14)],
            0.035,
            (214, 238, 250),
        )


def draw_fish(pen: Pen, colour: Colour, _chance: random.Random) -> None:
    """Draw a fish that jumps out of the water."""
    for x, y, size in (
        (-0.5, 0.1, 0.03),
        (-0.4, 0.22, 0.02),
        (0.45, 0.12, 0.03),
        (0.56, 0.24, 0.022),
        (0.38, 0.26, 0.015),
    ):
        pen.oval(x, y, size, size * 1.3, (222, 240, 250))
    pen.blob([(0.24, 0.2), (0.5, 0.28), (0.52, 0.06), (0.36, -0.04)], darker(colour, 0.15))
    pen.blob([(-0.02, 0.56), (0.14, 0.66), (0.24, 0.4)], darker(colour, 0.15))
    pen.shaded(
        [(-0.44, 0.44), (-0.26, 0.56), (-0.02, 0.58), (0.22, 0.4), (0.32, 0.2), (0.22, 0.14), (0.02, 0.16),
         (-0.24, 0.28)],
        lighter(colour, 0.15), colour,
    )  # fmt: skip
    for x, drop in ((-0.12, 0.0), (0.04, 0.04), (0.17, 0.14)):
        pen.line([(x + 0.03, 0.55 - drop), (x, 0.4 - drop), (x - 0.03, 0.24 - drop * 0.4)], 0.04, _CREAM)
    pen.oval(-0.28, 0.45, 0.046, 0.05, (255, 255, 255))
    pen.oval(-0.285, 0.45, 0.024, 0.028, _INK)
