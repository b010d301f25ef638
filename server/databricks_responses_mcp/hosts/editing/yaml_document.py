"""The nodes of a YAML text with their positions, and its tokens, which determine where the content of a node ends."""

import warnings
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.hosts.editing.bounds import check_size, check_values
from databricks_responses_mcp.hosts.editing.failures import parse_error, position

# Errors that ruamel raises besides its own: a KeyError for a tag such as `!!bool x`, an IndexError for `!!int ""`.
_MALFORMED = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
# ruamel's own message for a duplicate key contains both values, and one may be a secret.
_KNOWN = {
    "DuplicateKeyError": "this key is a duplicate",
    "RecursionError": "too many levels",
}


@dataclass(frozen=True, slots=True)
class Token:
    """A token of at least one character."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed text.

    Attributes:
        root: None if there are only comments.
        tokens: in order.
    """

    text: str
    root: Node | None
    tokens: list[Token]

    def before(self, index: int, *, kind: str = "") -> Token | None:
        """Return the last token, or the last of a kind, that starts before a character; None if there is none."""
        at = bisect_left(self.tokens, index, key=lambda token: token.start)
        while at > 0:
            at -= 1
            if not kind or self.tokens[at].kind == kind:
                return self.tokens[at]
        return None

    def content_end(self, index: int) -> int:
        """Return where the content before a character ends, without comments and blank lines after it.

        The blank lines at the end of a block scalar that keeps them (``|+``) are content.
        """
        token = self.before(index)
        if token is None:
            return 0
        content = self.text[token.start : token.end]
        if content[0] in "|>" and "+" in content.split("\n", 1)[0]:
            return token.end
        return token.start + len(content.rstrip())


def parse(text: str) -> Document:
    """Parse a text with one document into nodes and tokens.

    Raises:
        BridgeError: invalid_argument, with the line and column.
    """
    check_size(text, "yaml")
    with _parsing(text):
        _, root = _compose(text)
        tokens = [
            Token(type(token).__name__, token.start_mark.index, token.end_mark.index) for token in _yaml().scan(text)
        ]
    return Document(text, root, [token for token in tokens if token.start < token.end])


def is_flow(node: "Node") -> bool:
    """Return whether a mapping or sequence is written in braces or brackets."""
    return bool(getattr(node, "flow_style", False))


def load(text: str) -> Any:
    """Parse the text into plain data; None if it contains no value.

    Raises:
        BridgeError: invalid_argument, with the line and column.
    """
    check_size(text, "yaml")
    with _parsing(text):
        construct, root = _compose(text)
        return None if root is None else construct(root)


@contextmanager
def _parsing(text: str) -> Iterator[None]:
    """Convert every exception of ruamel into the error for a text that is not YAML."""
    try:
        yield
    except (YAMLError, *_MALFORMED) as error:
        raise _failure(text, error) from None


def _compose(text: str) -> tuple[Callable[[Node], Any], Node | None]:
    """Return a function that constructs data of a node, and the root node of a text.

    The limits are checked before data is constructed: a few lines of merged aliases (``<<: [*a, *a]``) can expand to
    billions of pairs.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a reused anchor name, which is allowed
        constructor, parser = _yaml().get_constructor_parser(text)
        try:
            root = constructor.composer.get_single_node()
        finally:
            parser.dispose()
    if root is not None:
        check_values(root, _node_children)
    return constructor.construct_document, root


def _node_children(node: Any) -> Iterable[Any]:
    value = getattr(node, "value", None)
    if not isinstance(value, list):
        return ()
    return (child for member in value for child in (member if isinstance(member, tuple) else (member,)))


class _Constructor(SafeConstructor):
    """Keeps an unknown tag as part of the value."""

    def construct_undefined(self, node: Any) -> Any:
        if isinstance(node, MappingNode):
            return {node.tag: self.construct_mapping(node, deep=True)}
        if isinstance(node, SequenceNode):
            return {node.tag: self.construct_sequence(node, deep=True)}
        return {node.tag: self.construct_scalar(node)}


_Constructor.add_constructor(None, _Constructor.construct_undefined)


def _yaml() -> YAML:
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    return yaml


def _failure(text: str, error: Exception) -> BridgeError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    index = getattr(error, "position", None)
    if mark is not None:
        line, column = mark.line + 1, mark.column + 1
    else:
        line, column = position(text, index if isinstance(index, int) else 0)
    known = _KNOWN.get(type(error).__name__)
    if known is not None:
        why = known
    else:
        why = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
    return parse_error("yaml", line, column, str(why).split("\n")[0].removeprefix("but "))
