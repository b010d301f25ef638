"""Writing text in deltas under the token budget."""

from collections.abc import Iterator

from databricks_workspace_emulator.tokens import split_tokens
from databricks_workspace_emulator.writer import ResponseWriter

_TOKENS_PER_DELTA = 4


def deltas(writer: ResponseWriter, text: str) -> Iterator[str]:
    """``text`` in pieces of a few tokens, as far as the budget goes; ``writer.budget.cut`` tells whether it did."""
    tokens = split_tokens(text)
    for start in range(0, len(tokens), _TOKENS_PER_DELTA):
        piece = writer.budget.take("".join(tokens[start : start + _TOKENS_PER_DELTA]))
        if piece:
            yield piece
        if writer.budget.cut:
            return
