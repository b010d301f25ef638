"""How a YAML text is laid out, so that what is added looks like the rest."""

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
        unit: columns of one level of a mapping.
        dash: columns between a key and the dashes of the list under it.
    """

    unit: int
    dash: int
    newline: str

    @classmethod
    def of(cls, document: Document) -> "Layout":
        """The layout of a text, from the first places that show it."""
        units: list[int] = []
        dashes: list[int] = []
        if document.root is not None:
            _measure(document.root, units, dashes)
        return cls(next(iter(units), 2), next(iter(dashes), 2), newline_of(document.text))

    def block(self, value: Any, column: int) -> str:
        """A mapping as lines that start at a column; no line ending behind the last."""
        blanks = " " * column
        return self.newline.join(blanks + line if line else line for line in self._dump(value))

    def item(self, value: Any, column: int) -> str:
        """A mapping as the item of a list, with its dash at a column."""
        lines = self.block(value, column + 2)
        return lines[:column] + "- " + lines[column + 2 :]

    def value(self, value: Any, column: int) -> str:
        """What follows ``key:``, where the key stands at a column."""
        return self.block({"k": value}, column)[column + 2 :]

    def _dump(self, value: Any) -> list[str]:
        yaml = YAML()
        yaml.width = 2**20
        yaml.indent(mapping=self.unit, sequence=self.dash + 2, offset=self.dash)
        yaml.representer.ignore_aliases = lambda _data: True
        stream = StringIO()
        yaml.dump(_careful(value), stream)
        return stream.getvalue().rstrip("\n").split("\n")


def _careful(value: Any) -> Any:
    """Quotes every string that some reader might take for something else."""
    if isinstance(value, dict):
        return {_careful(key): _careful(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_careful(one) for one in value]
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
