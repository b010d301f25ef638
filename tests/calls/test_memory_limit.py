"""What the users of a service keep in memory alone, together."""

import gc

from databricks_responses_mcp.calls.memory_limit import MemoryLimit
from databricks_responses_mcp.calls.state import UnsavedPictures


def test_whoever_keeps_the_most_loses_the_oldest_and_nobody_else() -> None:
    limit = MemoryLimit(100)
    modest, greedy = UnsavedPictures(limit), UnsavedPictures(limit)
    modest.keep("mine.png", b"x" * 30)
    for number in range(10):
        greedy.keep(f"{number}.png", b"x" * 20)
    assert modest.get("mine.png") is not None
    assert [number for number in range(10) if greedy.get(f"{number}.png")] == [7, 8, 9]
    assert (modest.held, greedy.held) == (30, 60)


def test_what_is_larger_than_the_limit_is_not_kept() -> None:
    limit = MemoryLimit(100)
    pictures = UnsavedPictures(limit)
    uri = pictures.keep("large.png", b"x" * 101)
    assert (uri, pictures.get("large.png"), pictures.held) == ("image://large.png", None, 0)


def test_a_user_who_is_dropped_counts_no_more() -> None:
    limit = MemoryLimit(100)
    gone, here = UnsavedPictures(limit), UnsavedPictures(limit)
    gone.keep("gone.png", b"x" * 90)
    del gone
    gc.collect()
    here.keep("here.png", b"x" * 90)
    assert here.held == 90
