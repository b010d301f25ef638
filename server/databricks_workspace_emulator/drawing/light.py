"""The colours of the times of day: skies, and land under them."""

from dataclasses import dataclass

from databricks_workspace_emulator.drawing.canvas import Colour, mix
from databricks_workspace_emulator.drawing.scene import Hour, Land, Scene

SKIES: dict[Hour, tuple[Colour, ...]] = {
    "day": ((78, 150, 220), (134, 192, 236), (198, 226, 242), (240, 246, 240)),
    "dusk": ((46, 48, 104), (124, 78, 138), (224, 118, 116), (252, 176, 112), (255, 224, 166)),
    "dawn": ((96, 128, 190), (176, 168, 208), (244, 196, 190), (255, 224, 190), (255, 242, 216)),
    "night": ((10, 14, 44), (22, 32, 78), (44, 60, 116), (84, 98, 150)),
}
SPACE: tuple[Colour, ...] = ((8, 8, 28), (26, 18, 60), (58, 30, 92), (30, 24, 70))
_TINTS: dict[Hour, tuple[Colour, float]] = {
    "day": ((255, 250, 230), 0.0),
    "dusk": ((96, 52, 104), 0.3),
    "dawn": ((236, 186, 190), 0.18),
    "night": ((16, 24, 66), 0.6),
}
GROUNDS: dict[Land, Colour] = {
    "meadow": (112, 164, 84),
    "snow": (240, 245, 253),
    "desert": (230, 184, 120),
    "city": (116, 134, 128),
    "space": (150, 138, 160),
}
HORIZON = 0.62
"""As a share of the height."""


@dataclass(frozen=True, slots=True)
class Light:
    """The colours of the time of day: distant objects have more of the sky's colour."""

    scene: Scene
    haze: Colour

    def seen(self, colour: Colour, distance: float = 0.0) -> Colour:
        """Return ``colour`` as it appears at this time, from a distance of 0 (here) to 1 (the horizon)."""
        tint, share = _TINTS[self.scene.hour]
        return mix(mix(colour, tint, share), self.haze, distance)
