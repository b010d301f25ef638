"""Statements of a transaction, and the values in them as databases hold them: JSON as compact text, names without NUL.

A transaction is a generator: it is written once, and any driver runs it, blocking or not.
"""

import json
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pydantic_core

from databricks_responses_mcp.store.interface import StoreError

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


_UNFIT = re.compile("[\x00\ud800-\udfff]")
_MOST = 10**12
_PLAIN = frozenset({str, int, float, bool, type(None)})


def to_json(value: object) -> str:
    """Compact JSON that any database's text column holds: half surrogate pairs are escaped, and NUL always is.

    Raises:
        StoreError: if the value has no JSON, or is nested too deeply.
    """
    try:
        # Six times as fast for long texts, but it takes more than JSON has, such as sets.
        if _is_plain(value):
            return pydantic_core.to_json(value, inf_nan_mode="constants").decode()
    except ValueError:
        pass  # half a surrogate pair, or nested deeply
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return text if text.isascii() or not _UNFIT.search(text) else json.dumps(value, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreError(
            f"This cannot be kept: it is no JSON, or nested too deeply ({type(error).__name__})."
            " Begin a new conversation without it."
        ) from error


def _is_plain(value: object) -> bool:
    """Whether a value is made of the types that JSON has alone."""
    left: list[Any] = [value]
    while left:
        one = left.pop()
        kind = type(one)
        if kind is dict:
            if not all(type(key) is str for key in one):
                return False
            left += one.values()
        elif kind is list or kind is tuple:
            left += one
        elif kind not in _PLAIN:
            return False
    return True


def from_json(text: str) -> Any:
    """The value of `to_json`'s text.

    Raises:
        ValueError: if it is none.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def name(text: str) -> str:
    """``text`` for a column of plain text: NUL and half surrogate pairs become U+FFFD, when kept and when looked up."""
    return _UNFIT.sub("\N{REPLACEMENT CHARACTER}", text)


def maybe_name(text: str | None) -> str | None:
    """`name`, of what may be absent."""
    return None if text is None else name(text)


def folded(text: str) -> str:
    """``text`` as `contains` compares it: letter case aside."""
    return name(text).casefold()


def count(value: object) -> int:
    """A count of tokens that can be summed: what is no count is 0, and none is absurdly large."""
    return min(value, _MOST) if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def tokens(usage: Mapping[str, Any] | None, kind: str) -> int:
    """The count of that kind in the API's usage."""
    return count((usage or {}).get(kind))


def size(*texts: str | None) -> int:
    """Bytes of the texts together, in UTF-8."""
    return sum(len(text) if text.isascii() else len(text.encode()) for text in texts if text)
