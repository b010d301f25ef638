"""Making ids unique: servers repeat them, in a later turn or within one answer, and the API refuses repetitions.

Each repetition gets the id with a number after it, always the same for the same items; the outputs that follow are
renamed with their call.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from databricks_responses_mcp.responses.accumulator import Item
from databricks_responses_mcp.responses.replay import MAX_ID, short_id

_SUFFIX = 8
"""The number of characters reserved for the suffix of a repeated id: ``_`` and a number."""


def call_ids(items: Iterable[Item]) -> set[str]:
    """Return the ids by which callers answer the calls among these items."""
    return {str(item[key]) for item in items if (key := _own_key(item)) is not None}


def unique_calls(items: Iterable[Item], taken: Iterable[str] = ()) -> list[Item]:
    """Return the items with no call id longer than 64 characters, in ``taken``, or used by an earlier call.

    Outputs with the same id answer the calls with that id in order.
    """
    ids = _Ids(taken)
    return [ids.renamed(item) for item in items]


def unique_items(items: Iterable[Item]) -> list[Item]:
    """Return the items with calls as in `unique_calls`, and no ``id`` of an item used by an earlier one."""
    sent = unique_calls(items)
    # Approvals are answered by these, so they are never renamed here.
    used = _Used(item["id"] for item in sent if _own_key(item) == "id")
    return [_with_unused_id(item, used) for item in sent]


def _with_unused_id(item: Item, used: "_Used") -> Item:
    given = item.get("id")
    if not isinstance(given, str) or _own_key(item) == "id" or item.get("type") == "item_reference":
        return item
    name = used.new(given)
    return item if name == given else {**item, "id": name}


class _Ids:
    def __init__(self, taken: Iterable[str]) -> None:
        self._used = _Used(taken)
        self._unanswered: dict[str, deque[str]] = {}
        self._newest: dict[str, str] = {}

    def renamed(self, item: Item) -> Item:
        if (key := _own_key(item)) is not None:
            given = str(item[key])
            name = self._used.new(short_id(given))
            self._unanswered.setdefault(given, deque()).append(name)
            self._newest[given] = name
            return item if name == given else {**item, key: name}
        key = "approval_request_id" if "approval_request_id" in item else "call_id"
        answered = item.get(key)
        if not isinstance(answered, str):
            return item
        name = self._answered(answered, is_output=item.get("type") != "mcp_call")
        return item if name == answered else {**item, key: name}

    def _answered(self, given: str, *, is_output: bool) -> str:
        if is_output and (waiting := self._unanswered.get(given)):
            return waiting.popleft()
        return self._newest.get(given, short_id(given))


def _own_key(item: Mapping[str, Any]) -> str | None:
    """Return the field with the id by which a call is answered; None if it is not a call."""
    kind = item.get("type")
    if kind == "mcp_approval_request":
        return "id" if isinstance(item.get("id"), str) else None
    is_call = isinstance(kind, str) and kind.endswith("_call")
    return "call_id" if is_call and isinstance(item.get("call_id"), str) else None


class _Used:
    """The used ids."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = set(names)
        self._newest: dict[str, int] = {}

    def new(self, name: str) -> str:
        """Return the id, with the lowest free number after it if it is used; mark it as used."""
        candidate = name
        if name in self._names:
            # Some servers give all their items the same id: the search must not begin with 1 for each.
            number = self._newest.get(name, 1)
            while candidate in self._names:
                number += 1
                candidate = f"{name[: MAX_ID - _SUFFIX]}_{number}"
            self._newest[name] = number
        self._names.add(candidate)
        return candidate
