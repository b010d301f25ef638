"""When Python's garbage collector runs: not during the start, and seldom for the many objects of a conversation."""

import gc

_YOUNG_OBJECTS, _YOUNG_COLLECTIONS, _MIDDLE_COLLECTIONS = 10_000, 20, 50
"""With Python's own thresholds (700, 10, 10) it took a third of the time in which a long conversation is read."""


def start_collecting() -> None:
    """Enable the garbage collector, which `__main__` has disabled; objects that exist already are never looked at."""
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, _YOUNG_COLLECTIONS, _MIDDLE_COLLECTIONS)
    gc.enable()
