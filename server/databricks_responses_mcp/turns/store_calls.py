"""Calls of the store with a time limit: a store that hangs fails like one that cannot be used."""

from collections.abc import Awaitable
from typing import TypeVar

import anyio

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.store.interface import StoreError

T = TypeVar("T")

STORE_SECONDS = 10.0


async def within_time_limit(call: Awaitable[T], seconds: float = STORE_SECONDS) -> T:
    """Return the result of a call of the store.

    Raises:
        StoreError: if the store cannot be used, or does not answer within ``seconds``.
    """
    try:
        with anyio.fail_after(seconds):
            return await call
    except TimeoutError as error:
        raise StoreError(f"The store did not answer within {seconds:.0f} s.") from error


async def result_of_store(
    call: Awaitable[T],
    problem: str,
    hint: str,
    *,
    seconds: float = STORE_SECONDS,
    code: ErrorCode = ErrorCode.INTERNAL,
) -> T:
    """Return the result of a call of the store, for callers that cannot continue without it.

    Args:
        problem: the first part of the error message; the reason follows it.
        hint: what the user can do.

    Raises:
        BridgeError: ``code``, if the store cannot be used or does not answer within ``seconds``.
    """
    try:
        return await within_time_limit(call, seconds)
    except StoreError as error:
        raise BridgeError(code, f"{problem}: {error}", hint, retryable=True) from error
