"""Reading, setting and removing one entry in the text of a configuration file, in any of the formats."""

from typing import Any, Literal, Protocol

from databricks_responses_mcp.hosts.editing.bounds import check_size, check_values, plain_children
from databricks_responses_mcp.hosts.editing.failures import edit_error
from databricks_responses_mcp.hosts.editing.paths import Named, Place, is_named, look_up, nest

Format = Literal["json", "toml", "yaml"]

_BOM = "\ufeff"


class Editor(Protocol):
    """The editor of one format."""

    def load(self, text: str) -> Any:
        """Parse the text into plain data; None if it contains no value."""

    def put(self, text: str, place: Place, entry: Any) -> str:
        """Return the text with the entry set."""

    def drop(self, text: str, place: Place) -> str:
        """Return the text without the entry, which must exist."""


def read_entry(text: str, format: Format, place: Place) -> Any | None:  # noqa: A002 - the interface's word
    """Return the entry at a place as plain data; None if there is none. Of duplicate keys the last one is used.

    Raises:
        BridgeError: invalid_argument, if the text is not of its format.
    """
    return look_up(_load(format, text.removeprefix(_BOM)), place)


def set_entry(text: str, format: Format, place: Place, entry: dict[str, Any]) -> str:  # noqa: A002
    """Return the text with the entry at its place; missing parent tables and lists are created.

    An equal entry leaves the text unchanged. A different entry is replaced in place; every byte is kept except those of
    the entry and of a comma or line ending that it needs. An entry of a list always contains its own name.

    Raises:
        BridgeError: invalid_argument, if the text is not of its format, a parent is not a table, or the change cannot
            be made without changing something else.
    """
    bom, body = _split(text)
    editor = _editor(format)
    last = place[-1]
    if isinstance(last, Named):
        entry = entry if is_named(entry, last) else {last.key: last.value, **entry, last.key: last.value}
    before = _load(format, body)
    if _same(look_up(before, place), entry):
        return text
    after = editor.put(body, place, entry)
    _check(format, after, _with(before, place, entry), place)
    return bom + after


def remove_entry(text: str, format: Format, place: Place) -> str:  # noqa: A002
    """Return the text without the entry at a place; its parent tables are kept, even if they are empty.

    Raises:
        BridgeError: as for `set_entry`.
    """
    bom, body = _split(text)
    editor = _editor(format)
    before = _load(format, body)
    if look_up(before, place) is None:
        return text
    after = editor.drop(body, place)
    _check(format, after, _without(before, place), place)
    return bom + after


def _split(text: str) -> tuple[str, str]:
    return (_BOM, text[1:]) if text.startswith(_BOM) else ("", text)


def _load(language: Format, text: str) -> Any:
    """Parse the text into plain data, within the limits of `bounds`."""
    check_size(text, language)
    data = _editor(language).load(text)
    check_values(data, plain_children)
    return data


def _editor(language: Format) -> Editor:
    if language == "json":
        from databricks_responses_mcp.hosts.editing import json_editor

        return json_editor
    if language == "toml":
        from databricks_responses_mcp.hosts.editing import toml_editor

        return toml_editor
    from databricks_responses_mcp.hosts.editing import yaml_editor

    return yaml_editor


def _check(language: Format, text: str, expected: Any, place: Place) -> None:
    """Refuse a text that does not parse to the expected data."""
    # A table that exists only because of the entry in it disappears with the entry.
    if not _same(_pruned(_load(language, text), place), _pruned(expected, place)):
        raise edit_error(language, place, "it is written in a form that the editor does not support")


def _with(data: Any, place: Place, entry: Any) -> Any:
    if not place:
        return entry
    part, rest = place[0], place[1:]
    if isinstance(part, Named):
        members = list(data or ())
        for index in range(len(members) - 1, -1, -1):
            if is_named(members[index], part):
                members[index] = _with(members[index], rest, entry)
                return members
        return [*members, *nest(place, entry)]
    table = dict(data or {})
    table[part] = _with(table.get(part), rest, entry)
    return table


def _without(data: Any, place: Place) -> Any:
    part, rest = place[0], place[1:]
    if isinstance(part, Named):
        if not rest:
            return [one for one in data if not is_named(one, part)]
        last = max(index for index, one in enumerate(data) if is_named(one, part))
        return [_without(one, rest) if index == last else one for index, one in enumerate(data)]
    if not rest:
        return {key: value for key, value in data.items() if key != part}
    return {key: _without(value, rest) if key == part else value for key, value in data.items()}


def _pruned(data: Any, place: Place) -> Any:
    """Return the data without empty tables among the parents of a place."""
    if not place or not isinstance(data, dict) or place[0] not in data:
        return data
    inner = _pruned(data[place[0]], place[1:])
    return {
        key: value for key, value in {**data, place[0]: inner}.items() if key != place[0] or value not in ({}, None)
    }


def _same(one: Any, other: Any) -> bool:
    """Return whether plain data is equal: 1, 1.0 and true differ, NaN equals NaN, the order of keys does not count."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and (one == other or repr(one) == repr(other))
