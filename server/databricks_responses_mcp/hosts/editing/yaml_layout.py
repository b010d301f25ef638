"""The layout of a YAML text, so that added text looks like the rest."""

import re
from dataclasses import dataclass
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import Node
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from databricks_responses_mcp.hosts.editing.splices import newline_of
from databricks_responses_mcp.hosts.editing.yaml_document import Document, is_flow

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./@-]*(?: [A-Za-z0-9_./@-]+)*", re.ASCII)
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of one text.

    Attributes:
        unit: the indentation of one level of a mapping, in columns.
        dash: the indentation of a list's dashes below their key, in columns.
    """

    unit: int
    dash: int
    newline: str

    @classmethod
    def of(cls, document: Document) -> "Layout":
        """Detect the layout of a text from its first nested mapping and list."""
        units: list[int] = []
        dashes: list[int] = []
        if document.root is not None:
            _measure(document.root, units, dashes)
        return cls(next(iter(units), 2), next(iter(dashes), 2), newline_of(document.text))

    def block(self, value: Any, column: int) -> str:
        """Return a mapping as lines that start at a column, without a line ending after the last."""
        blanks = " " * column
        return self.newline.join(blanks + line if line else line for line in self._dump(value))

    def item(self, value: Any, column: int) -> str:
        """Return a mapping as the item of a list, with its dash at a column."""
        lines = self.block(value, column + 2)
        return lines[:column] + "- " + lines[column + 2 :]

    def value(self, value: Any, column: int) -> str:
        """Return the text after ``key:``, where the key starts at a column."""
        return self.block({"k": value}, column)[column + 2 :]

    def _dump(self, value: Any) -> list[str]:
        yaml = YAML()
        yaml.width = 2**20
        yaml.indent(mapping=self.unit, sequence=self.dash + 2, offset=self.dash)
        yaml.representer.ignore_aliases = lambda _data: True
        stream = StringIO()
        yaml.dump(_quote_ambiguous(value), stream)
        return stream.getvalue().rstrip("\n").split("\n")


def _quote_ambiguous(value: Any) -> Any:
    """Quote every string that some parser may read as another type."""
    if isinstance(value, dict):
        return {_quote_ambiguous(key): _quote_ambiguous(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_quote_ambiguous(one) for one in value]
    if isinstance(value, str) and (not _PLAIN.fullmatch(value) or value.lower() in _WORDS):
        return DoubleQuotedScalarString(value)
    return value


def _measure(node: Node, units: list[int], dashes: list[int]) -> None:
    name = type(node).__name__
    if name not in ("MappingNode", "SequenceNode") or node.anchor is not None or is_flow(node):
        return
    for member in node.value:
        key, child = member if name == "MappingNode" else (None, member)
        if child.value and key is not None and not is_flow(child):
            column = child.start_mark.column - key.start_mark.column
            if type(child).__name__ == "MappingNode" and column > 0:
                units.append(column)
            elif type(child).__name__ == "SequenceNode" and column >= 0:
                dashes.append(column)
        _measure(child, units, dashes)
