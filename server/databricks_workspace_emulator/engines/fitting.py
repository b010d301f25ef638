"""Shortening a conversation to a small model's context, with a note about what was left out."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from databricks_workspace_emulator.engines.base import ChatMessage

CountTokens = Callable[[str], Awaitable[int]]

_PER_MESSAGE = 8
"""Tokens that a chat template adds to a message, estimated generously."""
_PER_PROMPT = 40
"""Tokens that a chat template adds once, such as a default system message."""
_MAX_BYTES_PER_TOKEN = 64
"""No useful text is denser than this: longer text is truncated without using the tokenizer."""
_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Fitted:
    """The shortened conversation, and what was left out.

    Attributes:
        messages: the conversation, oldest first.
        dropped: how many whole messages were left out.
        cut: how many characters were removed from the middle of others.
    """

    messages: tuple[ChatMessage, ...]
    dropped: int = 0
    cut: int = 0

    @property
    def note(self) -> str | None:
        """A line for the reader of the answer, or None if nothing was left out."""
        left_out = []
        if self.dropped:
            left_out.append(f"the {self.dropped} oldest messages" if self.dropped > 1 else "the oldest message")
        if self.cut:
            left_out.append(f"{self.cut} characters from the middle of the prompt")
        if not left_out:
            return None
        return f"[This small model cannot read that much at once: it was not shown {' and '.join(left_out)}.]"


async def fit(messages: Sequence[ChatMessage], budget: int, count: CountTokens) -> Fitted:
    """Return the conversation within ``budget`` tokens.

    System messages and the last message are kept, truncated in the middle if necessary (the system messages together,
    to half of the available tokens); of the others the newest are kept.

    Args:
        messages: the conversation, oldest first.
        budget: the maximum number of tokens of the whole prompt, including the template.
        count: returns the number of tokens of a text.
    """
    # A token has at least one byte: short texts need not be counted.
    if _PER_PROMPT + sum(_bytes(m.content) + _PER_MESSAGE for m in messages) <= budget:
        return Fitted(tuple(messages))
    systems = "\n\n".join(message.content for message in messages[:-1] if message.role == "system")
    others = [message for message in messages[:-1] if message.role != "system"]
    available = budget - _PER_PROMPT - 2 * _PER_MESSAGE
    kept: list[ChatMessage] = []
    dropped = cut = 0
    if systems:
        message, used, lost = await _shorten(ChatMessage("system", systems), available // 2, count)
        kept.append(message)
        available -= used
        cut += lost
    last, used, lost = await _shorten(messages[-1], available, count)
    available -= used
    cut += lost

    kept_others: list[ChatMessage] = []
    while others:
        used = await _tokens(others[-1].content, available, count) + _PER_MESSAGE
        if used > available:
            break
        available -= used
        kept_others.insert(0, others.pop())
    if others:
        # The rest should begin with a question, not with the answer to one that was removed.
        while kept_others and kept_others[0].role == "assistant":
            others.append(kept_others.pop(0))
        dropped = len(others)
    return Fitted((*kept, *kept_others, last), dropped, cut)


async def _shorten(message: ChatMessage, available: int, count: CountTokens) -> tuple[ChatMessage, int, int]:
    text = message.content
    used = await _tokens(text, available, count)
    if used <= available:
        return message, used, 0
    keep = min(len(text), available * _MAX_BYTES_PER_TOKEN)
    for _ in range(_ROUNDS):
        shortened = _without_middle(text, keep)
        used = await count(shortened)
        if used <= available:
            return replace(message, content=shortened), used, len(text) - keep
        keep = keep * available // used * 9 // 10
    # The tokenizer's count does not decrease with the text; none of it can be shown.
    return replace(message, content="…"), _PER_MESSAGE, len(text)


async def _tokens(text: str, available: int, count: CountTokens) -> int:
    size = _bytes(text)
    return size if size > max(available, 0) * _MAX_BYTES_PER_TOKEN else await count(text)


def _without_middle(text: str, keep: int) -> str:
    head = (keep + 1) // 2
    tail = keep - head
    left_out = len(text) - keep
    return f"{text[:head]}\n[… {left_out} characters were left out here …]\n{text[len(text) - tail :]}"


def _bytes(text: str) -> int:
    return len(text.encode(errors="replace"))
