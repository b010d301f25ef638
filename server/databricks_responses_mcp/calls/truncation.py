"""Results cut to what the host that asked takes, and to what its model gets to see."""

import json
import re
from collections.abc import Callable
from contextvars import ContextVar

from mcp.types import CallToolResult, ImageContent, TextContent

from databricks_responses_mcp.hosts.limits import UNKNOWN, HostLimits

current_host: ContextVar[HostLimits] = ContextVar("current_host", default=UNKNOWN)
"""The host whose call is being answered."""

CHARACTERS_PER_TOKEN = 4
_LEAST_CHARACTERS = 400
_MARGIN = 0.9
# Short words, parts of long ones, groups of digits and single marks come to about a token each; hosts count with their
# own model's tokenizer, so this errs on the side of too many.
_PIECES = re.compile(r"[A-Za-z]{1,6}|[0-9]{1,3}|[^\sA-Za-z0-9]|\n+|[ \t]{2,}")


def fitted(most_characters: int, make: Callable[[int], CallToolResult]) -> CallToolResult:
    """The result with as much text as is configured and as the host takes.

    Args:
        most_characters: of one text, where the host takes more.
        make: builds the result with texts of at most so many characters.
    """
    limits = current_host.get()
    characters = most_characters
    result = make(characters)
    while (excess := _excess(result, limits)) > 1 and characters > _LEAST_CHARACTERS:
        longest = max(_text_length(result), _LEAST_CHARACTERS)
        characters = max(int(min(characters, longest) / excess * _MARGIN), _LEAST_CHARACTERS)
        result = make(characters)
    if limits.result_bytes is not None and _result_bytes(result) > limits.result_bytes:
        kept = [block for block in result.content if not isinstance(block, ImageContent)]
        result = result.model_copy(update={"content": kept})
    return result


def page_characters(most_characters: int) -> int:
    """How long a piece of a text may be, for the host that asked, when it is shown as it stands."""
    limits = current_host.get()
    sizes = [most_characters]
    if limits.shown_bytes is not None:
        sizes.append(int(limits.shown_bytes * _MARGIN) // 2)
    if limits.shown_tokens is not None:
        sizes.append(int(limits.shown_tokens * _MARGIN) * 2)
    return min(sizes)


def estimated_tokens(text: str) -> int:
    """About how many tokens a text is, rather more than less."""
    return sum(1 for _ in _PIECES.finditer(text))


def _excess(result: CallToolResult, limits: HostLimits) -> float:
    """How many times more text the result has than the host takes; at most 1 if it fits."""
    shown = _structured(result) if limits.shows != "content" and result.structured_content else _words(result)
    if result.is_error and limits.shows_errors_whole:
        shown = f"{_words(result)}\n{_structured(result)}"
    ratios = [0.0]
    if limits.shown_lines is not None:
        ratios.append((shown.count("\n") + 1) / limits.shown_lines)
    if limits.shown_bytes is not None:
        ratios.append(len(shown.encode()) / limits.shown_bytes)
    # A token is at least a byte or so: short results are not worth counting.
    if limits.shown_tokens is not None and len(shown.encode()) > limits.shown_tokens:
        ratios.append(estimated_tokens(shown) / limits.shown_tokens)
    if limits.result_bytes is not None:
        pictures = _picture_bytes(result)
        if (texts := _result_bytes(result) - pictures) > limits.result_bytes - pictures:
            ratios.append(texts / max(limits.result_bytes - pictures, limits.result_bytes // 4))
    return max(ratios)


def _result_bytes(result: CallToolResult) -> int:
    return len(json.dumps(_words(result)).encode()) + len(_structured(result).encode()) + _picture_bytes(result)


def _picture_bytes(result: CallToolResult) -> int:
    return sum(len(block.data) for block in result.content if isinstance(block, ImageContent))


def _text_length(result: CallToolResult) -> int:
    return max((len(block.text) for block in result.content if isinstance(block, TextContent)), default=0)


def _words(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


def _structured(result: CallToolResult) -> str:
    return json.dumps(result.structured_content, ensure_ascii=False)
