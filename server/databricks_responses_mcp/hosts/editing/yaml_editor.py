"""Changing one entry of a YAML text by replacing its span only.

ruamel.yaml writes the new entry. It does not write the whole document: it would wrap long lines, and change indentation
and quotes elsewhere.
"""

import json
from typing import TYPE_CHECKING, Any

from databricks_responses_mcp.hosts.editing.bounds import MAX_DUPLICATES
from databricks_responses_mcp.hosts.editing.failures import edit_error, kind_error, position
from databricks_responses_mcp.hosts.editing.paths import Named, Place, nest
from databricks_responses_mcp.hosts.editing.splices import (
    Splice,
    line_end,
    line_start,
    next_line,
    splice,
    starts_line,
)
from databricks_responses_mcp.hosts.editing.yaml_document import Document, is_flow, load, parse
from databricks_responses_mcp.hosts.editing.yaml_layout import Layout

if TYPE_CHECKING:
    from ruamel.yaml.nodes import Node

__all__ = ["drop", "load", "put"]


def put(text: str, place: Place, entry: Any) -> str:
    """Return the text with the entry set."""
    document = parse(text)
    layout = Layout.of(document)
    node = document.root
    if node is None or _is_null(node):
        if node is not None and node.start_mark.index < node.end_mark.index:
            raise edit_error("yaml", place, "its value is null")
        gap = "" if not text or text.endswith("\n") else layout.newline
        return text + gap + layout.block(nest(place, entry), 0) + layout.newline
    for depth, part in enumerate(place):
        nested = nest(place[depth:], entry)
        _expect(text, node, place[:depth], part)
        index = _find(node, part)
        if index is None:
            value = nested[0] if isinstance(nested, list) else nested
            if (
                not node.value
                and node is document.root
                and text[node.start_mark.index : node.end_mark.index] in ("{}", "[]")
            ):
                block = layout.block(nested, 0)
                return splice(text, [Splice(node.start_mark.index, node.end_mark.index, block)])
            return splice(text, _insert(document, layout, node, value))
        child = _child(node, index)
        if child.start_mark.index < _start(document, node, index):
            raise edit_error("yaml", place[: depth + 1], "it is an alias of another value")
        last = depth == len(place) - 1
        value = entry if last else nest(place[depth + 1 :], entry)
        if last or _is_null(child) or _is_empty_flow(document, node, child):
            return splice(text, _replace(document, layout, node, index, value))
        node = child
    raise AssertionError(place)


def drop(text: str, place: Place) -> str:
    """Return the text without the entry and its duplicates."""
    for _ in range(MAX_DUPLICATES):
        document = parse(text)
        node = document.root
        holder, index = None, None
        for part in place:
            holder = node
            index = None if node is None else _find(node, part)
            if node is None or index is None:
                return text
            node = _child(node, index)
        if holder is None or index is None:
            return text
        changes = _remove(document, holder, index)
        text = splice(text, changes)
    raise edit_error("yaml", place, f"the file contains it more than {MAX_DUPLICATES} times")


def _kind(node: "Node") -> str:
    return {"MappingNode": "mapping", "SequenceNode": "sequence"}.get(type(node).__name__, "scalar")


def _is_null(node: "Node") -> bool:
    return _kind(node) == "scalar" and str(node.tag).endswith(":null")


def _is_empty_flow(document: Document, parent: "Node", node: "Node") -> bool:
    if _kind(node) == "scalar" or node.value or is_flow(parent):
        return False
    span = document.text[node.start_mark.index : node.end_mark.index]
    return span[:1] in "{[" and not span[1:-1].strip()


def _find(node: "Node", part: str | Named) -> int | None:
    for index in range(len(node.value) - 1, -1, -1):
        if isinstance(part, Named):
            item = node.value[index]
            if _kind(item) == "mapping" and any(
                _is_text(key, part.key) and _is_text(one, part.value) for key, one in item.value
            ):
                return index
        elif _is_text(node.value[index][0], part):
            return index
    return None


def _is_text(node: "Node", text: str) -> bool:
    return _kind(node) == "scalar" and node.value == text and str(node.tag).endswith(":str")


def _child(node: "Node", index: int) -> "Node":
    child: Node = node.value[index][1] if _kind(node) == "mapping" else node.value[index]
    return child


def _expect(text: str, node: "Node", place: Place, part: str | Named) -> None:
    listed = isinstance(part, Named)
    if _kind(node) != ("sequence" if listed else "mapping"):
        raise kind_error("yaml", place, *position(text, node.start_mark.index), listed=listed)


def _start(document: Document, node: "Node", index: int) -> int:
    """Return where a member starts: at its key, or at its dash in a block sequence."""
    if _kind(node) == "mapping":
        start: int = node.value[index][0].start_mark.index
        return start
    start = node.value[index].start_mark.index
    if is_flow(node):
        return start
    dash = document.before(start, kind="BlockEntryToken")
    return start if dash is None else dash.start


def _end(document: Document, node: "Node", index: int) -> int:
    """Return where a member's content ends."""
    if is_flow(node):
        last = _child(node, index)
        end: int = last.end_mark.index
        return end
    behind = _start(document, node, index + 1) if index + 1 < len(node.value) else node.end_mark.index
    return document.content_end(behind)


def _colon(document: Document, node: "Node", index: int) -> int:
    """Return the position after the colon of a pair."""
    key, value = node.value[index]
    colon = document.before(max(value.start_mark.index, key.end_mark.index + 1), kind="ValueToken")
    if colon is None or colon.start < key.end_mark.index:
        raise edit_error("yaml", (str(key.value),), "its key has no colon")
    return colon.end


def _insert(document: Document, layout: Layout, node: "Node", value: Any) -> list[Splice]:
    """Return the changes that add a last member; ``value`` includes the key if the node is a mapping."""
    mapping = _kind(node) == "mapping"
    if is_flow(node):
        return _insert_flow(document, node, value)
    end = _end(document, node, len(node.value) - 1)
    if mapping:
        column = node.value[0][0].start_mark.column
        block = layout.block(value, column)
    else:
        dash = _start(document, node, 0)
        column = dash - line_start(document.text, dash)
        block = layout.item(value, column)
    if end and document.text[end - 1] == "\n":
        return [Splice(end, end, block + layout.newline)]
    end = line_end(document.text, end)
    return [Splice(end, end, layout.newline + block)]


def _insert_flow(document: Document, node: "Node", value: Any) -> list[Splice]:
    closing = node.end_mark.index - 1
    member = json.dumps(value, ensure_ascii=False)
    if _kind(node) == "mapping":
        member = member[1:-1]
    last = document.before(closing)
    if last is None or not node.value:
        return [Splice(closing, closing, member)]
    gap = " " if last.kind == "FlowEntryToken" else ", "
    return [Splice(last.end, last.end, gap + member)]


def _replace(document: Document, layout: Layout, node: "Node", index: int, value: Any) -> list[Splice]:
    """Return the changes that replace the value of a member."""
    text = document.text
    child = _child(node, index)
    if is_flow(node):
        new = json.dumps(value, ensure_ascii=False)
        blank = "" if child.start_mark.index < child.end_mark.index else " "
        return [Splice(child.start_mark.index, child.end_mark.index, blank + new)]
    end = _end(document, node, index)
    if _kind(node) == "mapping":
        start = _colon(document, node, index)
        column = node.value[index][0].start_mark.column
        new = layout.value(value, column)
        if new[:1] in "\r\n" and (_is_null(child) or _is_empty_flow(document, node, child)):
            behind = line_end(text, max(start, end))  # a comment is kept on the line of the key
            return [Splice(start, max(start, end), ""), Splice(behind, behind, new)]
        return [Splice(start, max(start, end), new)]
    start = _start(document, node, index)
    return [Splice(start, end, layout.item(value, start - line_start(text, start)).lstrip(" "))]


def _remove(document: Document, node: "Node", index: int) -> list[Splice]:
    text = document.text
    start, end = _start(document, node, index), _end(document, node, index)
    if is_flow(node):
        return [_remove_flow(document, node, index, start, end)]
    changes = []
    if len(node.value) == 1:
        empty = "{}" if _kind(node) == "mapping" else "[]"
        owner = document.before(start)
        if owner is not None and owner.kind == "ValueToken" and starts_line(text, start):
            changes.append(Splice(owner.end, owner.end, " " + empty))
        else:
            return [Splice(start, end, empty)]
    if starts_line(text, start):
        behind = end if text[end - 1] == "\n" else next_line(text, end)
        return [*changes, Splice(line_start(text, start), behind, "")]
    behind = _start(document, node, index + 1) if index + 1 < len(node.value) else end
    return [*changes, Splice(start, behind, "")]


def _remove_flow(document: Document, node: "Node", index: int, start: int, end: int) -> Splice:
    if index + 1 < len(node.value):
        return Splice(start, _start(document, node, index + 1), "")
    if index:
        return Splice(_end(document, node, index - 1), end, "")
    behind = document.before(node.end_mark.index - 1)
    return Splice(start, end if behind is None else max(end, behind.end), "")
