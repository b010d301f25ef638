"""Values as databases keep them: JSON as compact text, names without what a database's text cannot hold."""

import json
import re
from collections.abc import Mapping
from typing import Any

from databricks_responses_mcp.store.interface import StoreError

_UNFIT = re.compile("[\x00\ud800-\udfff]")
_MOST = 10**12


def to_json(value: object) -> str:
    """Compact JSON that any database's text column holds: half surrogate pairs are escaped, and NUL always is.

    Raises:
        StoreError: if the value has no JSON, or is nested too deeply.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return text if text.isascii() or not _UNFIT.search(text) else json.dumps(value, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreError(
            f"This cannot be kept: it is no JSON, or nested too deeply ({type(error).__name__})."
            " Begin a new conversation without it."
        ) from error


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
