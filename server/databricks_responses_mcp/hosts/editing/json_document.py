"""The values of a JSON text with their positions. Accepts what hosts accept: comments, trailing commas, JSON5."""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Literal

from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.hosts.editing.bounds import MAX_DEPTH, MAX_VALUES, limit_error
from databricks_responses_mcp.hosts.editing.failures import parse_error, position

_TRIVIA = re.compile(r"(?:\s+|//[^\r\n]*|/\*[\s\S]*?\*/)*+")
_STRING = re.compile(r"""([\"'])(?:(?!\1)[^\\\r\n]|\\(?:\r\n|[\s\S]))*+\1""")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(\r\n|[\s\S]))")
_WORD = re.compile(r"[+\-.\w$]+")
_NAME = re.compile(r"[\w$]+")
_INTEGER = re.compile(r"[+-]?\d{1,4000}", re.ASCII)
_HEXADECIMAL = re.compile(r"([+-]?)0[xX]([0-9a-fA-F]{1,4000})")
_NUMBER = re.compile(r"[+-]?(?:Infinity|NaN|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)", re.ASCII)
_LITERALS = {"true": True, "false": False, "null": None}
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0"}


@dataclass(slots=True)
class Node:
    """A value and its span.

    Attributes:
        value: of a scalar.
        children: of an object or array, in order.
    """

    kind: Literal["object", "array", "scalar"]
    start: int
    end: int = 0
    value: Any = None
    children: list["Child"] = field(default_factory=list)

    def data(self) -> Any:
        """Return the value as plain data; of duplicate keys the last one is used."""
        if self.kind == "object":
            return {child.key: child.value.data() for child in self.children}
        if self.kind == "array":
            return [child.value.data() for child in self.children]
        return self.value


@dataclass(slots=True)
class Child:
    """A member of an object or array.

    Attributes:
        key: None in an array.
        start: of the key, or of the value in an array.
        comma: the position of the comma after it, if there is one.
    """

    key: str | None
    start: int
    value: Node
    comma: int | None = None


def parse(text: str) -> Node | None:
    """Parse the text's one value; None if there are only comments and whitespace.

    Raises:
        BridgeError: invalid_argument, with the line and column.
    """
    reader = _Reader(text)
    reader.skip()
    if reader.at == len(text):
        return None
    root = reader.value(0)
    reader.skip()
    if reader.at < len(text):
        raise reader.failure("there is text after the end")
    return root


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.count = 0

    def failure(self, why: str) -> BridgeError:
        return parse_error("json", *position(self.text, self.at), why)

    def skip(self) -> None:
        found = _TRIVIA.match(self.text, self.at)
        self.at = found.end() if found else self.at
        if self.text.startswith("/*", self.at):
            raise self.failure("a comment that is not closed")

    def take(self, character: str) -> bool:
        if not self.text.startswith(character, self.at):
            return False
        self.at += 1
        return True

    def value(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self.failure(f"more than {MAX_DEPTH} levels")
        self.count += 1
        if self.count > MAX_VALUES:
            raise limit_error(f"it has more than {MAX_VALUES:,} values")
        start = self.at
        if self.take("{"):
            return self.container(Node("object", start), "}", depth)
        if self.take("["):
            return self.container(Node("array", start), "]", depth)
        return Node("scalar", start, value=self.scalar(), end=self.at)

    def container(self, node: Node, closing: str, depth: int) -> Node:
        while True:
            self.skip()
            if self.take(closing):
                node.end = self.at
                return node
            if self.at == len(self.text):
                raise self.failure(f"the end of the file, where `{closing}` is missing")
            if node.children and node.children[-1].comma is None:
                raise self.failure(f"expected `,` or `{closing}`")
            start = self.at
            key = self.key() if closing == "}" else None
            child = Child(key, start, self.value(depth + 1))
            node.children.append(child)
            self.skip()
            if self.take(","):
                child.comma = self.at - 1

    def key(self) -> str:
        name = None if self.text.startswith(('"', "'"), self.at) else _NAME.match(self.text, self.at)
        if name is not None:
            key = name[0]
            self.at = name.end()
        elif self.text.startswith(('"', "'"), self.at):
            key = self.string()
        else:
            raise self.failure("expected a key")
        self.skip()
        if not self.take(":"):
            raise self.failure("expected `:`")
        self.skip()
        return key

    def string(self) -> str:
        found = _STRING.match(self.text, self.at)
        if found is None:
            raise self.failure("a string that is not closed")
        self.at = found.end()
        try:
            return str(json.loads(found[0], strict=False))
        except ValueError:
            return _ESCAPE.sub(_unescape, found[0][1:-1])

    def scalar(self) -> Any:
        if self.text.startswith(('"', "'"), self.at):
            return self.string()
        found = _WORD.match(self.text, self.at)
        word = found[0] if found else ""
        if word in _LITERALS:
            value: Any = _LITERALS[word]
        elif _INTEGER.fullmatch(word):
            value = int(word)
        elif hexadecimal := _HEXADECIMAL.fullmatch(word):
            value = int(hexadecimal[1] + hexadecimal[2], 16)
        elif _NUMBER.fullmatch(word):
            value = float(word)
        else:
            raise self.failure("expected a value")
        self.at += len(word)
        return value


def _unescape(found: re.Match[str]) -> str:
    code = found[1] or found[2]
    if code:
        return chr(int(code, 16))
    character = found[3]
    return "" if character in ("\n", "\r", "\r\n") else _ESCAPES.get(character, character)
