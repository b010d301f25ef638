"""Truncating results to what a host accepts and shows its model, and converting links to the form that it accepts."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from mcp.types import CallToolResult, ImageContent, ResourceLink, TextContent

from databricks_responses_mcp.hosts.limits import HostLimits

CallResult = TypeVar("CallResult", bound=CallToolResult)

CHARACTERS_PER_TOKEN = 4
_LEAST_CHARACTERS = 400
_CUTS_BEFORE_LEAST = 3
_MARGIN = 0.9
# Short words, parts of long ones, groups of digits and single punctuation marks are about a token each; hosts count
# with their own model's tokenizer, so this estimate is on the high side.
_PIECES = re.compile(r"[A-Za-z]{1,6}|[0-9]{1,3}|[^\sA-Za-z0-9]|\n+|[ \t]{2,}")
_encode = json.JSONEncoder(ensure_ascii=False).encode


class JsonTexts:
    """Values as JSON, each list and object encoded once: a result that is truncated again shares most of them.

    A value must not be changed after its JSON was requested. One object serves one result.
    """

    def __init__(self) -> None:
        # With the value itself, so that its id is not reused.
        self._written: dict[int, tuple[Any, str]] = {}
        self._tokens: dict[str, int] = {}

    def of(self, value: Any) -> str:
        """Return the JSON of a value."""
        if not isinstance(value, list | dict):
            return _encode(value)
        known = self._written.get(id(value))
        if known is None:
            known = self._written[id(value)] = value, _encode(value)
        return known[1]

    def pieces_of(self, value: Mapping[str, Any] | None) -> list[str]:
        """Return the JSON of an object in pieces, with its members separate."""
        if not value:
            return [_encode(value)]
        pieces = ["{"]
        for name, member in value.items():
            pieces += (f"{', ' if len(pieces) > 1 else ''}{_encode(name)}: ", self.of(member))
        return [*pieces, "}"]

    def tokens(self, text: str) -> int:
        """Return `estimated_tokens`, computed once for each text."""
        if (known := self._tokens.get(text)) is None:
            known = self._tokens[text] = estimated_tokens(text)
        return known


class _Measured:
    """The sizes of a result.

    Attributes:
        words: the size of all its text.
        pictures: the bytes of base64.
        all_bytes: the approximate bytes of its JSON.
    """

    def __init__(self, result: CallToolResult, texts: JsonTexts) -> None:
        self._texts = texts
        self._structured = texts.pieces_of(result.structured_content)
        self._has_structure = bool(result.structured_content)
        self._is_error = bool(result.is_error)
        self.words = "\n".join(block.text for block in result.content if isinstance(block, TextContent))
        self.pictures = sum(len(block.data) for block in result.content if isinstance(block, ImageContent))
        self.all_bytes = len(json.dumps(self.words)) + sum(map(_utf8_bytes, self._structured)) + self.pictures

    def excess(self, limits: HostLimits) -> float:
        """Return how many times more text the result has than the host accepts; at most 1 if it fits."""
        # Pieces are split where no two of their characters form one token.
        shown = self._structured if limits.shows != "content" and self._has_structure else [self.words]
        if self._is_error and limits.shows_errors_whole:
            shown = [f"{self.words}\n", *self._structured]
        shown_bytes = sum(map(_utf8_bytes, shown))
        ratios = [0.0]
        if limits.shown_lines is not None:
            ratios.append((sum(text.count("\n") for text in shown) + 1) / limits.shown_lines)
        if limits.shown_bytes is not None:
            ratios.append(shown_bytes / limits.shown_bytes)
        # A token has at least about one byte: short results need not be counted.
        if limits.shown_tokens is not None and shown_bytes > limits.shown_tokens:
            ratios.append(sum(map(self._texts.tokens, shown)) / limits.shown_tokens)
        if limits.result_bytes is not None and self.all_bytes > limits.result_bytes:
            texts = self.all_bytes - self.pictures
            ratios.append(texts / max(limits.result_bytes - self.pictures, limits.result_bytes // 4))
        return max(ratios)


def fitted(limits: HostLimits, most_characters: int, make: Callable[[int], CallResult], texts: JsonTexts) -> CallResult:
    """Return the result with as much text as is configured and as the host accepts.

    Args:
        limits: the limits of the receiving host.
        most_characters: the limit of one text, if the host accepts more.
        make: builds the result with texts of at most the given number of characters.
        texts: the JSON of the parts that every result of ``make`` shares, unchanged.
    """
    characters = most_characters
    result = make(characters)
    measured = _Measured(result, texts)
    cuts = 0
    while (excess := measured.excess(limits)) > 1 and characters > _LEAST_CHARACTERS:
        cuts += 1
        longest = max(_text_length(result), _LEAST_CHARACTERS)
        characters = max(int(min(characters, longest) / excess * _MARGIN), _LEAST_CHARACTERS)
        if cuts == _CUTS_BEFORE_LEAST:
            # What is never truncated, such as the arguments of calls, may exceed the limit alone.
            least = make(_LEAST_CHARACTERS)
            if (measured_least := _Measured(least, texts)).excess(limits) > 1:
                result, measured = least, measured_least
                break
        result = make(characters)
        measured = _Measured(result, texts)
    if limits.result_bytes is not None and measured.all_bytes > limits.result_bytes:
        kept = [block for block in result.content if not isinstance(block, ImageContent)]
        result = result.model_copy(update={"content": kept})
    if not limits.accepts_links and any(isinstance(block, ResourceLink) for block in result.content):
        told = [_in_words(block) if isinstance(block, ResourceLink) else block for block in result.content]
        result = result.model_copy(update={"content": told})
    return result


def _in_words(link: ResourceLink) -> TextContent:
    """Return a link as text, which every client passes to its model unchanged."""
    size = None if link.size is None else f"{link.size} bytes"
    details = ", ".join(detail for detail in (link.mime_type, size) if detail)
    named = f"{link.uri} ({details})" if details else str(link.uri)
    return TextContent(text=f"MCP resource {named}: {link.description or link.name}")


def page_characters(limits: HostLimits, most_characters: int) -> int:
    """Return the number of characters of a text that a host shows if the text is not part of a result."""
    sizes = [most_characters]
    if limits.shown_bytes is not None:
        sizes.append(int(limits.shown_bytes * _MARGIN) // 2)
    if limits.shown_tokens is not None:
        sizes.append(int(limits.shown_tokens * _MARGIN) * 2)
    return min(sizes)


def estimated_tokens(text: str) -> int:
    """Return the approximate number of tokens of a text, on the high side."""
    return sum(1 for _ in _PIECES.finditer(text))


def _text_length(result: CallToolResult) -> int:
    return max((len(block.text) for block in result.content if isinstance(block, TextContent)), default=0)


def _utf8_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
