"""The deadline of one call, for everything that the call does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from databricks_responses_mcp.errors import Action, Advice, BridgeError, ErrorCode


class Deadline:
    """The time limit of a call, which starts when this object is created.

    Args:
        seconds: how long the call may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = anyio.current_time() + seconds

    @property
    def seconds_left(self) -> float:
        """Return the seconds until the deadline, at least 0.001: an operation that starts late times out by itself."""
        return max(self._end - anyio.current_time(), 0.001)

    @asynccontextmanager
    async def bounds(self, doing: str) -> AsyncIterator[None]:
        """Cancel the body of the context at the deadline.

        Args:
            doing: describes the operation in the error, such as "while choosing a model".

        Raises:
            BridgeError: ``timeout``.
        """
        with anyio.move_on_after(self.seconds_left) as scope:
            yield
        if scope.cancelled_caught:
            raise BridgeError(
                ErrorCode.TIMEOUT,
                f"The {self._seconds:.0f} s of this call ran out while {doing}.",
                "Check that the workspace answers, or raise RESPONSES_MCP_TIMEOUT_SECONDS.",
                retryable=True,
                advice=(Advice(Action.RUN_DOCTOR),),
            )
