"""Makes a conversation fit a small model's context, and says what it left out."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from databricks_workspace_emulator.engines.base import ChatMessage

CountTokens = Callable[[str], Awaitable[int]]

_PER_MESSAGE = 8
"""Tokens that a chat template puts around a message, generously."""
_PER_PROMPT = 40
"""Tokens that a chat template adds once, such as a default system message."""
_MAX_BYTES_PER_TOKEN = 64
"""No text worth keeping is denser than this: what is beyond it is cut without asking the tokenizer."""
_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Fitted:
    """What the model is shown, and what it is not.

    Attributes:
        messages: the conversation, oldest first.
        dropped: how many whole messages were left out.
        cut: how many characters were left out of the middle of others.
    """

    messages: tuple[ChatMessage, ...]
    dropped: int = 0
    cut: int = 0

    @property
    def note(self) -> str | None:
        """One line for whoever reads the answer, or None if all was shown."""
        left_out = []
        if self.dropped:
            left_out.append(f"the {self.dropped} oldest messages" if self.dropped > 1 else "the oldest message")
        if self.cut:
            left_out.append(f"{self.cut} characters from the middle of the prompt")
        if not left_out:
            return None
        return f"[This small model cannot read that much at once: it was not shown {' and '.join(left_out)}.]"


async def fit(messages: Sequence[ChatMessage], budget: int, count: CountTokens) -> Fitted:
    """The conversation within ``budget`` tokens.

    System messages and the last message stay, cut in the middle if they must be (the system messages as one, to half of
    what is available); of the others the newest stay.

    Args:
        messages: the conversation, oldest first.
        budget: the most tokens that the whole prompt may take, template included.
        count: tells how many tokens a text is.
    """
    # A token is at least one byte: what has few bytes needs no counting.
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
        # What is left should begin with a question, not with the answer to one that is gone.
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
    # The tokenizer does not shrink with the text; nothing of it can be shown.
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
