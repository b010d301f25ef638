"""Suggestions for a name that does not exist."""

from collections.abc import Collection


def similar_names(name: str, known: Collection[str], *, most: int = 1, likeness: float = 0.6) -> list[str]:
    """Return the known names most similar to ``name``, the most similar first.

    Args:
        name: the name that does not exist.
        known: the existing names.
        most: the maximum number of suggestions.
        likeness: the minimum similarity of a suggestion, from 0 to 1.
    """
    from difflib import get_close_matches  # only an error needs it

    return get_close_matches(name, known, n=most, cutoff=likeness)
