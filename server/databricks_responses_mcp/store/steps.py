"""Work on a database as the steps of a generator: written once, driven by any driver, blocking or not."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

Value = str | int | float | None
Row = tuple[Any, ...]
Statement = tuple[str, Sequence[Value]]
"""SQL and its values. Tables are written ``@table`` and places for values ``?``: each database puts in its own."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a statement gave: its rows, and how many rows it changed."""

    rows: Sequence[Row]
    changed: int


T = TypeVar("T")
Steps = Generator[Statement, Done, T]
"""One transaction: yields statements, is sent what they gave, and returns its result; what it raises undoes all."""


def insert(table: str, row: Mapping[str, Value], then: str = "") -> Statement:
    """An INSERT of a row by the names of its columns, with what to do on a conflict."""
    # Only values come from outside, and they are not in the text.
    sql = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places(len(row))}) {then}"  # noqa: S608
    return sql, list(row.values())


def places(count: int) -> str:
    """That many places for values."""
    return ", ".join("?" * count)
