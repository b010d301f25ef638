"""Where everything stands in a YAML text: ruamel's nodes, and the tokens that tell where their content ends."""

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.hosts.editing.failures import cannot_parse, position

if TYPE_CHECKING:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.nodes import Node


# ruamel's own words for a key that stands twice show both values, and one may be a secret.
_KNOWN = {
    "DuplicateKeyError": "this key stands here for the second time",
    "RecursionError": "too many levels",
}


@dataclass(frozen=True, slots=True)
class Token:
    """A token that takes at least one character."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed text.

    Attributes:
        root: None if there is nothing but comments.
        tokens: in order.
    """

    text: str
    root: "Node | None"
    tokens: list[Token]

    def before(self, index: int, *, kind: str = "") -> Token | None:
        """The last token, or the last of a kind, that starts before a character."""
        at = bisect_left(self.tokens, index, key=lambda token: token.start)
        while at > 0:
            at -= 1
            if not kind or self.tokens[at].kind == kind:
                return self.tokens[at]
        return None

    def content_end(self, index: int) -> int:
        """Where the content in front of a character ends: comments and the blank lines of a block scalar do not count.

        Those of a block scalar that keeps them (``|+``) do.
        """
        token = self.before(index)
        if token is None:
            return 0
        content = self.text[token.start : token.end]
        if content[0] in "|>" and "+" in content.split("\n", 1)[0]:
            return token.end
        return token.start + len(content.rstrip())


def parse(text: str) -> Document:
    """The nodes and tokens of a text with one document.

    Raises:
        BridgeError: invalid_argument, with the line and column.
    """
    from ruamel.yaml.error import YAMLError

    try:
        root = _yaml().compose(text)
        tokens = [
            Token(type(token).__name__, token.start_mark.index, token.end_mark.index) for token in _yaml().scan(text)
        ]
    except (YAMLError, ValueError, RecursionError) as error:
        raise _failure(text, error) from None
    return Document(text, root, [token for token in tokens if token.start < token.end])


def is_flow(node: "Node") -> bool:
    """Whether a mapping or sequence is written in braces or brackets."""
    return bool(getattr(node, "flow_style", False))


def load(text: str) -> Any:
    """The text as plain data.

    Raises:
        BridgeError: invalid_argument, with the line and column.
    """
    from ruamel.yaml.error import YAMLError

    try:
        return _yaml().load(text)
    except (YAMLError, ValueError, RecursionError, TypeError) as error:
        raise _failure(text, error) from None


def _yaml() -> "YAML":
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import SafeConstructor
    from ruamel.yaml.nodes import MappingNode, SequenceNode

    class Constructor(SafeConstructor):
        """Takes tags that it does not know as part of the value."""

        def construct_undefined(self, node: Any) -> Any:
            if isinstance(node, MappingNode):
                return {node.tag: self.construct_mapping(node, deep=True)}
            if isinstance(node, SequenceNode):
                return {node.tag: self.construct_sequence(node, deep=True)}
            return {node.tag: self.construct_scalar(node)}

    Constructor.add_constructor(None, Constructor.construct_undefined)
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = Constructor
    return yaml


def _failure(text: str, error: "YAMLError | Exception") -> BridgeError:
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
    return cannot_parse("yaml", line, column, str(why).split("\n")[0].removeprefix("but "))
