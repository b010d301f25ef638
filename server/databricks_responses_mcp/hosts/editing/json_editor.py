"""Changing one entry of a JSON text with comments, by replacing its span only.

No library for JSON with comments fits: those in Python drop block comments or change the layout, and the exact one
needs Node.js.
"""

import re
from typing import Any

from databricks_responses_mcp.hosts.editing.bounds import MAX_DUPLICATES
from databricks_responses_mcp.hosts.editing.failures import edit_error, kind_error, position
from databricks_responses_mcp.hosts.editing.json_document import Child, Node, parse
from databricks_responses_mcp.hosts.editing.json_layout import Layout
from databricks_responses_mcp.hosts.editing.paths import Named, Place, is_named, nest
from databricks_responses_mcp.hosts.editing.splices import (
    Splice,
    indentation,
    line_end,
    line_start,
    next_line,
    splice,
    starts_line,
)

_REST_OF_LINE = re.compile(r"(?:[ \t]*/\*[^\r\n]*?\*/)*(?:[ \t]*//[^\r\n]*)?")


def load(text: str) -> Any:
    """Parse the text into plain data; None if it contains no value."""
    root = parse(text)
    return None if root is None else root.data()


def put(text: str, place: Place, entry: Any) -> str:
    """Return the text with the entry set."""
    root = parse(text)
    layout = Layout.of(text, root)
    if root is None:
        start = "" if not text.strip() else text.rstrip() + layout.newline
        return start + layout.write(nest(place, entry), "") + layout.newline
    node = root
    for depth, part in enumerate(place):
        if node.kind == "scalar" and node.value is None:  # null is treated as an absent value
            value = nest(place[depth:], entry)
            return splice(text, [Splice(node.start, node.end, _write(text, layout, node.start, value))])
        _expect(text, node, place[:depth], part)
        child = _find(node, part)
        if child is None:
            nested = nest(place[depth:], entry)
            key = None if isinstance(part, Named) else part
            value = nested[0] if isinstance(nested, list) else nested[part]
            return splice(text, _insert(text, layout, node, key, value))
        if depth == len(place) - 1:
            new = _write(text, layout, child.start, entry)
            return splice(text, [Splice(child.value.start, child.value.end, new)])
        node = child.value
    raise AssertionError(place)


def drop(text: str, place: Place) -> str:
    """Return the text without the entry and its duplicates, which would take effect without it."""
    for _ in range(MAX_DUPLICATES):
        if (found := _locate(text, place)) is None:
            return text
        text = splice(text, _remove(text, *found))
    raise edit_error("json", place, f"the file contains it more than {MAX_DUPLICATES} times")


def _locate(text: str, place: Place) -> tuple[Node, int] | None:
    node = parse(text)
    holder = None
    for part in place:
        child = None if node is None else _find(node, part)
        if node is None or child is None:
            return None
        holder = node, node.children.index(child)
        node = child.value
    return holder


def _find(node: Node, part: str | Named) -> Child | None:
    if isinstance(part, Named):
        children = node.children if node.kind == "array" else []
        return next((child for child in reversed(children) if is_named(child.value.data(), part)), None)
    children = node.children if node.kind == "object" else []
    return next((child for child in reversed(children) if child.key == part), None)


def _expect(text: str, node: Node, place: Place, part: str | Named) -> None:
    listed = isinstance(part, Named)
    if node.kind != ("array" if listed else "object"):
        raise kind_error("json", place, *position(text, node.start), listed=listed)


def _write(text: str, layout: Layout, start: int, value: Any) -> str:
    """Return the text of a value after its key: over several lines if the key starts a line."""
    if starts_line(text, start) or (not layout.one_line and "{" not in text[line_start(text, start) : start]):
        return layout.write(value, indentation(text, start))
    return layout.write_inline(value)


def _insert(text: str, layout: Layout, node: Node, key: str | None, value: Any) -> list[Splice]:
    if not node.children:
        return _fill(text, layout, node, key, value)
    last = node.children[-1]
    trailing = "," if last.comma is not None else ""
    behind = last.value.end if last.comma is None else last.comma + 1
    if not starts_line(text, last.start):
        gap = " " if layout.spaced else ""
        member = layout.member_inline(key, value)
        return [Splice(behind, behind, f"{gap}{member}," if trailing else f",{gap}{member}")]
    found = _REST_OF_LINE.match(text, behind)
    behind = found.end() if found else behind
    indent = indentation(text, last.start)
    member = layout.newline + indent + layout.member(key, value, indent) + trailing
    if trailing:
        return [Splice(behind, behind, member)]
    end = last.value.end
    return (
        [Splice(end, end, "," + member)] if behind == end else [Splice(end, end, ","), Splice(behind, behind, member)]
    )


def _fill(text: str, layout: Layout, node: Node, key: str | None, value: Any) -> list[Splice]:
    """Return the changes that add the first member to an empty object or array."""
    inside = text[node.start + 1 : node.end - 1]
    if layout.one_line and not inside.strip():
        return [Splice(node.start + 1, node.end - 1, layout.member_inline(key, value))]
    closing = indentation(text, node.start)
    indent = closing + layout.unit
    member = layout.newline + indent + layout.member(key, value, indent)
    if not inside.strip():
        return [Splice(node.start + 1, node.end - 1, member + layout.newline + closing)]
    behind = node.start + 1 + len(inside.rstrip())
    if "\n" in text[behind : node.end - 1]:
        return [Splice(behind, behind, member)]
    return [Splice(behind, node.end - 1, member + layout.newline + closing)]


def _remove(text: str, node: Node, index: int) -> list[Splice]:
    child = node.children[index]
    end = child.value.end if child.comma is None else child.comma + 1
    changes = []
    if child.comma is not None and text[child.value.end : child.comma].strip():
        changes.append(Splice(child.comma, child.comma + 1, ""))  # a comment between value and comma is kept
        end = child.value.end
    before = node.children[index - 1] if index else None
    if child.comma is None and before is not None and before.comma is not None:
        changes.append(Splice(before.comma, before.comma + 1, ""))
    start = child.start
    if starts_line(text, start) and not text[end : line_end(text, end)].strip():
        start, end = line_start(text, start), next_line(text, end)
    elif not starts_line(text, start):
        after = len(text[end:]) - len(text[end:].lstrip(" \t"))
        blanks = len(text[:start]) - len(text[:start].rstrip(" \t"))
        if index + 1 < len(node.children) and end + after < len(text):
            end += after
        elif before is not None:
            start -= blanks
    alone = len(node.children) == 1
    if alone and not text[node.start + 1 : child.start].strip() and not text[end : node.end - 1].strip():
        return [Splice(node.start + 1, node.end - 1, "")]
    if node.start < start and end > node.end - 1:  # the closing bracket is on a line that is removed
        end = node.end - 1
    return [*changes, Splice(start, end, "")]
