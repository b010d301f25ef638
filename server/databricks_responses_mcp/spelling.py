"""Suggestions for a name that does not exist."""

from collections.abc import Collection


def similar_names(name: str, known: Collection[str], *, most: int = 1, likeness: float = 0.6) -> list[str]:
    """Return the known names that are spelled most like ``name``, the most similar first.

    Args:
        name: what was given.
        known: what there is.
        most: the number of suggestions.
        likeness: from 0 to 1; the least similarity of a suggestion.
    """
    from difflib import get_close_matches  # only an error needs it

    return get_close_matches(name, known, n=most, cutoff=likeness)
