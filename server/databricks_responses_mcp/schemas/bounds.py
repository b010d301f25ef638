"""Limits of a caller's JSON Schema and of the references in it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

MAX_BYTES = 200_000
"""The size of the schema as compact JSON. The API accepts 120,000 characters of names and values."""
MAX_DEPTH = 64
MAX_LIST = 1000
"""Entries of one list; the API accepts the same number of values of an ``enum``."""
MAX_REFERENCES = 500
MAX_EXPANDED = 50_000
"""Objects and lists in the schema, each counted as often as it is referenced."""

_REFERENCES = ("$ref", "$dynamicRef")
_VALUES = ("enum", "const", "default", "examples")
_SAME_VALUE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas")
"""Keywords whose schemas apply to the same value: a cycle of references through them never ends."""


def find_exceeded_limit(schema: Any) -> str | None:
    """Return the limit that a schema exceeds, as the end of a sentence that begins with its name; None for no limit.

    It is not checked whether the value is a valid JSON Schema.
    """
    if (depth := _depth(schema)) > MAX_DEPTH:
        return f"nests more than {MAX_DEPTH} levels deep" if depth > MAX_DEPTH else None
    if (size := len(json.dumps(schema, separators=(",", ":")))) > MAX_BYTES:
        return f"has {size} bytes of JSON, and may have {MAX_BYTES}"
    if (longest := max(map(len, _lists(schema)), default=0)) > MAX_LIST:
        return f"has a list of {longest} entries, and one may have {MAX_LIST}"
    expansion = _Expansion(schema)
    if expansion.references > MAX_REFERENCES:
        return f"has {expansion.references} references, and may have {MAX_REFERENCES}"
    try:
        if expansion.is_endless(schema):
            return "has references that lead back to themselves without end"
        if expansion.size(schema) > MAX_EXPANDED:
            return f"has more than {MAX_EXPANDED} parts once its references are followed"
    except RecursionError:
        return "has too long a chain of references"
    return None


class _Expansion:
    """The expansion of a schema by its references. Unresolvable references are ignored."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._anchors = {
            f"#{node[key]}": node
            for node in _objects(root)
            for key in ("$anchor", "$dynamicAnchor")
            if isinstance(node.get(key), str)
        }
        self.references = sum(isinstance(node.get(key), str) for node in _objects(root) for key in _REFERENCES)
        self._sizes: dict[int, int] = {}
        self._ends: dict[int, bool] = {}

    def size(self, node: Any) -> int:
        """Return the number of objects and lists, each counted as often as it is referenced; a cycle counts once."""
        if not isinstance(node, dict | list):
            return 0
        if id(node) not in self._sizes:
            self._sizes[id(node)] = 1
            inner = node if isinstance(node, list) else [value for key, value in node.items() if key not in _VALUES]
            self._sizes[id(node)] = 1 + sum(map(self.size, inner)) + sum(map(self.size, self._targets(node)))
        return self._sizes[id(node)]

    def is_endless(self, node: Any) -> bool:
        """Return whether anywhere in the schema a cycle of references applies to the same value."""
        return any(self._returns(inner) for inner in _objects(node))

    def _returns(self, node: Any) -> bool:
        if not isinstance(node, dict):
            return isinstance(node, list) and any(map(self._returns, node))
        if id(node) not in self._ends:
            self._ends[id(node)] = True  # until the result is known: reaching the node again means a cycle
            inner = [node[key] for key in _SAME_VALUE if key in node]
            if isinstance(by_name := node.get("dependentSchemas"), dict):
                inner += by_name.values()
            self._ends[id(node)] = any(self._returns(part) for part in (*inner, *self._targets(node)))
        return self._ends[id(node)]

    def _targets(self, node: Any) -> list[Any]:
        if not isinstance(node, dict):
            return []
        named = [node[key] for key in _REFERENCES if isinstance(node.get(key), str)]
        return [target for name in named if (target := self._target(name)) is not None]

    def _target(self, reference: str) -> Any:
        if not reference.startswith("#/"):
            return self._root if reference == "#" else self._anchors.get(reference)
        found = self._root
        for part in unquote(reference[2:]).split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict):
                found = found.get(name)
            elif isinstance(found, list) and name.isdecimal() and len(name) < 6:
                found = found[int(name)] if int(name) < len(found) else None
            else:
                return None
        return found


def _depth(value: Any) -> int:
    """Return the nesting depth, counted up to one level above the limit."""
    level, depth = [value], 0
    while level and depth <= MAX_DEPTH:
        level = [inner for node in level for inner in _inner(node)]
        depth += 1 if level else 0
    return depth


def _inner(node: Any) -> list[Any]:
    if isinstance(node, Mapping):
        return list(node.values())
    return node if isinstance(node, list) else []


def _nodes(value: Any) -> Iterator[Any]:
    waiting = [value]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += _inner(node)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    return (node for node in _nodes(value) if isinstance(node, dict))


def _lists(value: Any) -> Iterator[list[Any]]:
    return (node for node in _nodes(value) if isinstance(node, list))
