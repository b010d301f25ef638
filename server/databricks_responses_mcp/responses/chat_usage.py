"""Token counts of the chat API with the names of the Responses API."""

from collections.abc import Mapping
from typing import Any


def token_count(value: object) -> int | None:
    """Return a token count that a server sent, also as text; None if it is not a count.

    Booleans, negative numbers, NaN, infinities and numbers above 2**53, where JSON loses digits, are not counts.
    """
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 17:
        value = int(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53:
        return int(value)
    return None


def response_usage(usage: Any) -> dict[str, Any] | None:
    """Return the counts of a response; None if there are none.

    Accepts the names of both APIs, and Anthropic's for tokens read from and written to the cache.
    """
    if not isinstance(usage, Mapping):
        return None
    read = _count(usage, "input_tokens", "prompt_tokens")
    written = _count(usage, "output_tokens", "completion_tokens")
    if read is None and written is None:
        return None
    inputs = _details(usage, "input_tokens_details", "prompt_tokens_details")
    outputs = _details(usage, "output_tokens_details", "completion_tokens_details")
    cached = _count(inputs, "cached_tokens")
    if cached is None:
        cached = _count(usage, "cache_read_input_tokens")
    stored = _count(inputs, "cache_write_tokens", "cache_creation_tokens")
    if stored is None:
        stored = _count(usage, "cache_creation_input_tokens")
    thought = _count(outputs, "reasoning_tokens")
    if thought is None:
        thought = _count(usage, "reasoning_tokens")
    total = _count(usage, "total_tokens")
    return {
        "input_tokens": read or 0,
        "input_tokens_details": {"cached_tokens": cached or 0, "cache_write_tokens": stored or 0},
        "output_tokens": written or 0,
        "output_tokens_details": {"reasoning_tokens": thought or 0},
        "total_tokens": (read or 0) + (written or 0) if total is None else total,
    }


def is_final_usage(usage: Any) -> bool:
    """Return whether input and output are both counted, as at the end of an answer."""
    return (
        isinstance(usage, Mapping)
        and _count(usage, "input_tokens", "prompt_tokens") is not None
        and _count(usage, "output_tokens", "completion_tokens") is not None
    )


def _count(counts: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        if (count := token_count(counts.get(name))) is not None:
            return count
    return None


def _details(usage: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        if isinstance(value := usage.get(name), Mapping):
            return value
    return {}
