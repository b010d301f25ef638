"""Reading several references concurrently: each file once, with limits on the sum, and all failures in one error."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import anyio
import anyio.to_thread

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.failures import in_units, together
from databricks_responses_mcp.media.local_files import resolve
from databricks_responses_mcp.media.path_policy import real_path

T = TypeVar("T")

MAX_REFERENCES = 1000
"""The maximum number of files or images in one call."""
_MAX_CONCURRENT = 4


@dataclass(frozen=True, kw_only=True)
class Sum(Generic[T]):
    """A limit on the sum of what one call reads.

    Attributes:
        max_bytes: the maximum size of all results together; None for no limit.
        size: returns the bytes of one result; 0 for a result that does not count.
        hint: what to do above the limit.
        counts_repeats: whether a result counts each time it is named, because it is sent each time.
    """

    max_bytes: int | None
    size: Callable[[T], int]
    hint: str
    counts_repeats: bool


async def read_all(
    references: Sequence[str],
    read: Callable[[str], Awaitable[T]],
    kind: str,
    *limits: Sum[T],
    base: Path | None = None,
) -> dict[str, T]:
    """Read each reference; references to the same file are read once and share one result.

    Args:
        kind: what they are, in the plural, for errors.
        limits: reading ends as soon as the results exceed one of them.
        base: the directory for relative paths; the working directory if None.

    Returns:
        The results by reference, in the order of their first use.

    Raises:
        BridgeError: all problems in one error; ``too_large`` above one of ``limits``; ``invalid_argument`` for more
            than `MAX_REFERENCES`.
    """
    if len(references) > MAX_REFERENCES:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"{len(references)} {kind} were named; the limit of one call is {MAX_REFERENCES}.",
            "Name only those that matter.",
        )
    keys = await anyio.to_thread.run_sync(_keys, references, base, abandon_on_cancel=True)
    results: dict[str, T] = {}
    errors: dict[str, BridgeError] = {}
    totals = [0] * len(limits)
    exceeded: list[Sum[T]] = []
    free = anyio.Semaphore(_MAX_CONCURRENT)

    async def one(key: str, named: Sequence[str]) -> None:
        async with free:
            try:
                result = await read(named[0])
            except BridgeError as error:
                errors[key] = error.with_traceback(None)
                return
            for number, limit in enumerate(limits):
                totals[number] += limit.size(result) * (len(named) if limit.counts_repeats else 1)
                if limit.max_bytes is not None and totals[number] > limit.max_bytes:
                    exceeded.append(limit)
                    group.cancel_scope.cancel()
                    return
            results[key] = result

    by_key: dict[str, list[str]] = {}
    for reference, key in zip(references, keys, strict=True):
        by_key.setdefault(key, []).append(reference)
    async with anyio.create_task_group() as group:
        for key, named in by_key.items():
            group.start_soon(one, key, named)
    if exceeded:
        results.clear()
        most = in_units(exceeded[0].max_bytes or 0)
        raise BridgeError(
            ErrorCode.TOO_LARGE,
            f"The {len(references)} {kind} have more than {most} together, which is all that can be sent.",
            exceeded[0].hint,
        )
    if errors:
        raise together([errors[key] for key in by_key if key in errors], len(references), kind)
    return {reference: results[key] for reference, key in zip(references, keys, strict=True)}


def _keys(references: Sequence[str], base: Path | None) -> list[str]:
    """Return a key for each reference, which is equal for all that mean the same file."""
    return [_key(reference.strip(), base) for reference in references]


def _key(reference: str, base: Path | None) -> str:
    if reference[:5].lower() in ("data:", "http:", "https"):
        return reference
    try:
        return str(real_path(resolve(reference, base)))
    except (BridgeError, OSError, ValueError):
        return reference
