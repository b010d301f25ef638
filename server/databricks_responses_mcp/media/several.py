"""Several references read at once, their failures told together."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import anyio

from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.media.failures import together

T = TypeVar("T")

_AT_ONCE = 4


async def read_all(references: Sequence[str], read: Callable[[str], Awaitable[T]], kind: str) -> list[T]:
    """What ``read`` makes of each reference, in their order.

    Args:
        kind: what they are, in the plural, for the error.

    Raises:
        BridgeError: what is wrong with all of them, in one error.
    """
    results: dict[int, T] = {}
    errors: dict[int, BridgeError] = {}
    turn = anyio.Semaphore(_AT_ONCE)

    async def one(index: int, reference: str) -> None:
        async with turn:
            try:
                results[index] = await read(reference)
            except BridgeError as error:
                errors[index] = error

    async with anyio.create_task_group() as group:
        for index, reference in enumerate(references):
            group.start_soon(one, index, reference)
    if errors:
        raise together([errors[index] for index in sorted(errors)], len(references), kind)
    return [results[index] for index in range(len(references))]
