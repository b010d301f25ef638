"""From the words of a prompt to the content of a scene; open choices are random, seeded by the prompt."""

import random
import re
from dataclasses import dataclass, replace
from typing import Literal

from databricks_workspace_emulator.drawing.canvas import Colour
from databricks_workspace_emulator.drawing.subjects import SUBJECTS, TREE, Subject

Hour = Literal["dawn", "day", "dusk", "night"]
Land = Literal["meadow", "snow", "desert", "city", "space"]
Weather = Literal["clear", "snow", "rain", "fog"]

_MAX_SUBJECTS = 3
_MAX_ALIKE = 5
_MAX_WORDS = 400

_HOURS: dict[Hour, str] = {
    "night": "night nighttime midnight moon moonlight moonlit star stars starry dark aurora",
    "dusk": "sunset dusk evening twilight",
    "dawn": "sunrise dawn morning",
    "day": "day noon midday sun sunny daylight blue",
}
_LANDS: dict[Land, str] = {
    "snow": "snow snowy winter ice icy arctic frozen christmas snowfall blizzard",
    "desert": "desert sand sandy dune dunes cactus egypt pyramid",
    "city": "city skyline town street skyscraper skyscrapers downtown",
    "space": "space planet planets galaxy orbit cosmos asteroid",
    "meadow": "meadow grass field garden park spring summer autumn fall green farm",
}
_WEATHERS: dict[Weather, str] = {
    "snow": "snow snowfall snowing blizzard snowstorm",
    "rain": "rain rainy raining storm stormy thunderstorm",
    "fog": "fog foggy mist misty haze hazy",
    "clear": "clear",
}
_COLOURS: dict[str, Colour] = {
    "red": (206, 64, 48),
    "orange": (238, 132, 48),
    "yellow": (244, 200, 66),
    "golden": (226, 172, 66),
    "green": (92, 156, 88),
    "blue": (66, 118, 190),
    "purple": (138, 92, 176),
    "violet": (138, 92, 176),
    "pink": (238, 142, 170),
    "white": (240, 238, 236),
    "black": (62, 58, 70),
    "brown": (138, 92, 62),
    "grey": (142, 144, 154),
    "gray": (142, 144, 154),
    "silver": (176, 182, 194),
}
_NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "several": 3, "many": 5, "flock": 5, "couple": 2, "pair": 2}
_WATER = frozenset(
    ["sea", "ocean", "lake", "water", "river", "beach", "coast", "harbour", "harbor", "island", "bay", "shore", "waves"]
)
_PEAKS = frozenset(["mountain", "mountains", "alps", "peak", "peaks", "volcano", "hill", "hills"])
_WOODS = frozenset(["forest", "wood", "woods", "pine", "pines", "fir", "firs", "jungle"])


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing to draw, and its colour."""

    subject: Subject
    colour: Colour


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The content of an image.

    Attributes:
        autumn: whether leaves are red and yellow.
        wooded: whether there are many trees.
        peaks: whether there are high mountains in the background.
        water: whether there is water in front.
        aurora: whether there are northern lights.
    """

    figures: tuple[Figure, ...]
    hour: Hour
    land: Land
    weather: Weather
    autumn: bool
    wooded: bool
    peaks: bool
    water: bool
    aurora: bool

    def with_a_figure(self) -> "Scene":
        """Return the scene; with a tree, if no subject is named."""
        if self.figures:
            return self
        return replace(self, figures=(Figure(TREE, TREE.colour),))


def read_scene(prompt: str, chance: random.Random) -> Scene:
    """Return the scene that the words of a prompt describe."""
    words = re.findall(r"[^\W\d_]+|\d+", prompt.lower())[:_MAX_WORDS]
    known = frozenset(words)
    # Each random number is drawn whether it is needed or not: one more word changes nothing else.
    hours: tuple[Hour, ...] = ("day", "dusk", "dawn", "night")
    hour = chance.choices(hours, (4, 4, 3, 1))[0]
    peaks, wooded, autumn, lake = (chance.random() < share for share in (0.5, 0.35, 0.2, 0.2))
    figures = _figures(words)
    places = {figure.subject.place for figure in figures}
    land: Land = next((land for land, names in _LANDS.items() if known & set(names.split())), "meadow")
    named = next((name for name, names in _HOURS.items() if known & set(names.split())), None)
    aurora = "aurora" in known or {"northern", "lights"} <= known
    if land == "space" or aurora:
        named = "night"
    return Scene(
        figures=figures,
        hour=named or hour,
        land=land,
        weather=next((name for name, names in _WEATHERS.items() if known & set(names.split())), "clear"),
        autumn=bool(known & {"autumn", "fall", "leaves"}) or (autumn and not known & {"spring", "summer", "green"}),
        wooded=bool(known & _WOODS) or wooded,
        peaks=bool(known & _PEAKS) or peaks,
        water="water" in places or bool(known & _WATER) or (lake and not figures),
        aurora=aurora,
    )


def _figures(words: list[str]) -> tuple[Figure, ...]:
    figures: list[Figure] = []
    seen: set[int] = set()
    last = 0
    for index, word in enumerate(words):
        number = next((number for number, subject in enumerate(SUBJECTS) if word in subject.words), None)
        if number is None or number in seen or len(seen) == _MAX_SUBJECTS:
            continue
        seen.add(number)
        # A colour or a number belongs to a subject that follows soon.
        before, last = words[max(last, index - 3) : index], index + 1
        colours = [_COLOURS[one] for one in before if one in _COLOURS]
        subject = SUBJECTS[number]
        figure = Figure(subject, colours[-1] if colours else subject.colour)
        figures += [figure] * max([1, *map(_count, before)])
    return tuple(figures[:_MAX_ALIKE])


def _count(word: str) -> int:
    return (
        min(int(word), _MAX_ALIKE) if word.isascii() and word.isdecimal() and len(word) < 3 else _NUMBERS.get(word, 1)
    )


def tint_of(prompt: str, scene: Scene, chance: random.Random) -> tuple[Colour, float]:
    """Return the tint of an edited image, and its strength, 0 to 1."""
    words = re.findall(r"[^\W\d_]+", prompt.lower())[:_MAX_WORDS]
    if named := [_COLOURS[word] for word in words if word in _COLOURS]:
        return named[-1], 0.4
    if scene.land == "snow":
        return (226, 236, 250), 0.3
    tints: dict[Hour, tuple[Colour, float]] = {
        "night": ((16, 24, 72), 0.6),
        "dusk": ((232, 120, 88), 0.32),
        "dawn": ((248, 206, 196), 0.3),
        "day": ((255, 240, 190), 0.18),
    }
    colour, share = tints[scene.hour]
    return colour, share + chance.uniform(0.0, 0.06)
