"""The subjects that can be drawn by name."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from databricks_workspace_emulator.drawing import animals, things
from databricks_workspace_emulator.drawing.canvas import Colour, Pen

Place = Literal["ground", "water", "sky"]
Draw = Callable[[Pen, Colour, random.Random], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A subject that a prompt can name.

    Attributes:
        words: its names.
        draw: draws it with its colour.
        colour: its colour, unless the prompt names one.
        size: its height in units of the image's shorter side.
        place: its place in the scene.
    """

    words: frozenset[str]
    draw: Draw
    colour: Colour
    size: float
    place: Place = "ground"


def _subject(
    words: str, draw: Draw, colour: Colour, size: float, place: Place = "ground", plurals: str = ""
) -> Subject:
    singular = words.split()
    regular = [f"{word}{ending}" for word in singular for ending in ("s", "es")]
    known = frozenset([*singular, *regular, *plurals.split()])
    return Subject(words=known, draw=draw, colour=colour, size=size, place=place)


TREE = _subject("tree oak", things.draw_tree, (96, 146, 78), 0.56)
SUBJECTS: tuple[Subject, ...] = (
    _subject("fox vixen", animals.draw_fox, (226, 104, 48), 0.5),
    _subject("cat kitten kitty tiger", animals.draw_cat, (214, 146, 82), 0.46, plurals="kitties"),
    _subject("dog puppy hound wolf", animals.draw_dog, (176, 122, 78), 0.48, plurals="puppies wolves"),
    _subject("rabbit bunny hare", animals.draw_rabbit, (190, 170, 156), 0.38, plurals="bunnies"),
    _subject("bear panda", animals.draw_bear, (134, 90, 62), 0.52),
    _subject("owl", animals.draw_owl, (142, 106, 82), 0.44),
    _subject("bird swallow eagle parrot sparrow", animals.draw_bird, (70, 118, 178), 0.2, "sky"),
    _subject("whale dolphin", animals.draw_whale, (62, 104, 150), 0.36, "water"),
    _subject("fish goldfish", animals.draw_fish, (240, 132, 62), 0.3, "water"),
    _subject("house cabin cottage hut home barn", things.draw_house, (196, 120, 86), 0.4),
    _subject("castle palace fortress", things.draw_castle, (176, 168, 178), 0.46),
    _subject("lighthouse", things.draw_lighthouse, (206, 66, 58), 0.56, "water"),
    _subject("boat ship sailboat yacht sail", things.draw_boat, (178, 62, 56), 0.42, "water"),
    _subject("balloon airship", things.draw_balloon, (222, 84, 70), 0.34, "sky"),
    _subject("rocket spaceship spacecraft", things.draw_rocket, (222, 70, 66), 0.46, "sky"),
    _subject("robot android", things.draw_robot, (92, 148, 186), 0.48),
    _subject("flower rose tulip daisy blossom", things.draw_flower, (226, 92, 122), 0.44, plurals="daisies"),
    _subject("sunflower", things.draw_flower, (250, 190, 50), 0.48),
    TREE,
)
"""All subjects."""
