"""The layout of a JSON text, so that added text looks like the rest."""

import json
from dataclasses import dataclass
from typing import Any

from databricks_responses_mcp.hosts.editing.json_document import Node
from databricks_responses_mcp.hosts.editing.splices import first_indentation, indentation, newline_of, starts_line

_MAX_LIST_WIDTH = 90


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of one text.

    Attributes:
        unit: one level of indentation.
        one_line: whether the whole value is on one line.
        spaced: whether a space follows commas and colons on a line.
    """

    unit: str
    newline: str
    one_line: bool
    spaced: bool

    @classmethod
    def of(cls, text: str, root: Node | None) -> "Layout":
        """Detect the layout of a text with that value."""
        inside = "" if root is None else text[root.start : root.end]
        unit = ""
        if root is not None and root.children and starts_line(text, root.children[0].start):
            unit = indentation(text, root.children[0].start)[len(indentation(text, root.start)) :]
        return cls(
            unit=unit or first_indentation(inside) or "  ",
            newline=newline_of(text),
            one_line=root is not None and bool(root.children) and "\n" not in inside,
            spaced='":' not in inside or '": ' in inside or "\n" in inside,
        )

    def write(self, value: Any, indent: str) -> str:
        """Return a value over several lines; a short list of scalars is on one line."""
        inner = indent + self.unit
        if isinstance(value, dict) and value:
            members = [self.member(key, one, inner) for key, one in value.items()]
            return self._block("{", members, "}", indent)
        if isinstance(value, list) and value:
            line = _dump(value)
            if len(line) <= _MAX_LIST_WIDTH and not any(isinstance(one, dict | list) for one in value):
                return line
            return self._block("[", [self.write(one, inner) for one in value], "]", indent)
        return _dump(value)

    def write_inline(self, value: Any) -> str:
        """Return a value on one line."""
        return _dump(value) if self.spaced else _dump(value, (",", ":"))

    def member(self, key: str | None, value: Any, indent: str) -> str:
        """Return a member of an object, or of an array (``key`` is None)."""
        return self.write(value, indent) if key is None else f"{_dump(key)}: {self.write(value, indent)}"

    def member_inline(self, key: str | None, value: Any) -> str:
        """Return a member on one line; see `member`."""
        colon = ": " if self.spaced else ":"
        return self.write_inline(value) if key is None else f"{_dump(key)}{colon}{self.write_inline(value)}"

    def _block(self, opening: str, members: list[str], closing: str, indent: str) -> str:
        inner = self.newline + indent + self.unit
        return f"{opening}{inner}{f',{inner}'.join(members)}{self.newline}{indent}{closing}"


def _dump(value: Any, separators: tuple[str, str] = (", ", ": ")) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=separators)
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate must be escaped
        return json.dumps(value, separators=separators)
    return text
