"""Changing one entry of a TOML text by replacing its statements only.

tomlkit writes values and changes inside an inline table. It does not write the whole document: when it removes a
table, it also removes the comments before the next one.
"""

from typing import Any

import tomlkit

from databricks_responses_mcp.hosts.editing.failures import edit_error, kind_error, position
from databricks_responses_mcp.hosts.editing.paths import Named, Place, nest
from databricks_responses_mcp.hosts.editing.splices import Splice, line_end, line_start, newline_of, next_line, splice
from databricks_responses_mcp.hosts.editing.toml_document import Path, Statement, load, statements

__all__ = ["drop", "load", "put"]


def put(text: str, place: Place, entry: Any) -> str:
    """Return the text with the entry set."""
    path = _path(place)
    found = statements(text)
    _expect_tables(text, found, path)
    newline = newline_of(text)
    holder = _holder(found, path)
    if holder is not None:
        return _edit_inline(text, holder, path, entry)
    owned = _owned(found, path)
    if not owned:
        return _append(text, found, path, _tables(path, entry, newline), newline)
    first, *others = owned
    changes = [] if len(owned) == 1 else [Splice(*_lines(text, run), "") for run in _runs(found, others)]
    if first.kind == "pair":
        value = f"{_key_of(path[len(first.within) :])} = {_value(entry)}"
        return splice(text, [Splice(first.start, first.end, value), *changes])
    runs = _runs(found, owned)
    start, end = _lines(text, runs[0])
    if runs[0] and _is_last_line(text, end):
        end = runs[0][-1].end
        tail = ""
    else:
        tail = newline
    changes = [Splice(*_lines(text, run), "") for run in runs[1:]]
    return splice(text, [Splice(start, end, _tables(path, entry, newline) + tail), *changes])


def drop(text: str, place: Place) -> str:
    """Return the text without the entry."""
    path = _path(place)
    found = statements(text)
    holder = _holder(found, path)
    if holder is not None:
        return _edit_inline(text, holder, path, None)
    return splice(text, [_cut(text, run) for run in _runs(found, _owned(found, path))])


def _path(place: Place) -> Path:
    path = tuple(part for part in place if not isinstance(part, Named))
    if len(path) < len(place):
        raise edit_error("toml", place, "members of lists are not edited in TOML")
    return path


def _expect_tables(text: str, found: list[Statement], path: Path) -> None:
    data: Any = load(text)
    for depth, part in enumerate(path[:-1], 1):
        data = data.get(part)
        if data is None:
            return
        if not isinstance(data, dict):
            where = next((one.start for one in found if one.path == path[:depth]), 0)
            raise kind_error("toml", path[:depth], *position(text, where), listed=False)


def _holder(found: list[Statement], path: Path) -> Statement | None:
    """Return the pair whose inline table contains the entry, or must contain it."""
    return next((one for one in found if one.kind == "pair" and one.path == path[: len(one.path)] != path), None)


def _owned(found: list[Statement], path: Path) -> list[Statement]:
    """Return the statements of the entry."""
    return [one for one in found if one.path[: len(path)] == path]


def _runs(found: list[Statement], owned: list[Statement]) -> list[list[Statement]]:
    """Group the entry's statements into runs without other statements between them."""
    runs: list[list[Statement]] = []
    members = {id(one) for one in owned}
    for index, one in enumerate(found):
        if id(one) in members:
            if runs and index and found[index - 1] is runs[-1][-1]:
                runs[-1].append(one)
            else:
                runs.append([one])
    return runs


def _lines(text: str, run: list[Statement]) -> tuple[int, int]:
    return line_start(text, run[0].start), next_line(text, run[-1].end)


def _cut(text: str, run: list[Statement]) -> Splice:
    """Return the removal of a run's lines, with one of two blank lines that would then be adjacent."""
    start, end = _lines(text, run)
    if run[0].kind == "pair":
        return Splice(start, end, "")
    before = line_start(text, start - 1) if start else 0
    blank_before = start > 0 and not text[before:start].strip()
    blank_behind = not text[end : next_line(text, end)].strip()
    if blank_behind and blank_before:
        return Splice(before, end, "")
    if blank_behind and start == 0:
        return Splice(start, next_line(text, end), "")
    return Splice(start, end, "")


def _is_last_line(text: str, end: int) -> bool:
    return end == len(text) and not text.endswith("\n")


def _append(text: str, found: list[Statement], path: Path, tables: str, newline: str) -> str:
    """Add new tables after those of the same parent, else at the end."""
    siblings = [index for index, one in enumerate(found) if one.within[:1] == path[:1] and len(path) > 1]
    if not text.strip():
        return tables + newline
    if not siblings or siblings[-1] == len(found) - 1:
        gap = "" if text.endswith("\n") else newline
        gap += "" if text.endswith((newline + newline, "\n\n")) else newline
        return text + gap + tables + newline
    at = _after_comments(text, next_line(text, found[siblings[-1]].end))
    behind = "" if not text[at : next_line(text, at)].strip() else newline
    return splice(text, [Splice(at, at, newline + tables + newline + behind)])


def _after_comments(text: str, at: int) -> int:
    """Return the position after comments that continue the last line; comments directly above a header are its own."""
    end = at
    while text[end : line_end(text, end)].lstrip().startswith("#"):
        end = next_line(text, end)
    return end if not text[end : line_end(text, end)].strip() else at


def _tables(path: Path, entry: dict[str, Any], newline: str) -> str:
    """Return an entry as a table, and the tables in it as tables."""
    lines = [f"[{_key_of(path)}]"]
    lines += [f"{_key_of((key,))} = {_value(value)}" for key, value in entry.items() if not isinstance(value, dict)]
    text = newline.join(lines)
    for key, value in entry.items():
        if isinstance(value, dict):
            text += newline * 2 + _tables((*path, key), value, newline)
    return text


def _key_of(path: Path) -> str:
    return ".".join(tomlkit.key(part).as_string() for part in path)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        members = ", ".join(f"{_key_of((key,))} = {_value(one)}" for key, one in value.items())
        return f"{{ {members} }}" if members else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(one) for one in value)}]"
    return str(tomlkit.item(value).as_string())


def _edit_inline(text: str, holder: Statement, path: Path, entry: Any | None) -> str:
    """Set the entry in the inline table of a pair; remove it if ``entry`` is None."""
    document = tomlkit.parse(f"holder = {text[holder.value : holder.end]}")
    table: Any = document["holder"]
    rest = path[len(holder.path) :]
    while len(rest) > 1 and rest[0] in table:
        table, rest = table[rest[0]], rest[1:]
    if entry is None:
        del table[rest[0]]
    else:
        value = nest(rest[1:], entry)
        table[rest[0]] = tomlkit.parse(f"value = {_value(value)}")["value"]
    new = document.as_string().removeprefix("holder = ")
    return splice(text, [Splice(holder.value, holder.end, new)])
