"""The place of an entry in a configuration file."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Named:
    """The member of a list of tables whose ``key`` equals ``value``."""

    key: str
    value: str


Place = tuple[str | Named, ...]


def format_place(place: Place) -> str:
    """Return a place as text: ``mcpServers.databricks``, ``inputs[id=databricks_token]``."""
    text = ""
    for part in place:
        text += f"[{part.key}={part.value}]" if isinstance(part, Named) else f".{part}"
    return text.removeprefix(".") or "the file"


def nest(place: Place, value: Any) -> Any:
    """Return the value wrapped in the tables and lists that lead to it."""
    for part in reversed(place):
        if isinstance(part, Named):
            value = [value if is_named(value, part) else {part.key: part.value, **value}]
        else:
            value = {part: value}
    return value


def look_up(data: Any, place: Place) -> Any | None:
    """Return the value at a place of plain data; None if there is none. Of equal names the last one is used."""
    for part in place:
        if isinstance(part, Named):
            members = data if isinstance(data, list) else []
            data = next((one for one in reversed(members) if is_named(one, part)), None)
        else:
            data = data.get(part) if isinstance(data, dict) else None
        if data is None:
            return None
    return data


def is_named(member: Any, part: Named) -> bool:
    """Return whether a member of a list has that name."""
    return isinstance(member, dict) and member.get(part.key) == part.value
